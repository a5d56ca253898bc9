"""A model seen as spaces: which layer reads and makes which, whatever its graph."""

import keras
import numpy as np
import pytest
from keras import layers

import msann_keras as ms
from msann_keras.kinds import (
    DENSE,
    JOINING,
    NORMALISING,
    POINTWISE,
    PREPROCESSING,
    RESHAPING,
    kind_of,
)
from msann_keras.spaces import functional, multilevel_within, walk

Input, Dense = keras.Input, layers.Dense


def written(seen):
    """Steps as "layer: sources > target", in order."""
    return [f"{s.layer.name}: {' '.join(s.sources)} > {s.target}" for s in seen.steps]


# ---------------------------------------------------------------------------- one walk


@pytest.mark.parametrize("multilevel", [False, True])
def test_a_stack(multilevel):
    stack = [Dense(4, name="one"), layers.ReLU(name="relu"), Dense(2, name="two")]
    model = keras.Sequential([Input((8,)), *stack])
    model = ms.multilevel(model, depth=1) if multilevel else model
    seen = walk(model)
    assert written(seen) == ["one: input > one", "relu: one > one", "two: one > two"]
    assert seen.sizes == {"input": 8, "one": 4, "two": 2}
    assert (seen.inputs, seen.outputs) == (["input"], ["two"])
    assert [step.kind for step in seen.steps] == [DENSE, POINTWISE, DENSE]
    assert [step.layer for step in seen.dense] == [model.layers[i] for i in (-3, -1)]
    assert [step.since_input for step in seen.steps] == [None] * 3
    assert seen.stem is None
    assert not seen.stem_layers


def test_two_inputs_that_meet():
    """Pointwise layers keep the space, also of the larger of two; joins make one."""
    a, b = Input((8,), name="a"), Input((1,), name="b")
    scaled = layers.Rescaling(2.0, name="scaled")(a)
    one = Dense(8, name="one")(layers.Add(name="sum")([b, scaled]))
    both = layers.Concatenate(name="both")([one, b])
    nine = Dense(9, name="nine")(both)
    seen = walk(keras.Model([a, b], [nine, one]))
    assert written(seen) == [
        "scaled: a > a",
        "sum: b a > a",
        "one: a > one",
        "both: one b > both",
        "nine: both > nine",
    ]
    assert seen.sizes == {"a": 8, "b": 1, "one": 8, "both": 9, "nine": 9}
    assert (seen.inputs, seen.outputs) == (["a", "b"], ["nine", "one"])
    assert seen.steps[3].kind is JOINING
    # What is still data: neither a dense layer's output nor what it went into.
    since = [s.since_input and [x.name for x in s.since_input] for s in seen.steps]
    assert since == [["scaled"], ["sum"], None, None, None]


def test_reshaping_upon_reshaping_is_the_stem():
    inputs = Input((4, 6))
    x = layers.Rescaling(0.5, name="half")(inputs)
    x = layers.Permute((2, 1), name="turned")(x)
    x = layers.Reshape((12, 2), name="pairs")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.ReLU(name="relu")(x)
    seen = walk(keras.Model(inputs, Dense(3, name="out")(x)))
    assert written(seen) == [
        "half: input > input",
        "turned: input > turned",
        "pairs: turned > pairs",
        "flat: pairs > flat",
        "relu: flat > flat",
        "out: flat > out",
    ]
    assert seen.inputs == ["flat"]
    assert seen.sizes == {"input": 6, "turned": 4, "pairs": 2, "flat": 24, "out": 3}
    assert {step.kind for step in seen.steps[1:4]} == {RESHAPING}
    assert seen.stem_layers == {"half", "turned", "pairs", "flat"}
    data = np.arange(24.0).reshape(1, 4, 6)
    np.testing.assert_array_equal(seen.stem(data)[0], data[0].T.ravel() / 2)


def test_the_stem_of_two_inputs_leaves_the_other_alone():
    image, row = Input((2, 4), name="image"), Input((8,), name="row")
    flat = layers.Flatten(name="flat")(image)
    outputs = Dense(3)(layers.Add()([flat, row]))
    seen = walk(keras.Model([image, row], outputs))
    assert seen.inputs == ["flat", "row"]
    data = [np.arange(8.0).reshape(1, 2, 4), np.ones((1, 8))]
    for actual, expected in zip(seen.stem(data), data, strict=True):
        np.testing.assert_array_equal(actual, expected.reshape(1, 8))


