"""How long an optimal prolongation takes, beside pymanopt's trust region.

    python -m benchmarks.prolongation [--slow]

Ratios compare rows of one run: medians of repeats with other seeds. pymanopt gets
automatic derivatives (autograd) and one start, the greedy one; `auto` makes its own
starts, several on small graphs, and looks for saddles. `--slow` adds pymanopt from
16 to 32 nodes and the largest path, minutes each.
"""

import argparse
import resource
import statistics
import time

import networkx as nx

from msann_keras.graphs import grid_graph
from msann_keras.prolongation.objective import Objective
from msann_keras.prolongation.optimize import greedy_start, optimal_prolongation

#: E may differ by so much, relatively, in a comparison.
EQUAL = 1e-9


def torus(n):
    return grid_graph(n, n, periodic=True)


#: Name, graph of a size, coarse size, s, repeats.
PROBLEMS = [
    ("path", nx.path_graph, 8, 0.5, 5),
    ("path", nx.path_graph, 16, 0.5, 3),
    ("path", nx.path_graph, 64, 0.5, 1),
    ("path", nx.path_graph, 256, 1.0, 3),
    ("cycle", nx.cycle_graph, 1024, 0.5, 1),
    ("torus", torus, 16, 0.5, 1),
]
LARGE = ("path", nx.path_graph, 512, 0.5, 1)


def automatic(make, n, s, repeats):
    """Median seconds of `auto`, and the last record."""
    seconds = []
    for seed in range(repeats):
        coarse, fine = make(n), make(2 * n)
        began = time.perf_counter()
        found = optimal_prolongation(coarse, fine, s=s, seed=seed, seconds=50)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), found


def pymanopt_trust_region(n, s):
    """Seconds and E of pymanopt's trust region on paths, n to 2n."""
    import autograd.numpy as anp
    import pymanopt

    energy = Objective(nx.path_graph(n), nx.path_graph(2 * n), s=s)
    terms = [(t.weight, t.scale**0.5, t.X1, t.X2) for t in energy.active]
    manifold = pymanopt.manifolds.Stiefel(*energy.shape)

    @pymanopt.function.autograd(manifold)
    def cost(P):
        return sum(
            weight * anp.sum((P @ X1 / root - root * (X2 @ P)) ** 2)
            for weight, root, X1, X2 in terms
        )

    optimizer = pymanopt.optimizers.TrustRegions(
        verbosity=0, min_gradient_norm=1e-6, max_iterations=2000, max_time=600
    )
    began = time.perf_counter()
    result = optimizer.run(
        pymanopt.Problem(manifold, cost),
        initial_point=greedy_start(energy, energy.locality),
    )
    return time.perf_counter() - began, float(result.cost)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slow", action="store_true", help="add the largest rows")
    slow = parser.parse_args().slow

    print("| problem | s | seconds | E | certified | of the greedy start |")
    print("|---|---|---|---|---|---|")
    ours = {}
    for name, make, n, s, repeats in [*PROBLEMS, *[LARGE] * slow]:
        seconds, found = automatic(make, n, s, repeats)
        ours[name, n] = seconds, found.value
        greedy = ""
        if not found.certified:
            energy = Objective(make(n), make(2 * n), s=s)
            greedy = f"{energy(greedy_start(energy, energy.locality)):.7g}"
        print(
            f"| {name} {n} → {2 * n} | {s:g} | {seconds:.3g} | {found.value:.12g} "
            f"| {'yes' if found.certified else 'no'} | {greedy} |",
            flush=True,
        )
    for n in (8, 16) if slow else (8,):
        seconds, value = pymanopt_trust_region(n, 0.5)
        mine, least = ours["path", n]
        relation = (
            "equal" if abs(value / least - 1) <= EQUAL else f"{value / least - 1:+.0e}"
        )
        print(
            f"\npymanopt, path {n} → {2 * n}: {seconds:.3g} s, "
            f"{seconds / mine:.0f} times as long; its E is {value:.12g} ({relation})"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\npeak memory {peak:.2f} GiB")


if __name__ == "__main__":
    main()
