"""Optimal prolongations: certificates, saddles, starts, refusals."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_graphs import random_graph

from msann_keras import graphs
from msann_keras.prolongation.objective import Objective, polar
from msann_keras.prolongation.optimize import greedy_start, optimal_prolongation
from msann_keras.prolongation.trust_region import (
    Rotated,
    least_eigenvalue,
    minimise,
)

PATHS = nx.path_graph(4), nx.path_graph(8)


def orthonormal(P):
    np.testing.assert_allclose(P.T @ P, np.eye(P.shape[1]), atol=1e-12)


# ---------------------------------------------------------------- one term is exact


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999), st.sampled_from([0, 1]))
def test_no_search_beats_the_assignment_and_one_reaches_it(seed, s):
    """F1: over the whole manifold, not only over matchings."""
    n1 = 2 + seed % 4
    pair = random_graph(n1, seed), random_graph(n1 + 1 + seed % 3, seed + 1)
    found = optimal_prolongation(*pair, s=s, alpha=0.7, beta=0.6)
    orthonormal(found.P)
    assert found.certified
    E = Objective(*pair, s=s, alpha=0.7, beta=0.6)
    assert found.value == pytest.approx(E(found.P), rel=1e-12)
    searched = optimal_prolongation(
        *pair, s=s, alpha=0.7, beta=0.6, method="trust region", seed=seed
    )
    scale = 1e-9 * max(found.value, 1)
    assert searched.value >= found.value - scale
    assert searched.value == pytest.approx(found.value, rel=1e-6, abs=1e-6)
    assert not searched.certified


@pytest.mark.parametrize(
    "shape",
    [(6,), (4, 3), (2, 2), (3,)],
)
@pytest.mark.parametrize("s", [0, 0.25, 0.7, 1])
def test_tori_are_certified_at_every_s(shape, s):
    fine = tuple(2 * n for n in shape)
    pair = [graphs.grid_graph(*x, periodic=True) for x in (shape, fine)]
    found = optimal_prolongation(*pair, s=s)
    orthonormal(found.P)
    assert found.certified
    assert found.gradient_norm < 1e-8 * max(found.value, 1)
    searched = optimal_prolongation(*pair, s=s, method="trust region")
    assert searched.value >= found.value * (1 - 1e-9) - 1e-9


def test_a_hypercube_commutes_too():
    found = optimal_prolongation(
        graphs.lineage("hypercube", 2), graphs.lineage("hypercube", 3), s=0.5
    )
    assert found.certified


# ------------------------------------------------------------------- the trust region


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999), st.floats(0.1, 0.9))
def test_ends_at_a_minimum(seed, s):
    n1 = 2 + seed % 4
    pair = random_graph(n1, seed), random_graph(2 * n1, seed + 1)
    found = optimal_prolongation(*pair, s=s, seed=seed, method="trust region")
    orthonormal(found.P)
    assert not found.certified
    E = Objective(*pair, s=s)
    scale = Rotated(E).scale
    assert found.gradient_norm < 1e-8 * scale
    assert found.least_hessian_eigenvalue > -1e-6 * scale
    assert found.value <= min(E(P) for P in starts_of(E))


def starts_of(E):
    return [greedy_start(E, term) for term in (E.diffusion, E.locality)]


def test_the_pair_matrix_is_a_saddle_that_is_left():
    """A solver that starts on it at s = 1 would stop at once, with gradient 0."""
    pairs = np.kron(np.eye(4), [[1], [1]]) / np.sqrt(2)
    E = Objective(*PATHS, s=1)
    M = Rotated(E)
    assert np.linalg.norm(E.riemannian_gradient(pairs)) < 1e-9
    stuck = minimise(E, pairs, M)
    assert (stuck.iterations, stuck.reason) == (0, "gradient")
    least, direction = least_eigenvalue(M, pairs)
    assert least < -1
    np.testing.assert_allclose(
        E.riemannian_hessian(pairs)(direction), least * direction, atol=1e-8
    )
    found = optimal_prolongation(*PATHS, s=1, method="trust region", start=pairs)
    assert found.value == pytest.approx(62.474817, abs=1e-6)


def test_the_iterative_least_eigenvalue_is_the_dense_one():
    E = Objective(
        graphs.grid_graph(3, 3), graphs.grid_graph(6, 6), s=0.5
    )  # 324 entries
    M = Rotated(E)
    P = polar(np.random.default_rng(2).standard_normal(E.shape))
    least, direction = least_eigenvalue(M, P)
    hessian = E.riemannian_hessian(P)
    basis = np.eye(P.size).reshape(-1, *P.shape)
    dense = np.array(
        [hessian(Z - P @ ((P.T @ Z + Z.T @ P) / 2)).ravel() for Z in basis]
    )
    expected = np.linalg.eigvalsh((dense + dense.T) / 2)[0]
    assert least == pytest.approx(expected, rel=1e-2)
    assert np.sum(direction * hessian(direction)) == pytest.approx(expected, rel=1e-2)


def test_time_is_kept():
    found = optimal_prolongation(
        nx.path_graph(32), nx.path_graph(64), s=0.5, seconds=0.0
    )
    assert found.reason == "time"
    orthonormal(found.P)
    assert np.isnan(found.least_hessian_eigenvalue)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "newton"}, "`method` must be.*method='newton'"),
        ({"method": "assignment"}, "exact for s = 0, s = 1.*s=0.5"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        optimal_prolongation(*PATHS, s=0.5, **options)


def test_refuses_50_000_nodes_with_the_size_that_they_need():
    with pytest.raises(ValueError, match=r"50,000 nodes.*18.6 GiB"):
        optimal_prolongation(nx.path_graph(4), graphs.grid_graph(50_000), s=0.5)
