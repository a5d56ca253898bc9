"""The best trial of each scheme, all schemes with as many trials."""

import numpy as np

from benchmarks.clock.bench import (
    OPTIMIZERS,
    RATES,
    SCHEDULES,
    TARGETS,
    TUNING_SEEDS,
    Trial,
)
from msann.cost import cost_to_target


def reached(outcome, targets, column=2):
    """Seconds (or another column) to each target."""
    errors = [row[3] for row in outcome.history]
    spent = [row[column] for row in outcome.history]
    return [cost_to_target(spent, errors, target) for target in targets]


def tuned(bench, scheme, quick):
    """The best trial for each target: at most fourteen for each scheme."""
    if scheme == "cycles":
        first, *others = list(SCHEDULES)[: 2 if quick else None]
        rates = RATES[: 1 if quick else 4]
        best = best_of(bench, [Trial(scheme, "Adam", rate, first) for rate in rates])
        found = [trial.rate for _, trial in best if trial] or rates
        low, high = sorted((found[0], found[-1]))
        rates = low, high if high > low else 2 * low
        trials = [Trial(scheme, "Adam", rate, x) for x in others for rate in rates]
        best = best_of(bench, trials, best)
    else:
        rates = RATES[: 2 if quick else None]
        trials = [Trial(scheme, name, rate) for name in OPTIMIZERS for rate in rates]
        best = best_of(bench, trials)
    return [trial for _, trial in best]


def best_of(bench, trials, best=None):
    """For each target the least seconds of these trials and `best`, and the trial.

    A trial that seems better is made on a second seed, and the mean counts.
    """
    best = best or [(bench.limit, None)] * len(TARGETS)
    for trial in trials:
        limits = [seconds for seconds, _ in best]
        runs = []
        for seed in TUNING_SEEDS:
            runs.append(reached(bench.run(trial, seed, limits), bench.targets))
            seconds = np.mean(runs, axis=0)
            if not any(seconds < limits):
                break
        else:
            best = [
                (new, trial) if new < old[0] else old
                for new, old in zip(seconds, best, strict=True)
            ]
        print(f"    {' '.join(map(str, trial))}: {np.round(seconds, 2)}", flush=True)
    return best
