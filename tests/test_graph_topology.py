"""Graphs as topologies: aggregates, optimal P and its cache, and training on one."""

import json
import sys

import keras
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import dense
from scipy import sparse

import msann_keras as ms
from msann.graphs import adjacency
from msann.optimal.cache import cached, digest
from msann.optimal.objective import Objective
from msann.topology import Topology, chain, graph_topology
from msann.topology.graph_topology import aggregates

close = np.testing.assert_allclose


def geometric(n, seed=0):
    """A connected random geometric graph: the nearest ones are tied to the rest."""
    G = nx.random_geometric_graph(n, 1.5 * np.sqrt(1 / n), seed=seed)
    parts = [min(part) for part in nx.connected_components(G)]
    nx.add_path(G, parts)
    return G


@st.composite
def graphs(draw):
    n, seed = draw(st.integers(2, 40)), draw(st.integers(0, 99))
    kind = draw(st.sampled_from(["geometric", "tree", "star", "weighted"]))
    if kind == "star":
        return nx.star_graph(n)
    if kind == "tree":
        return nx.random_labeled_tree(n, seed=seed)
    G = geometric(n, seed)
    if kind == "weighted":
        rng = np.random.default_rng(seed)
        for *_, data in G.edges(data=True):
            data["weight"] = rng.uniform(0.01, 9)
    return G


# ------------------------------------------------------------------------ aggregates


@given(graphs())
def test_nobody_is_alone_and_aggregates_are_connected(G):
    labels = aggregates(adjacency(G))
    nodes = list(G)
    for label in range(labels.max() + 1):
        members = [nodes[i] for i in np.flatnonzero(labels == label)]
        assert len(members) >= 2
        assert nx.is_connected(G.subgraph(members))


@given(graphs())
@settings(max_examples=30)
def test_every_composite_keeps_constants(G):
    c = chain(ms.graph(G), ms.graph(G).max_depth)
    assert c.sizes[-1] == 1
    for P in c.composites:
        close(dense(P).T @ dense(P), np.eye(P.shape[1]), atol=1e-12)
        ones = np.ones(P.shape[0])
        close(P.prolong(P.restrict(ones)), ones, atol=1e-12)


def test_quotient_graphs_by_hand():
    # Two triangles and a heavy edge in each make pairs; what is alone joins.
    G = nx.Graph()
    G.add_weighted_edges_from([(0, 1, 9), (1, 2, 1), (2, 3, 2), (3, 4, 9)])
    space = ms.graph(G)
    P, coarser = space.coarsen()
    labels = P.labels
    assert labels[0] == labels[1] != labels[3] == labels[4]
    assert labels[2] == labels[3]  # its strongest neighbour
    close(P.weights**2, [1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3])
    assert coarser.edges[0] == ((0, 1, 1.0),)
    # Weights of the last step: 2 and 3 of the 5 original nodes.
    close(np.sort(coarser.operators[0].weights ** 2), [2 / 5, 3 / 5])


def test_graphs_and_matrices_are_the_same():
    G = geometric(20)
    matrix = nx.to_scipy_sparse_array(G, dtype=float)
    assert ms.graph(G) == ms.graph(matrix) == ms.graph(sparse.coo_matrix(matrix))
    assert hash(ms.graph(G)) == hash(ms.graph(matrix))
    assert ms.graph(G) != ms.graph(geometric(20, seed=1))


# ------------------------------------------------------------------------ optimal P


def test_optimal_is_optimal_between_neighbours(tmp_path):
    space = ms.graph(geometric(24), prolongation="optimal", s=0.0, cache=tmp_path)
    plain = ms.graph(geometric(24))
    assert space.edges == plain.edges
    for level in range(2):
        matrices = [_matrix(space, level + 1), _matrix(space, level)]
        E = Objective(*matrices, s=0.0)
        found, pairs = space.operators[level], plain.operators[level]
        close(np.linalg.norm(E.riemannian_gradient(found.matrix())), 0, atol=1e-8)
        assert E(found.matrix()) < E(pairs.matrix())


def _matrix(space, level):
    n = space.operators[level].shape[0]
    i, j, w = zip(*space.edges[level], strict=True)
    upper = sparse.coo_array((w, (i, j)), shape=(n, n))
    return sparse.csr_array(upper + upper.T)


