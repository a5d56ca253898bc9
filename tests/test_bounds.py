"""Section 5 on random graphs."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import random_graph

from experiments.prolongation.bounds import (
    Factor,
    box_bound,
    box_distance,
    diffusion_distance,
)
from msann.graphs import box_product
from msann.optimal.objective import Objective, polar
from msann.optimal.search import optimal_prolongation


def factor(rng):
    n = int(rng.integers(1, 5))
    more = n + int(rng.integers(0, 4))
    seed = int(rng.integers(999))
    P = polar(rng.standard_normal((more, n)))
    return Factor(random_graph(n, seed), random_graph(more, seed + 1), P)


def dense_distance(first, second, alpha):
    """(5.1) on the products themselves."""
    pair = [box_product(getattr(first, x), getattr(second, x))
            for x in ("coarse", "fine")]  # fmt: skip
    return diffusion_distance(*pair, np.kron(first.P, second.P), alpha)


@given(st.integers(0, 9999), st.floats(0.1, 10))
def test_the_bound_and_the_exact_distance(seed, alpha):
    rng = np.random.default_rng(seed)
    first, second = factor(rng), factor(rng)
    expected = dense_distance(first, second, alpha)
    assert box_distance(first, second, alpha) == pytest.approx(expected, abs=1e-6)
    assert expected <= box_bound(first, second, alpha) * (1 + 1e-9) + 1e-9


def test_the_bound_is_reached_where_one_factor_is_exact():
    """D1 = 0 leaves sqrt(n1) D2, a factor that the paper's text misses."""
    cycles = nx.cycle_graph(3), nx.cycle_graph(6)
    exact = Factor(*cycles, optimal_prolongation(*cycles, s=0).P)
    pairs = np.kron(np.eye(4), [[1], [1]]) / np.sqrt(2)
    other = Factor(nx.path_graph(4), nx.path_graph(8), pairs)
    expected = np.sqrt(3) * np.sqrt(6)
    assert box_bound(exact, other) == pytest.approx(expected)
    assert box_distance(exact, other) == pytest.approx(expected)


def test_the_square_is_the_diffusion_term():
    rng = np.random.default_rng(5)
    coarse, fine, P = factor(rng)
    E = Objective(coarse, fine, s=0, alpha=0.7)
    assert diffusion_distance(coarse, fine, P, 0.7) ** 2 == pytest.approx(E(P))
