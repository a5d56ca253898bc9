"""What graph, family of P and depth are worth, against what the plan chose.

    python -m benchmarks.practice.choices [--task burgers-1024 ...] [--report-only]

For each task it makes a warm start on every lattice, family and depth of a small
search, all of the same length and from the same weights, and one as the plan chooses.
It prints

- for each choice the share of the targets' variance that its coarsest level loses, the
  error in the end, and the gain: how many times larger the error of plain training is
  after the same time;
- Spearman's rank correlation of the two, over all choices and over the deep ones;
- the regret: how many seconds later the plan's choice comes to an error than the best
  choice does. The error is the one that the median choice ends with.

All runs are in one process, after one that is not counted, so that what TensorFlow does
once is no matter. Compiling is counted.
"""

import argparse
import json
import math
import os
import shlex
import sys
from dataclasses import replace
from itertools import product
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
#: Shallower choices are held back by what their steps take, not by what they lose.
DEEP = 4
#: A smaller loss is drawn here.
LEAST_SHOWN = 1e-6


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
    """What plain training, the plan's choice and every other one come to."""
    data, every = task.data(1), []
    plain(task, data, 1.0)  # what is done once
    options = product(candidates(task.network.sizes[-1]), FAMILIES, DEPTHS)
    for lattice, family, depth in options:
        topology = replace(lattice, prolongation=family)
        if (one := chosen(task, data, seconds, topology, depth)) is not None:
            print(f"{task.name}: {one}", flush=True)
            every.append(one._asdict())
    plan = chosen(task, data, seconds, task.topology())
    trace = plain(task, data, seconds)
    return {"plain": trace, "plan": plan._asdict(), "choices": every}


class Row(NamedTuple):
    """What one choice came to."""

    task: str
    choice: Choice
    error: float
    gain: float
    seconds: float
    is_plan: bool


def rows_of(record):
    """Every choice of a record, in each task the plan's last.

    Seconds are to the error that the median choice ends with.
    """
    limit = record["seconds"]
    for name, task in record["tasks"].items():
        choices = [_choice(**one) for one in (*task["choices"], task["plan"])]
        errors = [error_at(one.trace, limit) for one in choices]
        target = median(errors[:-1])
        of_plain = error_at(known(task["plain"]), limit)
        for i, (one, error) in enumerate(zip(choices, errors, strict=True)):
            seconds = seconds_to(one.trace, target)
            is_plan = i == len(choices) - 1
            yield Row(name, one, error, of_plain / error, seconds, is_plan)


def _choice(trace, **others):
    return Choice(trace=known(trace), **others)


def known(trace):
    """A trace of a file, whose errors that are no numbers are infinite."""
    return [(t, math.inf if error is None else error) for t, error in trace]


def table(rows):
    """The Markdown of all choices; then regrets and rank correlations."""
    lines = [
        "| task | choice | lost of y | error | gain | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        reached = f"{row.seconds:.2f}" if math.isfinite(row.seconds) else "-"
        lines.append(
            f"| {row.task} | {'plan: ' if row.is_plan else ''}{row.choice} "
            f"| {row.choice.lost:.4f} | {row.error:.4g} | {row.gain:.3g} | {reached} |"
        )
    lines.append("")
    for name, (*others, plan) in by_task(rows).items():
        best = min(row.seconds for row in others)
        lines.append(
            f"{name}: regret {plan.seconds - best:.2f} s; the plan's gain is "
            f"{plan.gain:.3g}, the best one {max(row.gain for row in others):.3g}; "
            + _ranks(others)
        )
    lines.append(f"all: {_ranks([row for row in rows if not row.is_plan])}")
    return "\n".join(lines)


def by_task(rows):
    """The rows of each task."""
    groups = {}
    for row in rows:
        groups.setdefault(row.task, []).append(row)
    return groups


def _ranks(rows):
    deep = [row for row in rows if row.choice.depth >= DEEP]
    return (
        f"rank correlation of what is lost and the gain {rank(rows):.2f}, "
        f"of L >= {DEEP} alone {rank(deep):.2f}"
    )


def rank(rows):
    """Spearman's correlation of what is lost and the gain."""
    lost, gains = [row.choice.lost for row in rows], [row.gain for row in rows]
    return spearmanr(lost, gains).statistic


def picture(rows, path):
    """The gain against what is lost, the plan's own choices with a ring."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for mark, (name, own) in zip("os^Dv", by_task(rows).items(), strict=False):
        lost = [max(row.choice.lost, LEAST_SHOWN) for row in own]
        gains = [row.gain for row in own]
        axes.scatter(lost, gains, s=18, marker=mark, label=name)
        axes.scatter(lost[-1], gains[-1], s=110, facecolors="none", edgecolors="black")
    axes.axhline(1, color="0.6", linewidth=0.8)
    axes.set(xscale="log", yscale="log")
    axes.set(xlabel="share of the targets' variance that level L loses")
    axes.set(ylabel="error of plain training / error, after the same time")
    axes.legend()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def made(names, seconds):
    """The record of all tasks."""
    record = {}
    for name in names:
        task = TASKS[name]
        if (reason := task.missing()) is not None:
            print(f"{name}: skipped, {reason}", flush=True)
            continue
        record[name] = search(task, seconds)
    return record


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.practice.choices",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--task", nargs="+", choices=TASKS, default=NAMES)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--file", type=Path, default=Path("runs/choices.json"))
    parser.add_argument("--picture", type=Path, default=Path("docs/choices.png"))
    parser.add_argument("--report-only", action="store_true", help="make no runs")
    options = parser.parse_args()
    if not options.report_only:
        command = ["python", "-m", "benchmarks.practice.choices", *sys.argv[1:]]
        record = {
            "seconds": options.seconds,
            "tasks": made(options.task, options.seconds),
            "provenance": provenance(shlex.join(command)),
        }
        write_whole(options.file, record)
    rows = [*rows_of(json.loads(options.file.read_text()))]
    print(table(rows))
    picture(rows, options.picture)
    print(f"\npicture: {options.picture}; file: {options.file}")


if __name__ == "__main__":
    main()