def test_reshaping_after_a_dense_layer_is_no_stem():
    inputs = Input((8,))
    x = layers.Reshape((4, 2), name="apart")(Dense(8, name="one")(inputs))
    seen = walk(keras.Model(inputs, Dense(3, name="two")(x)))
    assert written(seen) == [
        "one: input > one",
        "apart: one > one",
        "two: apart > two",
    ]
    assert seen.stem is None
    assert seen.steps[1].since_input is None
    assert seen.sizes == {"input": 8, "one": 8, "apart": 2, "two": 3}


def test_reshaping_at_the_end_folds_a_space():
    inputs = Input((8,))
    x = layers.Reshape((4, 2), name="image")(Dense(8, name="one")(inputs))
    x = layers.ReLU(name="relu")(x)
    flat = layers.Flatten(name="flat")(x)
    again = layers.Reshape((2, 2, 2), name="again")(x)
    model = keras.Model(inputs, [x, flat, again, Dense(2, name="two")(flat)])
    seen = walk(model)
    assert sorted(written(seen)) == [
        "again: one > one",
        "flat: one > one",
        "image: one > one",
        "one: input > one",
        "relu: one > one",
        "two: one > two",
    ]
    assert seen.outputs == ["one", "one", "one", "two"]
    assert seen.folds == [(4, 2), None, (2, 2, 2), None]
    assert walk(keras.Model(inputs, x)).folded == {"one": (4, 2)}


@pytest.mark.parametrize(
    "layer", [layers.Permute((2, 1)), layers.Add(), layers.Concatenate(axis=-1)]
)
def test_what_takes_a_folded_space_apart_makes_a_new_one(layer):
    inputs = [Input((8,)), Input((4, 2))]
    image = layers.Reshape((4, 2), name="image")(Dense(8, name="one")(inputs[0]))
    both = [image, inputs[1]]
    made = layer(image if isinstance(layer, layers.Permute) else both)
    seen = walk(keras.Model(inputs, made))
    assert seen.outputs == [layer.name] or seen.outputs == [inputs[1].name]
    assert seen.folded == {}


def test_a_layer_called_twice_is_two_steps_and_one_dense_layer():
    inputs, twice = Input((8,)), Dense(8, name="twice")
    hidden = layers.Activation("tanh", name="tanh")(twice(inputs))
    outputs = layers.Subtract(name="difference")([twice(hidden), hidden])
    model = keras.Model(inputs, outputs)
    seen = walk(model)
    assert written(seen) == [
        "twice: input > twice",
        "tanh: twice > twice",
        "twice: twice > twice",
        "difference: twice twice > twice",
    ]
    (step,) = seen.dense
    assert step.layer is twice
    assert step.sources == ("input",)


@keras.saving.register_keras_serializable("spaces")
class Counting(keras.initializers.Initializer):
    draws = 0

    def __call__(self, shape, dtype=None):
        Counting.draws += 1
        return np.zeros(shape)


def test_a_walk_draws_no_weights_and_changes_nothing():
    model = keras.Sequential(
        [Input((8,)), Dense(4, kernel_initializer=Counting()), layers.Dropout(0.5)]
    )
    before, config = model.layers[0].kernel, model.get_config()
    assert Counting.draws == 1
    seen = walk(model)
    assert Counting.draws == 1
    assert seen.graph.layers[1] is model.layers[0]
    assert model.layers[0].kernel is before
    assert model.get_config() == config


# -------------------------------------------------------------------- kinds and finds


class Scaled(Dense):
    """A subclass may compute anything."""


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (Dense(2), DENSE),
        (ms.MultilevelDense(2, 1), DENSE),
        (Scaled(2), None),
        (layers.Dropout(0.5), POINTWISE),
        (layers.Flatten(), RESHAPING),
        (layers.Concatenate(), JOINING),
        (layers.BatchNormalization(), NORMALISING),
        (layers.LayerNormalization(), NORMALISING),
        (layers.Normalization(), PREPROCESSING),
        (layers.UnitNormalization(), None),
        (keras.Sequential([Dense(2)]), None),
    ],
)
def test_kinds_of_layers(layer, kind):
    assert kind_of(layer) is kind


