"""Wrong calls of what needs no model: schedules, costs, graphs, topologies, starts."""

from __future__ import annotations

from inspect import signature

import networkx as nx
import numpy as np
from scipy import sparse
from wrong_calls import (
    INF,
    NAN,
    NO_GRAPHS,
    Calls,
    flags,
    integers,
    names,
    numbers,
    objects,
)

import msann_keras as ms
from msann.hierarchy import Weight

schedules, cost, graphs = ms.schedules, ms.cost, ms.graphs
PATH, CYCLE = nx.path_graph(4), nx.cycle_graph(8)
HUGE = 10**9

#: Smoothing steps for a depth of two.
NO_STEPS = (
    *integers(1),
    (1, 2),
    (1, 2, 3, 4),
    (1, 0, 1),
    (1, 2.0, 3),
    (1, True, 2),
    [[1], [2], [3]],
)
NO_VISITS = (
    *(x for x in objects() if not isinstance(x, list | tuple) or x),
    *(((0,),), ((0, 1, 2),), ((0, -1),), ((-2, 1),), ((0.5, 1),)),
    *(((0, 1.0),), (("0", 1),), ((True, 1),), ((0, None),), ((NAN, 1),), ((0, INF),)),
    *("ab", {"cycle": 1}, (ms.Visit(0, True),), (ms.Visit("a", "b"),)),
)
NO_SHARES = (
    *(None, 3, NAN, "ab", "", [], (), {}, [0], [-1], [10, -1], [NAN], [1, NAN], [INF]),
    *(["a"], [None], [[1], [2]], [1j], [True], 1j, object(), np.zeros(2), np.array(3)),
)
NO_COSTS = (
    *(None, 3, NAN, "ab", [], [1], [1, 2, 3], [2, 1], [1, NAN], [NAN, 1], ["a", "b"]),
    *([None, 1], [1j, 2], object(), np.zeros((2, 2)), {1, 2}, np.array(1.0)),
)
NO_ERRORS = (
    *(None, 3, "ab", [], [1], [1, 2, 3], ["a", "b"], [None, 1], [1j, 2], object()),
    *(np.zeros((2, 2)), np.array(1.0), [[1], [2]]),
)
NO_FIELDS = (
    *(x for x in objects() if not isinstance(x, list | tuple) or x),
    *({}, {"kind": None}, {"kind": "No"}, {"kind": []}, {"kind": "Path"}, "Path"),
    *({"kind": "Path", "sise": 3}, {"kind": "Path", "size": -1}, {"size": 3}),
    *({"kind": "Path", "size": "4"}, {"kind": "Path", "size": 4, "end": "x"}),
    *({"kind": "Path", "size": 4, "end": NAN}, {"kind": "Path", "size": 4, "end": -1}),
    *({"kind": "Path", "size": 4, "finest": -4}, {"kind": "Grid", "shape": 4}),
    *({"kind": "Grid", "shape": []}, {"kind": "Grid", "shape": [4, "a"]}),
    *({"kind": "Grid", "shape": [4], "ends": [1, 1]}, {"kind": "Given"}),
    *({"kind": "Given", "operators": []}, {"kind": "Given", "operators": 3}),
    *({"kind": "Given", "operators": [{}]}, {"kind": "Given", "operators": [3]}),
    *({"kind": "Given", "operators": [{"matrix": [[1, 1], [1, 1]]}]},),
    *({"kind": "Given", "operators": [{"matrix": [[1], [1, 1]]}]},),
    *({"kind": "Given", "operators": [{"labels": [0, 5], "weights": [1, 1]}]},),
    *({"kind": "Shuffled", "base": 3, "seed": 1}, {"kind": "Shuffled", "seed": 1}),
    *({"kind": "GraphTopology", "size": 4, "edges": [], "operators": []},),
)
#: For a space of eight nodes and a depth of one.
NO_TOPOLOGIES = (
    *(x for x in objects(none=False)),
    *("", "no such", "PATH", {}, {"kind": "No"}, {"kind": "Path", "size": 7}, ms.path),
    *(ms.path(7), ms.grid(2, 2), ms.Topology, PATH, nx.DiGraph(CYCLE), NAN, len),
    *(sparse.eye_array(8), nx.empty_graph(8)),
)
NO_MATRICES = (
    *(None, 3, NAN, True, "ab", [], [1, 2], object(), 1j, [[1, 2], [3]], np.zeros(4)),
    *(np.zeros((4, 2)), np.ones((4, 2)), np.eye(2, 4), np.full((4, 2), NAN), len),
    *(np.eye(4, 2) * 1j, np.eye(4, 2).astype(str), np.zeros((0, 0)), np.zeros((4, 0))),
    *(np.eye(4, 2)[None], np.array(1.0), ms.path(4), {"matrix": 3}),
)
NO_SHAPES = (
    *tuple((x,) for x in integers(1)),
    *((2, x) for x in (0, -1, 1.5, "2", None, NAN, True, np.float64(2))),
    (),
)


