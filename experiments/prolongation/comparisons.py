"""Tables 1 to 3: families of P, methods and starts, by how far E is above the least."""

from __future__ import annotations

import numpy as np

from experiments.prolongation.markdown import number, table
from experiments.prolongation.methods import METHODS
from experiments.prolongation.problems import half, problems, random_graph
from experiments.prolongation.solvers import SOLVERS, compared
from msann.graphs import grid_graph
from msann.optimal import starts
from msann.optimal.objective import Objective
from msann.optimal.search import optimal_prolongation
from msann.prolongation.closed_forms import closed_form

#: Seconds that one run of one method may take.
BOUND = 1.0


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
            rows.append([sizes, name, *map(number, [*values, found.value])])
    return table(
        "1. Families in closed form",
        "`box` is the paper's pair matrix. The last column is certified.",
        ["problem", "", "box (pair)", "hat", "band", "optimum"],
        rows,
    )


def methods() -> str:
    """Every method from one random start: how far above the best, and how long."""
    pairs = dict(problems())
    cells = {name: {} for name in ("auto", *METHODS)}
    for problem, pair in pairs.items():
        runs = {
            name: compared(*pair, s=0.5, method=name, seconds=BOUND) for name in SOLVERS
        }
        runs["trust region"] = optimal_prolongation(
            *pair, s=0.5, method="trust region", start="random", seconds=BOUND
        )
        runs["auto"] = optimal_prolongation(
            *pair, s=0.5, method=_searching(problem), seconds=30
        )
        best = min(found.value for found in runs.values())
        for name, found in runs.items():
            cells[name][problem] = f"{_excess(found.value, best)}, {found.seconds:.3f}"
    rows = [[name, *row.values()] for name, row in cells.items()]
    return table(
        "2. Methods, s = 0.5, b = r",
        "In each cell: E/E_best - 1, and seconds. All but `auto`, which has its own "
        f"starts, begin at the same random P and end after {BOUND:g} s; "
        "pymanopt's have our hand-written gradient and Hessian. `auto` is searching on "
        "the cycle too, where it would have a certified assignment. SciPy's methods "
        "and Nelder-Mead work on all entries of P, with P^T P = I as a constraint or "
        "penalty.\n\n![E - E_best against CPU seconds](prolongation-methods.png)",
        ["method", *pairs],
        rows,
    )


def begins() -> str:
    """The trust region from every start by name."""
    names = [name for name in starts.STARTS if name != "random"]
    columns = [*names, "interpolated", "random"]
    rows = []
    for problem, pair in problems():
        best = optimal_prolongation(*pair, s=0.5, method=_searching(problem))
        row = []
        for name in columns:
            options = {"start": name}
            if name == "interpolated":
                if (smaller := half(problem)) is None:
                    row.append("")
                    continue
                options["smaller"] = optimal_prolongation(*smaller, s=0.5).P
            found = optimal_prolongation(
                *pair, s=0.5, method="trust region", **options, seconds=BOUND
            )
            best = min(best, found, key=lambda end: end.value)
            row.append(found)
        rows.append(
            [problem]
            + [x and f"{_excess(x.value, best.value)}, {x.iterations}" for x in row]
        )
    return table(
        "2b. Starts of the trust region, s = 0.5, b = r",
        "E/E_best - 1, and iterations. Saddles are left along negative curvature, also "
        "where the start is one.",
        ["problem", *columns],
        rows,
    )


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
    return table(
        "3. Which start ends lowest on random graphs, s = 0.5, b = r",
        f"{pairs} pairs of connected random graphs, 8 to 16 nodes; the trust region "
        "from each start, and `auto`, of up to 60. Lowest means within 1e-9 of the "
        "best of all of them and of a search from 300 starts.",
        ["start", "ends lowest", "worst E/E_best - 1"],
        rows,
    )


def _pair(trial):
    return [random_graph(n, seed=100 * trial + n) for n in (8, 16)]


def _searching(problem):
    return "trust region" if problem.startswith("cycle") else "auto"


def _excess(value, best):
    return f"{max(0, value / best - 1):.0e}"


def _size(shape):
    return "x".join(map(str, shape))
