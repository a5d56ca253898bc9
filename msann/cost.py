"""The paper's cost C(t) (section 4.1) and what it took to reach an error.

C(t) counts weighted updates: a batch of b examples at level l costs b |M_l|/|M_0|.
It is not time; with the fine gradient a coarse step costs most of a fine one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from msann.schedules import EVERY_LEVEL, Visit

#: The cost of a target that was never reached: larger than any other.
NOT_REACHED = math.inf


def shares(parameters: Sequence[int]) -> list[float]:
    """|M_l| / |M_0| for the number of parameters of every level, finest first.

    >>> shares([591_488, 148_288])
    [1.0, 0.250...]
    """
    if not parameters or min(parameters) < 1:
        raise ValueError(
            "`parameters` must hold a positive count for each level. "
            f"Received: parameters={list(parameters)}"
        )
    return [count / parameters[0] for count in parameters]


def cost(
    visits: Iterable[Visit], parameters: Sequence[int], batch_size: int = 1
) -> float:
    """C of some visits: `batch_size` * |M_l|/|M_0| for every batch (section 4.1).

    A batch at `EVERY_LEVEL` updates all levels and is charged for all of them.

    Raises:
        ValueError: A visit to a level that has no count.

    >>> cost([Visit(0, 2), Visit(1, 4)], parameters=[100, 25], batch_size=128)
    384.0
    """
    price = dict(enumerate(shares(parameters)))
    price[EVERY_LEVEL] = sum(price.values())
    visits = list(visits)
    if strangers := [visit for visit in visits if visit.level not in price]:
        raise ValueError(
            f"`parameters` has no level for a visit. Received: {strangers[0]} and "
            f"parameters={list(parameters)}"
        )
    return batch_size * sum(visit.steps * price[visit.level] for visit in visits)


def cost_to_target(
    costs: Sequence[float], errors: Sequence[float], target: float
) -> float:
    """The first cost at which the error is at or below `target`.

    Args:
        costs: Any cost (C(t), examples, seconds) at each evaluation, ascending.
        errors: The error at each evaluation; NaN never counts as reached.
        target: The error to reach.

    Returns:
        One of `costs`, or `NOT_REACHED`.

    Raises:
        ValueError: Lengths differ, there is no evaluation, or costs descend.

    Example:

    >>> cost_to_target([0, 128, 256], [0.25, 0.09, 0.02], target=0.025)
    256
    >>> cost_to_target([0, 128], [0.25, 0.09], target=0.025) == NOT_REACHED
    True
    """
    if len(costs) != len(errors) or not len(costs):
        raise ValueError(
            "`costs` and `errors` must have one entry for each evaluation. "
            f"Received: {len(costs)} costs and {len(errors)} errors"
        )
    if any(later < earlier for earlier, later in pairwise(costs)):
        raise ValueError(f"`costs` must ascend. Received: costs={list(costs)}")
    reached = (c for c, e in zip(costs, errors, strict=True) if e <= target)
    return next(reached, NOT_REACHED)


def cost_to_fraction(
    costs: Sequence[float], errors: Sequence[float], fraction: float = 0.1
) -> float:
    """The cost to bring the error to a fraction of the first one (Tables 1 to 3).

    >>> cost_to_fraction([0, 128, 256], [0.25, 0.09, 0.02])
    256
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"`fraction` must be in (0, 1]. Received: fraction={fraction}")
    if not len(errors):
        raise ValueError("`errors` must not be empty.")
    return cost_to_target(costs, errors, fraction * errors[0])
