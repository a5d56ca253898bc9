"""Weights between levels: sums, restriction and prolongation, by dense matrices."""

import numpy as np
import pytest
from coarsened import SPACES, matrix
from matrices import dense

from msann.topology import chain
from msann_keras.transfer import (
    on_averages,
    prolonged,
    restricted,
    scaled,
    sum_of_levels,
)

RNG = np.random.default_rng(0)
KERNELS = {
    name: (spaces[:2], depth) for name, (spaces, depth) in SPACES.items() if depth
}
each_kernel = pytest.mark.parametrize(
    ("spaces", "depth"), KERNELS.values(), ids=KERNELS
)


def chains_of(spaces, depth):
    return [chain(space, depth) for space in spaces]


def kernel(chains, level):
    return RNG.normal(size=[one.sizes[level] for one in chains])


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


@each_kernel
def test_a_weight_goes_one_level_down_and_up(spaces, depth):
    """P^T V Q and P V Q^T; down again it is what it was."""
    chains = chains_of(spaces, depth)
    for level in range(depth):
        P, Q = (dense(one.steps[level]) for one in chains)
        fine, coarse = kernel(chains, level), kernel(chains, level + 1)
        assert_close(restricted(fine, chains, level), P.T @ fine @ Q)
        assert_close(prolonged(coarse, chains, level), P @ coarse @ Q.T)
        up = prolonged(coarse, chains, level)
        assert_close(restricted(up, chains, level), coarse)
        bias = coarse[0]
        assert_close(prolonged(bias, chains[1:], level), Q @ bias)


@each_kernel
@pytest.mark.parametrize("without", [None, 0, 1])
def test_theta_is_the_sum_of_what_all_levels_prolong_to(spaces, depth, without):
    chains = chains_of(spaces, depth)
    parts = [kernel(chains, level) for level in range(depth + 1)]
    given = [None if i == without else part for i, part in enumerate(parts)]
    P, Q = ([matrix(s, level) for level in range(depth + 1)] for s in spaces)
    terms = [P[i] @ parts[i] @ Q[i].T for i in range(depth + 1) if i != without]
    assert_close(sum_of_levels(given, chains), sum(terms))
    biases = [None if part is None else part[0] for part in given]
    terms = [Q[i] @ parts[i][0] for i in range(depth + 1) if i != without]
    assert_close(sum_of_levels(biases, chains[1:]), sum(terms))


def test_a_sum_without_terms_is_none():
    chains = chains_of(SPACES["pairs"][0][:2], 1)
    assert sum_of_levels([None, None], chains) is None
    assert sum_of_levels([], chains) is None


@each_kernel
def test_on_averages_the_column_sums_are_taken_out(spaces, depth):
    """diag(c) V diag(c')^-1 and v / c', c = P^T 1."""
    chains = chains_of(spaces, depth)
    for level in range(depth + 1):
        c, d = (matrix(s, level).sum(axis=0) for s in spaces)
        V = kernel(chains, level)
        expected = np.diag(c) @ V @ np.diag(1 / d)
        assert_close(on_averages(V, chains, level), expected)
        assert_close(on_averages(V[0], chains[1:], level), V[0] / d)


def test_nothing_is_computed_where_all_factors_are_one():
    x = np.ones((2, 3))
    assert scaled(x, np.ones(3)) is x
    assert_close(scaled(x, np.full(3, 2.0)), 2 * x)
    assert_close(scaled(x, np.arange(3.0)), [[0, 1, 2]] * 2)