def test_what_normalises_another_axis_than_the_last_is_a_stranger():
    rows = keras.Input((3, 8))
    for layer, kind in [
        (layers.BatchNormalization(), NORMALISING),
        (layers.BatchNormalization(axis=2), NORMALISING),
        (layers.BatchNormalization(axis=1), None),
        (layers.LayerNormalization(axis=(1, 2)), None),
    ]:
        layer(rows)
        assert kind_of(layer, rank=3) is kind


def test_what_has_adapted_to_data_is_part_of_the_stem():
    inputs, norm = Input((2, 4)), layers.Normalization(name="norm")
    norm.adapt(3 + 5 * np.random.default_rng(0).normal(size=(100, 2, 4)))
    flat = layers.Flatten(name="flat")(norm(inputs))
    seen = walk(keras.Model(inputs, Dense(3, name="out")(flat)))
    assert written(seen) == [
        "norm: input > norm",
        "flat: norm > flat",
        "out: flat > out",
    ]
    assert (seen.inputs, seen.stem_layers) == (["flat"], {"norm", "flat"})
    data = np.random.default_rng(1).normal(size=(5, 2, 4))
    expected = keras.ops.convert_to_numpy(norm(data)).reshape(5, 8)
    np.testing.assert_allclose(seen.stem(data), expected, rtol=1e-6)


def test_every_kind_has_a_coarse_form_or_none():
    dense = Dense(8, "tanh", name="mine", kernel_regularizer="l2")
    coarse, wanted = DENSE.coarse(dense, 4).get_config(), dense.get_config()
    for option in ("name", "activation", "use_bias", "kernel_regularizer"):
        assert coarse[option] == wanted[option]
    assert coarse["units"] == 4
    dropout = POINTWISE.coarse(layers.Dropout(0.3, name="mine"), None)
    assert (dropout.name, dropout.rate) == ("mine", 0.3)
    flat = RESHAPING.coarse(layers.Flatten(name="mine"), None)
    assert (flat.name, flat(np.ones((2, 3))).shape) == ("mine", (2, 3))
    assert JOINING.coarse is None


def test_multilevel_layers_are_found_at_any_depth():
    one, two = ms.MultilevelDense(8, 1), ms.MultilevelDense(8, 1)
    inner = keras.Sequential([Input((None, 8)), one, Dense(8)])
    wrapped = layers.TimeDistributed(two)
    model = keras.Sequential([Input((None, 8)), inner, wrapped])
    assert multilevel_within(model) == [one, two]
    assert multilevel_within(two) == [two]
    assert multilevel_within(keras.ops.relu) == []


# ------------------------------------------------------------------- functional models


def test_a_functional_model_has_the_same_layers_and_name():
    model = keras.Sequential([Input((8,)), Dense(4)], name="mine")
    graph = functional(model)
    assert graph.name == "mine"
    assert not isinstance(graph, keras.Sequential)
    assert graph.layers[-1] is model.layers[-1]
    x = np.ones((2, 8))
    np.testing.assert_array_equal(graph(x), model(x))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="mine")
        self.dense = Dense(4)

    def call(self, x):
        return self.dense(x)


def called():
    model = Subclassed()
    model(np.ones((1, 8)))
    return model


@pytest.mark.parametrize("way", [functional, walk])
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: None, TypeError, "`model` must be a keras.Model.*NoneType"),
        (lambda: Dense(4), TypeError, "`model` must be a keras.Model.*Dense"),
        (
            lambda: keras.Sequential([Dense(4)], name="raw"),
            ValueError,
            "Sequential model 'raw' must be built first",
        ),
        (Subclassed, ValueError, "Sequential or functional model.*'mine'.*Subclassed"),
        (called, ValueError, "Sequential or functional model.*'mine'.*Subclassed"),
    ],
)
def test_refuses_what_has_no_graph_of_layers(way, make, error, message):
    with pytest.raises(error, match=message):
        way(make())
