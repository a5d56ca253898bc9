"""Channels that are halved: which, and that the wider network does the same."""

import keras
import numpy as np
import pytest
from convolutions import RNG, outputs
from keras import layers, ops
from precision import EXACT, EXACT_NORMALISED, floatx

from msann_keras.images.channels import halved
from msann_keras.images.levels import images_of
from msann_keras.nested.handover import finer_weights
from msann_keras.nested.level import weights_of
from msann_keras.spaces import functional


def of(shape, *stack):
    keras.utils.set_random_seed(4)
    return keras.Sequential([keras.Input(shape), *stack])


def residual():
    inputs = keras.Input((12, 12, 2))
    x = layers.Conv2D(8, 3, padding="same", name="first")(inputs)
    y = layers.Conv2D(8, 3, padding="same", name="branch")(layers.ReLU()(x))
    y = layers.BatchNormalization(name="norm")(y)
    x = layers.Add()([x, y])
    weight = layers.GlobalAveragePooling2D(keepdims=True)(x)
    weight = layers.Conv2D(8, 1, activation="sigmoid", name="squeeze")(weight)
    return keras.Model(inputs, layers.Conv2D(3, 1)(layers.Multiply()([x, weight])))


def joined(others=8):
    inputs = keras.Input((12, 12, 2))
    x = layers.Conv2D(8, 3, padding="same", name="one")(inputs)
    y = layers.Conv2D(others, 3, padding="same", name="other")(inputs)
    x = layers.Concatenate()([x, y])
    return keras.Model(inputs, layers.Conv2D(3, 3, padding="same")(x))


def with_the_image():
    inputs = keras.Input((12, 12, 2))
    x = layers.Conv2D(8, 3, padding="same", name="one")(inputs)
    x = layers.Concatenate()([x, inputs])
    x = layers.Conv2D(8, 3, padding="same", name="after")(x)
    return keras.Model(inputs, layers.Conv2D(3, 3)(x))


def twice():
    """One layer reads the channels of two others, one of which is added to an image."""
    one, other = keras.Input((12, 12, 8)), keras.Input((12, 12, 8))
    shared = layers.Conv2D(8, 3, padding="same", name="shared")
    x = layers.Conv2D(8, 3, padding="same", name="one")(one)
    y = layers.Conv2D(8, 3, padding="same", name="other")(other)
    y = layers.Add()([y, other])
    x = layers.Add()([shared(x), shared(y)])
    return keras.Model([one, other], layers.Conv2D(3, 3)(x))


def a_map_for_all():
    """One channel that every other one is multiplied by."""
    inputs = keras.Input((12, 12, 2))
    x = layers.Conv2D(8, 3, padding="same", name="first")(inputs)
    weight = layers.Conv2D(1, 1, activation="sigmoid", name="map")(x)
    return keras.Model(inputs, layers.Conv2D(3, 1)(layers.Multiply()([weight, x])))


def multiplied_and_joined():
    inputs = keras.Input((12, 12, 2))
    x = layers.Conv2D(8, 3, padding="same", name="one")(inputs)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    y = layers.Conv2D(16, 3, padding="same", name="other")(inputs)
    x = layers.Conv2D(8, 1, name="after")(layers.Concatenate()([x, y]))
    return keras.Model(inputs, layers.Conv2D(3, 1)(x))


def siamese():
    """Two images whose rows one `Reshape` lays out."""
    shared = [layers.Dense(16, "relu", name="one"), layers.Reshape((3, 32))]
    shared += [layers.Dense(8, "relu", name="other"), layers.Flatten()]
    inputs = [keras.Input((6, 5)), keras.Input((6, 5))]
    each = []
    for x in inputs:
        for layer in shared:
            x = layer(x)
        each.append(x)
    return keras.Model(inputs, layers.Dense(2)(layers.Subtract()(each)))


