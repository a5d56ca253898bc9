"""Cells of tables: a number with what it rests on."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from experiments.report import numbers
from experiments.report.groups import over_seeds


class Value(NamedTuple):
    """A cell as text: the mean, its interval (or a remark), every seed.

    Attributes:
        number: The mean itself.
        against: How many times the paper's number it is.
    """

    mean: str
    interval: str = ""
    seeds: tuple[str, ...] = ()
    number: float = math.nan
    against: str = ""


EMPTY, BLANK = Value(numbers.NOT_RUN), Value("")
ENDED = Value("ended at 1/10")


def value(values: dict[int, float], form: Callable[[float], str]) -> Value:
    """A cell from values by seed."""
    result = over_seeds(values)
    seeds = tuple(f"{seed}: {form(x)}" for seed, x in values.items())
    if result.reached < len(values) and result.reached:
        failed = len(values) - result.reached
        return Value(f"{form(math.inf)} on {failed} of {len(values)}", "", seeds)
    if len(values) == 1:
        return Value(form(result.mean), "one seed", number=result.mean)
    if not result.reached:
        return Value(form(result.mean), f"on all of {len(values)} seeds")
    interval = f"{form(max(result.low, 0.0))} to {form(result.high)}"
    return Value(form(result.mean), interval, seeds, result.mean)


def against(cell: Value, theirs: float) -> Value:
    """A cell that says how many times the paper's number it is.

    >>> against(Value("3.0", number=3.0), 2.0).against
    "1.50 × the paper's"
    """
    if not math.isfinite(cell.number) or not math.isfinite(theirs):
        return cell
    return cell._replace(against=f"{cell.number / theirs:.2f} × the paper's")
