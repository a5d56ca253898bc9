"""How long an optimal prolongation takes, beside pymanopt at equal E.

Every row is a median of runs with different seeds in this one process; ratios compare
rows of the same run. Nothing is kept between runs: each one checks its graphs, finds
distances and eigenvectors, searches, and computes the least Hessian eigenvalue.

    python -m benchmarks.prolongation [--slow]

`--slow` adds pymanopt at path 16 -> 32, which takes minutes, and path 512 -> 1024.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import networkx as nx

from msann_keras.graphs import dense, grid_graph
from msann_keras.prolongation import starts
from msann_keras.prolongation.objective import Objective
from msann_keras.prolongation.optimize import optimal_prolongation

#: E may differ by so much, relatively, to count as equal.
EQUAL = 1e-9
#: Of pymanopt; it takes from seconds to minutes.
RUNS = 3


class Problem(NamedTuple):
    """Graphs of n nodes (or n x n) and twice the side."""

    name: str
    graph: Callable[[int], Any]
    n: int
    s: float
    runs: int

    def pair(self):
        """Coarse and fine graph."""
        return self.graph(self.n), self.graph(2 * self.n)


def torus(n):
    """The n x n torus."""
    return grid_graph(n, n, periodic=True)


PROBLEMS = [
    Problem("path 8 -> 16", nx.path_graph, 8, 0.5, 21),
    Problem("path 16 -> 32", nx.path_graph, 16, 0.5, 11),
    Problem("path 64 -> 128", nx.path_graph, 64, 0.5, 3),
    Problem("path 256 -> 512", nx.path_graph, 256, 1.0, 3),
    *(Problem("cycle 1024 -> 2048", nx.cycle_graph, 1024, s, 3) for s in (0, 0.5, 1)),
    *(Problem("torus 16x16 -> 32x32", torus, 16, s, 3) for s in (0, 0.5, 1)),
]
LARGE = Problem("path 512 -> 1024", nx.path_graph, 512, 0.5, 1)


def with_pymanopt(problem: Problem) -> tuple[float, float]:
    """Seconds and E of pymanopt's trust regions with autograd: medians of `RUNS`.

    It has the starts that `auto` has, one each time.
    """
    import autograd.numpy as anp
    import pymanopt

    objective = Objective(*problem.pair(), s=problem.s)
    terms = [
        (t.weight, t.scale**0.5, *(_array(X) for X in (t.X1, t.X2)))
        for t in objective.active
    ]
    manifold = pymanopt.manifolds.Stiefel(*objective.shape)

    @pymanopt.function.autograd(manifold)
    def cost(P):
        return sum(
            weight * anp.sum((P @ X1 / root - root * (X2 @ P)) ** 2)
            for weight, root, X1, X2 in terms
        )

    method = pymanopt.optimizers.TrustRegions(
        verbosity=0, min_gradient_norm=1e-6, max_iterations=2000
    )
    walls, values = [], []
    for start, _ in zip(starts.several(objective, 0), range(RUNS), strict=False):
        began = time.perf_counter()
        result = method.run(pymanopt.Problem(manifold, cost), initial_point=start)
        walls.append(time.perf_counter() - began)
        values.append(float(result.cost))
    return statistics.median(walls), statistics.median(values)


def ours(problem: Problem, **options) -> tuple[float, list[float]]:
    """Median seconds and every E; prints a row."""
    found, walls = [], []
    pair = problem.pair()
    for seed in range(problem.runs):
        began = time.perf_counter()
        best = optimal_prolongation(*pair, s=problem.s, seed=seed, **options)
        walls.append(time.perf_counter() - began)
        found.append(best)
    seconds, values = statistics.median(walls), [best.value for best in found]
    print(
        f"{problem.name:22} {problem.s:4} {seconds:9.4f} {max(walls):9.4f} "
        f"{max(values):22.9f} {max(values) / min(values) - 1:8.0e}  "
        f"{'certified' if all(best.certified for best in found) else ''}",
        flush=True,
    )
    return seconds, values


def main(arguments: list[str] | None = None) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slow", action="store_true", help="add what takes minutes")
    slow = parser.parse_args(arguments).slow

    optimal_prolongation(*PROBLEMS[0].pair(), s=0.5)  # imports and caches are warm
    print(
        f"{'problem':22} {'s':>4} {'median s':>9} {'most':>9} {'largest E':>22} "
        f"{'spread':>8}"
    )
    rows = {}
    for problem in PROBLEMS:
        rows.setdefault(problem.name, ours(problem))
    if slow:
        ours(LARGE, seconds=50.0)
        objective = Objective(*LARGE.pair(), s=LARGE.s)
        start = starts.greedy(objective, objective.locality)
        print(f"{'  its greedy start':22} {'':24} {objective(start):22.9f}")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"  at most {peak:.2f} GiB of memory so far")

    print(f"\npymanopt's trust regions with autograd, medians of {RUNS} starts:")
    for problem in PROBLEMS[: 1 + slow]:
        seconds, E = with_pymanopt(problem)
        median, values = rows[problem.name]
        worse = max(values) / E - 1
        verdict = (
            "equal E" if abs(worse) <= EQUAL
            else f"E of `auto` is lower by {-worse:.0e}" if worse < 0
            else f"E of `auto` is HIGHER by {worse:.0e}"
        )  # fmt: skip
        print(
            f"{problem.name:22} {problem.s:4} {seconds:9.2f} s, E = {E:.9f}: "
            f"{seconds / median:.0f} times as long as `auto`, {verdict}"
        )


def _array(X):
    return dense(X, "operators") if hasattr(X, "toarray") else X


if __name__ == "__main__":
    main()
