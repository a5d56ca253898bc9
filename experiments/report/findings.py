"""What the runs say, as sentences: every number in them comes from a run file.

A sentence says who wins by comparing, so new runs may turn it round.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from experiments import published
from experiments.report import numbers
from experiments.report.clock import Comparison
from experiments.report.groups import Group, over_seeds
from experiments.report.labels import MEASURES
from experiments.report.tables import Block, Row, Table

Clock = Mapping[str, Sequence[Comparison]]


class Findings(NamedTuple):
    """Sentences: for the paper's method, against it, and what qualifies them."""

    wins: list[str]
    loses: list[str]
    limits: list[str]


def claim() -> str:
    """The paper's claim in its own numbers."""
    tables = published.TABLES.values()
    gains = [
        f"{numbers.ratio(x.tenth['default'].value / x.tenth['best'].value)} ({x.name})"
        for x in tables
        if math.isfinite(x.tenth["default"].value)
    ]
    never = [x.name for x in tables if math.isinf(x.tenth["default"].value)]
    finals = [
        f"{numbers.mse(x.final['best'].value)} against "
        f"{numbers.mse(x.final['default'].value)} ({x.name})"
        for x in tables
    ]
    return (
        "Multilevel training (MsANN) brings the error down to a tenth of what it was "
        "before training at a lower cost C(t) than the default, which is the same "
        "network trained without levels: lower by factors of "
        f"{numbers.listed(gains)}. In {numbers.listed(never)} the default never gets "
        f"there, and MsANN does. MsANN also ends at a lower error: "
        f"{numbers.listed(finals)}. Each of these numbers is of one run."
    )


def findings(tables: Sequence[Table], clock: Clock) -> Findings:
    """All sentences that the runs allow."""
    wins, loses, limits = [], [], []
    for table in tables:
        for block in table.blocks:
            _against_default(table, block, wins, loses)
    _against_tuned(tables, wins, loses)
    _on_the_clock(clock, wins, loses)
    limits += _seconds_at_equal_cost(tables)
    limits += _never_reached(tables)
    limits += _compiling(clock)
    limits += _shrinking(clock)
    limits += _noise(tables)
    return Findings(
        *(list(dict.fromkeys(sentences)) for sentences in (wins, loses, limits))
    )


def _rows(block: Block, start: str) -> list[Row]:
    return [row for row in block.rows if row.group and row.label.startswith(start)]


def _final(group: Group) -> float:
    return over_seeds(group.finals).mean


def _seeds(group: Group) -> str:
    count = len(group.runs)
    return f"{count} seed{'s' * (count > 1)}"


def _against_default(table, block, wins, loses):
    """The paper's comparison: equal C(t), both at the paper's rate."""
    for default in _rows(block, "default, the paper's rate"):
        labels = default.group.labels
        if not table.target.compares(labels) or labels.ends:
            continue
        rivals = [
            row
            for row in _rows(block, "best MsANN")
            if row.group.labels.optimizer == labels.optimizer
            and "otherwise" not in row.label
            and not row.group.labels.ends
        ]
        if not rivals:
            continue
        best = min(rivals, key=lambda row: _final(row.group))
        ours, theirs = _final(best.group), _final(default.group)
        paper = table.target.published.final
        (wins if ours < theirs else loses).append(
            f"{table.target.title}, for the same C(t) and at the paper's learning "
            f"rate: {best.group.labels.way} {best.group.labels.shape} ends at an error "
            f"of {numbers.mse(ours)} ({_seeds(best.group)}), the default at "
            f"{numbers.mse(theirs)} ({_seeds(default.group)}). The paper has "
            f"{numbers.mse(paper['best'].value)} and "
            f"{numbers.mse(paper['default'].value)}."
        )


def _against_tuned(tables, wins, loses):
    """The comparison that the paper leaves out, one sentence for a tuned default."""
    met: dict[Group, list[tuple[str, Group]]] = {}
    notes = {}
    for table in tables:
        for block in table.blocks:
            tuned, best = (
                [row for row in _rows(block, start) if not row.group.labels.ends]
                for start in ("default, tuned", "best MsANN")
            )
            if tuned and best:
                default = min(tuned, key=lambda row: _final(row.group))
                rival = min(best, key=lambda row: _final(row.group)).group
                name = f"{rival.labels.way} {rival.labels.shape}"
                met.setdefault(default.group, []).append((name, rival))
                notes[default.group] = default.note
    for default, rivals in met.items():
        ends = numbers.listed([f"{n} {numbers.mse(_final(x))}" for n, x in rivals])
        lower = _final(default) < min(_final(x) for _, x in rivals)
        spent = _spent(default, [x for _, x in rivals])
        (loses if lower else wins).append(
            f"{default.labels.task_title}: the default network with a tuned rate "
            f"({default.labels.optimizer}, best {notes[default]}; {_seeds(default)}) "
            f"ends at {numbers.mse(_final(default))}; the best of MsANN: {ends}. "
            f"{spent}"
        )


