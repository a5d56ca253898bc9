"""Wrong calls of `msann.prolongation`, `msann.topology.chain` and `msann.optimal`."""

from __future__ import annotations

import networkx as nx
import numpy as np
from scipy import sparse
from wrong_calls import INF, NAN, NO_GRAPHS, Calls, flags, integers, names, numbers
from wrong_calls import objects as strangers

from msann.arrays import MAX_NODES
from msann.optimal import starts
from msann.optimal.curvature import least_eigenvalue
from msann.optimal.matching import minimal_matching
from msann.optimal.objective import Objective
from msann.optimal.spectral import SpectralForm
from msann.optimal.trust_region import minimise
from msann.prolongation import closed_forms, operators
from msann.prolongation.composition import as_aggregation, compose, permuted
from msann.topology import chain, path, resolve

PAIRS = operators.Aggregation([0, 0, 1, 1])
OPERATORS = (operators.Identity(4), PAIRS, operators.Matrix(np.eye(4, 2)))
GRAPHS = {"coarse": nx.path_graph(2), "fine": nx.path_graph(4)}
#: No array of real numbers.
NO_ARRAYS = (
    *(None, "ab", b"ab", object(), len, {3}, {}, ..., "", [[1], [1, 2]], [None] * 4),
    *(["a"] * 4, np.full((4, 2), "a"), np.ones((4, 2)) * 1j, np.full((4, 2), NAN)),
    *(np.full((4, 2), INF), np.ones((4, 2), object) * 10**400, sparse.eye_array(4)),
)
NO_LABELS = (
    *(None, 3, "ab", [], [[0], [1]], [0.0, 1.0], [0, 2], [1, 1], [-1, 0], [0, NAN]),
    *([True, False], ["0"], [0, 10**9], [0, 10**30], [None], 1j, object(), {0, 1}),
)
#: For the aggregates of two pairs.
NO_WEIGHTS = (
    *NO_ARRAYS[1:],
    *([], [1, 1], [1, 1, 1, 1], [1, 1, 0, 0], [NAN] * 4, [INF] * 4, 3, [[0.5] * 4]),
    *([1, 0, 0, 1e200], np.zeros(4)),
)
NO_MATRICES = (
    *NO_ARRAYS,
    *(3, [], [1, 2], np.zeros((4, 2)), np.ones((4, 2)), np.eye(2, 4), np.zeros((0, 0))),
    *(np.zeros((4, 0)), np.eye(4, 2)[None], np.full((4, 2), 1e200)),
    [[1e200, 1e200], [1e200, -1e200]],
)
NO_OPERATORS = (*strangers(), "P", PAIRS.matrix(), operators.Identity, {}, path(4))
#: What no P can be applied to along axis 0. (Arrays of complex numbers and NaN pass.)
NO_VECTORS = (
    *(x for x in NO_ARRAYS if not isinstance(x, np.ndarray) or x.dtype.kind in "OU"),
    *(3, np.array(3.0), np.zeros((5, 2)), [], np.zeros((0, 4))),
)
NO_POINTS = (*NO_ARRAYS, 3, np.zeros(4), np.zeros((2, 4)), np.zeros((4, 2, 1)), [])


def prolongation_calls():
    """Name and calls of each function, in order."""
    for room in (_closed_forms, _operators, _chains, _optima):
        yield from room()


def _closed_forms():
    # A dense P has a bound of its own, below that of a space.
    sizes = {"coarse": integers(1, MAX_NODES), "fine": integers(1, MAX_NODES)}
    right = {"coarse": 4, "fine": 8}
    masses = [x for x in NO_WEIGHTS if x is not None] + [np.zeros(8), -np.ones(8)]
    options = {
        "box": {"masses": masses},
        "hat": {"periodic": flags(), "masses": masses},
        "band": {"periodic": flags()},
    }
    for name in (*closed_forms.PATHS, "daubechies4", "cover"):
        make = getattr(closed_forms, name)
        wrong = options.get(name, {}) | sizes
        yield "prolongation.closed_forms", Calls(make, right, **wrong)
        larger = {"coarse": [9, np.int64(100)], "fine": [3, np.int8(1)]}
        yield "prolongation.closed_forms", Calls(make, right, **larger)
    for name in ("daubechies4", "cover", "fold"):
        make = getattr(closed_forms, name)
        odd = Calls(make, right, coarse=[3, 5], fine=[9, 6, 10])
        yield "prolongation.closed_forms", odd
    for name in ("band", "hat", "daubechies4"):
        huge = Calls(
            getattr(closed_forms, name), {"coarse": 8, "fine": 16}, fine=[2**21]
        )
        yield "prolongation.closed_forms", huge
    many = [(4,), (4, 4, 4), (), "ab", (4, 0), (4, -1), (4, 1.5), {4, 5}, {"a": 4}]
    right = {"name": "band", "coarse": (4, 4), "fine": (8, 8)}
    wrong = {"name": names(), "periodic": flags(), "coarse": many, "fine": many}
    yield "prolongation.closed_form", Calls(closed_forms.closed_form, right, **wrong)