def test_a_lineage_is_taken_as_given(tmp_path):
    lineage = [nx.cycle_graph(6), nx.cycle_graph(3)]
    space = ms.graph(
        nx.cycle_graph(12), prolongation="optimal", s=0, lineage=lineage, cache=tmp_path
    )
    assert chain(space, 2).sizes == (12, 6, 3)
    E = Objective(nx.cycle_graph(6), nx.cycle_graph(12), s=0)
    assert E(space.operators[0].matrix()) == pytest.approx(0, abs=1e-20)


def test_the_cache_answers_the_second_time(tmp_path, monkeypatch):
    wanted = {"prolongation": "optimal", "cache": tmp_path}
    first = ms.graph(geometric(12), **wanted)

    def refuse(*args, **kwargs):
        raise AssertionError("computed again")

    monkeypatch.setattr(graph_topology, "optimal_prolongation", refuse)
    assert ms.graph(geometric(12), **wanted) == first
    with pytest.raises(AssertionError, match="computed again"):
        ms.graph(geometric(12), s=0.5, **wanted)


def test_a_folder_that_cannot_be_written_loses_no_matrix(tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="could not be kept.*MSANN_KERAS_CACHE"):
        found = cached("key", lambda: np.eye(2), lambda P: True, tmp_path / "file")
    close(found, np.eye(2))


@pytest.mark.parametrize(
    "damage", [b"", b"\x93NUMPY rubbish", b"PK\x03\x04 no archive", None]
)
def test_a_damaged_file_is_written_anew(tmp_path, damage):
    matrix = np.eye(4)[:, :2]
    key = digest("test")
    file = tmp_path / f"{key}.npy"
    if damage is None:
        np.save(file, np.full((4, 2), np.nan))
    else:
        file.write_bytes(damage)

    def valid(P):
        return P.shape == (4, 2) and np.allclose(P.T @ P, np.eye(2))

    close(cached(key, lambda: matrix, valid, tmp_path), matrix)
    close(np.load(file), matrix)
    assert [x.name for x in tmp_path.iterdir()] == [file.name]


def test_a_failure_leaves_no_file(tmp_path):
    def fail():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cached("key", fail, lambda P: True, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_environment_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MSANN_KERAS_CACHE", str(tmp_path / "here"))
    ms.graph(nx.path_graph(4), prolongation="optimal")
    assert len(list((tmp_path / "here").glob("*.npy"))) == 2


def test_digests_tell_content_apart():
    parts = [(1, 2), (12,), ("1", "2"), (np.arange(2),), (np.arange(2.0),)]
    parts += [(np.zeros((2, 3)),), (np.zeros((3, 2)),)]
    assert len({digest(*x) for x in parts}) == len(parts)


# ---------------------------------------------------------------------------- config


@pytest.mark.parametrize("prolongation", ["aggregation", "optimal"])
def test_config_survives_json(prolongation, tmp_path):
    space = ms.graph(geometric(15), prolongation=prolongation, cache=tmp_path)
    copy = Topology.from_config(json.loads(json.dumps(space.get_config())))
    assert copy == space
    assert copy.get_config() == space.get_config()
    for P, Q in zip(copy.operators, space.operators, strict=True):
        np.testing.assert_array_equal(dense(P), dense(Q))


# -------------------------------------------------------------------------- training


def autoencoder(n):
    return keras.Sequential(
        [
            keras.Input((n,)),
            keras.layers.Dense(n, activation="tanh", name="hidden"),
            keras.layers.Dense(n, name="out"),
        ]
    )


def smooth_signals(G, count):
    """Random signals of low frequency on the graph."""
    _, U = np.linalg.eigh(nx.laplacian_matrix(G).toarray().astype(float))
    rng = np.random.default_rng(0)
    return (rng.normal(size=(count, 5)) @ U[:, :5].T).astype("float32")


@pytest.mark.thorough
@pytest.mark.parametrize("coarsen_data", [False, True])
def test_a_model_trains_on_a_graph(coarsen_data, tmp_path):
    keras.utils.set_random_seed(0)
    G = geometric(48)
    model = ms.multilevel(autoencoder(48), depth=2, topology=G)
    x = smooth_signals(G, 256)
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="mse")
    before = model.evaluate(x, x, verbose=0)
    cycles = ms.CycleSchedule(gamma=1, smoothing_steps=2, coarsen_data=coarsen_data)
    model.fit(x, x, batch_size=32, epochs=10, verbose=0, callbacks=[cycles])
    after = model.evaluate(x, x, verbose=0)
    assert after < before / 2

    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    close(again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)
    again.fit(x, x, batch_size=32, epochs=1, verbose=0, callbacks=[cycles])


