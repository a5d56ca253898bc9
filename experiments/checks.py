"""Checks of arguments that several modules make."""

import numbers


def whole_number(name, value, least):
    """`value` as an `int`.

    Raises:
        ValueError: Not a whole number, or below `least`.

    >>> whole_number("samples", 3, least=1)
    3
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(
            f"`{name}` must be a whole number, at least {least}. "
            f"Received: {name}={value!r}"
        )
    return int(value)
