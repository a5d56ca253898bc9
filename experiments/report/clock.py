"""The clock benchmark's rows: seconds to a target, scheme against scheme."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import Any, NamedTuple

from experiments.report.labels import TASKS

#: What the benchmark compares, in the order of the table in docs/clock.md.
SCHEMES = {
    "fit": "keras.Model.fit",
    "level0": "level 0 only",
    "start": "from the multilevel start",
    "cycles": "cycles on coarsened data",
}


#: What files of before say.
FORMERLY = {"plain": "level0"}


class Comparison(NamedTuple):
    """All schemes at one target of one task.

    Attributes:
        target: "1/10", "1/20", or the strict one.
        mse: The target itself.
        seconds: Of every seed, by scheme; empty if no trial reached it.
        trials: What was tuned, by scheme.
        compiling: Seconds to compile, by scheme.
    """

    target: str
    mse: float
    seconds: dict[str, list[float]]
    trials: dict[str, str]
    compiling: dict[str, float]

    def median(self, scheme: str) -> float:
        """Over seeds; infinite if it was not reached."""
        return median(self.seconds[scheme]) if self.seconds[scheme] else math.inf

    def gain(self, over: str) -> float:
        """How many times faster the cycles are; NaN if one was not reached."""
        return _ratio(self.median(over), self.median("cycles"))

    def gain_compiled(self, over: str) -> float:
        """The same for a first run, with compiling on both sides."""
        own, cycles = (self.median(x) + self.compiling[x] for x in (over, "cycles"))
        return _ratio(own, cycles)


def _ratio(one, two):
    return one / two if math.isfinite(one) and math.isfinite(two) else math.nan


def comparisons(files: Mapping[str, Any]) -> dict[str, list[Comparison]]:
    """Rows of the benchmark's files by task; easy targets first."""
    tasks: dict[str, dict[float, list[dict]]] = {}
    for values in files.values():
        for row in values["rows"]:
            targets = tasks.setdefault(_title(row["task"]), {})
            targets.setdefault(row["target"], []).append(row)
    order = sorted(tasks, key=lambda title: (title.startswith("MNIST"), title))
    return {title: _comparisons(tasks[title]) for title in order}


def _comparisons(targets: dict[float, list[dict]]) -> list[Comparison]:
    first = 10 * max(targets)  # the easiest target is a tenth of the first MSE
    return [
        Comparison(
            _share(first, target),
            target,
            _by_scheme(targets[target], lambda row: row["seconds"], []),
            _by_scheme(targets[target], _trial, "none reached it"),
            _by_scheme(targets[target], lambda x: x.get("compile_seconds", 0.0), 0.0),
        )
        for target in sorted(targets, reverse=True)
    ]


def _by_scheme(rows, value, missing):
    found = {FORMERLY.get(row["scheme"], row["scheme"]): value(row) for row in rows}
    return {scheme: found.get(scheme, missing) for scheme in SCHEMES}


def _share(first, target):
    share = first / target
    return f"1/{share:.0f}" if abs(share - round(share)) < 1e-6 else f"{target:.3f}"


def _trial(row):
    trial = row["trial"]
    if trial is None:
        return "none reached it"
    schedule = f", {trial['schedule']}" if trial.get("schedule") else ""
    return f"{trial['optimizer']} {trial['rate']:g}{schedule}"


def _title(task):
    name, _, size = task.rpartition("-")
    if title := TASKS.get(name.replace("-", "_")):
        return f"{title}, n = {size}"
    return f"{TASKS['mnist']}, grid" if task == "mnist" else task
