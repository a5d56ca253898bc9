"""E(P): dense restatement, derivatives by Taylor's slope, invariance, best scales."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrices import riemannian_hessian
from random_graphs import random_graph

from msann import graphs
from msann.optimal import objective as module
from msann.optimal.objective import Objective, polar, tangent

seeds = st.integers(0, 999)
weights = st.sampled_from([0.0, 0.3, 1.0])


def problem(seed, s=0.3, **scales):
    rng = np.random.default_rng(seed)
    n1 = int(rng.integers(2, 6))
    n2 = n1 + int(rng.integers(0, 5))
    pair = random_graph(n1, seed), random_graph(n2, seed + 1)
    P = polar(rng.standard_normal((n2, n1)))
    return Objective(*pair, s=s, **scales), P, rng


def restated(E, P):
    """(3.3), word for word."""
    result = 0
    for weight, scale, make in (
        (1 - E.s, E.alpha, lambda G: graphs.laplacian(G).toarray()),
        (E.s, E.beta, graphs.hop_distances),
    ):
        X1, X2 = make(E.coarse), make(E.fine)
        difference = P @ X1 / np.sqrt(scale) - np.sqrt(scale) * X2 @ P
        result += weight * np.linalg.norm(difference) ** 2
    return result


@given(seeds, weights, st.floats(0.2, 5), st.floats(0.2, 5))
def test_it_is_3_3(seed, s, alpha, beta):
    E, P, _ = problem(seed, s, alpha=alpha, beta=beta)
    assert E(P) == pytest.approx(restated(E, P), rel=1e-12)
    diffusion, locality = E.terms(P)
    assert E(P) == pytest.approx((1 - s) * diffusion + s * locality, rel=1e-12)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("shape", [(5,), (3, 4)])
def test_structure_gives_what_matrices_give(monkeypatch, shape, periodic):
    fine = [2 * n for n in shape]
    pair = [graphs.grid_graph(*x, periodic=periodic) for x in (shape, fine)]
    dense = Objective(*pair, s=0.4)
    monkeypatch.setattr(module, "SMALL", 0)
    fast = Objective(*pair, s=0.4)
    assert not isinstance(fast.locality.X2, np.ndarray)
    P = polar(np.random.default_rng(3).standard_normal(dense.shape))
    assert fast(P) == pytest.approx(dense(P), rel=1e-12)
    np.testing.assert_allclose(fast.gradient(P), dense.gradient(P), atol=1e-9)


@given(seeds, weights)
def test_the_value_does_not_depend_on_the_basis(seed, s):
    """(5.2): in eigenbases, with Q = U2^T P U1, one term at a time."""
    E, P, _ = problem(seed, s)
    for term, value in zip((E.diffusion, E.locality), E.terms(P), strict=True):
        (x1, U1), (x2, U2) = map(np.linalg.eigh, (term.X1, term.X2))
        Q = U2.T @ P @ U1
        root = np.sqrt(term.scale)
        expected = np.sum(Q**2 * np.subtract.outer(root * x2, x1 / root) ** 2)
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-9)


def slope(errors, steps):
    return np.polyfit(np.log(steps), np.log(errors), 1)[0]


STEPS = np.logspace(-2, -3.5, 5)


@given(seeds, weights)
def test_gradient_and_hessian_by_taylors_slope(seed, s):
    """Along a retraction that is right to second order, the error is of third."""
    E, P, rng = problem(seed, s)
    Z = tangent(P, rng.standard_normal(P.shape))
    Z /= np.linalg.norm(Z)
    gradient = np.sum(E.riemannian_gradient(P) * Z)
    curvature = np.sum(riemannian_hessian(E, P)(Z) * Z)
    values = np.array([E(polar(P + t * Z)) for t in STEPS]) - E(P)
    first = np.abs(values - STEPS * gradient)
    second = np.abs(values - STEPS * gradient - STEPS**2 * curvature / 2)
    rounding = 1e4 * np.finfo(float).eps * E(P)
    for errors, order in ((first, 2), (second, 3)):
        if errors.min() > rounding:  # else the next term of the series is too small
            assert slope(errors, STEPS) > order - 0.2


@given(seeds)
def test_the_gradient_is_tangent_and_the_hessian_symmetric(seed):
    E, P, rng = problem(seed)
    G = E.riemannian_gradient(P)
    np.testing.assert_allclose(P.T @ G + G.T @ P, 0, atol=1e-9)
    Y, Z = (tangent(P, rng.standard_normal(P.shape)) for _ in range(2))
    H = riemannian_hessian(E, P)
    assert np.sum(H(Y) * Z) == pytest.approx(np.sum(Y * H(Z)), abs=1e-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"s": 1.5}, r"`s` must be a finite number in 0 \.\. 1. Received: s=1.5"),
        ({"s": float("nan")}, "`s` must be a finite number.*s=nan"),
        ({"s": True}, "`s` must be a finite number.*s=True"),
        ({"s": "0"}, "`s` must be a finite number.*s='0'"),
        ({"s": 0, "alpha": 0}, "`alpha` must be a finite number in 1e-12.*alpha=0"),
        ({"s": 0, "alpha": True}, "`alpha` must be a finite number.*alpha=True"),
        ({"s": 0, "beta": -1}, "`beta` must be a finite number.*beta=-1"),
        ({"s": 0, "beta": np.nan}, "`beta` must be a finite number.*beta=nan"),
        ({"s": 0, "beta": 1e300}, "`beta` must be a finite number.*beta=1e.300"),
    ],
)
def test_refuses_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        Objective(nx.path_graph(2), nx.path_graph(4), **options)


def test_refuses_graphs_by_name():
    with pytest.raises(ValueError, match="`fine` must have at least.*4 and 5 nodes"):
        Objective(nx.path_graph(5), nx.path_graph(4), s=0)
    with pytest.raises(ValueError, match="`coarse` must be connected"):
        Objective(nx.empty_graph(2), nx.path_graph(4), s=0)


@pytest.mark.parametrize("P", ["no", None, [[1], [2, 3]], np.eye(3), np.nan])
def test_refuses_points(P):
    E = Objective(nx.path_graph(2), nx.path_graph(4), s=0.5)
    for of in (E, E.terms, E.gradient, E.riemannian_gradient, E.terms_and_gradient):
        with pytest.raises(ValueError, match="`P` must"):
            of(P)


def test_points_may_be_lists():
    E = Objective(nx.path_graph(2), nx.path_graph(4), s=0.5)
    P = np.eye(4, 2)
    assert E(P.tolist()) == E(P.astype(int)) == E(P)
