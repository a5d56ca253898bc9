"""Starts by name: orthonormal, what their names say, and refusals."""

import networkx as nx
import numpy as np
import pytest
from matrices import spectrum
from random_graphs import random_graph

from msann.graphs import grid_graph
from msann.optimal import starts
from msann.optimal.matching import minimal_matching
from msann.optimal.objective import Objective
from msann.optimal.search import optimal_prolongation
from msann.prolongation.closed_forms import closed_form

close = np.testing.assert_allclose


def path(n):
    return nx.path_graph(n), nx.path_graph(2 * n)


@pytest.mark.parametrize("name", starts.STARTS)
@pytest.mark.parametrize("s", [0, 0.5, 1])
def test_orthonormal(name, s):
    E = Objective(random_graph(5, 1), random_graph(7, 2), s=s)
    P = starts.start(name, E)
    close(P.T @ P, np.eye(5), atol=1e-12)


def test_matching_in_both_spaces():
    coarse, fine = random_graph(4, 3), random_graph(9, 4)
    E = Objective(coarse, fine, s=0.5)
    m = starts.start("matching", E)
    assert set(m.ravel()) == {0, 1}
    rows = minimal_matching(spectrum(coarse), spectrum(fine))
    close(m.T @ np.arange(9), rows)
    # Between eigenvectors the coarse Laplacian becomes that of matched eigenvalues.
    P = starts.start("spectral", E)
    close(P.T @ E.diffusion.X2 @ P, _with_values(E.diffusion.X1, spectrum(fine)[rows]))


def _with_values(L, values):
    U = np.linalg.eigh(L)[1]
    return U * values @ U.T


def test_identity_random_and_pair():
    E = Objective(*path(3), s=0.5)
    close(starts.start("identity", E), np.vstack([np.eye(3), np.zeros((3, 3))]))
    close(starts.start("pair", E), np.kron(np.eye(3), [[1], [1]]) / np.sqrt(2))
    first, again, other = (starts.start("random", E, seed=k) for k in (1, 1, 2))
    close(first, again)
    assert np.abs(first - other).max() > 0.1


@pytest.mark.parametrize("which", ["diffusion", "locality"])
def test_greedy_is_optimal_for_its_term_and_better_than_other_signs(which):
    """Each choice of signs is optimal for one term; greedy ones lower the other."""
    E = Objective(*path(6), s=0.5)
    term = getattr(E, which)
    P = starts.greedy(E, term)
    best = optimal_prolongation(*path(6), s=float(which == "locality")).value
    assert term.value(P) == pytest.approx(best, abs=1e-9)
    U = np.linalg.eigh(term.X1)[1]
    for j in range(6):
        flip = np.eye(6) - 2 * np.outer(U[:, j], U[:, j])
        assert E(P @ flip) >= E(P) - 1e-9


def test_several_are_different_and_seeded():
    E = Objective(*path(4), s=0.5)
    take = [P for P, _ in zip(starts.several(E, 3), range(6), strict=False)]
    again = [P for P, _ in zip(starts.several(E, 3), range(6), strict=False)]
    close(take, again)
    for i, P in enumerate(take):
        close(P.T @ P, np.eye(4), atol=1e-12)
        assert all(np.abs(P - Q).max() > 1e-3 for Q in take[:i])
    assert E(take[0]) == pytest.approx(E(starts.joint(E, E.locality)), rel=1e-3)


@pytest.mark.parametrize("n", [8, 16, 128])
def test_joint_starts_are_below_greedy_ones(n):
    """On paths by so much that little is left to descend."""
    E = Objective(*path(n), s=0.5)
    assert E(starts.joint(E, E.locality)) < E(starts.greedy(E, E.locality))


def test_a_joint_start_is_close_to_the_best_known():
    E = Objective(*path(16), s=0.5)
    start = E(starts.joint(E, E.locality))
    assert start == pytest.approx(8289.915529626, rel=1e-6)
    assert start > 8289.915529626


def test_with_one_term_joint_is_the_global_optimum():
    pair = random_graph(4, 1), random_graph(7, 2)
    for s in (0, 1):
        E = Objective(*pair, s=s)
        best = optimal_prolongation(*pair, s=s).value
        assert E(starts.joint(E, E.active[0])) == pytest.approx(best, abs=1e-9)


# ------------------------------------------------------------------ interpolated starts


@pytest.mark.parametrize("periodic", [False, True])
def test_interpolation_of_the_band_is_close_to_the_band(periodic):
    """Smooth vibrations are interpolated well, so a family leads to its next member."""
    shapes = (32,), (64,)
    E = Objective(*(grid_graph(*x, periodic=periodic) for x in shapes), s=1, beta=0.25)
    small, large = (
        closed_form("band", (n,), (2 * n,), periodic=periodic).matrix()
        for n in (16, 32)
    )
    P = starts.interpolated(E, small)
    close(P.T @ P, np.eye(32), atol=1e-10)
    smooth = closed_form("band", (4,), (32,), periodic=periodic).matrix()
    assert np.abs(P @ smooth - large @ smooth).max() < 0.05
    pairs = starts.start("pair", E)
    assert E(P) < E(pairs)


def test_interpolated_starts_lead_to_the_best_known():
    small = optimal_prolongation(*path(4), s=0.5).P
    found = optimal_prolongation(*path(8), s=0.5, start="interpolated", smaller=small)
    assert found.value == pytest.approx(521.855626287, rel=1e-9)


def test_interpolated_grids():
    E = Objective(grid_graph(4, 6), grid_graph(8, 12), s=0.5)
    small = np.linalg.qr(np.random.default_rng(0).standard_normal((24, 6)))[0]
    P = starts.interpolated(E, small)
    close(P.T @ P, np.eye(24), atol=1e-10)


@pytest.mark.parametrize(
    ("pair", "shape", "message"),
    [
        (path(4), (4, 3, 2), r"paths, rings, grids.*shape \(4, 3, 2\)"),
        (path(4), (16, 2), r"paths, rings, grids.*shape \(16, 2\) for n2, n1 = \(8, 4"),
        ((grid_graph(4, 4), grid_graph(8, 8)), (15, 4), r"shrink alike.*\(15, 4\)"),
        ((nx.star_graph(3), nx.star_graph(7)), (4, 2), "paths, rings, grids or tori"),
    ],
)
def test_refuses_what_it_cannot_interpolate(pair, shape, message):
    with pytest.raises(ValueError, match=message):
        starts.interpolated(Objective(*pair, s=0.5), np.ones(shape))


def test_refuses_by_name():
    E = Objective(*path(4), s=0.5)
    with pytest.raises(ValueError, match="one of.*'spectral'.*start='best'"):
        starts.start("best", E)
    with pytest.raises(ValueError, match="needs `smaller`"):
        starts.start("interpolated", E)