#: Networks, and their layers whose channels are halved.
NETWORKS = {
    "convolutions": (
        lambda: of(
            (12, 12, 1),
            layers.Conv2D(8, 3, activation="gelu", name="a"),
            layers.Conv2D(12, 3, padding="same", strides=2, name="b"),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(8, 2, strides=2, name="c"),
            layers.Conv2D(2, 3),
        ),
        {"a", "b", "c"},
    ),
    "separable": (
        lambda: of(
            (12, 12, 3),
            layers.SeparableConv2D(8, 3, name="a"),
            layers.DepthwiseConv2D(3, activation="relu", name="keeps"),
            layers.BatchNormalization(),
            layers.SeparableConv2D(8, 3, padding="same", name="b"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(3),
        ),
        {"a", "b"},
    ),
    "multiplied": (
        lambda: of(
            (12, 12, 3),
            layers.Conv2D(8, 3, name="a"),
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            layers.Conv2D(8, 3, name="b"),
            layers.SeparableConv2D(8, 3, depth_multiplier=3, name="c"),
            layers.Conv2D(2, 1),
        ),
        {"c"},
    ),
    "head": (
        lambda: of(
            (12, 12, 1),
            layers.Conv2D(8, 3, name="a"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(16, "relu", name="b"),
            layers.LayerNormalization(),
            layers.Dense(3, "softmax"),
        ),
        {"a", "b"},
    ),
    "decoder": (
        lambda: of(
            (12, 12, 1),
            layers.Conv2D(8, 3, strides=2, padding="same", name="a"),
            layers.Flatten(),
            layers.Dense(16, name="code"),
            layers.Dense(6 * 6 * 8, "relu", name="b"),
            layers.Reshape((6, 6, 8)),
            layers.Conv2DTranspose(1, 3, strides=2, padding="same"),
        ),
        {"a", "code", "b"},
    ),
    "groups": (
        lambda: of(
            (12, 12, 1),
            layers.Conv2D(8, 3, name="a"),
            layers.GroupNormalization(4),
            layers.Conv2D(8, 3, name="b"),
            layers.GroupNormalization(8),
            layers.Conv2D(16, 3, groups=4, name="c"),
            layers.Conv2D(24, 3, groups=4, name="d"),
            layers.Conv2D(12, 3, groups=4, name="e"),
            layers.Conv2D(2, 1),
        ),
        {"a", "c", "d"},
    ),
    "rows": (
        lambda: of(
            (30, 2),
            layers.Conv1D(8, 5, padding="causal", name="a"),
            layers.LayerNormalization(),
            layers.SpatialDropout1D(0.1),
            layers.Conv1D(8, 3, strides=2, name="b"),
            layers.Conv1DTranspose(8, 3, name="c"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2),
        ),
        {"a", "b", "c"},
    ),
    "volumes": (
        lambda: of(
            (6, 6, 6, 1),
            layers.Conv3D(8, 3, padding="same", name="a"),
            layers.UpSampling3D(),
            layers.Cropping3D(2),
            layers.Conv3DTranspose(8, 3, name="b"),
            layers.Conv3D(2, 3),
        ),
        {"a", "b"},
    ),
    "softmax": (
        lambda: of(
            (12, 12, 1),
            layers.Conv2D(8, 3, activation="softmax", name="a"),
            layers.Conv2D(8, 3, name="b"),
            layers.Conv2D(2, 1),
        ),
        {"b"},
    ),
    "odd or few": (
        lambda: of(
            (12, 12, 1),
            layers.Conv2D(9, 3, name="a"),
            layers.Conv2D(6, 3, name="b"),
            layers.Conv2D(2, 1),
        ),
        set(),
    ),
    "residual": (residual, {"first", "branch", "squeeze"}),
    "joined": (joined, {"one", "other"}),
    "joined with few": (lambda: joined(3), set()),
    "joined with the image": (with_the_image, {"after"}),
    "twice": (twice, {"shared"}),
    "a map for all": (a_map_for_all, {"first"}),
    "multiplied and joined": (multiplied_and_joined, {"after"}),
    "siamese": (siamese, {"one", "other"}),
    "laid out anew": (
        lambda: of(
            (12, 12, 1),
            layers.Conv2D(8, 3, strides=2, padding="same", name="a"),
            layers.Flatten(),
            layers.ReLU(),
            layers.Reshape((12, 3, 8)),
            layers.Conv2D(8, 3, name="b"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(2),
        ),
        {"a", "b"},
    ),
    "across": (
        lambda: of(
            (12,),
            layers.Embedding(5, 8, name="a"),
            layers.Dense(8, lambda x: x / (1 + ops.sum(ops.abs(x), -1, True))),
            layers.Dense(8, lambda x: ops.maximum(x, 0.1 * x), name="b"),
            layers.Dense(8, "sparsemax"),
            layers.Dense(2),
        ),
        {"a", "b"},
    ),
    "scaled": (
        lambda: of(
            (12, 12, 1),
            layers.Conv2D(8, 3, name="a"),
            layers.Rescaling(2.0),
            layers.Conv2D(8, 3),
            layers.Rescaling(np.arange(8.0)),
            layers.Conv2D(2, 3),
        ),
        {"a"},
    ),
    "strangers": (
        lambda: of(
            (9,),
            layers.Embedding(7, 16, name="a"),
            layers.Conv1D(16, 3, name="b"),
            layers.LSTM(8, return_sequences=True),
            layers.Dense(16, "tanh", name="c"),
            layers.Permute((2, 1)),
            layers.Dense(16, name="d"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(2),
        ),
        {"a", "d"},
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_which_channels_are_halved(name):
    make, expected = NETWORKS[name]
    assert halved(functional(make())) == expected


def widened(make):
    """A model with the weights of its thin network, random ones; and that network."""
    model = make()
    levels = images_of(functional(model), 1)
    thin = levels.network(1)
    own = weights_of([thin.get_layer(layer.name) for layer in levels.layers])
    for variable in own:
        value = RNG.normal(size=variable.shape, scale=0.5)
        variable.assign(abs(value) if "variance" in variable.name else value)
    values = [ops.convert_to_numpy(variable) for variable in own]
    finer = finer_weights(values, levels, 1, 0)
    for variable, value in zip(weights_of(levels.layers), finer, strict=True):
        variable.assign(value)
    return model, thin, levels


@pytest.mark.quick(3)
@pytest.mark.parametrize("name", [name for name in NETWORKS if NETWORKS[name][1]])
def test_the_wider_network_does_what_the_thin_one_does(name):
    with floatx("float64"):
        model, thin, _ = widened(NETWORKS[name][0])
        assert thin.count_params() < model.count_params()
        x = [abs(RNG.normal(size=(3, *tensor.shape[1:]))) for tensor in model.inputs]
        x = x if len(x) > 1 else x[0]
        expected = outputs(thin, x)
        scale = max(1.0, np.abs(expected).max())
        error = np.abs(outputs(model, x) - expected).max()
        assert error <= max(EXACT, EXACT_NORMALISED) * scale


def test_channels_that_were_one_are_told_apart():
    model, _, levels = widened(NETWORKS["convolutions"][0])
    kernel = ops.convert_to_numpy(model.get_layer("b").kernel)
    assert np.abs(kernel[:, :, 0] - kernel[:, :, 1]).max() > 1e-3  # of its inputs
    transposed = ops.convert_to_numpy(model.get_layer("c").kernel)
    assert np.abs(transposed[..., 0] - transposed[..., 1]).max() > 1e-3
    assert levels.unit_axes[:2] == [-1, -1]
    assert levels.unit_axes[4] == -2  # a transposed kernel has its units before
