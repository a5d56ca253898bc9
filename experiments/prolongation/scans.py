"""Tables 4 to 6: the best alpha and beta, and section 5 on random graphs."""

from __future__ import annotations

import networkx as nx
import numpy as np

from experiments.prolongation.bounds import (
    Factor,
    box_bound,
    box_distance,
    diffusion_distance,
)
from experiments.prolongation.markdown import number, table
from experiments.prolongation.problems import random_graph
from msann.graphs import box_product, grid_graph
from msann.optimal.objective import polar
from msann.optimal.search import optimal_prolongation


def scales() -> str:
    """The best alpha and beta over a grid of them, at certified optima."""
    rows = []
    factors = np.geomspace(1 / 8, 8, 25)
    for kind, n in (
        ("path", 4),
        ("path", 8),
        ("path", 16),
        ("cycle", 16),
        ("cycle", 32),
    ):
        pair = [grid_graph(x, periodic=kind == "cycle") for x in (n, 2 * n)]
        value = {
            beta: optimal_prolongation(*pair, s=1, beta=beta).value
            for beta in (1 / 2, 1 / 4, *(factors / 4))
        }
        best = min(value, key=value.get)
        alphas = {a: optimal_prolongation(*pair, s=0, alpha=a).value for a in factors}
        alpha = min(alphas, key=alphas.get)
        cells = [value[1 / 2], value[1 / 4], best, value[best], alpha]
        rows.append([f"{kind} {n} → {2 * n}", *map(number, cells)])
    return table(
        "4. The best beta, s = 1, and alpha, s = 0",
        "Least E over P, certified, at the paper's b = r = 1/2, at b = r² = 1/4, and "
        "at the best of 25 from 1/32 to 2; the best of 25 alphas from 1/8 to 8, where "
        "E is 0 at alpha = 1.",
        ["problem", "E, b=1/2", "E, b=1/4", "best b", "E there", "best alpha"],
        rows,
    )


def joint() -> str:
    """Least E over P for alpha and beta at once, s = 1/2."""
    alphas = (0.5, 1, 1.4142, 2, 2.8284, 4)
    betas = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)
    pair = [grid_graph(8), grid_graph(16)]
    value = {
        (alpha, beta): optimal_prolongation(
            *pair, s=0.5, alpha=alpha, beta=beta, seconds=5
        ).value
        for alpha in alphas
        for beta in betas
    }
    least = min(value, key=value.get)
    rows = [
        [f"{alpha:g}"]
        + [
            f"**{value[alpha, beta]:.6g}**"
            if (alpha, beta) == least
            else f"{value[alpha, beta]:.6g}"
            for beta in betas
        ]
        for alpha in alphas
    ]
    return table(
        "4b. alpha and beta at once: path 8 → 16, s = 0.5",
        "Least E that `auto` finds, not certified; the paper's scan has its least "
        "value at alpha = 1, beta = n1/n2 = 1/2. Rows are alpha, columns beta.",
        ["", *(f"b={beta:g}" for beta in betas)],
        rows,
    )


def degenerate() -> str:
    """E of the optimum as beta grows, where the fine distances have a null space."""
    betas = (1 / 4, 1, 10, 100, 1000)
    problems = {
        "path 8 → 16": [grid_graph(n) for n in (8, 16)],
        "cycle 16 → 32": [grid_graph(n, periodic=True) for n in (16, 32)],
        "cycle 16 → 34": [grid_graph(n, periodic=True) for n in (16, 34)],
        "grid 4x4 → 8x8": [grid_graph(n, n) for n in (4, 8)],
        "torus 4x4 → 8x8": [grid_graph(n, n, periodic=True) for n in (4, 8)],
    }
    rows = [
        [
            name,
            *(number(optimal_prolongation(*pair, s=1, beta=b).value) for b in betas),
        ]
        for name, pair in problems.items()
    ]
    return table(
        "5. Where no beta is best: E of the optimum at s = 1, certified",
        "E falls to 0 as 1/beta where the null space of T2 has n1 dimensions or more; "
        "the cycle of 2 n1 nodes has one too few.",
        ["problem", *(f"b={b:g}" for b in betas)],
        rows,
    )


def products(pairs: int = 300) -> str:
    """Theorem 5.1 and the exact identity on random graphs and random P."""
    rng = np.random.default_rng(0)
    ratios, errors = [], []
    for trial in range(pairs):
        sizes = rng.integers(2, 5, size=2)
        factors = []
        for n in sizes:
            n = int(n)
            graphs = [random_graph(n + k, seed=trial + k) for k in (0, 2)]
            P = polar(rng.standard_normal((n + 2, n)))
            factors.append(Factor(*graphs, P))
        first, second = factors
        # By definition, on the products themselves.
        coarse = box_product(first.coarse, second.coarse)
        fine = box_product(first.fine, second.fine)
        distance = diffusion_distance(coarse, fine, np.kron(first.P, second.P))
        ratios.append(distance / box_bound(*factors))
        errors.append(abs((distance / box_distance(*factors)) ** 2 - 1))
    four, six = nx.cycle_graph(4), nx.cycle_graph(6)
    single = Factor(four, six, optimal_prolongation(four, six, s=0).P)
    both = optimal_prolongation(box_product(four, four), box_product(six, six), s=0)
    rows = [
        ["random pairs, random P1 and P2", str(pairs)],
        ["violations of D <= sqrt(n2) D1 + sqrt(n1) D2",
         str(sum(ratio > 1 + 1e-12 for ratio in ratios))],
        ["largest D / bound", f"{max(ratios):.3f}"],
        ["D² = n2 D1² + n1 D2² + 2 tr(A'P1) tr(B'P2), largest relative error",
         f"{max(errors):.0e}"],
        ["cycle (4 → 6) box itself: optimum (certified)",
         number(max(both.value, 0) ** 0.5)],
        ["the same: D at P1 (x) P2, the bound of Corollary 5.2",
         number(box_distance(single, single))],
        ["the same: bound of Theorem 5.1", number(box_bound(single, single))],
    ]  # fmt: skip
    return table(
        "6. Section 5 on random graphs",
        "n1 and n2 are here the nodes of the coarse factors; alpha = 1.",
        ["", ""],
        rows,
    )
