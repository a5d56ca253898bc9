"""Numbers computed while this project was planned, to the digits given."""

import networkx as nx
import numpy as np
import pytest
from matrices import riemannian_hessian

from msann.graphs import grid_graph
from msann.optimal import starts
from msann.optimal.curvature import least_eigenvalue
from msann.optimal.objective import Objective, tangent
from msann.optimal.search import optimal_prolongation
from msann.optimal.spectral import SpectralForm


def path(n):
    return nx.path_graph(n), nx.path_graph(2 * n)


def cycle(n):
    return nx.cycle_graph(n), nx.cycle_graph(2 * n)


def grid(n):
    return grid_graph(n, n), grid_graph(2 * n, 2 * n)


def pairs(n):
    return np.kron(np.eye(n), [[1], [1]]) / np.sqrt(2)


# ----------------------------------------------------------------- the pair matrix


@pytest.mark.parametrize(
    ("graphs", "n", "value"),
    [
        (path, 2, 6),
        (path, 4, 88),
        (path, 8, 1376),
        (path, 16, 21888),
        (cycle, 2, 2),
        (cycle, 4, 40),
        (cycle, 8, 672),
        (cycle, 16, 10880),
    ],
)
def test_locality_of_pairs(graphs, n, value):
    assert Objective(*graphs(n), s=1)(pairs(n)) == pytest.approx(value, abs=5e-9)


@pytest.mark.parametrize("n", [4, 8, 16])
def test_diffusion_of_pairs(n):
    assert Objective(*path(n), s=0)(pairs(n)) == pytest.approx(2 * (n - 1), abs=5e-9)
    assert Objective(*cycle(n), s=0)(pairs(n)) == pytest.approx(2 * n, abs=5e-9)


@pytest.mark.parametrize("s", [0, 0.5, 1])
def test_gradient_at_pairs(s):
    for graphs, n in ((path, 4), (path, 8), (cycle, 8)):
        gradient = Objective(*graphs(n), s=s).riemannian_gradient(pairs(n))
        expected = (1 - s) * np.sqrt(8 * n)
        assert np.linalg.norm(gradient) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("n", "negative"), [(2, 1), (4, 7), (8, 31), (16, 127)])
def test_pairs_are_a_saddle_of_paths(n, negative):
    """n^2/2 - 1 negative eigenvalues."""
    E = Objective(*path(n), s=1)
    least, _ = least_eigenvalue(SpectralForm(E), pairs(n))
    assert least < -0.1
    hessian = riemannian_hessian(E, pairs(n))
    basis = np.eye(pairs(n).size).reshape(-1, *pairs(n).shape)
    H = np.array([hessian(tangent(pairs(n), Z)).ravel() for Z in basis])
    values = np.linalg.eigvalsh((H + H.T) / 2)
    assert np.sum(values < -1e-9 * np.abs(values).max()) == negative


# --------------------------------------------------------------------------- optima


@pytest.mark.parametrize(
    ("pair", "s", "scale", "value"),
    [
        (path(4), 0, None, 0),
        (path(4), 1, 1 / 2, 62.474817),
        (path(4), 1, 1 / 4, 0.597987),
        (path(8), 0, None, 0),
        (path(8), 1, 1 / 2, 1027.094343),
        (path(8), 1, 1 / 4, 1.011385),
        (cycle(8), 0, None, 0),
        (cycle(8), 1, 1 / 2, 621.318460),
        (cycle(8), 1, 1 / 4, 1.586476),
        (grid(4), 0, None, 0),
        (grid(4), 1, 1 / 4, 6932.737956),
    ],
)
def test_certified_optima(pair, s, scale, value):
    found = optimal_prolongation(*pair, s=s, beta=scale)
    assert found.certified
    assert found.value == pytest.approx(value, abs=6e-7)


@pytest.mark.parametrize(
    ("s", "value"), [(0.25, 156.466880), (0.5, 311.501234), (0.75, 466.409847)]
)
def test_rings_at_mixed_s(s, value):
    found = optimal_prolongation(*cycle(8), s=s)
    assert found.certified
    assert found.value == pytest.approx(value, abs=6e-7)


MIXED = [
    (path(4), 0.25, 17.7720249947),
    (path(4), 0.5, 35.4051216973),
    (path(4), 0.75, 50.5844799192),
    (path(8), 0.25, 264.978656666),
    (path(8), 0.5, 521.855626287),
    (path(8), 0.75, 774.919149242),
    (path(16), 0.5, 8289.915529626),
]
GRIDS = [
    (grid(4), 0.25, 1736.233578),
    (grid(4), 0.5, 3469.051727),
    (grid(4), 0.75, 5200.895036),
]


@pytest.mark.parametrize(("pair", "s", "value"), [*MIXED, *GRIDS])
def test_best_known_at_mixed_s(pair, s, value):
    found = optimal_prolongation(*pair, s=s, seed=3)
    assert found.value == pytest.approx(value, rel=1e-9)
    assert not found.certified


RINGS = [
    (cycle(8), 0.25, 156.466880),
    (cycle(8), 0.5, 311.501234),
    (cycle(8), 0.75, 466.409847),
]


@pytest.mark.slow
@pytest.mark.parametrize(("pair", "s", "value"), RINGS)
def test_searches_on_rings_end_at_the_certified_optimum(pair, s, value):
    for seed in range(20):
        found = optimal_prolongation(*pair, s=s, seed=seed, method="trust region")
        assert found.value == pytest.approx(value, abs=6e-7)


@pytest.mark.slow
@pytest.mark.parametrize(("pair", "s", "value"), [*MIXED, *GRIDS])
def test_best_known_at_mixed_s_from_twenty_seeds(pair, s, value):
    for seed in range(20):
        found = optimal_prolongation(*pair, s=s, seed=seed)
        assert found.value == pytest.approx(value, rel=1e-9)


def test_a_large_path_to_the_best_known():
    found = optimal_prolongation(*path(64), s=0.5, most_starts=1)
    assert found.value == pytest.approx(2125073.2626, rel=1e-7)


def test_greedy_start_of_a_large_path():
    E = Objective(*path(128), s=0.5)
    start = starts.greedy(E, E.locality)
    assert E(start) == pytest.approx(34_005_282.87, rel=2e-3)
