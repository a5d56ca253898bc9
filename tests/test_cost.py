"""C(t) against hand-counted cycles and the paper's hierarchy; targets; refusals."""

import math

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from msann.cost import (
    NOT_REACHED,
    cost,
    cost_to_fraction,
    cost_to_target,
    shares,
)
from msann.schedules import EVERY_LEVEL, Visit, gamma_cycle


def autoencoder(level):
    """|M_l| of 1024-256-128-256-1024, halved `level` times."""
    n, h, z = (size >> level for size in (1024, 256, 128))
    return (n * h + h) + (h * z + z) + (z * h + h) + (h * n + n)


def test_shares_of_the_papers_network():
    parameters = [autoencoder(level) for level in range(7)]
    assert (parameters[0], parameters[6]) == (591_488, 170)
    published = [1, 0.2507, 0.0630, 0.0159, 0.0041, 0.0011, 0.00029]
    for share, expected in zip(shares(parameters), published, strict=True):
        digits = 5 if expected < 0.001 else 4
        assert round(share, digits) == expected


# --------------------------------------------------------------------------- C(t)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (gamma_cycle(0, smoothing_steps=3), 3),
        (gamma_cycle(1), 2 + 1 / 4),
        (gamma_cycle(2, 1), 2 + 2 / 4 + 1 / 16),
        (gamma_cycle(2, 2), 3 + 6 / 4 + 4 / 16),
        (gamma_cycle(2, 3, 2), 2 * (4 + 12 / 4 + 9 / 16)),
        (gamma_cycle(2, 2, variant="script"), 4 + 8 / 4 + 8 / 16),
    ],
)
def test_cycles_by_hand(schedule, expected):
    assert cost(schedule.cycle, [160, 40, 10]) == expected
    assert cost(schedule.cycle, [160, 40, 10], batch_size=128) == 128 * expected


def test_every_level_pays_for_all():
    assert cost([Visit(EVERY_LEVEL, 2)], [100, 25, 5]) == pytest.approx(2 * 1.3)


def test_nothing_costs_nothing():
    assert cost([], [100, 25]) == 0


@given(
    gamma=st.integers(1, 3),
    k=st.integers(1, 9),
    depth=st.integers(0, 4),
    variant=st.sampled_from(["paper", "script"]),
)
def test_cost_is_one_batch_after_another(gamma, k, depth, variant):
    parameters = [autoencoder(level) for level in range(depth + 1)]
    levels = reference.schedule(gamma, k, depth, cycles=1, variant=variant)
    slow = sum(128 * parameters[level] / parameters[0] for level in levels)
    schedule = gamma_cycle(depth, gamma, k, variant)
    fast = cost(iter(schedule.start + schedule.cycle), parameters, 128)
    assert fast == pytest.approx(slow)


# ------------------------------------------------------------------------ targets

COSTS = [0, 10, 20, 20, 30]


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([9, 5, 2, 1, 1], 20),  # first of a tie in cost
        ([9, 5, 3, 2, 1], 20),  # second of it
        ([9, 2, 3, 1, 1], 10),  # once reached, reached
        ([9, 2.5, 2.1, 2.01, 2.001], NOT_REACHED),
        ([2, 9, 9, 9, 9], 0),
        ([9, math.nan, math.nan, 3, 2], 30),
        ([math.nan] * 5, NOT_REACHED),
    ],
)
def test_cost_to_target(errors, expected):
    assert cost_to_target(COSTS, errors, target=2) == expected


@pytest.mark.parametrize(
    ("errors", "fraction", "expected"),
    [
        ([5, 2, 0.5, 1, 1], 0.1, 20),  # exactly a tenth counts
        ([5, 2, 2, 2, 0.51], 0.1, NOT_REACHED),
        ([5, 3, 2.5, 2, 1], 0.5, 20),
        ([5, 9, 9, 9, 9], 1, 0),
        ([0, 9, 9, 9, 9], 0.1, 0),
        ([math.nan, 1, 1, 1, 0], 0.1, NOT_REACHED),
    ],
)
def test_cost_to_fraction(errors, fraction, expected):
    assert cost_to_fraction(COSTS, errors, fraction) == expected


@given(st.lists(st.floats(0, 9), min_size=1, max_size=8), st.floats(0, 9))
def test_a_harder_target_costs_more(errors, target):
    costs = range(len(errors))
    easy, hard = (cost_to_target(costs, errors, t) for t in (target, target / 2))
    assert easy <= hard
    assert (easy == NOT_REACHED) == (min(errors) > target)


# ----------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    "parameters", [[], [0], [10, -1], [1.0], [True], "12", 3, None]
)
def test_refuses_parameters(parameters):
    with pytest.raises(ValueError, match=r"`parameters(\[\d\])?` must"):
        shares(parameters)


@pytest.mark.parametrize(
    "visit",
    [1, (0, float("nan")), (0, -1), (0, 1.5), (-2, 1), (True, 1), "01", (0,), None],
)
def test_refuses_what_is_no_visit(visit):
    with pytest.raises(ValueError, match=r"A visit needs a level .* in visits"):
        cost([visit], [100, 25])


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True, math.nan, None, "8"])
def test_refuses_batch_sizes(batch_size):
    with pytest.raises(ValueError, match="`batch_size` must be an integer >= 1"):
        cost([Visit(0, 1)], [100, 25], batch_size)


def test_numpys_numbers_are_as_good():
    visits = [(np.int64(0), np.int32(2)), (np.uint8(1), np.int64(4))]
    total = cost(visits, np.array([100, 25]), np.int64(128))
    assert (total, type(total)) == (384.0, float)
    assert cost_to_target(np.array([0, 5]), np.array([2.0, 1.0]), np.float32(1)) == 5


def test_refuses_a_visit_to_no_level():
    with pytest.raises(
        ValueError, match=r"`visits` must be at levels.*level=2, .*\[100, 25\]"
    ):
        cost([Visit(0, 1), Visit(2, 1)], [100, 25])


@pytest.mark.parametrize(
    ("costs", "errors", "message"),
    [
        ([], [], "one entry for each evaluation.*0 costs and 0 errors"),
        ([0, 1], [1], "one entry for each evaluation.*2 costs and 1 errors"),
        ([0, 2, 1], [3, 2, 1], r"`costs` must ascend.*\[0, 2, 1\]"),
        ([0, math.nan], [1, 1], r"`costs\[1\]` must be a finite number >= 0.*nan"),
        ([-1, 0], [1, 1], r"`costs\[0\]` must be a finite number >= 0.*-1"),
        ([0, 1], [1, "no"], r"`errors\[1\]` must be a number.*'no'"),
        ([0, 1], [True, 1], r"`errors\[0\]` must be a number.*True"),
        (3, [1], "`costs` must be a sequence"),
    ],
)
def test_refuses_a_history(costs, errors, message):
    with pytest.raises(ValueError, match=message):
        cost_to_target(costs, errors, target=1)


def test_refuses_no_first_error():
    with pytest.raises(ValueError, match="one entry for each evaluation.*0 errors"):
        cost_to_fraction([], [])


@pytest.mark.parametrize("fraction", [0, -0.1, 1.1, math.nan, True])
def test_refuses_fraction(fraction):
    with pytest.raises(ValueError, match=f"> 0 and <= 1.*fraction={fraction}"):
        cost_to_fraction([0], [1], fraction)


@pytest.mark.parametrize("target", [math.nan, math.inf, "0.1", None])
def test_refuses_target(target):
    with pytest.raises(ValueError, match="`target` must be a finite number"):
        cost_to_target([0], [1], target)
