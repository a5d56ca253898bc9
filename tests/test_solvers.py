"""Methods for comparison: each reaches what is known, and says why it stopped."""

import re
import sys

import networkx as nx
import numpy as np
import pytest

from experiments.prolongation import solvers
from experiments.prolongation.solvers import SOLVERS, compared, qr
from msann.graphs import grid_graph
from msann.optimal.objective import Objective, polar

PATHS = nx.path_graph(4), nx.path_graph(8)
BEST = 35.4051216973  # at s = 1/2, from many starts
#: The least eigenvalue of the Hessian there.
CURVATURE = 0.073161
#: Why ours end; the others end in the words of their packages.
REASONS = dict.fromkeys(
    ("projected gradient (polar)", "projected gradient (qr)", "wen-yin"), "^gradient$"
)
#: Relative to the best; descents that need many steps are not run to the end.
WITHIN = {
    "pymanopt steepest descent": 1e-4,
    "slsqp": 1e-4,
    "trust-constr": 1e-4,
}
#: Comparison solvers that take long, and find what the others find.
SLOW = {"slsqp", "trust-constr"}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW))
        for name in SOLVERS
        if name != "nelder-mead"
    ],
)
def test_reaches_the_best_known(name):
    # Steepest descent goes on for ever; on a busy machine others take their time.
    seconds = 4.0 if "steepest" in name else 30.0
    found = compared(*PATHS, s=0.5, method=name, seconds=seconds)
    np.testing.assert_allclose(found.P.T @ found.P, np.eye(4), atol=1e-12)
    E = Objective(*PATHS, s=0.5)
    assert found.value == pytest.approx(E(found.P), rel=1e-12)
    assert found.value == pytest.approx(BEST, rel=WITHIN.get(name, 1e-8))
    assert found.value >= BEST * (1 - 1e-10)
    gradient = np.linalg.norm(E.riemannian_gradient(found.P))
    assert found.gradient_norm == pytest.approx(gradient, rel=1e-6, abs=1e-9)
    assert found.method == name
    assert not found.certified
    assert found.least_hessian_eigenvalue == pytest.approx(CURVATURE, rel=0.1)
    assert found.iterations > 5
    assert re.search(REASONS.get(name, "Terminated|success|termination|time"),
                     found.reason)  # fmt: skip


def test_nelder_mead_only_gets_better():
    """With 32 unknowns and a penalty it does not arrive; the paper's text says so."""
    E = Objective(*PATHS, s=0.5)
    start = polar(np.random.default_rng(0).standard_normal(E.shape))
    found = compared(*PATHS, s=0.5, method="nelder-mead", start=start, seconds=2.0)
    np.testing.assert_allclose(found.P.T @ found.P, np.eye(4), atol=1e-12)
    assert BEST * (1 - 1e-10) < found.value < E(start)


@pytest.mark.parametrize(
    "name", [n for n in SOLVERS if n not in {*WITHIN, "nelder-mead"}]
)
def test_stays_on_a_saddle_and_says_so(name):
    """The pair matrix at s = 1: gradient 0, negative curvature."""
    E = Objective(*PATHS, s=1)
    pairs = np.kron(np.eye(4), [[1], [1]]) / np.sqrt(2)
    stuck = SOLVERS[name](E, pairs, 1e-6, 100, 5.0)
    assert stuck.value == pytest.approx(88)
    assert stuck.iterations <= 2
    found = compared(*PATHS, s=1, method=name, start="pair", seconds=5.0)
    assert found.value == pytest.approx(88)
    assert found.least_hessian_eigenvalue == pytest.approx(-10.87255199)


@pytest.mark.parametrize("name", SOLVERS)
def test_keeps_the_time(name):
    pair = grid_graph(3, 3), grid_graph(6, 6)
    found = compared(*pair, s=0.5, method=name, seconds=0.2)
    assert found.seconds < 3
    np.testing.assert_allclose(found.P.T @ found.P, np.eye(9), atol=1e-12)


def test_qr_and_polar_are_both_projections():
    P = polar(np.random.default_rng(0).standard_normal((6, 3)))
    np.testing.assert_allclose(qr(P), P, atol=1e-14)
    np.testing.assert_allclose(polar(P), P, atol=1e-14)


def test_cayley_curves_stay_on_the_manifold_and_leave_along_the_gradient():
    E = Objective(*PATHS, s=0.5)
    P = polar(np.random.default_rng(1).standard_normal(E.shape))
    G = E.gradient(P)
    end = solvers._cayley(P, G, 0.01)
    np.testing.assert_allclose(end.T @ end, np.eye(4), atol=1e-13)
    ahead, behind = solvers._cayley(P, G, 1e-6), solvers._cayley(P, G, -1e-6)
    np.testing.assert_allclose(
        (ahead - behind) / 2e-6, -(G - P @ (G.T @ P)), rtol=1e-6, atol=1e-6
    )


@pytest.mark.thorough
def test_a_curve_that_cannot_be_solved_for_is_shortened(monkeypatch):
    """At a minimum steps are so long that rounding makes the small system singular."""
    cayley, refused = solvers._cayley, []

    def singular(P, G, step):
        if step > 0.1:
            refused.append(step)
            raise np.linalg.LinAlgError("Singular matrix")
        return cayley(P, G, step)

    monkeypatch.setattr(solvers, "_cayley", singular)
    found = compared(*PATHS, s=0.5, method="wen-yin", start="random", seconds=5.0)
    assert refused
    assert found.value == pytest.approx(BEST, rel=1e-9)


def test_pymanopt_is_refused_by_name_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymanopt", None)
    with pytest.raises(ImportError, match=r"TrustRegions is pymanopt's.*\[benchmarks"):
        compared(*PATHS, s=0.5, method="pymanopt trust regions")


@pytest.mark.parametrize("method", ["newton", "auto", [], None])
def test_refuses_other_methods(method):
    with pytest.raises(ValueError, match="`method` must be one of .*'wen-yin'"):
        compared(*PATHS, s=0.5, method=method)


def test_dense_methods_are_refused_with_the_size_that_they_need():
    pair = grid_graph(300), grid_graph(600)
    message = r"SLSQP needs.*180,000 unknowns.*241.4 GiB"
    with pytest.raises(ValueError, match=message):
        compared(*pair, s=0.5, method="slsqp")
