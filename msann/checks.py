"""What an argument may be: one check of each kind, for every public function.

Each check returns the value as plain Python has it, so that NumPy's numbers are as good
as Python's, and says in one voice what is wrong: the argument's name, what is allowed,
and what came in. `True` and `False` are no numbers, and 2.0 is no integer.
"""

from __future__ import annotations

import math
import numbers
import operator
import reprlib
from collections.abc import Collection, Iterable, Sized
from typing import Any, NoReturn

#: No sane integer has more digits; a seed may have 39.
DIGITS = 40

_SHORT = reprlib.Repr()
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxdict = 20
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 200


def integer(
    name: str, value: Any, least: int | None = None, most: float | None = None
) -> int:
    """An integer between two bounds, NumPy's integers among them.

    Args:
        name: Of the argument, for the error.
        value: What came in.
        least: Smallest value allowed, if there is one.
        most: Largest value allowed, if there is one; infinity is none.

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
        refuse(name, value, f"an integer{_bounds(least, most)}")
    if abs(result) >= 10**DIGITS:
        refuse(name, value, f"an integer of at most {DIGITS} digits")
    return result


def number(
    name: str,
    value: Any,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    infinite: bool = False,
    nan: bool = False,
) -> float:
    """A finite number between two bounds.

    Args:
        name: Of the argument, for the error.
        value: What came in.
        least: Smallest value allowed, if there is one.
        most: Largest value allowed, if there is one.
        above: All values allowed are larger, if there is such a bound.
        below: All values allowed are smaller, if there is such a bound.
        infinite: Whether infinity is allowed too: no limit.
        nan: Whether NaN is allowed too: nothing is known.

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
    try:
        is_real = isinstance(value, numbers.Real) and not _is_bool(value)
        result = float(value) if is_real else None
    except OverflowError:  # an integer beyond the largest float
        result = None
    if result is not None and (
        nan
        if math.isnan(result)
        else (infinite or math.isfinite(result))
        and _within(result, least, most, above, below)
    ):
        return result
    bounds = _bounds(least, most, above, below)
    refuse(name, value, f"a {'' if infinite else 'finite '}number{bounds}")


def flag(name: str, value: Any) -> bool:
    """True or False, and nothing that would only count as one of them.

    >>> flag("resume", "no")
    Traceback (most recent call last):
    ValueError: `resume` must be True or False. Received: resume='no'
    """
    if not _is_bool(value):
        refuse(name, value, "True or False")
    return bool(value)


def one_of(name: str, value: Any, allowed: Collection[str]) -> str:
    """One of some names.

    >>> one_of("variant", "V", ("paper", "script"))
    Traceback (most recent call last):
    ValueError: `variant` must be one of 'paper', 'script'. Received: variant='V'
    """
    if not isinstance(value, str) or value not in allowed:
        refuse(name, value, f"one of {', '.join(map(repr, allowed))}")
    return value


def instance(name: str, value: Any, kind: type, what: str) -> Any:
    """An object of a class, as it is.

    Args:
        name: Of the argument, for the error.
        value: What came in.
        kind: The class.
        what: How to call its objects: "a `Schedule`".

    >>> instance("base", "path", dict, "a mapping")
    Traceback (most recent call last):
    ValueError: `base` must be a mapping. Received: base='path'
    """
    if not isinstance(value, kind):
        refuse(name, value, what)
    return value


def integers(
    name: str, values: Any, least: int | None = None, most: int | None = None
) -> tuple[int, ...]:
    """Integers, one after another: a sequence or an array of one axis.

    >>> import numpy as np
    >>> integers("steps", np.array([1, 2]), least=1)
    (1, 2)
    """
    bounds = {"least": least, "most": most}
    return _each(name, values, integer, f"integers{_bounds(**bounds)}", **bounds)


def reals(name: str, values: Any, **bounds: Any) -> tuple[float, ...]:
    """Finite numbers, one after another, with the bounds of `number`.

    >>> reals("rate_factors", [1, 1.5], above=0)
    (1.0, 1.5)
    """
    return _each(name, values, number, "finite numbers", **bounds)


def each(name: str, values: Any, wanted: str) -> Iterable:
    """The values one after another, of a sequence, an array or an iterator.

    Args:
        name: Of the argument, for the error.
        values: What came in.
        wanted: How to call its entries.

    >>> each("visits", "01", "visits")
    Traceback (most recent call last):
    ValueError: `visits` must be a sequence of visits. Received: visits='01'
    """
    try:
        if hasattr(values, "__len__"):
            len(values)  # which arrays without an axis and sparse ones have not
        if not isinstance(values, str | bytes | dict | set):
            return iter(values)
    except TypeError:
        pass
    refuse(name, values, f"a sequence of {wanted}")


def refuse(name: str, value: Any, wanted: str) -> NoReturn:
    """Raise the error that every check raises.

    >>> refuse("shape", (), "at least one side")
    Traceback (most recent call last):
    ValueError: `shape` must be at least one side. Received: shape=()
    """
    raise ValueError(f"`{name}` must be {wanted}. Received: {name}={shown(value)}")


def shown(value: Any) -> str:
    """How an error repeats a value: whole where it is short."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python does not print integers of thousands of digits
        return f"a {type(value).__name__} too long to print"


def _each(name, values, check, wanted, **bounds):
    entries = enumerate(each(name, values, wanted))
    if not isinstance(values, Sized):  # it might never end
        refuse(name, values, f"a sequence of {wanted}")
    return tuple(check(f"{name}[{i}]", x, **bounds) for i, x in entries)


def _is_bool(value) -> bool:
    # NumPy's bool by its name: the plainest rooms import no NumPy.
    return type(value).__name__ in ("bool", "bool_")


def _within(value, least, most, above=None, below=None) -> bool:
    return (
        (least is None or value >= least)
        and (most is None or value <= most)
        and (above is None or value > above)
        and (below is None or value < below)
    )


def _bounds(least, most, above=None, below=None) -> str:
    if least is not None and most is not None:
        return f" in {least:,} .. {most:,}"
    bounds = {">=": least, ">": above, "<=": most, "<": below}
    named = [f"{sign} {x:,}" for sign, x in bounds.items() if x is not None]
    return f" {' and '.join(named)}" if named else ""
