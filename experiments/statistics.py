"""Means, intervals and paired tests over seeds; "not reached" is a value.

A cost that was never reached is infinite. It stays among the values: a mean with one in
it is not reached either, and a comparison with one has no ratio.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class Summary(NamedTuple):
    """Values over seeds.

    Attributes:
        values: One a seed, as they came.
        mean: Infinite if any value is; NaN without values.
        low, high: The 95 % interval of the mean (Student's t), `None` below two values
            or if one is not reached.
        reached: How many values are finite.
    """

    values: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None
    reached: int


def summary(values: Sequence[float], level: float = 0.95) -> Summary:
    """Mean and interval of independent values.

    >>> two = summary([1.0, 3.0])
    >>> two.mean, round(two.low, 2), round(two.high, 2)
    (2.0, -10.71, 14.71)
    >>> summary([1.0, math.inf]).mean
    inf
    """
    if not 0 < level < 1:
        raise ValueError(f"`level` must be in (0, 1). Received: level={level!r}")
    values = tuple(float(value) for value in values)
    if any(math.isnan(value) for value in values):
        raise ValueError(f"`values` must not hold NaN. Received: values={values}")
    reached = sum(map(math.isfinite, values))
    if not values:
        return Summary((), math.nan, None, None, 0)
    mean = math.fsum(values) / len(values)
    if len(values) < 2 or reached < len(values):
        return Summary(values, mean, None, None, reached)
    error = stats.sem(values)
    if not error:  # equal values: scipy's interval of width zero is NaN
        return Summary(values, mean, mean, mean, reached)
    low, high = stats.t.interval(level, len(values) - 1, loc=mean, scale=error)
    return Summary(values, mean, float(low), float(high), reached)


class Paired(NamedTuple):
    """One scheme over another on the same seeds.

    Attributes:
        seeds: Those that both have.
        ratio: Geometric mean of first / second: below 1, the first is smaller.
        low, high: The 95 % interval of the ratio; `None` below two seeds.
        p: Of the two-sided paired t-test of the logarithms; `None` below two seeds.
        smaller: On how many seeds the first is smaller.
    """

    seeds: tuple[int, ...]
    ratio: float
    low: float | None
    high: float | None
    p: float | None
    smaller: int


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> Paired | None:
    """Compare two schemes seed by seed, as ratios.

    Errors and costs are positive and differ by factors, so logarithms are compared.

    Args:
        first, second: A positive value for each seed.

    Returns:
        `None` if no seed is shared, or a value of a shared one is not reached.

    Example:

    >>> result = paired({1: 1.0, 2: 2.0}, {1: 2.0, 2: 4.0, 3: 9.0})
    >>> result.seeds, round(result.ratio, 3), result.smaller
    ((1, 2), 0.5, 2)
    """
    seeds = tuple(sorted(first.keys() & second.keys()))
    pairs = [(first[seed], second[seed]) for seed in seeds]
    if any(not value > 0 for pair in pairs for value in pair):
        raise ValueError(f"Values must be positive. Received: {pairs}")
    if not pairs or not np.isfinite(pairs).all():
        return None
    one, two = np.log(pairs).T
    ratio = math.exp(np.mean(one - two))
    smaller = sum(a < b for a, b in pairs)
    if len(seeds) < 2:
        return Paired(seeds, ratio, None, None, None, smaller)
    if np.ptp(one - two) < 1e-12:  # the same factor on each seed: no spread to test by
        p = 1.0 if abs(ratio - 1) < 1e-12 else 0.0
        return Paired(seeds, ratio, ratio, ratio, p, smaller)
    test = stats.ttest_rel(one, two)
    low, high = test.confidence_interval(0.95)
    return Paired(
        seeds, ratio, math.exp(low), math.exp(high), float(test.pvalue), smaller
    )
