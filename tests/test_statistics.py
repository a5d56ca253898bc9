"""Means, intervals and paired tests: identities, known values, "not reached"."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.statistics import paired, summary
from msann.cost import NOT_REACHED

POSITIVE = st.floats(1e-4, 1e4)
SEEDED = st.dictionaries(st.integers(0, 20), POSITIVE, min_size=2, max_size=8)


def test_three_values_by_hand():
    """Mean 2, standard error 1/sqrt 3, t of two degrees of freedom 4.3027."""
    result = summary([1.0, 2.0, 3.0])
    assert result.mean == 2
    assert result.high - result.mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert result.mean - result.low == pytest.approx(result.high - result.mean)


def test_interval_covers_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(1)
    samples = rng.normal(5.0, 2.0, size=(2000, 3))
    covered = sum(x.low <= 5 <= x.high for x in map(summary, samples))
    # 95 % of 2,000 within four standard deviations of a binomial.
    assert abs(covered - 1900) < 4 * math.sqrt(2000 * 0.95 * 0.05)


@given(st.lists(POSITIVE, min_size=2, max_size=8), st.floats(0.01, 100))
def test_interval_scales_with_its_values(values, factor):
    one, two = summary(values), summary([factor * x for x in values])
    assert two.mean == pytest.approx(factor * one.mean)
    assert two.low == pytest.approx(factor * one.low, abs=1e-6 * factor * one.mean)
    assert two.high == pytest.approx(factor * one.high)


def test_wider_at_a_higher_level():
    narrow, wide = summary([1, 2, 4], level=0.5), summary([1, 2, 4], level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_not_reached_is_a_value():
    result = summary([3.0, NOT_REACHED, 5.0])
    assert result.mean == NOT_REACHED
    assert (result.low, result.high, result.reached) == (None, None, 2)
    assert summary([NOT_REACHED] * 3).reached == 0


def test_few_values_have_no_interval():
    assert summary([3.0])[1:] == (3.0, None, None, 1)
    assert math.isnan(summary([]).mean)


def test_equal_values_have_an_interval_of_width_zero():
    assert summary([0.1, 0.1, 0.1])[1:4] == pytest.approx((0.1, 0.1, 0.1))


@pytest.mark.parametrize("level", [0, 1, 95])
def test_refuses_a_level(level):
    with pytest.raises(ValueError, match="`level` must be in .0, 1."):
        summary([1.0, 2.0], level=level)


def test_refuses_nan():
    with pytest.raises(ValueError, match="must not hold NaN"):
        summary([1.0, math.nan])


def test_paired_is_the_test_of_one_sample_of_differences():
    first = {1: 0.9, 2: 2.3, 3: 3.1, 9: 100.0}
    second = {1: 1.0, 2: 2.0, 3: 4.0, 7: 100.0}
    result = paired(first, second)
    differences = np.log([0.9 / 1.0, 2.3 / 2.0, 3.1 / 4.0])
    truth = stats.ttest_1samp(differences, 0.0)
    low, high = truth.confidence_interval(0.95)
    assert result.seeds == (1, 2, 3)
    assert result.smaller == 2
    assert result.ratio == pytest.approx(np.exp(differences.mean()))
    assert result.p == pytest.approx(truth.pvalue)
    assert (result.low, result.high) == pytest.approx((np.exp(low), np.exp(high)))


@given(SEEDED, SEEDED)
def test_swapping_inverts_the_ratio(first, second):
    one, two = paired(first, second), paired(second, first)
    if one is None:
        assert two is None
        return
    assert one.ratio * two.ratio == pytest.approx(1)
    if one.p is not None:
        assert one.p == pytest.approx(two.p)
        assert one.low * two.high == pytest.approx(1)


def test_nothing_to_compare():
    assert paired({1: 1.0}, {2: 1.0}) is None
    assert paired({1: 1.0, 2: NOT_REACHED}, {1: 2.0, 2: 3.0}) is None


def test_one_seed_has_a_ratio_and_no_test():
    result = paired({1: 1.0}, {1: 4.0})
    assert (result.ratio, result.low, result.p) == (0.25, None, None)


@pytest.mark.parametrize(("factor", "p"), [(1.0, 1.0), (0.5, 0.0)])
def test_the_same_factor_on_each_seed(factor, p):
    second = {1: 1.0, 2: 2.0, 3: 3.0}
    result = paired({seed: factor * x for seed, x in second.items()}, second)
    assert result.p == p
    assert result.low == result.high == pytest.approx(factor)


def test_refuses_what_has_no_logarithm():
    with pytest.raises(ValueError, match="must be positive"):
        paired({1: 0.0}, {1: 1.0})
