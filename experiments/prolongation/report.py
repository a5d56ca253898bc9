"""docs/prolongation.md: what was computed, table by table, and how to compute it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import numpy as np

from experiments.prolongation import methods as compared
from msann.graphs import box_product, grid_graph
from msann.optimal import starts
from msann.optimal.bounds import (
    Factor,
    box_bound,
    box_distance,
    diffusion_distance,
)
from msann.optimal.objective import Objective, polar
from msann.optimal.search import optimal_prolongation
from msann.prolongation.closed_forms import closed_form

PAGE = Path("docs/prolongation.md")
#: Seconds that one run of one method may take.
BOUND = 1.0

HEAD = """# Prolongations: what was computed

Made by `make prolongation-report`, in {seconds:.0f} seconds. E is (3.3) with alpha = 1;
b is beta, r = n1/n2, n1 and n2 the numbers of nodes. A *certified* value is a global
optimum over all P with P^T P = I.

Pictures (`make figure1 figure2 figure3` draws them into `figures/`): [products of
graphs](figure1.png), [optimal P as s grows](figure2.png), families between
[cycles](figure3-cycles.png) and [grids](figure3-grids.png).
"""

DIFFERENCES = """## Where the computed facts differ from the text

- **5.1, "only upper bounds".** For s = 0 and for s = 1 the cheapest matching of scaled
  spectra *is* the global optimum over the Stiefel manifold: E is linear in the squared
  entries of U2^T P U1, and the vertices of that polytope are matchings. No other
  orthogonal P does better at the same alpha.
- **3.3.2, beta = n1/n2.** It is where the pair matrix is stationary at s = 1, not where
  E is least. On paths and cycles the best beta tends to (n1/n2)^2 (table 4). With
  both terms, alpha = 1 is best beside beta = n1/n2, as the paper found, but together
  they are not: on the path 8 to 16 at s = 1/2 another pair of them is some 800 times
  better (table 4b).
- **3.3.2, joint minimisation over P, alpha and beta.** Where T2 has a null space of
  n1 dimensions or more (grids and tori to twice the sides, even cycles with
  n2 >= 2 n1 + 2) E goes to 0 as beta grows (table 5): bound beta. On grids the optimum
  at (n1/n2)^2 is above that at n1/n2 (table 1).
- **3.3.3, pairs as best local optima.** The pair matrix is a saddle for paths, with
  1, 7, 31 and 127 negative Hessian eigenvalues for n = 2, 4, 8, 16 (s = 1, b = 1/2; all
  four are tested, `tests/test_prolongation_facts.py`), and on cycles at b = 1/2 all
  stride-2 shift-invariant P tie with it (table 1 and `make figure3`).
- **3.3.1, the matching start.** That it beats others was not seen. On paths and grids
  most starts end at one E (table 2b), and on two of three paths a matching of both
  terms' costs at once is one or two steps from it (`joint`); on random graphs no single
  start is best, and `auto`, from several, still misses the lowest E that is known now
  and then (table 3).
  U2 M U1^T is often an exact saddle, where a method may stop.
- **Figure 2.** Minimisers are never unique (signs, and rotations within eigenspaces),
  so optimised P differ from run to run, and look like noise; compare E. Our pictures
  show, of the P with the same E, one that is near to `box` (at s = 0 to `fold` or
  `cover`). For 0 < s < 1 little but signs is free, and optima on grids at b = 1/4 are
  as spread out as they look.
- **5.2, corollary.** The bound holds but can be far off: where spectra of the products
  match although those of the factors do not, the optimum is 0 (table 6).
- **Slips in print.** The third line of the box product's Laplacian has - where + is
  meant; if D1 = 0 the product's distance is sqrt(n1) D2, not D2; the corollary prints
  D(G1^(1), G1^(1)) for D(G1^(1), G1^(2)); P maps to the larger graph.
