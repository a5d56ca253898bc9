"""Graphs: closed forms, products, distances as an operator, refusals."""

import time

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrices import spectrum
from random_graphs import random_graph
from scipy import sparse

from msann import graphs
from msann.graphs import Distances, adjacency, grid_graph

close = np.testing.assert_allclose


def lattice(graph):
    """Shape and whether periodic, of what is seen to be a lattice."""
    return Distances(graph).lattice


# ----------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("n", [2, 3, 8, 13])
def test_spectra_of_paths_and_cycles(n):
    k = np.arange(n)
    close(spectrum(nx.path_graph(n)), np.sort(2 * np.cos(np.pi * k / n) - 2),
          atol=1e-12)  # fmt: skip
    if n > 2:  # a ring of two is a single edge
        expected = np.sort(2 * np.cos(2 * np.pi * k / n) - 2)
        close(spectrum(nx.cycle_graph(n)), expected, atol=1e-12)


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


def test_a_single_vertex_may_have_a_loop():
    close(graphs.laplacian(np.ones((1, 1))).toarray(), [[0]])


# -------------------------------------------------------------------------- products


@pytest.mark.thorough
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
def test_products_are_networkxs(n, m, seed):
    G, H = random_graph(n, seed), random_graph(m, seed + 1)
    order = [(u, v) for u in G for v in H]
    box = nx.to_numpy_array(nx.cartesian_product(G, H), nodelist=order)
    close(graphs.box_product(G, H).toarray(), box)
    cross = nx.to_numpy_array(nx.tensor_product(G, H), nodelist=order)
    close(graphs.cross_product(G, H).toarray(), cross)
    L1, L2 = (graphs.laplacian(graph).toarray() for graph in (G, H))
    L = np.kron(L1, np.eye(m)) + np.kron(np.eye(n), L2)
    close(graphs.laplacian(graphs.box_product(G, H)).toarray(), L)


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
    with pytest.raises(ValueError, match="dense"):  # no lattice, so a matrix is needed
        Distances(star)
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
    "negative": ([[0, -1], [-1, 0]], "non-negative weights.*Received: -1"),
    "NaN": (
        [[0, np.nan], [np.nan, 0]],
        "`graph` must hold finite numbers. Received: 2 entries",
    ),
    "loop": ([[1, 1], [1, 0]], r"no self-loops.*nodes \[0\]"),
    "not square": (np.ones((2, 3)), r"square matrix. Received: shape \(2, 3\)"),
    "empty": (nx.Graph(), "must have a node"),
    "no rows": ([], r"square matrix. Received: shape \(0,\)"),
    "one axis": (np.ones(3), r"square matrix. Received: shape \(3,\)"),
    "strings": (["ab", "cd"], "`graph` must be an array of real numbers.*'ab'"),
    "ragged": ([[0, 1], [1]], "`graph` must be an array of real numbers"),
    "complex": (np.array([[0, 1j], [-1j, 0]]), "array of real numbers"),
    "sparse complex": (sparse.eye_array(2, dtype=complex), "real numbers.*complex128"),
    "huge": ([[0, 1e300], [1e300, 0]], r"at most 1e\+60. Received: 1e\+300 to 1e\+300"),
    "named weights": (nx.Graph([(0, 1, {"weight": "a"})]), "numbers as edge weights"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refuses(name):
    graph, message = REFUSALS[name]
    with pytest.raises(ValueError, match=message):
        adjacency(graph)


def test_refuses_other_things_by_type():
    with pytest.raises(TypeError, match="networkx graph or a matrix. Received: str"):
        adjacency("path")


@pytest.mark.parametrize("side", [0, -1, 2.0, True, "3", None, np.nan])
def test_refuses_sides(side):
    with pytest.raises(ValueError, match=r"`shape\[1\]` must be an integer >= 1"):
        grid_graph(2, side)


def test_refuses_what_makes_no_product():
    with pytest.raises(ValueError, match="`shape` must be the number of nodes along"):
        grid_graph()
    with pytest.raises(ValueError, match="`graphs` must be at least one graph"):
        graphs.box_product()
    with pytest.raises(TypeError, match=r"`graphs\[1\]` must be a networkx graph"):
        graphs.box_product(nx.path_graph(2), 3)
    with pytest.raises(ValueError, match="`periodic` must be True or False"):
        grid_graph(3, periodic="no")


def test_absurd_products_are_refused_at_once():
    began = time.perf_counter()
    path = nx.path_graph(10**4)
    for make in (
        lambda: grid_graph(10**6, 10**6),
        lambda: grid_graph(10**30),
        lambda: grid_graph(*[2] * 64),
        lambda: graphs.box_product(path, path),
        lambda: graphs.cross_product(path, path),
    ):
        with pytest.raises(ValueError, match="at most 33,554,432 nodes and edges"):
            make()
    assert time.perf_counter() - began < 5
    assert grid_graph(*[1] * 100).shape == (1, 1)


def test_numpys_integers_are_sides():
    assert (grid_graph(np.int64(2), np.uint8(3)) != grid_graph(2, 3)).nnz == 0


def test_refuses_dense_matrices_that_are_too_large():
    chain = sparse.diags_array([np.ones(49_999)] * 2, offsets=[-1, 1])
    star = sparse.lil_array((50_000, 50_000))
    star[0, 1:] = star[1:, [0]] = 1
    assert Distances(chain).lattice == ((50_000,), False)  # needs no matrix
    with pytest.raises(ValueError, match=r"50,000 nodes.*take 18.6 GiB"):
        Distances(star)