def _spent(default, rivals):
    def last(group, measure):
        runs = group.runs.values()
        total = math.fsum(getattr(run.history[-1], measure) for run in runs)
        return total / len(runs)

    parts = []
    for measure, form in (
        ("evaluations", numbers.count),
        ("seconds", numbers.seconds),
    ):
        theirs = [last(x, measure) for x in rivals]
        span = form(min(theirs)), form(max(theirs))
        parts.append(
            f"{form(last(default, measure))} {MEASURES[measure]} (MsANN "
            f"{' to '.join(dict.fromkeys(span))})"
        )
    return f"The default took {numbers.listed(parts)}."


def _on_the_clock(clock: Clock, wins, loses):
    won = [(t, x) for t, lines in clock.items() for x in lines if x.gain("level0") >= 1]
    lost = [(t, x) for t, lines in clock.items() for x in lines if x.gain("level0") < 1]
    easiest = {
        t: lines[0] for t, lines in clock.items() if lines[0].gain("level0") >= 1
    }
    if easiest:
        gains = numbers.listed(
            [f"{numbers.ratio(x.gain('level0'))} ({t})" for t, x in easiest.items()]
        )
        starts = [x.median("level0") / x.median("start") for x in easiest.values()]
        wins.append(
            "On the clock, with data that are averaged for each level, which the paper "
            "does not do: cycles come to a tenth of the first error sooner than "
            f"training at level 0 only, by factors of {gains}. Both are tuned. Of the "
            f"{len(won) + len(lost)} targets that both reach, the cycles reach "
            f"{len(won)} sooner. Part of these factors is due to the initial weights, "
            "which are a sum over levels: with them and without a cycle, training is "
            f"sooner by {numbers.ratio(min(starts))} to {numbers.ratio(max(starts))}."
        )
    loses += [
        f"On the clock, {task}, to the target {x.target}: the cycles take "
        f"{numbers.seconds(x.median('cycles'))}, level 0 only "
        f"{numbers.seconds(x.median('level0'))} seconds of training (with "
        f"{x.trials['level0']})."
        for task, x in lost
    ]


def _seconds_at_equal_cost(tables) -> Iterator[str]:
    """C(t) is not time with the fine gradient."""
    parts = []
    for table in tables:
        for block in table.blocks:
            defaults = _rows(block, "default, the paper's rate")
            for row in _rows(block, "best MsANN")[:1]:
                optimizer = row.group.labels.optimizer
                alike = [x for x in defaults if x.group.labels.optimizer == optimizer]
                for default in alike[:1]:
                    slower = numbers.ratio(_pace(row.group) / _pace(default.group))
                    parts.append(
                        f"{row.setting} takes {slower} times the seconds of "
                        f"{default.setting} ({block.title})"
                    )
    if parts:
        yield (
            "C(t) is not time when every example passes through the whole network, as "
            f"in the paper. For the same C(t) {'; '.join(dict.fromkeys(parts))}."
        )


def _pace(group: Group) -> float:
    """Seconds for a unit of C(t), the median over seeds."""
    paces = sorted(x.history[-1].seconds / x.history[-1].cost or math.nan
                   for x in group.runs.values())  # fmt: skip
    return paces[len(paces) // 2]


def _never_reached(tables) -> Iterator[str]:
    names = [
        f"{row.setting} ({block.title}; {_seeds(row.group)})"
        for table in tables
        for block in table.blocks
        for row in block.rows
        if row.group and all(map(math.isinf, row.group.reached("cost").values()))
    ]
    if names:
        yield (
            "On no seed a tenth of the first MSE is reached by "
            f"{'; '.join(dict.fromkeys(names))}."
        )


def _compiling(clock: Clock) -> Iterator[str]:
    gains = [
        (f"{task} to {x.target}", x.gain_compiled("level0"))
        for task, lines in clock.items()
        for x in lines
        if not math.isnan(x.gain_compiled("level0"))
    ]
    slower = [gain for _, gain in gains if gain < 1]
    if slower:
        name, most = max(gains, key=lambda pair: pair[1])
        yield (
            "A first run has to compile its program. With that counted on both sides, "
            "cycles on averaged data take longer than training at level 0 in "
            f"{len(slower)} of {len(gains)} comparisons; the best factor is "
            f"{numbers.ratio(most)} ({name})."
        )


def _shrinking(clock: Clock) -> Iterator[str]:
    parts = []
    for task, lines in clock.items():
        reached = [x for x in lines if not math.isnan(x.gain("level0"))]
        if len(reached) > 1 and reached[-1].gain("level0") < reached[0].gain("level0"):
            gains = [numbers.ratio(x.gain("level0")) for x in (reached[0], reached[-1])]
            parts.append(
                f"from {gains[0]} to {gains[1]} ({task}, {reached[0].target} "
                f"and {reached[-1].target})"
            )
    if parts:
        yield (
            "The lower the target, the less is gained on the clock: the factor falls "
            f"{numbers.listed(parts)}."
        )


def _noise(tables) -> Iterator[str]:
    spreads = [
        (max(s) / min(s), row.setting)
        for table in tables
        for block in table.blocks
        for row in block.rows
        if row.group and len(row.group.runs) > 1 and not row.group.labels.ends
        for s in [[x.history[-1].seconds for x in row.group.runs.values()]]
        if min(s) > 0
    ]
    if spreads:
        spread, setting = max(spreads)
        yield (
            "The seconds in run files were measured on a shared machine: seeds of the "
            f"same setting differ by a factor of up to {numbers.ratio(spread)} "
            f"({setting}). The runs of the clock were measured by themselves."
        )