"""


def write(folder: Path) -> Path:
    """Compute every table and write the page."""
    began = time.perf_counter()
    compared.draw(folder / "prolongation-methods.png")
    sections = [
        families(), methods(), begins(), contest(), scales(), joint(), degenerate(),
        products(), DIFFERENCES,
    ]  # fmt: skip
    seconds = time.perf_counter() - began
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text("\n".join([HEAD.format(seconds=seconds), *sections]))
    return PAGE


def families() -> str:
    """E of the closed forms beside the certified optimum."""
    rows = []
    for kind, shape in (
        ("path", (4,)), ("path", (8,)), ("cycle", (8,)), ("cycle", (16,)),
        ("grid", (4, 4)),
    ):  # fmt: skip
        double = tuple(2 * n for n in shape)
        periodic = kind == "cycle"
        pair = [grid_graph(*x, periodic=periodic) for x in (shape, double)]
        r = np.prod(shape) / np.prod(double)
        for s, beta, name in (
            (0, r, "s=0"),
            (1, r, "s=1, b=r"),
            (1, r**2, "s=1, b=r²"),
        ):
            E = Objective(*pair, s=s, beta=beta)
            values = [
                E(closed_form(form, shape, double, periodic=periodic).matrix())
                for form in ("box", "hat", "band")
            ]
            found = optimal_prolongation(*pair, s=s, beta=beta)
            sizes = f"{kind} {_size(shape)} → {_size(double)}"
            rows.append([sizes, name, *map(_number, [*values, found.value])])
    return _table(
        "1. Families in closed form",
        "`box` is the paper's pair matrix. The last column is certified.",
        ["problem", "", "box (pair)", "hat", "band", "optimum"],
        rows,
    )


def methods() -> str:
    """Every method from one random start: how far above the best, and how long."""
    problems = dict(_problems())
    cells = {name: {} for name in ("auto", *compared.METHODS)}
    for problem, pair in problems.items():
        runs = {
            name: optimal_prolongation(
                *pair, s=0.5, method=name, start="random", seconds=BOUND
            )
            for name in compared.METHODS
        }
        runs["auto"] = optimal_prolongation(
            *pair, s=0.5, method=_searching(problem), seconds=30
        )
        best = min(found.value for found in runs.values())
        for name, found in runs.items():
            cells[name][problem] = f"{_excess(found.value, best)}, {found.seconds:.3f}"
    rows = [[name, *row.values()] for name, row in cells.items()]
    return _table(
        "2. Methods, s = 0.5, b = r",
        "In each cell: E/E_best - 1, and seconds. All but `auto`, which has its own "
        f"starts, begin at the same random P and end after {BOUND:g} s; "
        "pymanopt's have our hand-written gradient and Hessian. `auto` is searching on "
        "the cycle too, where it would have a certified assignment. SciPy's methods "
        "and Nelder-Mead work on all entries of P, with P^T P = I as a constraint or "
        "penalty.\n\n![E - E_best against CPU seconds](prolongation-methods.png)",
        ["method", *problems],
        rows,
    )


def begins() -> str:
    """The trust region from every start by name."""
    names = [name for name in starts.STARTS if name != "random"]
    columns = [*names, "interpolated", "random"]
    rows = []
    for problem, pair in _problems():
        best = optimal_prolongation(*pair, s=0.5, method=_searching(problem))
        row = []
        for name in columns:
            options = {"start": name}
            if name == "interpolated":
                if (half := _half(problem)) is None:
                    row.append("")
                    continue
                options["smaller"] = optimal_prolongation(*half, s=0.5).P
            found = optimal_prolongation(
                *pair, s=0.5, method="trust region", **options, seconds=BOUND
            )
            best = min(best, found, key=lambda end: end.value)
            row.append(found)
        rows.append(
            [problem]
            + [x and f"{_excess(x.value, best.value)}, {x.iterations}" for x in row]
        )
    return _table(
        "2b. Starts of the trust region, s = 0.5, b = r",
        "E/E_best - 1, and iterations. Saddles are left along negative curvature, also "
        "where the start is one.",
        ["problem", *columns],
        rows,
    )


def _searching(problem):
    return "trust region" if problem.startswith("cycle") else "auto"


def _half(problem):
    """The problem of half the sides, where it is one."""
    kind, *sizes = problem.replace("→", "").split()
    if kind in ("path", "cycle") and int(sizes[0]) >= 4:
        return [grid_graph(int(x) // 2, periodic=kind == "cycle") for x in sizes]
    if sizes[0] == "4x4":
        return [grid_graph(2, 2), grid_graph(4, 4)]
    return None


def _excess(value, best):
    return f"{max(0, value / best - 1):.0e}"


def _problems() -> Iterator[tuple[str, list]]:
    for n in (4, 8, 16):
        yield f"path {n} → {2 * n}", [grid_graph(n), grid_graph(2 * n)]
    yield "cycle 8 → 16", [grid_graph(x, periodic=True) for x in (8, 16)]
    for n in (3, 4):
        yield f"grid {n}x{n} → {2 * n}x{2 * n}", [grid_graph(x, x) for x in (n, 2 * n)]
    yield "random 8 → 16", [_random_graph(x, seed=x) for x in (8, 16)]


def contest(pairs: int = 20) -> str:
    """How often each start leads the trust region to the best of all, random graphs."""
    wins = dict.fromkeys([*starts.STARTS, "auto"], 0)
    excess = dict.fromkeys(wins, 0.0)
    for trial in range(pairs):
        values = {
            name: optimal_prolongation(
                *_pair(trial), s=0.5, start=name, seconds=BOUND
            ).value
            for name in starts.STARTS
        }
        values["auto"] = optimal_prolongation(*_pair(trial), s=0.5).value
        # For comparison only: five times as many starts.
        many = optimal_prolongation(*_pair(trial), s=0.5, most_starts=300, seed=1)
        best = min(many.value, *values.values())
        for name, value in values.items():
            wins[name] += value <= best * (1 + 1e-9)
            excess[name] = max(excess[name], value / best - 1)
    rows = [[name, f"{wins[name]} of {pairs}", f"{excess[name]:.1e}"] for name in wins]
    return _table(
        "3. Which start ends lowest on random graphs, s = 0.5, b = r",
        f"{pairs} pairs of connected random graphs, 8 to 16 nodes; the trust region "
        "from each start, and `auto`, of up to 60. Lowest means within 1e-9 of the "
        "best of all of them and of a search from 300 starts.",
        ["start", "ends lowest", "worst E/E_best - 1"],
        rows,
    )


def _pair(trial):
    return [_random_graph(n, seed=100 * trial + n) for n in (8, 16)]


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
        rows.append([f"{kind} {n} → {2 * n}", *map(_number, cells)])
    return _table(
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
    return _table(
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
            *(_number(optimal_prolongation(*pair, s=1, beta=b).value) for b in betas),
        ]
        for name, pair in problems.items()
    ]
    return _table(
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
            graphs = [_random_graph(n + k, seed=trial + k) for k in (0, 2)]
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
         _number(max(both.value, 0) ** 0.5)],
        ["the same: D at P1 (x) P2, the bound of Corollary 5.2",
         _number(box_distance(single, single))],
        ["the same: bound of Theorem 5.1", _number(box_bound(single, single))],
    ]  # fmt: skip
    return _table(
        "6. Section 5 on random graphs",
        "n1 and n2 are here the nodes of the coarse factors; alpha = 1.",
        ["", ""],
        rows,
    )


def _random_graph(n, seed):
    """A connected Erdos-Renyi graph: the first one from this seed on."""
    while True:
        graph = nx.gnp_random_graph(n, 0.5, seed=seed)
        if nx.is_connected(graph):
            return graph
        seed += 1000


def _size(shape):
    return "x".join(map(str, shape))


def _number(value):
    return f"{value:.8g}" if abs(value) > 1e-7 else "0"


def _table(title, text, head, rows):
    lines = [f"## {title}\n", f"{text}\n", "| " + " | ".join(head) + " |"]
    lines.append("|" + "---|" * len(head))
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
