"""Optimal prolongations: certificates, saddles, starts, refusals."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import assert_orthonormal, riemannian_hessian
from random_graphs import random_graph

from msann import graphs
from msann.optimal import curvature, starts
from msann.optimal.curvature import least_eigenvalue
from msann.optimal.descents import settled
from msann.optimal.objective import Objective, polar, tangent
from msann.optimal.search import optimal_prolongation
from msann.optimal.spectral import SpectralForm
from msann.optimal.trust_region import Minimum, minimise

PATHS = nx.path_graph(4), nx.path_graph(8)


# ---------------------------------------------------------------- one term is exact


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999), st.sampled_from([0, 1]))
def test_no_search_beats_the_assignment_and_one_reaches_it(seed, s):
    """F1: over the whole manifold, not only over matchings."""
    n1 = 2 + seed % 4
    pair = random_graph(n1, seed), random_graph(n1 + 1 + seed % 3, seed + 1)
    found = optimal_prolongation(*pair, s=s, alpha=0.7, beta=0.6)
    assert_orthonormal(found.P)
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
    assert_orthonormal(found.P)
    assert found.certified
    assert found.gradient_norm < 1e-8 * max(found.value, 1)
    searched = optimal_prolongation(*pair, s=s, method="trust region")
    assert searched.value >= found.value * (1 - 1e-9) - 1e-9


def test_a_hypercube_commutes_too():
    found = optimal_prolongation(
        graphs.grid_graph(2, 2), graphs.grid_graph(2, 2, 2), s=0.5
    )
    assert found.certified


# ------------------------------------------------------------------- the trust region


@pytest.mark.thorough
@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999), st.floats(0.1, 0.9))
def test_ends_at_a_minimum(seed, s):
    n1 = 2 + seed % 4
    pair = random_graph(n1, seed), random_graph(2 * n1, seed + 1)
    found = optimal_prolongation(*pair, s=s, seed=seed, method="trust region")
    assert_orthonormal(found.P)
    assert not found.certified
    E = Objective(*pair, s=s)
    scale = SpectralForm(E).scale
    assert found.gradient_norm < 1e-8 * scale
    assert found.least_hessian_eigenvalue > -1e-6 * scale
    # A start that is optimal already may be below by a rounding error.
    assert found.value <= min(E(P) for P in starts_of(E)) + 1e-15 * scale


def starts_of(E):
    return [starts.greedy(E, term) for term in (E.diffusion, E.locality)]


def test_the_pair_matrix_is_a_saddle_that_is_left():
    """A solver that starts on it at s = 1 would stop at once, with gradient 0."""
    pairs = np.kron(np.eye(4), [[1], [1]]) / np.sqrt(2)
    E = Objective(*PATHS, s=1)
    form = SpectralForm(E)
    assert np.linalg.norm(E.riemannian_gradient(pairs)) < 1e-9
    stuck = minimise(form, pairs)
    assert (stuck.iterations, stuck.reason) == (0, "gradient")
    least, direction = least_eigenvalue(form, pairs)
    assert least < -1
    np.testing.assert_allclose(
        riemannian_hessian(E, pairs)(direction), least * direction, atol=1e-8
    )
    found = optimal_prolongation(*PATHS, s=1, method="trust region", start=pairs)
    assert found.value == pytest.approx(62.474817, abs=1e-6)


def test_a_large_saddle_is_seen():
    """Preconditioning alone would hide it behind directions that are nearly flat."""
    n = 32
    form = SpectralForm(Objective(nx.path_graph(n), nx.path_graph(2 * n), s=1))
    pairs = np.kron(np.eye(n), [[1], [1]]) / np.sqrt(2)
    least, direction = least_eigenvalue(form, pairs)
    assert least < -1
    lower = polar(pairs + 0.1 * direction)
    assert form.value(lower) < form.value(pairs) * (1 - 1e-9)


@pytest.mark.parametrize("where", ["anywhere", "minimum"])
def test_the_iterative_least_eigenvalue_is_the_dense_one(where, monkeypatch):
    form = SpectralForm(Objective(nx.path_graph(8), nx.path_graph(16), s=0.5))
    P = polar(np.random.default_rng(2).standard_normal(form.shape))
    if where == "minimum":
        P = minimise(form, P).P
    expected, vector = least_eigenvalue(form, P)
    monkeypatch.setattr(curvature, "DENSE", 0)
    least, direction = least_eigenvalue(form, P, iterations=200)
    assert least >= expected - 1e-9 * form.scale
    assert least == pytest.approx(expected, rel=1e-2, abs=1e-6 * form.scale)
    for value, Z in ((expected, vector), (least, direction)):
        Q, Z = form.enter(P), form.enter(Z)
        assert np.linalg.norm(Z) == pytest.approx(1)
        np.testing.assert_allclose(Q.T @ Z + Z.T @ Q, 0, atol=1e-9)
        HZ = form.hessian(Q, form.gradient(Q))(Z)
        assert np.vdot(Z, HZ) == pytest.approx(value, abs=1e-9 * form.scale)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999), st.sampled_from([0, 0.3, 1]))
def test_the_spectral_form_is_the_objective(seed, s):
    """(5.2): E, gradient and Hessian products do not depend on the basis."""
    n1 = 2 + seed % 4
    E = Objective(random_graph(n1, seed), random_graph(n1 + 3, seed + 1), s=s, beta=0.7)
    form, rng = SpectralForm(E), np.random.default_rng(seed)
    P = polar(rng.standard_normal(E.shape))
    Z = rng.standard_normal(E.shape)
    Q, V = form.enter(P), form.enter(Z)
    size = form.scale * np.linalg.norm(Z)
    assert form.value(P) == pytest.approx(E(P), rel=1e-9, abs=1e-12 * form.scale)
    close = np.testing.assert_allclose
    close(form.leave(form.gradient(Q)), E.gradient(P), atol=1e-12 * size)
    Z = tangent(P, Z)
    product = form.hessian(Q, form.gradient(Q))(form.enter(Z))
    close(form.leave(product), riemannian_hessian(E, P)(Z), atol=1e-12 * size)
    # The diagonal is that of the Hessian, entry by entry.
    unit = np.zeros(E.shape)
    unit[seed % E.shape[0], 0] = 1
    entry = np.vdot(unit, form.gradient(unit))
    assert entry == pytest.approx(form.diagonal[seed % E.shape[0], 0], abs=1e-12 * size)
    solve = form.preconditioner(Q, form.gradient(Q))
    W = tangent(Q, rng.standard_normal(E.shape))
    V = tangent(Q, V)
    assert np.vdot(W, solve(V)) == pytest.approx(np.vdot(V, solve(W)), rel=1e-9)
    assert np.vdot(W, solve(W)) > 0


def test_time_is_kept():
    found = optimal_prolongation(
        nx.path_graph(32), nx.path_graph(64), s=0.5, seconds=0.0
    )
    assert found.reason == "time"
    assert_orthonormal(found.P)
    assert np.isnan(found.least_hessian_eigenvalue)


# --------------------------------------------------------------- when to stop starting


def ends(*values):
    return [Minimum(None, value, 0.0, 1, "decrease") for value in values]


@pytest.mark.parametrize(
    ("values", "enough"),
    [
        ([5.0], False),
        ([5.0, 5.0], True),
        ([5.0, 5.0 + 1e-7], False),
        ([5.0, 5.0 + 1e-7, 5.0], True),  # the same minimum, three times
        ([5.0, 5.0, 5.1], False),
        ([5.0] * 10 + [5.1] * 6, False),  # 2 * 15 / 12 = 2.5
        ([5.0] * 10 + [5.1] * 7, True),  # 2 * 16 / 13 < 2.5
    ],
)
def test_starts_end_when_minima_recur(values, enough):
    assert settled(ends(*values)) == enough


def test_most_starts_is_kept():
    pair = random_graph(8, 1), random_graph(16, 2)  # has dozens of minima
    one, many = (
        optimal_prolongation(*pair, s=0.5, most_starts=most) for most in (1, 40)
    )
    assert many.iterations > 5 * one.iterations
    assert many.value <= one.value


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "newton"}, "`method` must be.*'trust region'.*method='newton'"),
        ({"start": "best"}, "`start` must be.*'matching'.*start='best'"),
        ({"start": np.eye(3)}, r"shape \(8, 4\), fine by coarse.*\(3, 3\)"),
        ({"start": "interpolated"}, "needs `smaller`.*smaller=None"),
        ({"method": []}, r"`method` must be one of.*method=\[\]"),
        ({"most_starts": -1}, "`most_starts` must be an integer >= 1.*=-1"),
        ({"most_starts": np.nan}, "`most_starts` must be an integer >= 1.*=nan"),
        ({"most_starts": 1.5}, "`most_starts` must be an integer >= 1.*=1.5"),
        ({"seconds": -1}, "`seconds` must be a number >= 0.*seconds=-1"),
        ({"seconds": np.nan}, "`seconds` must be a number >= 0.*seconds=nan"),
        ({"seconds": "1"}, "`seconds` must be a number >= 0.*seconds='1'"),
        ({"seed": -1}, "`seed` must be an integer >= 0.*seed=-1"),
        ({"seed": 0.5}, "`seed` must be an integer >= 0.*seed=0.5"),
        ({"start": np.zeros((8, 4))}, "`start` must have 4 independent.*rank 0"),
        ({"start": np.ones((8, 4))}, "`start` must have 4 independent.*rank 1"),
        ({"start": np.full((8, 4), np.nan)}, "`start` must hold finite numbers"),
        ({"start": [[1], [1, 2]]}, "`start` must be an array of real numbers"),
        ({"start": True}, r"`start` must have shape \(8, 4\)"),
        ({"smaller": np.eye(4, 2)}, "`smaller` is for start='interpolated'"),
        (
            {"start": "interpolated", "smaller": np.ones((4, 2))},
            "`smaller` must have orthonormal columns.*off by 4",
        ),
        (
            {"start": "interpolated", "smaller": np.ones((3, 3))},
            "`smaller` must have orthonormal columns.*off by 3",
        ),
        (
            {"start": "interpolated", "smaller": np.eye(9, 3)},
            r"shrink alike to the nodes of `smaller`.*shape \(9, 3\)",
        ),
    ],
)
@pytest.mark.parametrize("s", [0.5, 1])  # refused where a search is not needed, too
def test_refusals(options, message, s):
    with pytest.raises(ValueError, match=message):
        optimal_prolongation(*PATHS, s=s, **options)


def test_refuses_an_assignment_that_is_not_exact():
    with pytest.raises(ValueError, match="exact for s = 0, s = 1.*s=0.5"):
        optimal_prolongation(*PATHS, s=0.5, method="assignment")


def test_numpys_numbers_are_as_good():
    options = {"s": 0.5, "alpha": 1, "beta": 0.5, "most_starts": 2, "seed": 3}
    found = optimal_prolongation(*PATHS, **options)
    as_numpy = {
        "s": np.float32(0.5), "alpha": np.int64(1), "beta": np.float64(0.5),
        "most_starts": np.int8(2), "seed": np.uint16(3), "seconds": np.float64(np.inf),
    }  # fmt: skip
    again = optimal_prolongation(*PATHS, **as_numpy)
    np.testing.assert_array_equal(found.P, again.P)


def test_refuses_50_000_nodes_with_the_size_that_they_need():
    with pytest.raises(ValueError, match=r"50,000 nodes.*18.6 GiB"):
        optimal_prolongation(nx.path_graph(4), graphs.grid_graph(50_000), s=0.5)
