"""How E falls with time, method by method: the comparison that the paper has apart."""

from __future__ import annotations

import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from experiments.prolongation.solvers import SOLVERS
from msann.graphs import grid_graph
from msann.optimal import starts
from msann.optimal.objective import Objective, polar
from msann.optimal.search import optimal_prolongation
from msann.optimal.spectral import SpectralForm
from msann.optimal.trust_region import minimise

METHODS = ("trust region", *SOLVERS)
PROBLEMS = {
    "path 8 → 16": ((8,), (16,)),
    "grid 3x3 → 6x6": ((3, 3), (6, 6)),
}
#: Seconds that one run may take.
BOUND = 2.5


class Watched(Objective):
    """An `Objective` that notes the CPU time at which it was asked for E, and P."""

    def __init__(self, *graphs, **options):
        super().__init__(*graphs, **options)
        self.visits: list[tuple[float, np.ndarray]] = []

    def __call__(self, P):
        """E(P)."""
        self.visits.append((time.process_time(), P.copy()))
        return super().__call__(P)


def curve(pair, method: str, seconds: float = BOUND) -> tuple[np.ndarray, np.ndarray]:
    """CPU seconds, and the least E until then, of one method from one random start.

    What is not on the manifold is projected to it, outside the clock.

    Returns:
        Two arrays of one length, both monotone.
    """
    objective = Watched(*pair, s=0.5)
    start = starts.start("random", objective)
    if method == "trust region":
        times, values = _of_trust_region(pair, start)
    else:
        began = time.process_time()
        SOLVERS[method](objective, start, 1e-9, 10**6, seconds)
        times = [when - began for when, _ in objective.visits]
        values = [objective(polar(P)) for _, P in list(objective.visits)]
    return np.array(times), np.minimum.accumulate(values)


def draw(file: Path, seconds: float = BOUND) -> None:
    """E - E_best against CPU seconds, log-log, a panel for each problem."""
    figure, axes = plt.subplots(1, len(PROBLEMS), figsize=(11, 4.6), sharey=True)
    colours = plt.get_cmap("tab10").colors
    for ax, (title, shapes) in zip(axes, PROBLEMS.items(), strict=True):
        pair = [grid_graph(*shape) for shape in shapes]
        best = optimal_prolongation(*pair, s=0.5).value
        for method, colour in zip(METHODS, colours, strict=True):
            times, values = curve(pair, method, seconds)
            # Below this, E is E_best to all digits.
            error = np.maximum(values - best, 1e-12 * best)
            ours = method == "trust region"
            ax.loglog(
                np.maximum(times, 1e-5), error, label=method, color=colour,
                linewidth=2.4 if ours else 1.2, zorder=3 if ours else 2,
                linestyle="--" if method.endswith("(qr)") else "-",
            )  # fmt: skip
        ax.set(xlabel="CPU seconds", title=f"{title}, s = 0.5, E_best = {best:.6f}")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("E - E_best, until then")
    figure.tight_layout()
    figure.legend(
        *axes[0].get_legend_handles_labels(), ncols=4, loc="upper center",
        bbox_to_anchor=(0.5, 0.02), fontsize=9,
    )  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110, bbox_inches="tight")
    plt.close(figure)


def _of_trust_region(pair, start):
    """It is run anew with more and more iterations, each run by its own clock."""
    form, times, values = SpectralForm(Objective(*pair, s=0.5)), [], []
    for iterations in range(200):
        began = time.process_time()
        SpectralForm(Objective(*pair, s=0.5))  # eigenvectors are part of it
        found = minimise(form, start, max_iterations=iterations)
        times.append(time.process_time() - began)
        values.append(found.value)
        if found.reason != "iterations":
            break
    return np.maximum.accumulate(times), values