NAMES = ("given", "matrix", "prolongation", "prolongations", "P")


def _spread(function):
    """`function(*many, **options)`, what it is given many of by its name."""
    (many,) = (x.name for x in signature(function).parameters.values() if x.kind == 2)

    def call(**arguments):
        return function(*arguments.pop(many), **arguments)

    call.__name__ = function.__name__
    return call


def _topology_makers():
    name = {"prolongation": names()}
    sizes = integers(1, none=True)
    yield "path", Calls(ms.path, {"size": 8}, size=sizes, **name)
    yield "cycle", Calls(ms.cycle, {"size": 8}, size=sizes, **name)
    for kind in ("grid", "torus"):
        make, right = _spread(getattr(ms, kind)), {"shape": (4, 4)}
        yield kind, Calls(make, right, shape=NO_SHAPES, **name)
    yield "identity", Calls(ms.identity, size=sizes)
    yield "square_grid", Calls(ms.square_grid, size=sizes)
    yield (
        "random_orthogonal",
        Calls(
            ms.random_orthogonal, {"size": 8, "seed": 1}, size=sizes, seed=integers()
        ),
    )
    base = [x for x in NO_TOPOLOGIES if not isinstance(x, ms.Topology)]
    right = {"base": ms.path(4), "seed": 1}
    options = {"base": [*base, None], "seed": integers(), "redraw": flags()}
    yield "shuffled", Calls(ms.shuffled, right, **options)
    chains = [(), (np.eye(4, 2), np.eye(3, 1)), *((x,) for x in NO_MATRICES)]
    chains += [(np.eye(4, 2), x) for x in NO_MATRICES]
    yield "given", Calls(_spread(ms.given), prolongations=chains, also=NAMES)
    fields = ("kind", "size", "shape", "end", "ends", "finest", "operators", "base")
    also = (*fields, "labels", "matrix", "edges")
    yield "Topology", Calls(ms.Topology.from_config, config=NO_FIELDS, also=also)


def _graph_calls():
    for name in ("adjacency", "laplacian", "hop_distances", "Distances"):
        yield f"graphs.{name}", Calls(getattr(graphs, name), graph=NO_GRAPHS)
    for name in ("first", "second"):
        right = {"first": PATH, "second": PATH}
        wrong = {name: NO_GRAPHS}
        product = Calls(graphs.cross_product, right, also=("graph",), **wrong)
        yield "graphs.cross_product", product
    box = [(), *((x,) for x in NO_GRAPHS[:20]), *((PATH, x) for x in NO_GRAPHS[:20])]
    also = ("graph", "graphs")
    boxes = Calls(_spread(graphs.box_product), graphs=box, also=also)
    yield "graphs.box_product", boxes
    shapes = [*NO_SHAPES, (10**6, 10**6), (HUGE,), (10**30,), (2,) * 60]
    grid = Calls(
        _spread(graphs.grid_graph),
        {"shape": (2, 2)},
        shape=shapes,
        periodic=flags(),
    )
    yield "graphs.grid_graph", grid
    # A graph is checked before pyamg is asked for, and a matrix as a list is a graph.
    options = {"prolongation": names()}
    yield "graph", Calls(ms.graph, {"graph": PATH}, graph=NO_GRAPHS, **options)
    lineages = [[], [3], [PATH], [nx.path_graph(5)], [[]], 3, "ab", {}, PATH, [None]]
    lineages += [[nx.path_graph(3)] * 2, object(), NAN, [[[0, 1]]], True]
    right = {"graph": PATH, "prolongation": "optimal", "lineage": [nx.path_graph(2)]}
    optimal = Calls(
        ms.graph,
        right,
        lineage=lineages,
        s=numbers(-1, 1.5),
        cache=(3, 1.5, object(), [], True, NAN, 1j, "\0"),
    )
    yield "graph", optimal


