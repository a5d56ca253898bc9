"""The paper's cost C(t) (section 4.1) and what it took to reach an error.

C(t) counts weighted updates: a batch of b examples at level l costs b |M_l|/|M_0|.
It is not time; with the fine gradient a coarse step costs most of a fine one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from msann.checks import integer, integers, number, reals, shown
from msann.schedules import EVERY_LEVEL, Visit
from msann.schedules.schedule import checked_visits

#: The cost of a target that was never reached: larger than any other.
NOT_REACHED = math.inf


def shares(parameters: Sequence[int]) -> list[float]:
    """Divide the number of parameters of each level by that of level 0.

    Args:
        parameters: |M_l|, the number of parameters of every level, finest first.

    Returns:
        |M_l| / |M_0| for every level; the first one is 1.

    Raises:
        ValueError: No counts, or a count that is no positive integer.

    >>> shares([591_488, 148_288])
    [1.0, 0.250...]
    """
    counts = integers("parameters", parameters, least=1)
    if not counts:
        raise ValueError(
            "`parameters` must hold a positive count for each level. Received: none"
        )
    return [count / counts[0] for count in counts]


def cost(
    visits: Iterable[Visit], parameters: Sequence[int], batch_size: int = 1
) -> float:
    """Add up C of some visits: `batch_size` * |M_l|/|M_0| a batch (section 4.1).

    A batch at `EVERY_LEVEL` updates all levels and is charged for all of them.

    Args:
        visits: At most a million of them.
        parameters: |M_l| of every level, finest first.
        batch_size: Examples in a batch.

    Raises:
        ValueError: What is no visit, a visit to a level that has no count, or a count
            or batch size that is no positive integer.

    >>> cost([Visit(0, 2), Visit(1, 4)], parameters=[100, 25], batch_size=128)
    384.0
    """
    price = dict(enumerate(shares(parameters)))
    price[EVERY_LEVEL] = sum(price.values())
    visits = checked_visits("visits", visits)
    if strangers := [visit for visit in visits if visit.level not in price]:
        raise ValueError(
            "`visits` must be at levels that `parameters` has a count for. Received: "
            f"{strangers[0]} and parameters={shown(parameters)}"
        )
    examples = integer("batch_size", batch_size, least=1)
    return examples * sum(visit.steps * price[visit.level] for visit in visits)


def cost_to_target(
    costs: Sequence[float], errors: Sequence[float], target: float
) -> float:
    """Find the first cost at which the error is at or below `target`.

    Args:
        costs: Any cost (C(t), examples, seconds) at each evaluation, ascending.
        errors: The error at each evaluation; NaN never counts as reached.
        target: The error to reach.

    Returns:
        One of `costs`, or `NOT_REACHED`.

    Raises:
        ValueError: Lengths differ, there is no evaluation, costs descend or are
            negative or NaN, or what should be a number is none.

    Example:

    >>> cost_to_target([0, 128, 256], [0.25, 0.09, 0.02], target=0.025)
    256
    >>> cost_to_target([0, 128], [0.25, 0.09], target=0.025) == NOT_REACHED
    True
    """
    return _first(costs, errors, number("target", target))


def cost_to_fraction(
    costs: Sequence[float], errors: Sequence[float], fraction: float = 0.1
) -> float:
    """Find the first cost at which the error is a fraction of the first error, or less.

    The paper's Tables 1 to 3 say it for a tenth.

    Args:
        costs: As in `cost_to_target`.
        errors: As in `cost_to_target`; the first one counts as the whole.
        fraction: Above 0 and at most 1.

    Returns:
        One of `costs`, or `NOT_REACHED`.

    Raises:
        ValueError: As `cost_to_target`, or a fraction outside (0, 1].

    >>> cost_to_fraction([0, 128, 256], [0.25, 0.09, 0.02])
    256
    """
    fraction = number("fraction", fraction, above=0, most=1)
    first = next(iter(_errors(errors)), math.nan)  # if there is one
    return _first(costs, errors, fraction * first)


def _first(costs, errors, target):
    spent, errors = reals("costs", costs, least=0), _errors(errors)
    if len(spent) != len(errors) or not spent:
        raise ValueError(
            "`costs` and `errors` must have one entry for each evaluation. "
            f"Received: {len(spent)} costs and {len(errors)} errors"
        )
    if any(later < earlier for earlier, later in pairwise(spent)):
        raise ValueError(f"`costs` must ascend. Received: costs={shown(costs)}")
    reached = (c for c, e in zip(costs, errors, strict=True) if e <= target)
    return next(reached, NOT_REACHED)


def _errors(errors: Any) -> tuple[float, ...]:
    """Numbers; NaN and infinity are what a run that has diverged reports."""
    return reals("errors", errors, infinite=True, nan=True)
