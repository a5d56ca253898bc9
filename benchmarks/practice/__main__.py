"""How soon a practitioner's model gets to an error: `python -m benchmarks.practice`.

    python -m benchmarks.practice [--quick] [--task poisson-64 ...] [--report-only]

Everything is counted from `compile` on: tracing, compiling, averaging, training; only
imports, data and evaluation are not. Plain training is tuned on a seed of its own: five
rates with cosine decay, 32 steps a call and XLA, then the best rate without XLA, with
one step a call, without decay, and with batches of a quarter and a sixteenth. For each
target it has the setting that was best there. The targets are the errors that it has at
25, 60 and 100 % of the budget. Against it stand

    fit, as written           keras.Model.fit at 1e-3 and otherwise as Keras has it
    multilevel start          the tuned setting from ms.initializers.Multilevel
    warm start, as written    ms.warm_start, then fit, at 1e-3 and as Keras has it
    warm start, as tuned fit  the same with the settings that suit plain training
    warm start, 1e-3          the same with cosine decay and 32 steps a call
    warm start, tuned         the same at the best of eight rates, on the tuning seed
    warm start, stencils      as tuned fit, on averaged images by Galerkin's stencils
    warm start, same kernels  the same on every other pixel, by the kernels as they are
    progressive resizing      the tuned setting, of a U-Net that begins on images of a
                              quarter of the sides and then half, by hand
    CycleSchedule, auto       a multilevel model, otherwise as the warm start at 1e-3

The picture has all of these, or those that `--drawn` names. Each run is a process of
its own, and one whose file is there is not made again.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.practice.report import STYLES, load, picture, summary, table
from benchmarks.practice.tasks import TASKS
from benchmarks.practice.tuning import (
    AS_WRITTEN,
    AUTO,
    QUICK_RATES,
    RATES,
    SHARES,
    TUNING_SEED,
    WARM_AS_WRITTEN,
    WARM_DEFAULT,
    best_plain,
    best_warm,
    error_at,
    first_trials,
    further_trials,
    read,
    warm_trials,
)

#: What is run at the settings of tuned `fit`.
OTHERS = ("start", "ramp", "stencils", "kernels", "warm")
QUICK_TASKS = ("burgers-1024", "poisson-64")
#: Seconds that a run may take beside its limit: importing, data, and evaluation.
PATIENCE = 600


class Runner:
    """Makes the runs of one task that are not there yet.

    Args:
        task: Of `TASKS`.
        limit: Seconds of a run.
        folder: Of all runs.
    """

    def __init__(self, task, limit, folder):
        self.task, self.limit, self.folder = task, limit, folder / task.name

    def run(self, setting, seed):
        """One run, of its file or made now; `None` if it failed."""
        name = f"{setting.file}-{self.limit:g}s-seed{seed}.json"
        path, began = self.folder / name, time.perf_counter()
        line = f"{self.task.name}: {setting.method} {setting}, seed {seed}: "
        known = path.exists()
        if not known and (trouble := self._make(setting, seed, path)):
            print(f"{line}failed: {trouble}", flush=True)
            return None
        run = read(path)
        last = f"{run.trace[-1][0]:.1f} s"
        took = "known" if known else f"{time.perf_counter() - began:.0f} s in all"
        error = error_at(run.trace, run.limit)
        print(f"{line}error {error:.4g} in {last} ({took})", flush=True)
        return run

    def _make(self, setting, seed, path):
        """Make a run in a fresh process; what went wrong, in a line, if it did."""
        command = [sys.executable, "-m", "benchmarks.practice.run"]
        command += ["--task", self.task.name, "--method", setting.method]
        command += ["--rate", f"{setting.rate:g}", "--decay", setting.decay]
        command += ["--steps-per-execution", str(setting.steps)]
        command += ["--jit", str(setting.jit), "--seed", str(seed)]
        if setting.batch is not None:
            command += ["--batch-size", str(setting.batch)]
        command += ["--limit", f"{self.limit:g}", "--out", str(path)]
        try:
            done = subprocess.run(
                command,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                timeout=2 * self.limit + PATIENCE,
            )
        except subprocess.TimeoutExpired:
            return f"not done after {2 * self.limit + PATIENCE:g} s"
        if done.returncode or not path.exists():
            said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
            return said[-1]
        return None

    def tune(self, quick):
        """The runs of the tuning seed."""

        def tried(settings):
            made = [self.run(setting, TUNING_SEED) for setting in settings]
            return [run for run in made if run is not None]

        steps = self.task.steps
        runs = tried(first_trials(QUICK_RATES if quick else RATES, steps))
        best = best_plain(runs)[SHARES[-1]]
        if best is not None:
            runs += tried(further_trials(best.setting, self.task.batch_size))
        if not quick:
            runs += tried(warm_trials(steps))
        return runs

    def compare(self, quick, seeds):
        """All runs of a task."""
        runs = self.tune(quick)
        plain = [run.setting for run in best_plain(runs).values() if run]
        warm = [run.setting for run in best_warm(runs).values() if run]
        others = [one._replace(method=name) for name in OTHERS for one in plain]
        default = WARM_DEFAULT._replace(steps=self.task.steps)
        fixed = [AS_WRITTEN, WARM_AS_WRITTEN, default, AUTO]
        for seed in seeds:
            # In one row for each seed, so that all have what else the machine does.
            for setting in dict.fromkeys([*plain, *others, *fixed, *warm]):
                if setting.method in self.task.methods:
                    self.run(setting, seed)


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.practice",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--task", nargs="+", choices=TASKS, default=None)
    parser.add_argument("--quick", action="store_true", help="two tasks, one seed")
    parser.add_argument("--seeds", nargs="+", type=int, default=None)
    parser.add_argument("--limit", type=float, help="seconds; the task's by default")
    parser.add_argument("--folder", type=Path, default=Path("runs/practice"))
    parser.add_argument("--picture", type=Path, default=Path("docs/practice.png"))
    parser.add_argument("--drawn", nargs="+", choices=STYLES, default=[*STYLES])
    parser.add_argument("--report-only", action="store_true", help="make no runs")
    options = parser.parse_args()
    seeds = options.seeds or ([1] if options.quick else [1, 2, 3])
    if TUNING_SEED in seeds:
        parser.error(f"seed {TUNING_SEED} is the one that settings are chosen on")
    names = options.task or (QUICK_TASKS if options.quick else TASKS)
    for name in [] if options.report_only else names:
        task = TASKS[name]
        if (reason := task.missing()) is not None:
            print(f"{name}: skipped, {reason}", flush=True)
            continue
        limit = options.limit or task.budget
        Runner(task, limit, options.folder).compare(options.quick, seeds)
    groups = {
        (task, limit): runs
        for (task, limit), runs in load(options.folder).items()
        if task in names and limit == (options.limit or TASKS[task].budget)
    }
    if not groups:
        sys.exit(f"There are no runs of {', '.join(names)} in {options.folder}.")
    print(f"\n{table(groups)}\n\n{summary(groups)}\n")
    picture(groups, options.picture, options.drawn)
    print(f"picture: {options.picture}; runs: {options.folder}")


if __name__ == "__main__":
    main()
