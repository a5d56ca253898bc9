"""Figures 4 to 7, from schedules and run files."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np

from experiments.published import FIGURE_7
from experiments.report import numbers
from experiments.report.charts import SHADES, SOFT, Line, Picture, inline, log_log
from experiments.report.groups import Group, final, ranked
from experiments.report.orderings import BETTER_P
from experiments.report.tables import TARGETS, Target, as_published, in_table, same
from msann import schedules

#: Against what errors are drawn.
AXES = ("cost", "seconds")
#: The strategies of Figure 7, in the order of their looks.
STRATEGIES = ("default", *BETTER_P, "all levels at once")
#: Most points of a curve in a decade of what was spent.
POINTS = 60
#: The deepest network of Figures 5 and 6.
DEEPEST = 6


def figure4(depth: int = 3, steps: int = 1) -> Picture:
    """Level against batch for gamma = 1, 2, 3 (Figure 4), from the schedules."""
    return Picture(
        "figure-4",
        "Figure 4",
        f"Which level trains when, in one cycle of Algorithm 3.1 with L = {depth}, for "
        "γ = 1, 2 and 3. Level 0, the finest, is at the top; each dot is a visit of k "
        "batches.",
        tuple(_cycle(depth, gamma, steps) for gamma in (1, 2, 3)),
    )


def _cycle(depth: int, gamma: int, steps: int) -> alt.Chart:
    visits, batch = [], 0.0
    for visit in schedules.gamma_cycle(depth, gamma, steps).cycle:
        visits.append({"batch": batch + visit.steps / 2, "level": visit.level})
        batch += visit.steps
    name = {1: " (V-cycle)", 2: " (W-cycle)"}.get(gamma, "")
    return (
        alt.Chart(inline(visits), title=f"γ = {gamma}{name}", height=110)
        .mark_line(
            color=SOFT,
            strokeWidth=1,
            point=alt.OverlayMarkDef(color=SHADES[0], size=25),
        )
        .encode(
            order="batch:Q",
            x=alt.X(
                "batch:Q",
                title="batches, in units of k",
                scale=alt.Scale(domain=[0, batch]),
                axis=alt.Axis(tickMinStep=1, grid=False),
            ),
            y=alt.Y("level:O", axis=alt.Axis(grid=True)),
        )
    )


def figure5(groups: Sequence[Group]) -> Picture:
    """MSE against C(t) and seconds for one and two objects (Figure 5)."""
    return _depths("figure-5", "Figure 5", groups, TARGETS[:2])


def figure6(groups: Sequence[Group]) -> Picture:
    """MSE against C(t) and seconds for MNIST, path and grid (Figure 6)."""
    return _depths("figure-6", "Figure 6", groups, TARGETS[2:])


def _depths(id, title, groups, targets) -> Picture:
    panels = [(target, *_most_run(groups, target)) for target in targets]
    gammas = sorted({x.labels.gamma for _, runs, _ in panels for x in runs})
    if not gammas:
        names = " and ".join(map(_named, targets))
        caption = f"No multilevel run of {names} is committed."
        return Picture(id, title, caption)
    drawn = [
        (target, gamma, default + lines)
        for gamma in gammas
        for target, runs, default in panels
        if (lines := _best_steps([x for x in runs if x.labels.gamma == gamma]))
    ]
    heights = _span([x for *_, chosen in drawn for x in chosen])
    charts = [
        _panel(
            chosen,
            f"{_named(target)}, γ = {gamma}",
            measure,
            heights,
            _of_depth,
            DEEPEST + 1,
        )
        for target, gamma, chosen in drawn
        for measure in AXES
    ]
    ran = {(target.id, gamma) for target, gamma, _ in drawn}
    absent = [
        f"{_named(target)}, γ = {numbers.listed(gammas)}"
        for target in targets
        if (gammas := [str(x) for x in (1, 2, 3) if (target.id, x) not in ran])
    ]
    missing = f" Not run: {'; '.join(absent)}." if absent else ""
    of = "; ".join(dict.fromkeys(_protocol(runs) for _, runs, _ in panels if runs))
    return Picture(
        id,
        title,
        "Error on the validation data against the cost C(t) and, beside it, against "
        "seconds of training; both axes are logarithmic. Each line is the best k that "
        "was run for its L and γ, and the deeper L is, the less the line stands out "
        "from the page: the geometric mean over seeds, with a band from the least seed "
        "to the largest. "
        f"{of}.{missing}",
        tuple(charts),
        columns=2 * len(panels),
    )


def _named(target: Target) -> str:
    """What a table is about, without its number."""
    return target.title.partition(": ")[2]


def _most_run(groups, target) -> tuple[list[Group], list[Group]]:
    """The multilevel runs of the way that has most settings; their default."""
    ways: dict[tuple, list[Group]] = {}
    for group in groups:
        if in_table(group, target) and as_published(group, target):
            x = group.labels
            way = (x.variant, x.visit), x.optimizer, same(group)
            ways.setdefault(way, []).append(group)
    if not ways:
        return [], []
    (_, optimizer, shared), runs = max(ways.items(), key=lambda item: len(item[1]))
    default = [
        x
        for x in groups
        if x.labels.kind == "default"
        and (x.labels.optimizer, same(x)) == (optimizer, shared)
    ]
    return runs, default


def _protocol(runs):
    x = max(runs, key=lambda group: group.labels.depth).labels
    words = " with the script's cycle" if x.variant == "script" else ""
    words += ", evaluated after any visit" if x.visit else ""
    return f"{x.task_title}, {x.optimizer}, {x.budget}{words}"


def _best_steps(groups) -> list[Group]:
    """For each depth the k with the least final MSE."""
    depths = sorted({x.labels.depth for x in groups})
    return [ranked([x for x in groups if x.labels.depth == d], final)[0]
            for d in depths]  # fmt: skip


def _of_depth(group: Group) -> tuple[str, int]:
    """What a line is called, and which look it has."""
    x = group.labels
    name = f"L = {x.depth}, k = {x.steps}" if x.depth else "L = 0, default"
    return name, min(x.depth, DEEPEST)


def figure7(groups: Sequence[Group]) -> Picture:
    """The choice of P: strategies at one (gamma, L, k) on MNIST (Figure 7)."""
    settings: dict[tuple, dict[str, Group]] = {}
    candidates = [x for x in groups if x.labels.task == "mnist"
                  and not x.labels.coarsened
                  and as_published(x, TARGETS[-1])]  # fmt: skip
    for group in candidates:
        x = group.labels
        if x.kind == "cycle" and x.growth == 1:
            key = (x.gamma, x.depth, x.steps), (x.variant, x.visit), same(group)
            name = x.way.partition(",")[0]
            if name in STRATEGIES:
                settings.setdefault(key, {})[name] = group
    if not settings:
        return Picture("figure-7", "Figure 7", "No multilevel run is committed.")
    # The paper's, if as many strategies were run there as anywhere.
    (shape, _, shared), chosen = max(
        settings.items(), key=lambda item: (len(item[1]), item[0][0] == FIGURE_7)
    )
    for group in candidates:
        if same(group) != shared:
            continue
        if group.labels.kind == "default":
            chosen["default"] = group
        if group.labels.kind == "simultaneous" and (
            "all levels at once" not in chosen or group.labels.depth == shape[1]
        ):
            chosen["all levels at once"] = group
    lines = [chosen[name] for name in STRATEGIES if name in chosen]
    absent = [name for name in STRATEGIES if name not in chosen]
    names = {chosen[name].id: name for name in chosen}

    def styled(group: Group) -> tuple[str, int]:
        return names[group.id], STRATEGIES.index(names[group.id])

    at, papers = ("γ = {}, L = {}, k = {}".format(*x) for x in (shape, FIGURE_7))
    missing = f" Not run at this setting: {', '.join(absent)}." if absent else ""
    return Picture(
        "figure-7",
        "Figure 7",
        f"The choice of P on MNIST at {at} (in the paper: {papers}): the geometric "
        "mean over seeds, with a band from the least seed to the largest. "
        f"{_protocol(lines)}.{missing}",
        tuple(
            _panel(lines, "MNIST", x, _span(lines), styled, len(STRATEGIES))
            for x in AXES
        ),
        columns=2,
    )


def _panel(groups, title, measure, heights, style, of) -> alt.LayerChart:
    """One curve a group."""
    lines = [Line(*style(group), _mean(group, measure)) for group in groups]
    return log_log(lines, title, measure, heights, of)


def _span(groups: Sequence[Group]) -> tuple[float, float]:
    """Errors from the least to the largest that is drawn."""
    points = [x for group in groups for x in _mean(group, AXES[0])]
    return min(x["low"] for x in points), max(x["high"] for x in points)


def _mean(group: Group, measure: str) -> list[dict[str, float]]:
    """Seeds evaluated at the same C(t): geometric mean, least and largest MSE.

    Of points that a panel cannot tell apart one is kept.
    """
    runs = list(group.runs.values())
    length = min(len(run.history) for run in runs)
    points = [run.history[1:length] for run in runs]  # log C(t) begins after C = 0
    spent = np.mean([[getattr(p, measure) for p in run] for run in points], axis=0)
    errors = np.array([[p.mse for p in run] for run in points], float)
    mean = np.exp(np.mean(np.log(np.maximum(errors, 1e-12)), axis=0))
    rows = np.stack([spent, mean, errors.min(axis=0), errors.max(axis=0)], axis=1)
    rows = rows[np.isfinite(rows).all(axis=1) & (spent > 0)]
    places = np.round(np.log10(rows[:, 0]) * POINTS)
    kept = rows[np.append(np.diff(places) > 0, True)] if len(rows) else rows
    names = ("x", "y", "low", "high")
    return [
        {name: float(f"{x:.5g}") for name, x in zip(names, row, strict=True)}
        for row in kept
    ]
