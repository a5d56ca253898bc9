"""Figures 1 to 3: products of graphs, P as s grows, and the families of P."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np

from experiments.prolongation.nearest import nearest
from experiments.prolongation.sheet import Panel, draw
from msann.graphs import adjacency, box_product, cross_product, grid_graph
from msann.optimal.objective import Objective
from msann.optimal.search import optimal_prolongation
from msann.prolongation.closed_forms import closed_form


def figure1(folder: Path) -> Path:
    """The cross and the box product of two paths, drawn (Figure 1)."""
    first, second = nx.path_graph(4), nx.path_graph(3)
    pictures = [
        ("first factor, a path of 4", adjacency(first), [(0, -i) for i in range(4)]),
        ("second factor, a path of 3", adjacency(second), [(j, 0) for j in range(3)]),
    ]
    places = [(j, -i) for i in range(4) for j in range(3)]
    pictures += [
        ("cross product: both factors move", cross_product(first, second), places),
        ("box product: one factor moves", box_product(first, second), places),
    ]
    figure, axes = plt.subplots(
        1, 4, figsize=(10, 3.4), width_ratios=[0.5, 1, 1, 1], layout="constrained"
    )
    for ax, (title, matrix, where) in zip(axes, pictures, strict=True):
        drawn = nx.from_scipy_sparse_array(matrix)
        nx.draw(
            drawn, dict(enumerate(where)), ax=ax, node_color="black", node_size=60,
            edge_color="0.35", width=1.6,
        )  # fmt: skip
        ax.set_title(title.replace(", ", ",\n").replace(": ", ":\n"), fontsize=10)
        ax.set(xlim=(-0.6, max(x for x, _ in where) + 0.6), ylim=(-3.6, 0.6))
        ax.set_aspect("equal")
    return _saved(figure, folder / "figure1.png")


def figure2(folder: Path) -> Path:
    """Optimal P between grids, from fully diffuse to fully local (Figure 2)."""
    graphs = grid_graph(4, 4), grid_graph(8, 8)
    pairs, fold = (
        closed_form(name, (4, 4), (8, 8)).matrix() for name in ("box", "fold")
    )
    panels = [Panel(pairs, "for comparison:\nbox")]
    for s in (0, 0.01, 0.1, 0.25, 0.5, 0.75, 1):
        found = optimal_prolongation(*graphs, s=s)
        P = nearest(Objective(*graphs, s=s), found.P, pairs if s else fold)
        panels.append(Panel(P, f"s = {s:g}\n{_described(found)}"))
    file = folder / "figure2.png"
    title = (
        "Optimal P, grid 4x4 to 8x8, alpha = 1, beta = 1/4: |entries|, 0 to 1. Of P "
        "with the same E, one near to box (s = 0: to fold)"
    )
    draw([panels], file, title, height=512)
    return file


def figure3(folder: Path, largest: int = 16) -> list[Path]:
    """Closed forms beside what optimisers find, at growing sizes (Figure 3)."""
    sides = [n for n in (2, 4, 8, 16) if n <= largest]
    names = ["box", "hat", "band", "decimation", "daubechies4", "cover"]
    cycles = [_row(names, (n,), periodic=True) for n in sides]
    names = ["box", "hat", "band", "decimation", "fold"]
    grids = [_row(names, (n, n), periodic=False) for n in sides]
    files = [folder / "figure3-cycles.png", folder / "figure3-grids.png"]
    note = (
        "closed forms (beta = n1/n2), then global optima; of P with the same E, one "
        "near to box (s = 0: to {}). |entries|, 0 to 1"
    )
    draw(cycles, files[0], f"Cycles: {note.format('cover')}", height=192)
    draw(grids, files[1], f"Grids: {note.format('fold')}", height=256)
    return files


def _row(names, shape, periodic):
    """Panels of every family from `shape` to twice that, then of the optima."""
    double = tuple(2 * n for n in shape)
    graphs = [grid_graph(*x, periodic=periodic) for x in (shape, double)]
    sizes = "x".join(map(str, shape)) + " to " + "x".join(map(str, double))
    panels = []
    for name in names:
        P = closed_form(name, shape, double, periodic=periodic).matrix()
        values = [_number(Objective(*graphs, s=s)(P)) for s in (0, 1)]
        caption = "{}, {}\nE = {} (s = 0)\nE = {} (s = 1)"
        panels.append(Panel(P, caption.format(name, sizes, *values)))
    r = np.prod(shape) / np.prod(double)
    for s, beta in ((1, r), (1, r**2), (0, r)):
        found = optimal_prolongation(*graphs, s=s, beta=beta)
        like = panels[names.index("box" if s else names[-1])].matrix
        P = nearest(Objective(*graphs, s=s, beta=beta), found.P, like)
        note = f"\nbeta = {beta:.4g}" if s else "\n(no beta)"
        caption = f"optimum, s = {s}{note}\n{_described(found)}"
        panels.append(Panel(P, caption))
    return panels


def _described(found):
    certified = "certified" if found.certified else "not certified"
    return f"E = {_number(found.value)}\n{certified}"


def _number(value):
    """Five digits; rounding errors are zero."""
    return f"{value:.5g}" if value > 1e-9 else "0"


def _saved(figure, file):
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)
    plt.close(figure)
    return file
