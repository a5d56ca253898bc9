"""Receptive fields: what gradients say, is what the walk through the layers says."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import msann_keras as ms
from msann_keras.images.views import Size, view

SIDE = 48


def unet(x):
    first = layers.Conv1D(2, 3, padding="same")(x)
    inner = layers.Conv1D(2, 3, padding="same")(layers.AveragePooling1D(2)(first))
    return layers.Concatenate()([first, layers.UpSampling1D()(inner)])


NETWORKS = {
    "one kernel": lambda x: layers.Conv1D(2, 5, padding="same")(x),
    "dilated": lambda x: layers.Conv1D(2, 3, padding="same", dilation_rate=4)(x),
    "strides": lambda x: layers.Conv1D(2, 3, padding="same")(
        layers.Conv1D(2, 3, strides=2, padding="same")(x)
    ),
    "transposed": lambda x: layers.Conv1DTranspose(2, 4, strides=2, padding="same")(x),
    "pooled": lambda x: layers.Conv1D(2, 3, padding="same")(
        layers.AveragePooling1D(4)(x)
    ),
    "u-net": unet,
    "cropped": lambda x: layers.Conv1D(2, 3)(layers.Cropping1D(3)(x)),
    "separable": lambda x: layers.SeparableConv1D(2, 7, padding="same")(x),
    "dense": lambda x: layers.Dense(2, activation="gelu")(layers.ReLU()(x)),
    "residual": lambda x: layers.Add()([x, layers.Conv1D(1, 9, padding="same")(x)]),
}


def seen(model):
    """Pixels from the first to the last that an output changes with, at the most."""
    base = np.zeros((1, SIDE, 1), "float32")
    bumped = base + np.eye(SIDE, dtype="float32")[..., None]
    outputs = ops.convert_to_numpy(model(bumped)) - ops.convert_to_numpy(model(base))
    changes = np.abs(outputs).max(axis=-1) > 0  # (pixel of the input, of the output)
    widths = [np.ptp(np.flatnonzero(one)) + 1 for one in changes.T if one.any()]
    return max(widths)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_field_is_what_outputs_change_with(name):
    inputs = keras.Input((SIDE, 1))
    model = keras.Model(inputs, NETWORKS[name](inputs))
    for weight in model.weights:  # nothing cancels, and ReLU lets all through
        weight.assign(ops.ones(weight.shape))
    assert view(model, Size((SIDE,))).field == seen(model)


@pytest.mark.parametrize(
    "head", [layers.GlobalAveragePooling1D(), layers.Flatten(), layers.LSTM(2)]
)
def test_some_layers_see_everything(head):
    inputs = keras.Input((SIDE, 1))
    model = keras.Model(inputs, head(layers.Conv1D(2, 3)(inputs)))
    assert view(model, Size()).field == np.inf


def test_smooth_upsampling_reads_a_neighbour():
    inputs = keras.Input((16, 16, 1))
    for interpolation, pixels in (("nearest", 1), ("bilinear", 2)):
        enlarge = layers.UpSampling2D(2, interpolation=interpolation)
        model = keras.Model(inputs, enlarge(inputs))
        assert view(model, Size()).field == pixels


def test_a_plan_says_what_an_output_sees():
    """Of smaller images the same kernels see a larger share."""
    inputs = keras.Input((48, 48, 1))
    x = layers.Conv2D(8, 5, padding="same")(inputs)
    model = keras.Model(inputs, layers.Conv2D(1, 8, padding="same")(x))
    model.compile("adam", "mse")
    images = np.zeros((40, 48, 48, 1), "float32")
    plan = ms.plan(model, images, images, depth=2)
    assert [one.seen for one in plan.levels[:3]] == pytest.approx(
        [12 / 48, 12 / 48, 12 / 24]
    )
    assert "an output sees" in str(plan)
    assert " 25 %" in str(plan)
