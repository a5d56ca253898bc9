"""Tables 1 to 3: the paper's cells beside ours, from run files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from experiments import published
from experiments.report import numbers
from experiments.report.cells import BLANK, EMPTY, ENDED, Value, against, value
from experiments.report.groups import (
    Group,
    common_seeds,
    final,
    over_seeds,
    ranked,
    tenth,
)
from experiments.report.labels import Labels, budget


class Target(NamedTuple):
    """What a table is about."""

    id: str
    title: str
    task: str
    topology: str
    published: published.PublishedTable

    def compares(self, labels: Labels) -> bool:
        """Whether a run has the budget that the paper's numbers are for."""
        return labels.budget == budget(self.published.budget, "cost")


TARGETS = (
    Target("table-1", "Table 1: one object", "one_object", "path",
           published.ONE_OBJECT),
    Target("table-2", "Table 2: two objects", "two_objects", "path",
           published.TWO_OBJECTS),
    Target("table-3-path", "Table 3: MNIST, path-based P", "mnist", "path",
           published.MNIST_PATH),
    Target("table-3-grid", "Table 3: MNIST, grid-based P", "mnist", "grid",
           published.MNIST_GRID),
)  # fmt: skip


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        label: Which of the compared schemes.
        setting: What it ran, or "".
        note: How it was chosen.
        paper_final, paper_tenth: The paper's numbers, blank where it has none.
        cells: Final MSE; C(t), evaluations and seconds to a tenth of its own first
            MSE; C(t) and seconds to a tenth of the default's.
        group: For links; `None` if it was not run.
        least: Whether its final MSE is the least of its block.
    """

    label: str
    setting: str
    note: str
    paper_final: Value
    paper_tenth: Value
    cells: tuple[Value, ...]
    group: Group | None
    least: bool = False


class Block(NamedTuple):
    """Rows with the same task and budget."""

    title: str
    rows: list[Row]


class Table(NamedTuple):
    """A table as the page shows it."""

    target: Target
    blocks: list[Block]

    @property
    def missing(self) -> list[str]:
        """Rows that no run file fills, a line for each block."""
        lines = []
        for block in self.blocks:
            labels = ", ".join(row.label for row in block.rows if row.group is None)
            if labels:
                lines.append(f"{block.title}: {labels}" if block.title else labels)
        return lines


def tables(groups: Sequence[Group]) -> list[Table]:
    """All tables; one without runs has its rows all the same."""
    return [_table(target, groups) for target in TARGETS]


def in_table(group: Group, target: Target) -> bool:
    """Whether a group is a candidate of the table: a multilevel run as the paper's."""
    x = group.labels
    return (
        x.task == target.task
        and x.kind == "cycle"
        and x.topology == target.topology
        and not x.coarsened
        and x.growth == 1
    )


def as_published(group: Group, target: Target) -> bool:
    """Whether it ran with the paper's optimizer at the paper's learning rate."""
    return group.labels.optimizer in target.published.optimizers


def same(group: Group) -> tuple[str, str, str]:
    """What compared runs must share."""
    x = group.labels
    return x.task_title, x.budget, x.other


def _table(target: Target, groups: Sequence[Group]) -> Table:
    relevant = [
        x
        for x in groups
        if x.labels.task == target.task
        and x.labels.topology in ("", target.topology)
        and x.labels.kind != "simultaneous"
    ]
    relevant.sort(key=same)
    members = [list(block) for _, block in groupby(relevant, key=same)]
    # First what compares with the paper; of the rest only what was run.
    members.sort(
        key=lambda block: (
            not target.compares(block[0].labels),
            -sum(as_published(x, target) for x in block),
        )
    )
    blocks = [
        Block(" · ".join(filter(None, same(block[0]))), _rows(target, block))
        for block in members
    ]
    others = [
        block._replace(rows=[row for row in block.rows if row.group])
        for block in blocks[1:]
    ]
    return Table(target, [*(blocks[:1] or [Block("", _rows(target, []))]), *others])


def _rows(target: Target, groups: list[Group]) -> list[Row]:
    # The paper's numbers are for one budget.
    comparable = not groups or target.compares(groups[0].labels)
    paper = target.published if comparable else None
    defaults = [x for x in groups if x.labels.kind == "default"]
    multilevel = [x for x in groups if in_table(x, target) and as_published(x, target)]
    otherwise = [
        x
        for x in groups
        if x.labels.kind in ("cycle", "nested")
        and not x.labels.coarsened
        and x not in multilevel
    ]
    ways = sorted({(x.labels.variant, x.labels.optimizer) for x in multilevel})
    rows = []
    for variant, optimizer in ways or [("", "")]:
        members = [
            x
            for x in multilevel
            if (x.labels.variant, x.labels.optimizer) == (variant, optimizer)
        ]
        label = "MsANN" + {"script": ", script's cycle"}.get(variant, "")
        best = _picked(f"best {label}", members, paper, "best")
        rows += best + _as_the_best_published(label, members, paper, best)
        if len(members) == 1:  # the worst of one setting would be the best again
            note = "only one setting was run"
            rows.append(_row(f"worst {label}", None, note, paper, "worst"))
        else:
            rows += _picked(f"worst {label}", members, paper, "worst", last=True)
    rate = [x for x in defaults if as_published(x, target)]
    for group in rate or [None]:
        rows.append(_row("default, the paper's rate", group, "", paper, "default"))
    rows += _picked("default, tuned", [x for x in defaults if len(defaults) > 1])
    starts = [x for x in groups if x.labels.kind == "start"]
    rows += _picked("default from the multilevel start, tuned", starts)
    coarsened = [x for x in groups if x.labels.coarsened]
    rows += _picked("coarsened data, tuned", coarsened)
    if otherwise:
        rows += _picked("best MsANN otherwise tuned", otherwise)
    return _with_absolute(rows, defaults)


