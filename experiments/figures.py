"""Figures from run files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from experiments.config import Config
from experiments.runs import Result
from experiments.schemes import Scheme
from experiments.tables import described

#: Lines are told apart in grey too: no two share both dash and mark.
DASHES = (
    *("-", ":", "--", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2, 2, 2))),
    *((0, (1, 3)), (0, (9, 3))),
)
MARKS = ("", *"osD^vx*+<>ph1234P8")
COLOURS = ("0.55", "0.0", "tab:blue", "tab:green", "tab:red", "tab:purple")


def style(number: int) -> dict[str, Any]:
    """What the lines of a scheme look like, by its number among the schemes."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": DASHES[number % len(DASHES)],
        "linewidth": 2.2 if not number else 1.5,
        "marker": MARKS[number // len(DASHES) % len(MARKS)],
        "markersize": 4,
        "markevery": 0.1,
    }


def figure6(panels: Sequence[tuple[Config, Sequence[Result]]]) -> Figure:
    """Log-log plots of the MSE against C(t), a panel for each config (Figure 6)."""
    figure = Figure(figsize=(5.4 * len(panels), 4.6), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (config, results) in zip(axes, panels, strict=True):
        for number, (scheme, runs, _) in enumerate(results):
            for i, run in enumerate(runs):
                evaluations = run.history[1:]  # log C(t) begins after C = 0
                axis.loglog(
                    [evaluation.cost for evaluation in evaluations],
                    [evaluation.mse for evaluation in evaluations],
                    label=_label(scheme) if i == 0 else None,
                    **style(number),
                )
        axis.set_title(config.title, fontsize=11)
        axis.set_xlabel("cost $C(t)$")
        axis.grid(which="both", color="0.9", linewidth=0.6)
        axis.legend(fontsize=8, handlelength=4)
    axes[0].set_ylabel("validation MSE $E(t)$")
    return figure


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
    return f"{scheme.label}: {shape}{described(scheme)}"
