"""The clock benchmark's rows as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.report.clock import SCHEMES, Comparison
from experiments.report.drawing import INK, RC, SOFT, Picture, ticks


def clock_picture(comparisons: Mapping[str, Sequence[Comparison]]) -> Picture:
    """Seconds to each target, a panel for each task: every seed, and the median."""
    title = "The clock as a picture"
    if not comparisons:
        return Picture("clock", title, "No run of the clock is committed.", None)
    marks = {"fit": "x", "level0": "s", "start": "^", "cycles": "o"}
    with rc_context(RC):
        columns = min(3, len(comparisons))
        rows = math.ceil(len(comparisons) / columns)
        figure = Figure(figsize=(3.9 * columns, 3.2 * rows + 0.5), layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axis, (task, lines) in zip(axes, comparisons.items(), strict=False):
            _clock_panel(axis, lines, marks)
            axis.set_title(task, fontsize=9, loc="left")
        for axis in axes[len(comparisons) :]:
            axis.set_axis_off()
        handles = [
            Line2D([], [], color=INK, marker=mark, linestyle="", markersize=6,
                   markerfacecolor=INK if key == "cycles" else "none",
                   label=SCHEMES[key])
            for key, mark in marks.items()
        ]  # fmt: skip
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return Picture(
        "clock",
        title,
        "Seconds of training to each target: large marks are medians, small ones the "
        "seeds; further left is faster. A scheme that did not reach the target has its "
        "mark in the last column, right of the line.",
        figure,
    )


def _clock_panel(axis, lines, marks):
    values = [x for line in lines for seeds in line.seconds.values() for x in seeds]
    finite = [x for x in values if math.isfinite(x)]
    edge = 2.2 * max(finite, default=1.0)
    for i, line in enumerate(lines):
        for j, (scheme, mark) in enumerate(marks.items()):
            height = i + 0.2 * (j - 1.5)
            seeds = line.seconds[scheme]
            filled = {"color": INK if scheme == "cycles" else SOFT}
            face = INK if scheme == "cycles" else "none"
            shown = [x for x in seeds if math.isfinite(x)]
            axis.plot(shown, [height] * len(shown), mark, ms=3, mfc="none", alpha=0.7,
                      **filled)  # fmt: skip
            median = line.median(scheme)
            where = median if math.isfinite(median) else edge
            axis.plot([where], [height], mark, ms=7, mfc=face, **filled)
    axis.axvline(edge / 1.4, color=SOFT, linewidth=0.8)
    axis.set(xscale="log", xlabel="seconds   |   not reached", xlim=(None, edge * 1.3))
    ticks(axis.xaxis)
    axis.set_xticks([x for x in axis.get_xticks() if x < edge / 1.4])
    axis.set_xticks([], minor=True)
    axis.set_yticks(range(len(lines)), [line.target for line in lines])
    axis.set_ylim(len(lines) - 0.5, -0.5)
    axis.grid(axis="x")
