"""What graph, family of P and depth are worth, against what the plan chose.

    python -m benchmarks.practice.choices [--task burgers-1024 ...] [--seconds 5]

For each task it makes a warm start on every lattice, family and depth of a small
search, all of the same length and from the same weights, and one as the plan chooses.
It prints

- for each choice the share of the targets' variance that its coarsest level loses, the
  error in the end, and the gain: how many times larger the error of plain training is
  after the same time;
- Spearman's rank correlation of the two, over all choices;
- the regret: how many seconds later the plan's choice comes to an error than the best
  choice does. The error is the one that the median choice ends with.

All runs are in one process, after one that is not counted, so that what TensorFlow does
once is no matter. Compiling is counted.
"""

import argparse
import math
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from scipy.stats import spearmanr

import msann_keras as ms
from benchmarks.practice.run import Clock, validation_error, write_whole
from benchmarks.practice.tasks import TASKS
from benchmarks.practice.tuning import error_at, seconds_to
from experiments.provenance import provenance
from msann.choice import lattices

NAMES = ("burgers-1024", "poisson-64", "field-3d", "ecg", "fashion-autoencoder")
FAMILIES, DEPTHS = ("box", "hat"), (1, 2, 4, 6, 8)
RATE = 1e-3


class Choice(NamedTuple):
    """One warm start: what was chosen, what it loses, and where it came to.

    Attributes:
        topology: Of inputs and outputs, as text.
        depth: L.
        lost: The share of the targets' variance that level L loses.
        trace: Pairs of seconds and error.
    """

    topology: str
    depth: int
    lost: float
    trace: list

    def __str__(self):
        return f"{self.topology}, L = {self.depth}"


def candidates(size):
    """The lattices of the search: path, ring, the grids with the most equal sides."""
    found = lattices(size)
    by_axes = {}
    for one in found[2:]:
        sides = one.shape
        if len(sides) not in by_axes or max(sides) < max(by_axes[len(sides)].shape):
            by_axes[len(sides)] = one
    return [*found[:2], *by_axes.values()]


def plain(task, data, seconds):
    """The trace of plain training."""
    model, clock = _begun(task, data, seconds)
    model.fit(
        data.x,
        data.y,
        batch_size=task.batch_size,
        epochs=10**6,
        callbacks=[clock],
        verbose=0,
    )
    return clock.trace


def chosen(task, data, seconds, topology, depth="auto"):
    """A warm start; `None` where the depth is too much for the lattice."""
    model, clock = _begun(task, data, seconds)
    try:
        record = ms.warm_start(
            model,
            data.x,
            data.y,
            topology=topology,
            depth=depth,
            batch_size=task.batch_size,
            seconds=seconds,
            callbacks=[clock],
            verbose=0,
        )
    except ValueError:
        return None
    plan = record.plan
    ends = plan.topologies[model.layers[-1].name]
    trace = clock.trace if record.levels else plain(task, data, seconds)
    lost = plan.levels[plan.depth].targets_lost
    return Choice(repr(ends), plan.depth, lost, trace)


def _begun(task, data, seconds):
    """A compiled model with the same weights each time, and a clock that runs."""
    keras.utils.set_random_seed(1)
    model = task.network(None)
    clock = Clock(validation_error(task, data, model), seconds)
    clock.set_model(model)
    clock.begin()
    model.compile(keras.optimizers.Adam(RATE), "mse", steps_per_execution=32)
    return model, clock


def search(task, seconds):
    """Every choice, the plan's own, and plain training's trace."""
    data = task.data(1)
    plain(task, data, 1.0)  # what is done once
    every = [
        chosen(task, data, seconds, replace(lattice, prolongation=family), depth)
        for lattice in candidates(task.network.sizes[-1])
        for family in FAMILIES
        for depth in DEPTHS
    ]
    auto = chosen(task, data, seconds, task.topology())
    return [one for one in every if one], auto, plain(task, data, seconds)


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.practice.choices",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--task", nargs="+", choices=TASKS, default=NAMES)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--out", type=Path, default=Path("runs/choices.json"))
    options = parser.parse_args()
    record, losses, gains = {}, [], []
    print("| task | choice | lost of y | error | gain | seconds |")
    print("|---|---|---|---|---|---|")
    for name in options.task:
        task = TASKS[name]
        if (reason := task.missing()) is not None:
            print(f"{name}: skipped, {reason}", flush=True)
            continue
        every, auto, trace = search(task, options.seconds)
        ends = [error_at(one.trace, options.seconds) for one in every]
        target, best = median(ends), math.inf
        for one, error in [*zip(every, ends, strict=True), (auto, None)]:
            error = error_at(one.trace, options.seconds)
            gain = error_at(trace, options.seconds) / error
            seconds = seconds_to(one.trace, target)
            mine = "plan: " if one is auto else ""
            print(
                f"| {name} | {mine}{one} | {one.lost:.4f} | {error:.4g} | {gain:.3g} "
                f"| {'-' if math.isinf(seconds) else f'{seconds:.2f}'} |",
                flush=True,
            )
            if one is not auto:
                best = min(best, seconds)
                losses.append(one.lost)
                gains.append(gain)
        regret = seconds_to(auto.trace, target) - best
        print(
            f"{name}: the plan's regret to {target:.4g} is {regret:.2f} s", flush=True
        )
        record[name] = {
            "plain": trace,
            "plan": auto._asdict(),
            "choices": [one._asdict() for one in every],
        }
    rank = spearmanr(losses, gains)
    print(f"rank correlation of what is lost and the gain: {rank.statistic:.2f}")
    command = ["python", "-m", "benchmarks.practice.choices", *sys.argv[1:]]
    write_whole(
        options.out,
        {
            "seconds": options.seconds,
            "tasks": record,
            "provenance": provenance(shlex.join(command)),
        },
    )


if __name__ == "__main__":
    main()