def _picked(label, groups, paper=None, column=None, last=False) -> list[Row]:
    """The best (or worst) of some groups by final MSE and by C(t) to a tenth."""
    if not groups:
        return [_row(label, None, "", paper, column)]
    whole = [x for x in groups if not x.labels.ends]
    by_final = ranked(whole, final) or groups
    by_tenth = ranked(  # of equals, the one with the less final MSE
        [*by_final, *(x for x in groups if x.labels.ends and whole)], tenth
    )
    by_final, by_tenth = (x[-1 if last else 0] for x in (by_final, by_tenth))
    seeds = numbers.listed([str(seed) for seed in common_seeds(groups)])
    on = f", compared on {'seeds' if ' ' in seeds else 'seed'} {seeds}" if seeds else ""
    of = f"of {len(groups)} settings{on}" if len(groups) > 1 else "the one setting run"
    unreached = all(math.isinf(v) for x in groups for v in tenth(x).values())
    if by_final is by_tenth or unreached:
        return [_row(label, by_final, of, paper, column)]
    return [
        _row(f"{label}: final MSE", by_final, of, paper, column, tenth_too=False),
        _row(f"{label}: C(t) to 1/10", by_tenth, of, paper, column, final_too=False),
    ]


def _as_the_best_published(label, groups, paper, best) -> list[Row]:
    """The paper's best (gamma, L, k), where it was run and is not our best."""
    shown = [row.group for row in best]
    rows: list[Row] = []
    if paper is None:
        return rows
    for cells, which in ((paper.final, "tenth_too"), (paper.tenth, "final_too")):
        shape = cells["best"].shape
        for x in groups:
            if x.labels.ends and which == "tenth_too":
                continue
            found = (x.labels.gamma, x.labels.depth, x.labels.steps) == shape
            if found and x not in shown:
                name = f"{label} at the paper's best {shape}"
                rows.append(_row(name, x, "", paper, "best", **{which: False}))
    return rows


def _row(label, group, note, paper, column, *, final_too=True, tenth_too=True) -> Row:
    """A row; the paper's cells are blank where they are not of this setting."""
    cells = _cells(group) if group else [EMPTY] * 4
    beside = [BLANK, BLANK]
    wanted = [(final_too, "final", numbers.mse), (tenth_too, "tenth", numbers.count)]
    for i, (shown, name, form) in enumerate(wanted):
        if paper and shown:
            theirs = getattr(paper, name)[column]
            shape = f"at {theirs.shape}" if theirs.shape else ""
            beside[i] = Value(form(theirs.value), shape)
            cells[i] = against(cells[i], theirs.value)
    title = group.labels.title if group else ""
    return Row(label, title, note, *beside, tuple(cells), group)


def _cells(group: Group) -> list[Value]:
    return [
        ENDED if group.labels.ends else value(group.finals, numbers.mse),
        value(group.reached("cost"), numbers.count),
        value(group.reached("evaluations"), numbers.count),
        value(group.reached("seconds"), numbers.seconds),
    ]


def _with_absolute(rows: list[Row], defaults: list[Group]) -> list[Row]:
    """Add the cells for one absolute target, and mark the least final MSE."""
    goal = absolute_target(defaults)
    done = [row for row in rows if row.group]
    means = [
        over_seeds(row.group.finals).mean for row in done if not row.group.labels.ends
    ]
    least = min(filter(math.isfinite, means), default=math.nan)
    return [
        row._replace(
            cells=row.cells + _absolute(row.group, goal),
            least=row.group is not None and over_seeds(row.group.finals).mean == least,
        )
        for row in rows
    ]


def absolute_target(defaults: Sequence[Group]) -> float | None:
    """A tenth of the default's first MSE, the same for all schemes of a block."""
    firsts = [x.first_mse for x in defaults]
    return math.fsum(firsts) / len(firsts) / 10 if firsts else None


def _absolute(group: Group | None, goal: float | None) -> tuple[Value, Value]:
    if group is None:
        return EMPTY, EMPTY
    if goal is None:
        return (Value("no default run"),) * 2
    cost, seconds = (group.reached(x, goal) for x in ("cost", "seconds"))
    own = group.reached("cost") if group.labels.ends else {}
    ended = [s for s in own if math.isinf(cost[s]) and math.isfinite(own[s])]
    return (
        value(cost, numbers.count, ended),
        value(seconds, numbers.seconds, ended),
    )