def _operators():
    identity = Calls(operators.Identity, size=integers(1))
    yield "prolongation.Identity", identity
    make = operators.Aggregation
    yield "prolongation.Aggregation", Calls(make, labels=NO_LABELS)
    right = {"labels": [0, 0, 1, 1]}
    yield "prolongation.Aggregation", Calls(make, right, weights=NO_WEIGHTS)
    # A matrix that is no prolongation is called one.
    matrix = Calls(operators.Matrix, matrix=NO_MATRICES, also=("prolongation",))
    yield "prolongation.Matrix", matrix

    def kronecker(factors):
        return operators.Kronecker(*factors)

    factors = [(), *((x,) for x in NO_OPERATORS), *((PAIRS, x) for x in NO_OPERATORS)]
    yield "prolongation.Kronecker", Calls(kronecker, factors=factors)
    for P in (*OPERATORS, operators.Kronecker(operators.Identity(2), PAIRS)):
        rows = {"prolong": P.shape[1], "restrict": P.shape[0]}
        for method, size in rows.items():
            apply = getattr(P, method)
            right = {"x": np.ones((size, 3)), "axis": 0}
            also = ("axis", "array")
            wrong = {"x": [*NO_VECTORS, np.ones((size + 1, 3))]}
            wrong["axis"] = (*integers(-2, 1), 1, -1)
            yield "prolongation.apply", Calls(apply, right, also=also, **wrong)


def _chains():
    def product(chain):
        return compose(*chain)

    chains = [(), *((x,) for x in NO_OPERATORS), *((PAIRS, x) for x in NO_OPERATORS)]
    chains += [(PAIRS, PAIRS), (operators.Identity(3), PAIRS)]
    yield "prolongation.compose", Calls(product, chain=chains)
    right = {"P": PAIRS, "order": [0, 2, 1, 3]}
    orders = [*NO_LABELS, [0, 1, 2], [0, 0, 1, 2], [0, 1, 2, 4], np.arange(5)]
    wrong = {"P": NO_OPERATORS, "order": orders}
    yield "prolongation.permuted", Calls(permuted, right, **wrong)
    wrong = [*NO_OPERATORS, OPERATORS[-1], operators.Kronecker(PAIRS, OPERATORS[-1])]
    yield "prolongation.as_aggregation", Calls(as_aggregation, P=wrong)
    right = {"topology": path(8), "depth": 2}
    topologies = [
        *strangers(none=False),
        {},
        path,
        "",
        len,
        "no such",
        path(7).coarsen(),
    ]
    others = [*topologies, None, "path", nx.path_graph(8)]
    wrong = {"topology": others, "depth": integers(0, 3)}
    yield "topology.chain", Calls(chain, right, **wrong)
    sums = Calls(chain(path(8), 2).column_sums, level=integers(0, 2))
    yield "topology.chain", sums
    right = {"topology": "path", "size": 8, "argument": "topology"}
    wrong = {"topology": [*topologies, path(7)], "size": integers(1)}
    yield "topology.resolve", Calls(resolve, right, **wrong)


def _optima():
    right = GRAPHS | {"s": 0.5}
    scales = numbers(0, -1, 1e-13, 1e13)
    wrong = {"s": numbers(-0.1, 1.1), "alpha": scales}
    wrong |= {"beta": [x for x in scales if x is not None]}
    wrong |= {"coarse": [*NO_GRAPHS, nx.path_graph(5)], "fine": NO_GRAPHS}
    yield "optimal.Objective", Calls(Objective, right, **wrong)
    E = Objective(**right)
    for method in ("terms", "gradient", "terms_and_gradient", "riemannian_gradient"):
        call = Calls(getattr(E, method), {"P": np.eye(4, 2)}, P=NO_POINTS)
        yield "optimal.Objective", call
    values = [*NO_ARRAYS, 3, [], [2, 1], [[1, 2]]]
    right = {"coarse": [1, 2], "fine": [1, 2, 3]}
    wrong = {"coarse": [*values, [1, 2, 3, 4]], "fine": [*values, [1]]}
    yield "optimal.minimal_matching", Calls(minimal_matching, right, **wrong)
    right = {"name": "random", "objective": E}
    others = [*strangers(), "E", Objective, GRAPHS]
    wrong = {"name": names(), "objective": others, "seed": integers()}
    start = Calls(starts.start, right, **wrong, also=("start",))
    yield "optimal.start", start
    form = SpectralForm(E)
    others = [*others, E]
    right = {"form": form, "P": np.eye(4, 2)}
    wrong = {"form": others, "P": NO_POINTS, "max_iterations": integers(0)}
    wrong |= dict.fromkeys(("tolerance", "decrease"), numbers(-1e-9))
    yield "optimal.minimise", Calls(minimise, right, **wrong)
    wrong = {"form": others, "P": NO_POINTS, "seed": integers()}
    wrong |= {"iterations": integers(1)}
    yield "optimal.least_eigenvalue", Calls(least_eigenvalue, right, **wrong)
