"""Layers of no level in a multilevel model: they are kept, started, or refused."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from smooth import Y_NEW, X, Y, loss

import msann_keras as ms
from msann_keras.nested import multilevel


@pytest.mark.parametrize("keep_weights", [False, True])
def test_a_multilevel_model_keeps_what_has_adapted_to_the_data(keep_weights):
    norm = layers.Normalization()
    norm.adapt(3 + 5 * X)
    stack = [norm, layers.Dense(64, "gelu"), layers.Dense(64)]
    plain = keras.Sequential([keras.Input((64,)), *stack])
    model = ms.multilevel(plain, 2, keep_weights=keep_weights)
    copy = next(x for x in model.layers if isinstance(x, layers.Normalization))
    expected = ops.convert_to_numpy(norm(X))
    np.testing.assert_allclose(ops.convert_to_numpy(copy(X)), expected, rtol=1e-6)
    merged = model.merge()
    np.testing.assert_allclose(merged(X), model(X), rtol=1e-4, atol=1e-5)


@pytest.mark.thorough
def test_the_cycles_auto_of_a_model_with_ordinary_layers(monkeypatch):
    """They are of no level, and have what the start has learned too."""
    dense = {"depth": 2, "input_topology": ms.path(64), "output_topology": ms.path(64)}
    inputs = keras.Input((64,))
    x = ms.MultilevelDense(64, activation="gelu", name="one", **dense)(inputs)
    x = layers.LayerNormalization(name="norm")(x)
    outputs = ms.MultilevelDense(64, name="two", **dense)(x)
    model = ms.MultilevelModel(inputs, outputs)
    model.compile("adam", "mse")
    model.make_train_function()
    before = model.get_layer("norm").get_weights()
    real = multilevel.warm_start
    short = {"depth": 3, "seconds": 0.6}
    monkeypatch.setattr(
        multilevel, "warm_start", lambda *a, **k: real(*a, **k, **short)
    )
    multilevel.begin_warmly(model, {"x": X, "y": Y, "batch_size": 16})
    assert loss(model) < 0.5 * np.mean(Y_NEW**2)
    gamma, _ = model.get_layer("norm").get_weights()
    assert np.abs(gamma - before[0]).max() > 0


@pytest.mark.parametrize("kind", [layers.BatchNormalization, layers.LayerNormalization])
def test_cycles_on_coarsened_data_refuse_them(kind):
    inputs = keras.Input((8,))
    hidden = kind(name="norm")(ms.MultilevelDense(8, 1)(inputs))
    model = ms.MultilevelModel(inputs, ms.MultilevelDense(8, 1)(hidden))
    with pytest.raises(
        ValueError, match="'norm': a .*Normalization layer has no coarse"
    ):
        ms.coarse_network(model, 1)
