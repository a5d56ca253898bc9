"""Graphs: closed forms, products, distances as an operator, refusals."""

import time

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from msann import graphs
from msann.graphs import Distances, adjacency, grid_graph, lattice

close = np.testing.assert_allclose


def random_graph(n, seed):
    """Connected: a random tree and some edges more."""
    graph = nx.random_labeled_tree(n, seed=seed)
    extra = nx.gnp_random_graph(n, 0.3, seed=seed)
    return nx.compose(graph, extra)


# ----------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("n", [2, 3, 8, 13])
def test_spectra_of_paths_and_cycles(n):
    k = np.arange(n)
    close(graphs.spectrum(nx.path_graph(n)), np.sort(2 * np.cos(np.pi * k / n) - 2),
          atol=1e-12)  # fmt: skip
    if n > 2:  # a ring of two is a single edge
        expected = np.sort(2 * np.cos(2 * np.pi * k / n) - 2)
        close(graphs.spectrum(nx.cycle_graph(n)), expected, atol=1e-12)


@given(st.integers(2, 9), st.integers(0, 99))
def test_laplacians_are_laplacians(n, seed):
    L = graphs.laplacian(random_graph(n, seed)).toarray()
    close(L, L.T)
    close(L.sum(axis=1), 0, atol=1e-12)
    values = np.linalg.eigvalsh(L)
    assert values[-1] == pytest.approx(0, abs=1e-9)
    assert (values[:-1] < -1e-9).all()  # connected: 0 only once


def test_a_ring_of_two_is_one_edge():
    close(grid_graph(2, periodic=True).toarray(), [[0, 1], [1, 0]])


def test_the_first_graph_of_a_lineage_is_a_loop():
    for name in graphs.LINEAGES:
        first = graphs.lineage(name, 0)
        close(first.toarray(), [[1]])
        close(graphs.laplacian(first).toarray(), [[0]])


def test_sizes_and_edges_of_lineages_at_level_3():
    found = {}
    for name in graphs.LINEAGES:
        A = graphs.lineage(name, 3)
        found[name] = A.shape[0], int(A.sum() / 2)
    assert found == {
        "path": (8, 7),
        "cycle": (8, 8),
        "grid": (64, 2 * 8 * 7),
        "torus": (64, 2 * 64),
        "complete": (8, 28),
        "star": (8, 7),
        "hypercube": (8, 12),
        "tree": (15, 14),
    }


# -------------------------------------------------------------------------- products


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
def test_products_are_networkxs(n, m, seed):
    G, H = random_graph(n, seed), random_graph(m, seed + 1)
    order = [(u, v) for u in G for v in H]
    box = nx.to_numpy_array(nx.cartesian_product(G, H), nodelist=order)
    close(graphs.box_product(G, H).toarray(), box)
    cross = nx.to_numpy_array(nx.tensor_product(G, H), nodelist=order)
    close(graphs.cross_product(G, H).toarray(), cross)
    L = graphs.kronecker_sum(graphs.laplacian(G), graphs.laplacian(H))
    close(graphs.laplacian(graphs.box_product(G, H)).toarray(), L.toarray())


# ------------------------------------------------------------------------- distances

SHAPES = [(2,), (7,), (8,), (3, 4), (4, 4), (5, 2), (2, 3, 4), (3, 3, 3)]


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_distances_on_lattices_are_the_shortest_paths(shape, periodic):
    A = grid_graph(*shape, periodic=periodic)
    T, expected = Distances(A), graphs.hop_distances(A)
    assert T.lattice is not None
    close(T.toarray(), expected, atol=1e-12)
    X = np.random.default_rng(len(shape)).standard_normal((T.shape[0], 3))
    close(T @ X, expected @ X, atol=1e-11)


def test_lattices_are_recognised_and_others_are_not():
    assert lattice(nx.path_graph(9)) == ((9,), False)
    assert lattice(nx.cycle_graph(9)) == ((9,), True)
    assert lattice(grid_graph(4, 6)) == ((4, 6), False)
    assert lattice(grid_graph(4, 6, periodic=True)) == ((4, 6), True)
    assert lattice(grid_graph(2, 3, 4, periodic=True)) == ((2, 3, 4), True)
    order = np.random.default_rng(0).permutation(12)
    shuffled = grid_graph(3, 4).toarray()[order][:, order]
    assert lattice(shuffled) is None
    close(Distances(shuffled) @ np.eye(12), graphs.hop_distances(shuffled))
    assert lattice(2 * grid_graph(3, 4)) is None  # other weights, same distances
    assert lattice(nx.star_graph(4)) is None


@pytest.mark.parametrize("hub", [0, 7])
def test_hubs_are_no_lattices_at_once(hub):
    """Thousands of neighbours would be thousands of ways to read them as axes."""
    n = 50_000
    star = sparse.lil_array((n, n))
    star[hub, :] = 1
    star[:, [hub]] = 1
    star[hub, hub] = 0
    began = time.perf_counter()
    assert lattice(star) is None
    assert lattice(nx.complete_graph(300)) is None
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("d", [1, 2, 5, 10])
def test_hypercubes_are_lattices(d):
    shape, _ = lattice(grid_graph(*[2] * d))
    assert np.prod(shape) == 2**d
    shape, periodic = lattice(grid_graph(*[3] * min(d, 6), periodic=True))
    assert (shape, periodic) == ((3,) * min(d, 6), True)


# -------------------------------------------------------------------------- refusals

REFUSALS = {
    "disconnected": (np.zeros((2, 2)), "connected. Received: 2 nodes in 2 components"),
    "directed": (nx.DiGraph([(0, 1)]), "`graph` must be undirected"),
    "not symmetric": ([[0, 1], [2, 0]], "must be symmetric.*off by 1"),
    "negative": ([[0, -1], [-1, 0]], "non-negative weights. Received: -1"),
    "NaN": ([[0, np.nan], [np.nan, 0]], "NaN or infinite"),
    "loop": ([[1, 1], [1, 0]], r"no self-loops.*nodes \[0\]"),
    "not square": (np.ones((2, 3)), r"square matrix. Received: shape \(2, 3\)"),
    "empty": (nx.Graph(), "must have a node"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refuses(name):
    graph, message = REFUSALS[name]
    with pytest.raises(ValueError, match=message):
        adjacency(graph)


def test_refuses_other_things_by_type():
    with pytest.raises(TypeError, match="networkx graph or a matrix. Received: str"):
        adjacency("path")
    with pytest.raises(ValueError, match="one of.*'path'.*name='wheel'"):
        graphs.lineage("wheel", 2)
    with pytest.raises(ValueError, match="level=-1"):
        graphs.lineage("path", -1)
    with pytest.raises(ValueError, match=r"positive integers. Received: shape=\(0,\)"):
        grid_graph(0)


def test_refuses_dense_matrices_that_are_too_large():
    chain = sparse.diags_array([np.ones(49_999)] * 2, offsets=[-1, 1])
    star = sparse.lil_array((50_000, 50_000))
    star[0, 1:] = star[1:, [0]] = 1
    assert Distances(chain).lattice == ((50_000,), False)  # needs no matrix
    with pytest.raises(ValueError, match=r"50,000 nodes.*take 18.6 GiB"):
        Distances(star)