@pytest.mark.thorough
def test_optimal_prolongations_train_too(tmp_path):
    keras.utils.set_random_seed(0)
    G = geometric(24)
    space = ms.graph(G, prolongation="optimal", cache=tmp_path)
    model = ms.multilevel(autoencoder(24), depth=2, topology=space)
    x = smooth_signals(G, 128)
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="mse")
    before = model.evaluate(x, x, verbose=0)
    cycles = ms.CycleSchedule(gamma=1, smoothing_steps=2)
    model.fit(x, x, batch_size=32, epochs=10, verbose=0, callbacks=[cycles])
    assert model.evaluate(x, x, verbose=0) < before / 2


def test_a_graph_is_for_the_spaces_of_its_size():
    plain = keras.Sequential(
        [keras.Input((20,)), keras.layers.Dense(6, name="a"), keras.layers.Dense(20)]
    )
    matrix = nx.to_scipy_sparse_array(geometric(20))
    model = ms.multilevel(plain, depth=1, topology=matrix)
    assert model.get_layer("a").input_topology == ms.graph(matrix)
    assert model.get_layer("a").output_topology == ms.path(6)
    named = ms.multilevel(plain, depth=1, topology={"a": nx.star_graph(5)})
    assert named.get_layer("a").output_topology == ms.graph(nx.star_graph(5))


# -------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prolongation": "band"}, "'aggregation', 'optimal'.*'band'"),
        ({"prolongation": []}, r"'aggregation', 'optimal'.*\[\]"),
        ({"s": np.nan}, "`s` must be a finite number in 0 .. 1.*nan"),
        ({"s": "1"}, "`s` must be a finite number in 0 .. 1.*'1'"),
        ({"cache": 3}, "`cache` must be a folder or None.*3"),
        ({"prolongation": "optimal", "lineage": []}, r"`lineage` must be .*=\[\]"),
        ({"prolongation": "optimal", "lineage": 3}, "`lineage` must be a sequence"),
        ({"prolongation": "optimal", "lineage": "ab"}, "`lineage` must be a sequence"),
        (
            {"prolongation": "optimal", "lineage": nx.path_graph(4)},
            "`lineage` must be a sequence of one graph or more",
        ),
        (
            {"prolongation": "optimal", "lineage": [nx.empty_graph(2)]},
            r"`lineage\[0\]` must be connected",
        ),
        ({"lineage": [nx.path_graph(4)]}, "`lineage` needs prolongation='optimal'"),
        (
            {"prolongation": "optimal", "lineage": [nx.path_graph(8)]},
            r"smaller and smaller.*\[8, 8\]",
        ),
    ],
)
def test_refuses_options(options, message):
    with pytest.raises(ValueError, match=message):
        ms.graph(nx.path_graph(8), **options)


@pytest.mark.parametrize(
    "fields",
    [{"size": 3}, {"size": None}, {"edges": []}, {"edges": [[[0, 1]]]}, {"edges": 3},
     {"operators": []}, {"edges": [["ab"], []]}],
)  # fmt: skip
def test_refuses_a_config_that_does_not_fit(fields):
    config = ms.graph(nx.path_graph(2)).get_config() | fields
    with pytest.raises(ValueError, match="GraphTopology|`(size|edges)` must be"):
        Topology.from_config(config)


def test_refuses_a_dense_matrix_that_is_too_large():
    with pytest.raises(ValueError, match=r"at most 2,048.*50,000 nodes.*18\.63 GiB"):
        ms.graph(nx.path_graph(50_000), prolongation="optimal")


def test_refuses_a_graph_in_parts():
    with pytest.raises(ValueError, match="connected"):
        ms.graph(nx.empty_graph(4))


def test_refuses_a_graph_of_another_size():
    with pytest.raises(ValueError, match="as many nodes"):
        ms.multilevel(autoencoder(8), depth=1, topology=nx.path_graph(9))


def test_names_the_extra_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyamg.aggregation.aggregate", None)
    with pytest.raises(ImportError, match=r"msann-keras\[prolongation\]"):
        ms.graph(nx.path_graph(4))
