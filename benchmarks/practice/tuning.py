"""Settings, what their traces say, and which is best."""

import json
import math
from pathlib import Path
from typing import NamedTuple

#: Rates of a trial, and those of `--quick`.
RATES, QUICK_RATES = (3e-4, 5e-4, 1e-3, 2e-3, 4e-3), (5e-4, 1e-3, 2e-3)
#: Trials of the warm start, rates and nothing else: as many as plain training has.
WARM_RATES = (3e-4, 5e-4, 7e-4, 1e-3, 1.4e-3, 2e-3, 2.8e-3, 4e-3)
#: Shares of the budget at which errors are compared.
SHARES = (0.25, 0.6, 1.0)
#: Of weights, data and batches where settings are chosen; no other run has it.
TUNING_SEED = 0
#: An evaluation counts for a moment that it misses by less than this share.
SLACK = 0.02


class Setting(NamedTuple):
    """One way to train.

    Attributes:
        method: Its name on the command line.
        rate: At the beginning.
        decay: "none" or "cosine".
        steps: Of one compiled call.
        jit: Whether XLA compiles it.
        batch: Samples of a step, if these are not the task's.
    """

    method: str
    rate: float
    decay: str = "none"
    steps: int = 1
    jit: int = 1
    batch: int | None = None

    def __str__(self):
        jit = "" if self.jit else ", no XLA"
        decay = "" if self.decay == "none" else f", {self.decay}"
        batch = "" if self.batch is None else f", batches of {self.batch}"
        return f"{self.rate:g}{decay}, {self.steps} a call{jit}{batch}"

    @property
    def file(self):
        """What a file of it is called."""
        batch = "" if self.batch is None else f"-batch{self.batch}"
        start = f"{self.method}-{self.rate:g}-{self.decay}-{self.steps}"
        return f"{start}-jit{self.jit}{batch}"


#: Keras's own defaults (which compile by XLA) and the rate that everybody begins with.
AS_WRITTEN = Setting("fit", 1e-3)
#: The call as a user writes it, and with what makes plain training quick.
WARM_AS_WRITTEN = Setting("warm", 1e-3)
WARM_DEFAULT = Setting("warm", 1e-3, "cosine", 32)
#: The multilevel model by `CycleSchedule("auto")`.
AUTO = Setting("auto", 1e-3, "cosine", 32)


def first_trials(rates, steps=32):
    """Plain training at every rate, with so many steps a call."""
    return [Setting("fit", rate, "cosine", steps) for rate in rates]


def further_trials(best, batch_size):
    """The best of them with one thing changed; the task has batches of that size."""
    batches = [best._replace(batch=batch_size // parts) for parts in (4, 16)]
    others = {"jit": 0}, {"steps": 1}, {"decay": "none"}
    return [*(best._replace(**other) for other in others), *batches]


def warm_trials(steps=32):
    """The warm start at every rate."""
    return [WARM_DEFAULT._replace(rate=rate, steps=steps) for rate in WARM_RATES]


class Run(NamedTuple):
    """What a file says; the trace is of pairs of seconds and error."""

    task: str
    setting: Setting
    seed: int
    limit: float
    trace: list


def read(path):
    """The run of a file."""
    record = json.loads(Path(path).read_text())
    options = record["options"]
    setting = Setting(
        record["method"],
        options["rate"],
        options["decay"],
        options["steps_per_execution"],
        options["jit"],
        options.get("batch"),
    )
    trace = [(t, math.inf if e is None else e) for t, e in record["trace"]]
    return Run(record["task"], setting, record["seed"], options["limit"], trace)


def lowest(trace):
    """The trace of the lowest error so far."""
    result, least = [], math.inf
    for seconds, error in trace:
        least = min(least, error)
        result.append((seconds, least))
    return result


def error_at(trace, seconds):
    """The lowest error until then; infinite while the network is untrained, at 0 s."""
    until = (1 + SLACK) * seconds
    errors = [error for moment, error in trace if 0 < moment <= until]
    return min(errors, default=math.inf)


def seconds_to(trace, error):
    """When a trace was first at or below an error; infinite if it never was."""
    return min((moment for moment, e in trace if e <= error), default=math.inf)


def best_plain(runs):
    """The run of plain training with the lowest error at each share of the budget.

    It is `None` where none has trained by then.
    """
    plain = [x for x in runs if x.setting.method == "fit" and x.seed == TUNING_SEED]
    result = {}
    for share in SHARES:
        errors = [(error_at(x.trace, share * x.limit), i) for i, x in enumerate(plain)]
        least, i = min(errors, default=(math.inf, 0))
        result[share] = plain[i] if math.isfinite(least) else None
    return result


def best_warm(runs):
    """The same of the warm start: the soonest at the error of the best plain run.

    Where none gets there, the one with the lowest error.
    """
    trials = warm_trials(steps_of(runs))
    warm = [x for x in runs if x.setting in trials and x.seed == TUNING_SEED]
    result = {}
    for share, plain in best_plain(runs).items():
        if plain is None or not warm:
            result[share] = None
            continue
        target = error_at(plain.trace, share * plain.limit)

        def key(run, target=target):
            return seconds_to(run.trace, target), error_at(run.trace, run.limit)

        result[share] = min(warm, key=key)
    return result


def steps_of(runs):
    """Steps of a call where settings are tried: fewer where each takes long."""
    return max((x.setting.steps for x in runs), default=32)


def settings_of(runs):
    """What each method is compared at, by its name in the table and by share."""
    steps = steps_of(runs)
    plain, warm = (
        {share: run and run.setting for share, run in best.items()}
        for best in (best_plain(runs), best_warm(runs))
    )
    start, ramp, stencils, kernels, same = (
        {share: one and one._replace(method=method) for share, one in plain.items()}
        for method in ("start", "ramp", "stencils", "kernels", "warm")
    )
    return {
        "fit, tuned": plain,
        "fit, as written": dict.fromkeys(SHARES, AS_WRITTEN),
        "multilevel start": start,
        "progressive resizing": ramp,
        "warm start, stencils": stencils,
        "warm start, same kernels": kernels,
        "warm start, as written": dict.fromkeys(SHARES, WARM_AS_WRITTEN),
        "warm start, as tuned fit": same,
        "warm start, 1e-3": dict.fromkeys(SHARES, WARM_DEFAULT._replace(steps=steps)),
        "warm start, tuned": warm,
        "CycleSchedule, auto": dict.fromkeys(SHARES, AUTO),
    }
