"""Figures 4 to 7, from schedules and run files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from experiments.published import FIGURE_7
from experiments.report.drawing import INK, RC, SHADES, SOFT, Picture, ticks
from experiments.report.groups import Group, final, ranked
from experiments.report.tables import TARGETS, as_published, in_table, same
from msann import schedules

DASHES = ((0, (1, 1.2)), (0, (5, 1.5)), (0, (3, 1, 1, 1, 1, 1)), (0, (5, 1, 1, 1)), "-",
          (0, (3, 1)), (0, (1, 2.2)))  # fmt: skip
#: What a line looks like whatever its depth.
STYLES = {
    "default": {"color": INK, "linestyle": (0, (1, 1.2)), "linewidth": 1.8},
    "grid": {"color": SHADES[1], "linestyle": "-", "linewidth": 1.9},
    "path": {"color": SHADES[3], "linestyle": (0, (6, 2)), "linewidth": 1.7},
    "shuffled": {"color": SHADES[5], "linestyle": (0, (5, 1, 1, 1)), "linewidth": 1.7},
    "random orthogonal": {
        "color": SHADES[6],
        "linestyle": (0, (3, 1, 1, 1, 1, 1)),
        "linewidth": 1.4,
    },
    "all levels at once": {"color": SOFT, "linestyle": (0, (2, 1)), "linewidth": 2.4},
}
AXES = {"cost": "cost C(t)", "seconds": "seconds of training"}


def figure4(depth: int = 3, steps: int = 1) -> Picture:
    """Level against batch for gamma = 1, 2, 3 (Figure 4), from the schedules."""
    with rc_context(RC):
        figure = Figure(figsize=(9, 4.6), layout="constrained")
        for axis, gamma in zip(figure.subplots(3, 1), (1, 2, 3), strict=True):
            cycle = schedules.gamma_cycle(depth, gamma, steps).cycle
            ends = np.cumsum([0, *(visit.steps for visit in cycle)])
            levels = [visit.level for visit in cycle]
            middles = (ends[:-1] + ends[1:]) / 2
            axis.plot(middles, levels, color=SOFT, linewidth=0.8)
            axis.scatter(middles, levels, color=INK, s=16 if gamma < 3 else 8, zorder=3)
            name = {1: " (V-cycle)", 2: " (W-cycle)"}.get(gamma, "")
            axis.set_title(f"γ = {gamma}{name}", fontsize=9, loc="left")
            axis.set(ylim=(depth + 0.4, -0.4), yticks=range(depth + 1), ylabel="level")
            axis.grid(axis="y")
        axis.set_xlabel("batches, in units of k")
    return Picture(
        "figure-4",
        "Figure 4",
        f"Visits to the levels of a hierarchy with L = {depth} in one cycle of "
        "Algorithm 3.1, for γ = 1, 2, 3. Level 0, the finest, is at the top; each dot "
        "is a visit of k batches.",
        figure,
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
        names = " and ".join(target.title.partition(": ")[2] for target in targets)
        caption = f"No multilevel run of {names} is committed."
        return Picture(id, title, caption, None)
    with rc_context(RC):
        figure = Figure(
            figsize=(3.2 * 2 * len(panels), 2.9 * len(gammas) + 0.5),
            layout="constrained",
        )
        axes = figure.subplots(len(gammas), 2 * len(panels), squeeze=False, sharey=True)
        for row, gamma in zip(axes, gammas, strict=True):
            for i, (target, runs, default) in enumerate(panels):
                lines = _best_steps([x for x in runs if x.labels.gamma == gamma])
                pair = row[2 * i : 2 * i + 2]
                short = target.title.partition(": ")[2]
                _log_log(pair, default + lines, f"{short}, γ = {gamma}", _of_depth)
                if not lines:
                    pair[0].text(0.5, 0.5, "not run", ha="center",
                                 transform=pair[0].transAxes)  # fmt: skip
            row[0].set_ylabel("validation MSE E(t)")
    ran = {x.labels.gamma for _, runs, _ in panels for x in runs}
    absent = [f"γ = {x}" for x in (1, 2, 3) if x not in ran]
    missing = f" Not run: {', '.join(absent)}." if absent else ""
    of = "; ".join(dict.fromkeys(_protocol(runs) for _, runs, _ in panels if runs))
    return Picture(
        id,
        title,
        f"Log-log MSE on the validation data against C(t) and, beside it, against "
        f"seconds. Each line is the best k that was run for that L and γ, from L = 0 "
        f"(strongest) to L = 6 (faintest); the geometric mean over seeds, with a band "
        f"from the least to the largest. {of}.{missing}",
        figure,
    )


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


def _of_depth(group):
    depth = min(group.labels.depth, len(SHADES) - 1)
    name = f"L = {group.labels.depth}"
    name += f", k = {group.labels.steps}" if group.labels.depth else ", default"
    style = {
        "color": SHADES[depth],
        "linestyle": DASHES[depth],
        "linewidth": 1.8 if not depth else 1.1 + 0.2 * depth,
    }
    return name, style


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
            if name in STYLES:
                settings.setdefault(key, {})[name] = group
    if not settings:
        return Picture("figure-7", "Figure 7", "No multilevel run is committed.", None)
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
    lines = [chosen[name] for name in STYLES if name in chosen]
    absent = [name for name in STYLES if name not in chosen]
    with rc_context(RC):
        figure = Figure(figsize=(9.6, 4), layout="constrained")
        names = {id(group): name for name, group in chosen.items()}
        axes = figure.subplots(1, 2, sharey=True)
        _log_log(axes, lines, "MNIST", lambda x: (names[id(x)], STYLES[names[id(x)]]))
        axes[0].set_ylabel("validation MSE E(t)")
    at, papers = (
        "γ = {}, L = {}, k = {}".format(*numbers) for numbers in (shape, FIGURE_7)
    )
    missing = f" Not run at this setting: {', '.join(absent)}." if absent else ""
    return Picture(
        "figure-7",
        "Figure 7",
        f"The choice of P on MNIST at {at} (in the paper: {papers}): the geometric "
        "mean over seeds, with a band from the least to the largest. "
        f"{_protocol(lines)}.{missing}",
        figure,
    )


def _log_log(axes, groups, title, style):
    """The same curves against C(t) and against seconds."""
    for axis, measure in zip(axes, AXES, strict=True):
        for group in groups:
            name, look = style(group)
            x, y, low, high = _mean(group, measure)
            axis.plot(x, y, label=name, **look)
            if len(group.runs) > 1:
                axis.fill_between(x, low, high, color=look["color"], alpha=0.18, lw=0)
        axis.set(xscale="log", yscale="log", xlabel=AXES[measure])
        ticks(axis.xaxis, few=1.0)  # labels stand side by side
        ticks(axis.yaxis)
        axis.grid(which="both")
        axis.set_title(title, fontsize=9, loc="left")
    if groups:
        axes[0].legend(fontsize=7.5, handlelength=3.2)


def _mean(group, measure):
    """Seeds evaluated at the same C(t): geometric mean, least and largest MSE."""
    runs = list(group.runs.values())
    length = min(len(run.history) for run in runs)
    points = [run.history[1:length] for run in runs]  # log C(t) begins after C = 0
    spent = np.mean([[getattr(p, measure) for p in run] for run in points], axis=0)
    errors = np.array([[p.mse for p in run] for run in points], float)
    mean = np.exp(np.mean(np.log(np.maximum(errors, 1e-12)), axis=0))
    return spent, mean, errors.min(axis=0), errors.max(axis=0)
