"""Figures from run files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from experiments.config import Config
from experiments.runs import Result
from experiments.schemes import Scheme
from experiments.tables import described, is_timed

#: Lines are told apart in grey too: no two share both dash and mark.
DASHES = (
    *("-", ":", "--", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2, 2, 2))),
    *((0, (1, 3)), (0, (9, 3))),
)
MARKS = ("", *"osD^vx*+<>ph1234P8")
#: From dark to light, so that printed in grey each is another grey.
COLOURS = ("#000000", "#3b0764", "#7a1557", "#b52a2a", "#2e86c1", "#e67e22", "#98c95c")


def style(number: int) -> dict[str, Any]:
    """What the lines of a scheme look like, by its number among the schemes."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": DASHES[number % len(DASHES)],
        "linewidth": 2.0,
        "marker": MARKS[number // len(DASHES) % len(MARKS)],
        "markersize": 4,
        "markevery": 0.1,
    }


def figure6(panels: Sequence[tuple[Config, Sequence[Result]]]) -> Figure:
    """The MSE against C(t) (Figure 6) and against seconds, a row for each config.

    Schemes of which there are no seconds that compare are on the left only.
    """
    figure = Figure(figsize=(13, 4.6 * len(panels)), layout="constrained")
    rows = figure.subplots(len(panels), 2, sharey="row", squeeze=False)
    for (left, right), (config, results) in zip(rows, panels, strict=True):
        for number, result in enumerate(results):
            _draw(left, "cost", result, number)
            if is_timed(config, result):
                _draw(right, "seconds", result, number)
        left.set(title=config.title, ylabel="validation MSE")
        left.set_xlabel("C(t): training examples, coarse ones by their share")
        right.set_title("The same runs by the clock")
        right.set_xlabel("seconds of training, without compiling")
        for axis in (left, right):
            axis.set(xscale="log", yscale="log")
            axis.grid(which="both", color="0.9", linewidth=0.6)
            _ticks(axis.xaxis)
            _ticks(axis.yaxis)
        right.legend(
            *left.get_legend_handles_labels(),
            loc="upper left",
            bbox_to_anchor=(1.02, 1.0),
            fontsize=8,
            handlelength=5,
            labelspacing=0.9,
            frameon=False,
        )
    return figure


def _draw(axis, measure, result, number):
    """The runs of a scheme, from the first state that cost something."""
    for i, run in enumerate(result.runs):
        states = [state for state in run.history if state.cost > 0]
        axis.plot(
            [getattr(state, measure) for state in states],
            [state.mse for state in states],
            label=_label(result.scheme) if i == 0 else None,
            **style(number),
        )


def _ticks(axis):
    """Numbers as people write them, at 1, 2, 5 where there is room."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.7g}"))
    axis.set_minor_formatter(NullFormatter())


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, in a folder that is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path


def _label(scheme: Scheme) -> str:
    shape = (
        rf"$\gamma={scheme.gamma}, L={scheme.depth}, k={scheme.smoothing_steps}$, "
        if scheme.depth
        else ""
    )
    return f"{scheme.label}\n{shape}{described(scheme)}"
