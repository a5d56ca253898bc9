"""Checks of arguments: NumPy's numbers are as good as Python's; the rest is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msann import checks

NO_NUMBERS = [True, np.True_, None, "1", [1], {}, 1j, object()]


@given(st.integers(-100, 100), st.sampled_from([int, np.int8, np.int64, np.uint8]))
def test_integers_of_every_kind_are_integers(value, kind):
    if kind is np.uint8:
        value = abs(value)
    result = checks.integer("n", kind(value))
    assert result == value and type(result) is int


@pytest.mark.parametrize("value", [*NO_NUMBERS, 1.0, np.float64(2), np.nan, np.inf])
def test_what_is_no_integer(value):
    with pytest.raises(ValueError, match="`n` must be an integer >= 0. Received: n="):
        checks.integer("n", value, least=0)


@pytest.mark.parametrize("value", [0, 11])
def test_integers_out_of_bounds(value):
    with pytest.raises(ValueError, match=r"integer in 1 \.\. 10\. Received: n="):
        checks.integer("n", value, least=1, most=10)


@pytest.mark.parametrize("value", [2, 2.5, np.float32(2.5), np.int64(2)])
def test_numbers(value):
    result = checks.number("x", value, above=0)
    assert result == value and type(result) is float


@pytest.mark.parametrize(
    "value", [*NO_NUMBERS, np.nan, np.inf, -np.inf, 10**400, 0, -1.0]
)
def test_what_is_no_positive_number(value):
    with pytest.raises(ValueError, match="`x` must be a finite number > 0. Received"):
        checks.number("x", value, above=0)


@pytest.mark.parametrize("value", [0, 1, "no", None, 1.0, [True]])
def test_what_is_no_flag(value):
    with pytest.raises(ValueError, match="`f` must be True or False. Received: f="):
        checks.flag("f", value)
    assert checks.flag("f", np.True_) is True


@pytest.mark.parametrize("value", ["V", None, ["paper"], 1])
def test_what_is_not_one_of_the_names(value):
    with pytest.raises(ValueError, match="`v` must be one of 'paper', 'script'"):
        checks.one_of("v", value, ("paper", "script"))


@pytest.mark.parametrize("values", [3, "12", {1: 2}, None, {1, 2}])
def test_what_is_no_sequence(values):
    with pytest.raises(ValueError, match="`k` must be a sequence of integers >= 1"):
        checks.integers("k", values, least=1)


def test_the_entry_that_is_wrong_is_named():
    assert checks.integers("k", np.array([1, 2]), least=1) == (1, 2)
    with pytest.raises(ValueError, match=r"`k\[1\]` must be an integer >= 1"):
        checks.integers("k", [1, 0], least=1)
    with pytest.raises(ValueError, match=r"`k\[0\]` must be a finite number > 0"):
        checks.reals("k", [np.nan], above=0)
