"""Networks that normalise: batch and layer normalisation in a warm start."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from precision import EXACT_NORMALISED, floatx
from smooth import OPTIONS, X_NEW, Y_NEW, X, Y, loss, started

import msann_keras as ms
from msann.topology import chain
from msann_keras.averages import averaged
from msann_keras.coarse_forms import coarsened
from msann_keras.nested.handover import finer_weights
from msann_keras.nested.level import weights_of
from msann_keras.nested.statistics import settle
from msann_keras.spaces import walk

KINDS = {"batch": layers.BatchNormalization, "layer": layers.LayerNormalization}
RNG = np.random.default_rng(3)
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def network(kind, size=64, front=()):
    """Dense layers with normalisation between, and a residual way around one."""
    inputs = keras.Input((size,))
    x = inputs
    for layer in front:
        x = layer(x)
    x = layers.Dense(size, name="one", use_bias=False)(x)
    x = layers.Activation("gelu")(kind(name="norm")(x))
    y = kind(name="again")(layers.Dense(size, "gelu", name="two")(x))
    return keras.Model(inputs, layers.Dense(size, name="out")(layers.Add()([x, y])))


def compiled(*args, **options):
    model = network(*args, **options)
    model.compile("adam", "mse")
    return model


@each_kind
def test_prolonging_changes_no_output(kind):
    """The finer network gives what the coarser one gives on averaged data."""
    with floatx("float64"):
        model = network(kind, 16)
        space = chain(ms.path(16), 2)
        coarsening = coarsened(walk(model), lambda layer: (space, space))
        coarse = coarsening.network(2)
        values = [RNG.uniform(0.5, 1.5, v.shape) for v in coarse.weights]
        coarse.set_weights(values)
        own = [coarse.get_layer(x.name) for x in coarsening.layers]
        values = [ops.convert_to_numpy(v) for v in weights_of(own)]
        finer = finer_weights(values, coarsening, 2, 0)
        for variable, value in zip(weights_of(coarsening.layers), finer, strict=True):
            variable.assign(value)
        x = RNG.normal(size=(5, 16))
        expected = ops.convert_to_numpy(coarse(averaged(x, space, 2, np)))
        actual = averaged(ops.convert_to_numpy(model(x)), space, 2, np)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=EXACT_NORMALISED)
        kernel = ops.convert_to_numpy(model.get_layer("two").kernel)
        assert np.ptp(kernel.reshape(4, 4, 16), axis=1).max() > 0.01  # told apart


@pytest.mark.thorough
@each_kind
def test_they_begin_far_below_their_draw(kind):
    model, record = started(compiled(kind))
    assert [one.level for one in record.levels] == [3, 1]
    assert loss(model) < 0.3 * np.mean(Y_NEW**2)
    cold = compiled(kind)
    for each in (model, cold):
        each.fit(X, Y, batch_size=16, verbose=0)
    assert loss(model) < 0.2 * loss(cold)


@pytest.mark.thorough
@each_kind
def test_no_level_begins_worse_than_the_one_before_ended(kind):
    _, record = started(compiled(kind), seconds=1.5)
    coarser, finer = record.levels
    assert finer.entered < 1.2 * coarser.left + 1e-3


@pytest.mark.thorough
def test_data_may_be_normalised_first():
    model, _ = started(
        compiled(
            layers.BatchNormalization, front=[layers.BatchNormalization(name="data")]
        ),
        3 + 5 * X,
        Y,
    )
    assert loss(model, 3 + 5 * X_NEW) < 0.3 * np.mean(Y_NEW**2)


@pytest.mark.thorough
def test_data_may_be_standardised_first():
    norm = layers.Normalization(name="standard")
    norm.adapt(3 + 5 * X)
    model = compiled(layers.LayerNormalization, front=[norm])
    before = norm.get_weights()
    started(model, 3 + 5 * X, Y)
    cold = compiled(layers.LayerNormalization, front=[norm])
    assert loss(model, 3 + 5 * X_NEW) < 0.3 * loss(cold, 3 + 5 * X_NEW)
    for one, other in zip(before, norm.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_not_standardised_has_another_space():
    """Or the coarse network would be given one in the place of the other."""
    inputs, norm = keras.Input((64,)), layers.Normalization(name="standard")
    norm.adapt(X)
    hidden = layers.Dense(64)(layers.Dense(64, "gelu")(norm(inputs)))
    model = keras.Model(inputs, layers.Add(name="sum")([inputs, hidden]))
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="'sum'"):
        ms.warm_start(model, X, Y, **OPTIONS)


def test_normalisation_needs_no_weights():
    def bare(name):
        return layers.LayerNormalization(center=False, scale=False, name=name)

    inputs = keras.Input((64,))
    x = bare("norm")(layers.Dense(32, "gelu")(inputs))
    model = keras.Model(inputs, layers.Dense(64, name="out", use_bias=False)(x))
    model.compile("adam", "mse")
    started(model)
    kernel = ops.convert_to_numpy(model.get_layer("out").kernel)
    assert np.abs(kernel[::2] - kernel[1::2]).max() > 1e-3  # told apart
    assert loss(model) < 0.5 * np.mean(Y_NEW**2)


def test_statistics_are_those_of_the_data_and_momentum_stays():
    model = compiled(layers.BatchNormalization)
    settle(model, lambda: X)
    norm = model.get_layer("norm")
    hidden = X @ ops.convert_to_numpy(model.get_layer("one").kernel)
    mean = ops.convert_to_numpy(norm.moving_mean)
    np.testing.assert_allclose(mean, hidden.mean(axis=0), atol=1e-5)
    assert norm.momentum == 0.99


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: rows(axis=1), "BatchNormalization layer has no coarse form"),
        (lambda: image(), "'norm': it must come after 'flatten"),
        (lambda: frozen(), "'norm': it does not train"),
    ],
)
def test_what_is_refused(model, message):
    model = model()
    model.compile("adam", "mse")
    x = np.ones((50, *model.input_shape[1:]), "float32")
    y = np.ones((50, *model.output_shape[1:]), "float32")
    with pytest.raises(ValueError, match=message):
        ms.warm_start(model, x, y, **OPTIONS | {"depth": 1, "topology": "path"})


def rows(axis):
    norm = layers.BatchNormalization(axis=axis, name="norm")
    stack = [layers.Dense(8), norm, layers.Dense(8)]
    return keras.Sequential([keras.Input((3, 8)), *stack])


def image():
    norm = layers.BatchNormalization(name="norm")
    return keras.Sequential(
        [keras.Input((4, 4)), norm, layers.Flatten(), layers.Dense(8)]
    )


def frozen():
    model = network(layers.BatchNormalization)
    model.get_layer("norm").trainable = False
    return model
