"""How long an optimal prolongation takes, beside pymanopt at equal E.

Every row is a median of runs with different seeds in this one process; ratios compare
CPU seconds of the same run, on which other work on the machine tells less. Use one
thread (`OPENBLAS_NUM_THREADS=1`). Nothing is kept between runs: each one checks its
graphs, finds distances and eigenvectors, searches, and computes the least Hessian
eigenvalue.

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

from msann.arrays import dense
from msann.graphs import grid_graph
from msann.optimal import starts
from msann.optimal.objective import Objective
from msann.optimal.search import optimal_prolongation

#: E may differ by so much, relatively, to count as equal.
EQUAL = 1e-9
#: Runs of pymanopt, from seconds to minutes each, on the first two problems.
RUNS = (3, 1)


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


def with_pymanopt(problem: Problem, runs: int) -> tuple[list[float], list[float]]:
    """CPU seconds and E of pymanopt's trust regions with autograd, for each start.

    It has the first starts that `auto` has, one each time.
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
    seconds, values = [], []
    for start, _ in zip(starts.several(objective, 0), range(runs), strict=False):
        began = time.process_time()
        result = method.run(pymanopt.Problem(manifold, cost), initial_point=start)
        seconds.append(time.process_time() - began)
        values.append(float(result.cost))
    return seconds, values


def ours(problem: Problem, **options) -> tuple[float, list[float]]:
    """Median CPU seconds and every E; prints a row."""
    found, walls, cpu = [], [], []
    pair = problem.pair()
    for seed in range(problem.runs):
        began, busy = time.perf_counter(), time.process_time()
        best = optimal_prolongation(*pair, s=problem.s, seed=seed, **options)
        walls.append(time.perf_counter() - began)
        cpu.append(time.process_time() - busy)
        found.append(best)
    seconds, values = statistics.median(cpu), [best.value for best in found]
    wall = statistics.median(walls)
    print(
        f"{problem.name:22} {problem.s:4} {wall:9.4f} {seconds:9.4f} "
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
        f"{'problem':22} {'s':>4} {'seconds':>9} {'CPU':>9} {'largest E':>22} "
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

    print("\npymanopt's trust regions with autograd, CPU seconds from each start:")
    for problem, runs in zip(PROBLEMS, RUNS[: 1 + slow], strict=False):
        times, ends = with_pymanopt(problem, runs)
        seconds, E = statistics.median(times), min(ends)
        median, values = rows[problem.name]
        worse = max(values) / E - 1
        each = ", ".join(f"{x:.2f}" for x in times)
        verdict = (
            "equal E" if abs(worse) <= EQUAL
            else f"E of `auto` is lower by {-worse:.0e}" if worse < 0
            else f"E of `auto` is HIGHER by {worse:.0e}"
        )  # fmt: skip
        print(
            f"{problem.name:22} {problem.s:4} {each}, least E = {E:.9f}: median "
            f"{seconds / median:.0f} times as long as `auto`, {verdict}"
        )


def _array(X):
    return dense(X, "operators") if hasattr(X, "toarray") else X


if __name__ == "__main__":
    main()
