"""What the paper says is better, tested over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from experiments.report.groups import Group, final, ranked
from experiments.report.tables import TARGETS, as_published, in_table, same
from experiments.statistics import Paired, paired

#: How a claim ends that says "neither better nor worse" (section 4.4).
PAR = "on par with the default"
#: Better first, as section 4.4 has them.
BETTER_P = ("grid", "path", "shuffled", "random orthogonal")


class Ordering(NamedTuple):
    """A claim, and final MSE of the first over the second on the same seeds."""

    claim: str
    where: str
    result: Paired
    equal: bool = False

    @property
    def verdict(self) -> str:
        """By the 95 % interval of the ratio."""
        if self.result.low is None:
            return "one seed: no test"
        if self.result.low <= 1 <= self.result.high:
            return "no difference found" if self.equal else "undecided"
        lower = self.result.high < 1
        if self.equal:
            return "lower" if lower else "higher"
        return "holds" if lower else "reversed"


def orderings(groups: Sequence[Group]) -> list[Ordering]:
    """All claims that committed runs can test."""
    return [
        Ordering(claim, where, result, equal=claim.endswith(PAR))
        for claim, where, first, second in _claims(groups)
        if (result := paired(first, second))
    ]


def _claims(groups) -> Iterator[tuple[str, str, dict, dict]]:
    groups = [group for group in groups if not group.labels.ends]
    yield from _better_than_default(groups)
    yield from _choice_of_p(groups)
    for field, word in (("depth", "deeper"), ("gamma", "higher γ")):
        yield from _more_is_better(groups, field, word)


def _better_than_default(groups):
    for target in TARGETS:
        for default in groups:
            if default.labels.kind != "default" or not as_published(default, target):
                continue
            rivals = [x for x in groups if _matches(x, default) and in_table(x, target)]
            if rivals:
                best = ranked(rivals, final)[0]
                claim = f"{best.labels.way} {best.labels.shape} below the default"
                where = _where(default, target.title)
                yield claim, where, best.finals, default.finals


def _matches(group, other):
    return (
        same(group) == same(other) and group.labels.optimizer == other.labels.optimizer
    )


def _choice_of_p(groups):
    cycles = [x for x in groups if x.labels.kind == "cycle" and not x.labels.coarsened]
    for one, two in combinations(cycles, 2):
        if _cell(one) != _cell(two) or one.labels.topology == two.labels.topology:
            continue
        names = [x.labels.way.partition(",")[0] for x in (one, two)]
        if not set(names) <= set(BETTER_P):
            continue
        if BETTER_P.index(names[0]) > BETTER_P.index(names[1]):
            one, two, names = two, one, names[::-1]
        claim = f"{names[0]} below {names[1]} at {one.labels.shape}"
        yield claim, _where(one), one.finals, two.finals
    for group in groups:
        if group.labels.kind != "simultaneous":
            continue
        for default in groups:
            if default.labels.kind == "default" and _matches(group, default):
                claim = f"{group.labels.way}, L {group.labels.depth}, {PAR}"
                yield claim, _where(group), group.finals, default.finals


def _cell(group, without=()):
    """All that two groups share but P, and but what is left out."""
    x = group.labels
    cell = x._replace(topology="", way="", title="")._asdict()
    return tuple(value for key, value in cell.items() if key not in without)


def _where(group, title=""):
    x = group.labels
    return ", ".join(filter(None, (title or x.task_title, x.optimizer, x.budget)))


def _more_is_better(groups, field, word):
    """Neighbours in one setting, averaged over all else, seed by seed."""
    settings: dict[tuple, dict[tuple, dict[int, Group]]] = {}
    for group in groups:
        x = group.labels
        if x.kind == "cycle" and not x.coarsened and x.growth == 1:
            setting = x.task_title, x.optimizer, x.budget, x.way, x.other
            rest = _cell(group, without=(field,))
            members = settings.setdefault(setting, {}).setdefault(rest, {})
            members[getattr(x, field)] = group
    for (*_, way, _), cells in settings.items():
        pairs = [
            (members[more], members[less])
            for members in cells.values()
            for less, more in zip(sorted(members), sorted(members)[1:], strict=False)
        ]
        if pairs:
            counted = f"{len(pairs)} pair{'s' * (len(pairs) > 1)} of neighbours"
            yield (
                f"{word} is lower ({way}, {counted})",
                _where(pairs[0][0]),
                *_averaged(pairs),
            )


def _averaged(pairs):
    """Geometric means over pairs of groups, by seed; seeds that all of them have."""
    seeds = set.intersection(*(set(x.finals) for pair in pairs for x in pair))
    return [
        {
            seed: math.exp(
                math.fsum(math.log(pair[side].finals[seed]) for pair in pairs)
                / len(pairs)
            )
            for seed in seeds
        }
        for side in (0, 1)
    ]
