"""What an argument may be: one check of each kind, for every public function.

Each check returns the value as plain Python has it, so that NumPy's numbers are as good
as Python's, and says in one voice what is wrong: the argument's name, what is allowed,
and what came in. `True` and `False` are no numbers, and 2.0 is no integer.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Collection, Iterable
from typing import Any


def integer(
    name: str, value: Any, least: int | None = None, most: int | None = None
) -> int:
    """An integer between two bounds, NumPy's integers among them.

    Args:
        name: Of the argument, for the error.
        value: What came in.
        least: Smallest value allowed, if there is one.
        most: Largest value allowed, if there is one.

    Returns:
        A Python `int`.

    Raises:
        ValueError: No integer (a bool and 2.0 are none), or out of bounds.

    >>> import numpy as np
    >>> integer("depth", np.int64(3), least=0)
    3
    >>> integer("depth", 1.0, least=0)
    Traceback (most recent call last):
    ValueError: `depth` must be an integer >= 0. Received: depth=1.0
    """
    try:
        result = None if _is_bool(value) else operator.index(value)
    except TypeError:
        result = None
    if result is None or not _within(result, least, most):
        _refuse(name, value, f"an integer{_bounds(least, most)}")
    return result


def number(
    name: str,
    value: Any,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
) -> float:
    """A finite number between two bounds.

    Args:
        name: Of the argument, for the error.
        value: What came in.
        least: Smallest value allowed, if there is one.
        most: Largest value allowed, if there is one.
        above: All values allowed are larger, if there is such a bound.

    Returns:
        A Python `float`.

    Raises:
        ValueError: No real number (a bool and a string are none), NaN, infinite, or
            out of bounds.

    >>> number("seconds", 2, above=0)
    2.0
    >>> number("seconds", float("nan"), above=0)
    Traceback (most recent call last):
    ValueError: `seconds` must be a finite number > 0. Received: seconds=nan
    """
    is_real = isinstance(value, numbers.Real) and not _is_bool(value)
    try:
        result = float(value) if is_real else math.nan
    except OverflowError:  # an integer beyond the largest float
        result = math.inf
    fits = _within(result, least, most) and (above is None or result > above)
    if not (math.isfinite(result) and fits):
        bounds = _bounds(least, most) or ("" if above is None else f" > {above:g}")
        if above is not None and most is not None:
            bounds = f" > {above:g} and <= {most:g}"
        _refuse(name, value, f"a finite number{bounds}")
    return result


def flag(name: str, value: Any) -> bool:
    """True or False, and nothing that would only count as one of them.

    >>> flag("resume", "no")
    Traceback (most recent call last):
    ValueError: `resume` must be True or False. Received: resume='no'
    """
    if not _is_bool(value):
        _refuse(name, value, "True or False")
    return bool(value)


def one_of(name: str, value: Any, allowed: Collection[str]) -> str:
    """One of some names.

    >>> one_of("variant", "V", ("paper", "script"))
    Traceback (most recent call last):
    ValueError: `variant` must be one of 'paper', 'script'. Received: variant='V'
    """
    if not isinstance(value, str) or value not in allowed:
        _refuse(name, value, f"one of {', '.join(map(repr, allowed))}")
    return value


def integers(name: str, values: Any, least: int | None = None) -> tuple[int, ...]:
    """Integers, one after another: a sequence or an array of one axis.

    >>> import numpy as np
    >>> integers("steps", np.array([1, 2]), least=1)
    (1, 2)
    """
    return _each(name, values, integer, f"integers{_bounds(least, None)}", least=least)


def reals(name: str, values: Any, **bounds: float) -> tuple[float, ...]:
    """Finite numbers, one after another, with the bounds of `number`.

    >>> reals("rate_factors", [1, 1.5], above=0)
    (1.0, 1.5)
    """
    return _each(name, values, number, "finite numbers", **bounds)


def _each(name, values, check, wanted, **bounds):
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | dict | set):
        _refuse(name, values, f"a sequence of {wanted}")
    return tuple(check(f"{name}[{i}]", x, **bounds) for i, x in enumerate(values))


def _is_bool(value) -> bool:
    # NumPy's bool by its name: the plainest rooms import no NumPy.
    return type(value).__name__ in ("bool", "bool_")


def _within(value, least, most) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def _bounds(least, most) -> str:
    if least is not None and most is not None:
        return f" in {least:,} .. {most:,}"
    if least is not None:
        return f" >= {least:,}"
    return "" if most is None else f" <= {most:,}"


def _refuse(name, value, wanted):
    raise ValueError(f"`{name}` must be {wanted}. Received: {name}={value!r}")
