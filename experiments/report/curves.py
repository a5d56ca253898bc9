"""What the page's script draws: every run, and the defaults to draw beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from experiments.report.groups import Group, final, ranked
from experiments.report.tables import TARGETS, as_published, same


def embedded(groups: Sequence[Group]) -> dict[str, Any]:
    """Every group with its runs, as plain values; five digits are enough to draw."""
    return {"groups": [_group(x, groups) for x in groups]}


def _group(group: Group, groups: Sequence[Group]) -> dict[str, Any]:
    x = group.labels
    means = {run.mean_mse for run in group.runs.values()}
    return {
        "id": group.id,
        "task": x.task,
        "taskTitle": x.task_title,
        "way": x.way,
        "gamma": x.gamma,
        "L": x.depth,
        "k": x.steps if x.growth == 1 else f"{x.steps} × {x.growth:g}^l",
        "optimizer": x.optimizer,
        "budget": ", ".join(filter(None, (x.budget, x.other))),
        "title": x.title,
        "isDefault": x.kind == "default",
        "trivial": _short(means.pop()) if len(means) == 1 else None,
        "beside": [other.id for other in _beside(group, groups) if other is not group],
        "runs": [
            {
                "file": name,
                "seed": run.seed,
                "points": [[_short(v) for v in point] for point in run.history],
            }
            for name, run in group.runs.items()
        ],
    }


def _beside(group: Group, groups: Sequence[Group]) -> list[Group]:
    """The default at the paper's rate, and the tuned one, of the same task."""
    defaults = [
        x
        for x in groups
        if x.labels.kind == "default" and x.labels.task_title == group.labels.task_title
    ]
    defaults = [x for x in defaults if same(x) == same(group)] or defaults
    if not defaults:
        return []
    target = next((t for t in TARGETS if t.task == group.labels.task), None)
    paper = [x for x in defaults if target and as_published(x, target)]
    paper.sort(key=lambda x: x.labels.optimizer != group.labels.optimizer)
    return list(dict.fromkeys([*paper[:1], ranked(defaults, final)[0]]))


def _short(value: float | None) -> float | None:
    """Five digits; JSON has no infinity."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.5g}") if value != int(value) else int(value)
