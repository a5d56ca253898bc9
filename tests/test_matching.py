"""m* against brute force, with ties, and against two libraries."""

from itertools import permutations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrices import spectrum
from munkres import Munkres
from scipy.optimize import linear_sum_assignment

from msann.graphs import grid_graph
from msann.optimal.matching import minimal_matching


def total(coarse, fine, rows):
    return sum((x - fine[i]) ** 2 for x, i in zip(coarse, rows, strict=True))


def first_of_the_cheapest(coarse, fine):
    """By (3.2): among all, by cost and then by the sorted list of places (i, j)."""
    n1 = len(coarse)
    matchings = list(permutations(range(len(fine)), n1))
    best = min(total(coarse, fine, rows) for rows in matchings)
    cheapest = [r for r in matchings if total(coarse, fine, r) == best]
    return min(cheapest, key=lambda rows: sorted(zip(rows, range(n1), strict=True)))


whole = st.lists(st.integers(-4, 4), min_size=1, max_size=7)


@given(whole, whole)
def test_brute_force_with_ties(one, other):
    coarse, fine = sorted((sorted(one)[:5], sorted(other)), key=len)
    rows = minimal_matching(coarse, fine)
    assert tuple(rows) == first_of_the_cheapest(coarse, fine)


@given(st.integers(1, 12), st.integers(0, 8), st.integers(0, 2**31))
def test_as_cheap_as_munkres_and_scipy(n1, more, seed):
    rng = np.random.default_rng(seed)
    coarse, fine = np.sort(rng.normal(size=n1)), np.sort(rng.normal(size=n1 + more))
    cost = np.subtract.outer(coarse, fine) ** 2
    ours = total(coarse, fine, minimal_matching(coarse, fine))
    munkres = Munkres().compute(cost.tolist())
    assert ours == pytest.approx(sum(cost[j, i] for j, i in munkres), abs=1e-12)
    assert ours == pytest.approx(cost[linear_sum_assignment(cost)].sum(), abs=1e-12)


@pytest.mark.parametrize(
    ("coarse", "fine", "rows"),
    [
        (nx.path_graph(4), nx.path_graph(8), [1, 3, 5, 7]),
        (nx.cycle_graph(4), nx.cycle_graph(8), [0, 3, 4, 7]),
        (grid_graph(2, 2), grid_graph(4, 4), [3, 10, 11, 15]),
    ],
)
def test_known_matchings_of_graphs(coarse, fine, rows):
    assert minimal_matching(spectrum(coarse), spectrum(fine)).tolist() == rows


@pytest.mark.parametrize(
    ("coarse", "fine", "message"),
    [
        ([1.0, 2.0], [1.0], "no more values than `fine`. Received: 2 and 1"),
        ([2.0, 1.0], [1.0, 2.0], "`coarse` must be ascending. Received: 2 before 1"),
        ([1.0], [1.0, np.nan], "`fine` must hold finite numbers"),
        ("12", [1.0], "`coarse` must be an array of 1 axis of real numbers.*'12'"),
        (1.0, [1.0], "`coarse` must be an array of 1 axis"),
        ([1.0], [[1.0], [1.0, 2.0]], "`fine` must be an array of 1 axis"),
        ([], [1.0], "`coarse` must hold at least one"),
    ],
)
def test_refusals(coarse, fine, message):
    with pytest.raises(ValueError, match=message):
        minimal_matching(coarse, fine)
