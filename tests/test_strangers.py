"""Layers of unknown kinds: they stay as they are, with the weights that they have."""

import keras
import numpy as np
import pytest
from convolutions import OPTIONS, RNG, compiled, outputs
from keras import layers, ops
from smooth import same

import msann_keras as ms
from msann_keras.images.levels import images_of
from msann_keras.spaces import functional

X = RNG.normal(size=(384, 12)).astype("float32")
Y = X[:, :2] - X[:, 2:4]


def adapted():
    norm = layers.Normalization()
    norm.adapt(5 + 3 * X)
    return norm


def inner(*stack):
    return keras.Sequential([keras.Input((12,)), *stack], name="inner")


def of(*stack):
    hidden = layers.Dense(16, "tanh", name="hidden")
    return keras.Sequential([keras.Input((12,)), *stack, hidden, layers.Dense(2)])


def frozen_within():
    model = of(inner(layers.Dense(12, name="deep")))
    model.get_layer("inner").get_layer("deep").trainable = False
    return model


@keras.saving.register_keras_serializable("tests")
class Own(layers.Layer):
    """With an activation that another layer has."""

    def __init__(self, activation="relu", **kwargs):
        super().__init__(**kwargs)
        self.named = activation
        self.dense = layers.Dense(12, activation)

    def call(self, x):
        return self.dense(x)

    def get_config(self):
        return super().get_config() | {"activation": self.named}


STRANGERS = {
    "a model": lambda: inner(adapted(), layers.Dense(12, "relu")),
    "one's own": Own,
    "a function": lambda: layers.Lambda(lambda x: ops.sin(x), output_shape=(12,)),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_stays_as_it_is(name):
    stranger = STRANGERS[name]()
    model = of(stranger)
    before = stranger.get_weights()
    levels = images_of(functional(model), 1)
    assert levels.thin == {"hidden"}
    copy = levels.network(1).get_layer(stranger.name)
    for one, other in zip(before, copy.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    x = 5 + 3 * X
    np.testing.assert_allclose(outputs(copy, x), outputs(stranger, x), atol=1e-5)


@pytest.mark.thorough
def test_a_model_around_strangers_is_started():
    model = compiled(of(inner(adapted(), layers.Dense(12, "relu")), Own()))
    untrained = model.evaluate(5 + 3 * X, Y, verbose=0)
    norm = model.get_layer("inner").layers[0]
    before = norm.get_weights()
    record = ms.warm_start(model, 5 + 3 * X, Y, depth=1, **OPTIONS | {"seconds": 6.0})
    assert [one.level for one in record.levels] == [1]
    assert model.evaluate(5 + 3 * X, Y, verbose=0) < 0.8 * untrained
    for one, other in zip(before, norm.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_frozen_within_is_refused():
    model = compiled(frozen_within())
    before = model.get_weights()
    with pytest.raises(ValueError, match="'inner' cannot be coarsened: it does not"):
        ms.warm_start(model, X, Y, depth=1, **OPTIONS)
    same(model, before)


def test_axes_may_be_unknown():
    inputs = keras.Input((None, 12))
    x = layers.Reshape((-1, 4, 8))(layers.Dense(32, name="a")(inputs))
    x = layers.Dense(16, name="b")(ops.mean(x, axis=1))
    x = layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    levels = images_of(functional(model), 1)
    assert levels.thin == {"b"}  # an operation reads what `a` makes
    flat = keras.Input((None,))
    rows = ops.sum(layers.Embedding(5, 8)(flat), axis=-1)
    model = keras.Model(flat, ops.mean(layers.Add()([rows, flat]), axis=1))
    assert images_of(functional(model), 1).thin == frozenset()


def test_a_topology_is_for_what_has_one():
    with pytest.raises(ValueError, match="an? Own layer has no coarse form"):
        ms.plan(of(Own()), X, Y, topology="path")
    plan = ms.plan(of(Own()), X, Y)
    assert plan.depth == 0
    assert "a Own layer has no coarse form" in plan.reason
    with pytest.raises(ValueError, match="`depth` must be at most 1 here.*Own layer"):
        ms.plan(of(Own()), X, Y, depth=2)
