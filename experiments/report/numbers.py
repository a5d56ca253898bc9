"""How the page writes numbers."""

from __future__ import annotations

import math

NOT_REACHED = "not reached"
NOT_RUN = "not run"
DIVERGED = "diverged"


def mse(value: float) -> str:
    """A mean-squared error; that of a run that diverged is infinite.

    >>> mse(0.01547), mse(float("inf"))
    ('1.547e-2', 'diverged')
    """
    if not math.isfinite(value):
        return DIVERGED
    digits, _, exponent = f"{value:.3e}".partition("e")
    return f"{digits}e{int(exponent)}"


def count(value: float) -> str:
    """C(t) or gradient evaluations.

    >>> count(85747.8), count(1_974_613)
    ('85,748', '1.975 million')
    """
    if value >= 1e6 and math.isfinite(value):
        return f"{value / 1e6:,.3f} million"
    return f"{value:,.0f}" if math.isfinite(value) else NOT_REACHED


def seconds(value: float) -> str:
    """A time.

    >>> seconds(0.0512), seconds(7.52), seconds(1122.4)
    ('0.05', '7.52', '1,122')
    """
    if not math.isfinite(value):
        return NOT_REACHED
    return f"{value:.2f}" if value < 10 else f"{value:,.{1 if value < 100 else 0}f}"


def ratio(value: float) -> str:
    """A factor.

    >>> ratio(0.972), ratio(1.04), ratio(33.61)
    ('0.97', '1.04', '33.6')
    """
    return f"{value:.2f}" if value < 1.2 else f"{value:.1f}"


def p_value(value: float) -> str:
    """A probability.

    >>> p_value(0.0312), p_value(1e-7)
    ('0.031', '< 0.001')
    """
    return "< 0.001" if value < 1e-3 else f"{value:.2g}"


def listed(words: list[str]) -> str:
    """Words as a sentence has them.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
