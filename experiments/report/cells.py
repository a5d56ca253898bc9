"""Cells of tables: a number with what it rests on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection
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
ENDED, OWN_END = Value("ended at 1/10"), "ended at its own 1/10"


def value(
    values: dict[int, float],
    form: Callable[[float], str],
    ended: Collection[int] = (),
) -> Value:
    """A cell from values by seed.

    Args:
        values: By seed; infinite where there is none.
        form: How to write one.
        ended: Seeds without a value since they ended on purpose before.
    """
    result = over_seeds(values)
    words = {s: OWN_END if s in ended else form(x) for s, x in values.items()}
    seeds = tuple(f"{seed}: {word}" for seed, word in words.items())
    failed = Counter(words[s] for s, x in values.items() if not math.isfinite(x))
    if len(values) == 1:
        return Value(*words.values(), "one seed", number=result.mean)
    if len(values) in failed.values():
        return Value(*failed, f"on all of {len(values)} seeds")
    if failed:
        told = [f"{word} on {n} of {len(values)}" for word, n in failed.items()]
        return Value(", ".join(told), "", seeds)
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
