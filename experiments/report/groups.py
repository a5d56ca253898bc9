"""Runs that differ in nothing but the seed, and the choice among them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from experiments.report.labels import Labels, described
from experiments.runfiles import RunFile
from experiments.statistics import Summary, summary


@dataclass(frozen=True, eq=False)
class Group:
    """Runs of one setting, by file name, in the order of their seeds."""

    labels: Labels
    runs: Mapping[str, RunFile]

    @cached_property
    def id(self) -> str:
        """For links: the same as long as the setting is."""
        return "g" + hashlib.sha256(repr(self.labels).encode()).hexdigest()[:10]

    @cached_property
    def finals(self) -> dict[int, float]:
        """Final MSE of each seed; infinite if runs end before their budget."""
        ends = self.labels.ends
        return {
            run.seed: math.inf if ends else run.final_mse for run in self.runs.values()
        }

    def reached(self, measure: str, target: float | None = None) -> dict[int, float]:
        """What each seed took to an error, by default a tenth of its own first one."""
        return {run.seed: run.reached(measure, target) for run in self.runs.values()}

    @property
    def first_mse(self) -> float:
        """Before training, the mean over seeds."""
        firsts = [run.history[0].mse for run in self.runs.values()]
        return math.fsum(firsts) / len(firsts)


def grouped(runs: Mapping[str, RunFile]) -> list[Group]:
    """Runs by what they are called, each group in the order of seeds."""
    found: dict[Labels, dict[str, RunFile]] = {}
    for name, run in sorted(runs.items(), key=lambda item: (item[1].seed, item[0])):
        found.setdefault(described(run.settings), {})[name] = run
    return [Group(labels, found[labels]) for labels in sorted(found)]


Value = Callable[[Group], dict[int, float]]


def final(group: Group) -> dict[int, float]:
    """To choose by final MSE."""
    return group.finals


def tenth(group: Group) -> dict[int, float]:
    """To choose by C(t) to a tenth of the first MSE."""
    return group.reached("cost")


def ranked(groups: Iterable[Group], value: Value) -> list[Group]:
    """Groups from the least mean on, compared on the seeds that all of them have.

    A sweep runs one seed, and its winners more: comparing what each happens to have
    would compare luck. Without a common seed the means of all seeds are compared.
    """
    groups = list(groups)
    common = common_seeds(groups)

    def score(group: Group) -> float:
        values = value(group)
        chosen = [values[seed] for seed in common] or list(values.values())
        return math.fsum(chosen) / len(chosen)

    return sorted(groups, key=score)


def common_seeds(groups: Sequence[Group]) -> list[int]:
    """The seeds that every group has."""
    return sorted(set.intersection(*(set(x.finals) for x in groups)) if groups else ())


def over_seeds(values: Mapping[int, float]) -> Summary:
    """Mean and interval of values by seed."""
    return summary(list(values.values()))
