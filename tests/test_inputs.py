"""What `fit` is given, before anything trains: shapes to build by, and NaN."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import (
    DATA,
    EAGER,
    GRAPH,
    Sequence,
    Subclassed,
    X,
    Y,
    assert_equal,
    compiled,
    dataset,
)

import msann_keras as ms
from msann_keras.inputs import refuse_nan, symbolic

# ---------------------------------------------------------- symbolic inputs like data

WHOLE, IMAGES = np.zeros((5, 3), "int32"), np.zeros((5, 28, 28), "uint8")
THREE = tf.data.Dataset.from_tensor_slices((X, Y, np.ones(10)))


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (X, ((None, 4), "float32")),
        (X.astype("float64"), ((None, 4), "float64")),
        (tf.constant(X), ((None, 4), "float32")),
        (np.zeros(5), ((None,), "float64")),
        ([X, WHOLE], [((None, 4), "float32"), ((None, 3), "int32")]),
        ({"image": IMAGES}, {"image": ((None, 28, 28), "uint8")}),
        (dataset(), ((None, 4), "float32")),
        (dataset().repeat(), ((None, 4), "float32")),
        (THREE.batch(4, drop_remainder=True), ((None, 4), "float32")),
        (
            tf.data.Dataset.from_tensor_slices(
                ({"a": X, "b": WHOLE[[0] * 10]}, Y)
            ).batch(2),
            {"a": ((None, 4), "float32"), "b": ((None, 3), "int32")},
        ),
    ],
)
def test_symbolic_inputs_have_the_structure_shapes_and_types_of_data(x, expected):
    made = keras.tree.map_structure(lambda t: (t.shape, t.dtype), symbolic(x))
    assert made == expected
    assert all(
        isinstance(t, keras.KerasTensor) for t in keras.tree.flatten(symbolic(x))
    )


def test_no_batch_of_a_generator_is_used_up():
    batches = iter([(X, Y)])
    assert symbolic(batches) is None
    assert next(batches)[0] is X


@pytest.mark.parametrize("x", [Sequence(), None, 3, "abc", [[1.0, 2.0]], [X, None]])
def test_what_has_no_shape_and_type_makes_no_inputs(x):
    assert symbolic(x) is None


# ------------------------------------------------- `fit` builds a model that needs it


@pytest.mark.quick(1)
@pytest.mark.parametrize("mode", [EAGER, GRAPH])
@pytest.mark.parametrize("make", [lambda: (X, Y), lambda: (dataset(), None)])
def test_fit_builds_a_subclassed_model(make, mode):
    model = Subclassed()
    model.compile("adam", "mse", **mode)
    assert not model.built
    x, y = make()
    fitted = model.fit(x, y, epochs=2, verbose=0, callbacks=[ms.CycleSchedule()])
    assert fitted.history["loss"][1] < fitted.history["loss"][0]
    assert model.hierarchy.parameters == (20, 6)
    assert model.progress.examples == 20


class ByName(ms.MultilevelModel):
    def __init__(self):
        super().__init__()
        self.dense = ms.MultilevelDense(4, depth=1)

    def call(self, x):
        return self.dense(x["left"] + x["right"])


def test_fit_builds_a_model_of_inputs_by_name():
    model = ByName()
    model.compile("sgd", "mse", **EAGER)
    model.fit({"left": X, "right": -X}, Y, verbose=0)
    assert model.dense.kernels[1].shape == (2, 2)


@pytest.mark.parametrize("kind", ["generator", "PyDataset"])
def test_fit_refuses_to_build_from_what_it_cannot_look_at(kind):
    model = Subclassed()
    model.compile("sgd", "mse", **EAGER)
    with pytest.raises(ValueError, match="'subclassed.*must be built first"):
        model.fit(**DATA[kind](), verbose=0)
    assert not model.built
    model(X)
    model.fit(**DATA[kind](), verbose=0)
    assert model.optimizer.iterations == 3


# ------------------------------------------------------------------------------- NaN


@pytest.mark.parametrize("argument", ["x", "y"])
@pytest.mark.parametrize("nested", [False, True])
def test_fit_refuses_nan(argument, nested):
    model = compiled(1)
    before = model.get_weights()
    bad = X.copy()
    bad[3, 1] = bad[5, 2] = np.nan
    data = {"x": X, "y": Y} | {argument: {"name": bad} if nested else bad}
    message = rf"`{argument}` must not contain NaN.*\(10, 4\) with 2 NaN"
    with pytest.raises(ValueError, match=message):
        model.fit(**data, verbose=0)
    assert_equal(model.get_weights(), before, rtol=0, atol=0)
    assert model.progress.position == 0


@pytest.mark.parametrize(
    "data", [None, np.full(2, np.inf), np.zeros((0, 3)), WHOLE, "nan", dataset()]
)
def test_what_holds_no_nan_passes(data):
    refuse_nan("x", data)
    refuse_nan("x", {"nested": [X, data]})