def _searches():
    right = {"coarse": PATH, "fine": CYCLE, "s": 0.5, "most_starts": 1}
    starts = [*objects(none=False), np.zeros((8, 4)), np.ones((8, 4)), "", "no such"]
    starts += [np.full((8, 4), NAN), np.eye(4, 8), np.eye(8, 4) * 1j, [[1, 2], [3]]]
    starts += [np.eye(8, 4).astype(str), np.full((8, 4), INF)]
    yield (
        "optimal_prolongation",
        Calls(
            ms.optimal_prolongation,
            right,
            coarse=[*NO_GRAPHS, nx.path_graph(9)],
            fine=[*NO_GRAPHS, nx.path_graph(3)],
            s=numbers(-1, 1.5),
            alpha=numbers(0, -1),
            beta=numbers(0, -1, none=False),
            method=names(),
            start=starts,
            most_starts=integers(1, none=False),
            seed=integers(),
            # For ever is the default, as the only infinity that has a meaning.
            seconds=[x for x in numbers(-1) if not (isinstance(x, float) and x == INF)],
        ),
    )
    smaller = [*objects(), np.ones((3, 3)), np.zeros((4, 2)), np.full((4, 2), NAN)]
    smaller += [np.eye(2, 4), np.eye(9, 3), "ab", [[1], [2, 3]]]
    pairs = np.kron(np.eye(2), [[1], [1]]) / np.sqrt(2)
    right = right | {
        "fine": nx.path_graph(8),
        "start": "interpolated",
        "smaller": pairs,
    }
    wrong = {"smaller": smaller}
    yield "optimal_prolongation", Calls(ms.optimal_prolongation, right, **wrong)


def _schedule_calls():
    right = {"depth": 2}
    # A million visits are the bound, so a gamma of a thousand is past it.
    depths, gammas = integers(0, most=10**6), integers(1, most=10**6)
    both = {"depth": depths, "smoothing_steps": NO_STEPS}
    gamma = {"gamma": gammas, "variant": names()}
    cycles = Calls(schedules.gamma_cycle, right, **both, **gamma)
    yield "schedules.gamma_cycle", cycles
    yield "schedules.f_cycle", Calls(schedules.f_cycle, right, **both)
    yield "schedules.sawtooth", Calls(schedules.sawtooth, right, **both)
    # At most a million visits in all: a million cycles of seven are past that.
    full = {"gamma": gammas, "cycles": integers(1, most=1_000_000)}
    starts = [x for x in NO_STEPS if x is not None]
    calls = Calls(schedules.full_multigrid, right, **both, **full, start_steps=starts)
    yield "schedules.full_multigrid", calls
    for name in ("f_cycle", "full_multigrid"):
        deep = {"depth": [10**5, np.int64(10**5)], "also": ("visits",)}
        yield f"schedules.{name}", Calls(getattr(schedules, name), **deep)
    yield (
        "schedules.Growing",
        Calls(
            schedules.Growing,
            {"first": 4, "factor": 2},
            first=integers(1),
            factor=numbers(0, -1),
        ),
    )
    huge = [schedules.Growing(10**9, 1e300), schedules.Growing(2, 1e300)]
    growing = Calls(schedules.gamma_cycle, right, smoothing_steps=huge)
    yield "schedules.gamma_cycle", growing
    yield (
        "schedules.Growing",
        Calls(
            schedules.Growing(2, 1e300).at,
            level=integers(0, most=900),
            also=("factor",),
        ),
    )
    right, empty = {"cycle": ((0, 1),)}, ((), [], ((0, 0),))
    wrong = {"cycle": (*NO_VISITS, *empty), "start": NO_VISITS}
    yield "Schedule", Calls(ms.Schedule, right, **wrong)
    walk = ms.Schedule(((0, 2), (1, 3)))
    right = {"position": 0, "count": 1}
    take = Calls(walk.take, right, position=integers(), count=integers())
    yield "Schedule", take
    wrong = {"position": integers(), "cycles": integers(1)}
    yield "Schedule", Calls(walk.to_cycle_end, {"position": 0}, **wrong)
    yield "Schedule", Calls(walk.batches_at, level=integers(-1))
    yield (
        "Schedule",
        Calls(lambda position: next(walk.walk(position)), position=integers()),
    )
    visits = Calls(schedules.merged, visits=NO_VISITS)
    yield "schedules.merged", visits


