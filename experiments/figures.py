"""Figures from run files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.config import Config
from experiments.runs import Result
from experiments.schemes import Scheme
from experiments.tables import described

#: Told apart in grey too: by dash, width and shade.
STYLES = [
    {"color": "0.55", "linestyle": "-", "linewidth": 2.2},
    {"color": "0.0", "linestyle": ":", "linewidth": 1.6},
    {"color": "tab:blue", "linestyle": "--", "linewidth": 1.4},
    {"color": "tab:green", "linestyle": "-.", "linewidth": 1.4},
    {"color": "tab:red", "linestyle": "-", "linewidth": 1.4},
    {"color": "tab:purple", "linestyle": (0, (5, 1, 1, 1, 1, 1)), "linewidth": 1.4},
]


def figure6(
    panels: Sequence[tuple[Config, Sequence[Result]]],
    path: Path,
) -> Path:
    """Log-log plots of the MSE against C(t), a panel for each config (Figure 6)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1,
        len(panels),
        figsize=(5.4 * len(panels), 4.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, (config, results) in zip(axes[0], panels, strict=True):
        for number, (scheme, runs, _) in enumerate(results):
            for i, run in enumerate(runs):
                evaluations = run.history[1:]  # log C(t) begins after C = 0
                axis.loglog(
                    [evaluation.cost for evaluation in evaluations],
                    [evaluation.mse for evaluation in evaluations],
                    label=_label(scheme) if i == 0 else None,
                    **STYLES[number % len(STYLES)],
                )
        axis.set_title(config.title, fontsize=11)
        axis.set_xlabel("cost $C(t)$")
        axis.grid(which="both", color="0.9", linewidth=0.6)
        axis.legend(fontsize=8)
    axes[0][0].set_ylabel("validation MSE $E(t)$")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
    return path


def _label(scheme: Scheme) -> str:
    cycle = (
        rf"$\gamma={scheme.gamma}, L={scheme.depth}, k={scheme.smoothing_steps}$, "
        if scheme.depth
        else ""
    )
    return f"{scheme.label}: {cycle}{described(scheme)}"
