"""What came in as data: arrays in the model's order, checked and cut."""

import numpy as np
import pytest
from coarsened import named, one_layer

from msann_keras.engines.coarsened.network import coarsening
from msann_keras.samples import parts_of, split

X = np.add.outer(np.arange(20), np.linspace(0, 0.7, 8)).astype("float32")
Y = np.arange(20)[:, None] * np.ones(4, "float32")
WEIGHTS = np.arange(20, dtype="float32")
NAMED, OF_DICTS, ONE = map(coarsening, (named(), named(dict), one_layer()))


def assert_arrays(part, expected):
    for actual, wanted in zip(part, expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)


# ---------------------------------------------------------------------- which is which


@pytest.mark.parametrize("kind", [dict, list, tuple])
def test_inputs_and_targets_by_name_or_in_order(kind):
    x, y = {"two": 10 * Y, "one": X}, {"other": 3 * X, "sum": Y}
    if kind is not dict:
        x, y = kind([x["one"], x["two"]]), kind([y["sum"], y["other"]])
    inputs, targets, weights = parts_of(x, y, None, NAMED)
    assert_arrays(inputs, [X, 10 * Y])
    assert_arrays(targets, [Y, 3 * X])
    assert weights == ()


def test_a_model_of_dicts_takes_dicts():
    x, y = {"two": 10 * Y, "one": X}, {"z": Y, "y": 3 * X}
    inputs, targets, _ = parts_of(x, y, None, OF_DICTS)
    assert_arrays(inputs, [X, 10 * Y])
    assert_arrays(targets, [3 * X, Y])


def test_numbers_become_arrays_of_the_usual_precision():
    (x,), (y,), (weights,) = parts_of(X.tolist(), Y.astype("float64"), WEIGHTS, ONE)
    assert_arrays([x, y, weights], [X, Y, WEIGHTS])
    assert {array.dtype for array in (x, y, weights)} == {np.dtype("float32")}


def test_labels_on_a_space_that_stays_whole_have_a_shape_of_their_own():
    parts = coarsening(one_layer(output_topology="identity"))
    _, (labels,), _ = parts_of(X, np.arange(20), None, parts)
    assert labels.tolist() == [*range(20)]
    assert labels.dtype.kind == "i"


# ------------------------------------------------------------------------- validation


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_last_samples_are_held_out(weights):
    x = {"one": X, "two": Y}
    kept, held_out = split(x, [Y], weights, fraction=0.3)
    assert_arrays([kept[0]["one"], kept[0]["two"], *kept[1]], [X[:14], Y[:14], Y[:14]])
    assert_arrays([held_out[0]["one"], *held_out[1]], [X[14:], Y[14:]])
    if weights is None:
        assert kept[2] is None
        assert len(held_out) == 2  # `validation_data` takes no None
    else:
        assert_arrays([kept[2], held_out[2]], [WEIGHTS[:14], WEIGHTS[14:]])


# --------------------------------------------------------------------------- refusals


def test_refuses_a_dict_without_a_name():
    with pytest.raises(ValueError, match=r"`x`.*\['one', 'two'\].*without \['two'\]"):
        parts_of({"one": X}, [Y, X], None, NAMED)
    with pytest.raises(ValueError, match=r"`y`.*\['sum', 'other'\].*without \['sum'\]"):
        parts_of([X, Y], {"other": X}, None, NAMED)


@pytest.mark.parametrize(
    ("x", "y", "weights", "message"),
    [
        (X[:0], Y[:0], None, r"at least one. Received: \[0\] samples"),
        (X, Y[:5], None, r"same number of samples.*\[5, 20\]"),
        (X, Y, WEIGHTS[:3], r"same number of samples.*\[3, 20\]"),
        ([X, X], Y, None, r"`x` must have one array for each of.*Received: 2 arrays"),
        (X[:, :7], Y, None, r"`x` must have samples of shape \(8,\).*\(20, 7\)"),
        (X, Y[:, 0], None, r"`y` must have samples of shape \(4,\).*\(20,\)"),
        (X * 1j, Y, None, "`x` must be an array of real numbers.*complex"),
        (X, Y, [WEIGHTS], "`sample_weight` must be one array.*a list"),
        (X, Y, -WEIGHTS, "`sample_weight` must hold one finite number >= 0.*from -19"),
        (X, Y, np.ones((20, 4)), r"`sample_weight`.*shape \(20, 4\)"),
    ],
)
def test_refuses_arrays_that_do_not_fit(x, y, weights, message):
    with pytest.raises(ValueError, match=message):
        parts_of(x, y, weights, ONE)