def _costs():
    right = {"visits": [ms.Visit(0, 2)], "parameters": [10, 4]}
    visits = [*NO_VISITS, [ms.Visit(2, 1)], [ms.Visit(0, NAN)]]
    wrong = {"visits": visits, "parameters": NO_SHARES, "batch_size": integers(1)}
    yield "cost.cost", Calls(cost.cost, right, **wrong)
    yield "cost.shares", Calls(cost.shares, parameters=NO_SHARES)
    right = {"costs": [0, 1], "errors": [1.0, 0.5]}
    both = {"costs": NO_COSTS, "errors": NO_ERRORS}
    to_target = Calls(cost.cost_to_target, right | {"target": 1}, **both)
    to_target.wrong["target"] = numbers()
    yield "cost.cost_to_target", to_target
    yield (
        "cost.cost_to_fraction",
        Calls(cost.cost_to_fraction, right, **both, fraction=numbers(0, -1, 2)),
    )


def _hierarchies():
    chain = ms.MultilevelDense(8, depth=1).output_chain
    weights = [*objects(), [1], ["ab"], "ab", [None], [(1, 2, 3)], [chain], {}]
    weights += [[Weight("a", chain, 3)], [Weight("a", None, chain)]]
    right = {"weights": [Weight("a", chain, chain)]}
    hierarchy = Calls(ms.Hierarchy, right, weights=weights, other_parameters=integers())
    yield "Hierarchy", hierarchy
    plain = ms.multilevel(_dense(), depth=1).hierarchy
    yield "Hierarchy", Calls(plain.sizes, level=integers(0, most=1))
    wrong = [*objects(), schedules.gamma_cycle(3), "ab", schedules.gamma_cycle]
    yield "Hierarchy", Calls(plain.cycle_complexity, schedule=wrong, also=("depth",))


def _dense():
    import keras

    return keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])


def _starts():
    ends = ("input_topology", "output_topology")

    def draw(shape=(8, 8), dtype=None, **options):
        return ms.initializers.Multilevel(**{"depth": 1} | options)(shape, dtype)

    shapes = [3, None, "ab", (), (8,), (8, 8, 8), (8, -8), (8, 0), (8, 1.5), (8, NAN)]
    shapes += [(8, None), (8, "8"), (True, 8), 1j, object(), {}, [8]]
    yield (
        "initializers.Multilevel",
        Calls(
            draw,
            depth=integers(0, most=20),
            seed=integers(0, none=False),
            base=[
                3,
                "no such",
                1.5,
                [],
                object(),
                NAN,
                True,
                None,
                {},
                {"class_name": 3},
            ],
            shape=shapes,
            dtype=["no such", 3, object(), "int8x", [], 1j],
            **dict.fromkeys(ends, NO_TOPOLOGIES),
        ),
    )


def plain_calls():
    """Name and calls of each function, in order."""
    rooms = (_topology_makers, _graph_calls, _searches, _schedule_calls, _costs)
    for room in (*rooms, _hierarchies, _starts):
        yield from room()
