"""Galerkin's stencils: P^T K P of a convolution K, on images that blocks make up."""

import keras
import numpy as np
import pytest
from convolutions import RNG, outputs
from hypothesis import given
from hypothesis import strategies as st
from keras import layers
from precision import EXACT, floatx

from msann_keras.images.levels import averaged
from msann_keras.images.stencils import CONVOLUTIONS, has_stencil, on_blocks, stencil


@given(
    st.integers(1, 7),
    st.sampled_from([1, 2, 4, 8]),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_a_stencil_is_made_of_means(size, block, stride, dilation):
    T = stencil(size, block, stride, dilation)
    np.testing.assert_allclose(T.sum(axis=0), 1, atol=1e-12)
    assert (T >= 0).all()
    assert T[0].any() or T[-1].any()  # no larger than it must be
    wider = stencil(size, block, stride, dilation, least=len(T) + 2)
    assert len(wider) == len(T) + 2
    assert wider.sum() == pytest.approx(T.sum())


def test_of_one_pixel_it_is_the_kernel():
    np.testing.assert_array_equal(stencil(3, block=1), np.eye(3))
    np.testing.assert_array_equal(stencil(2, block=1, stride=2), np.eye(2))
    rows = stencil(2, block=1, dilation=2)  # with the gap written out
    np.testing.assert_array_equal(rows, [[1, 0], [0, 0], [0, 1]])


#: Layers, by what is said of them.
LAYERS = {
    "3": (layers.Conv2D, {"filters": 3, "kernel_size": 3}),
    "4": (layers.Conv2D, {"filters": 3, "kernel_size": 4}),
    "5, no bias": (layers.Conv2D, {"filters": 3, "kernel_size": 5, "use_bias": False}),
    "3 and 5": (layers.Conv2D, {"filters": 3, "kernel_size": (3, 5)}),
    "stride 2": (layers.Conv2D, {"filters": 3, "kernel_size": 3, "strides": 2}),
    "stride 3": (layers.Conv2D, {"filters": 3, "kernel_size": 3, "strides": 3}),
    "1, stride 2": (layers.Conv2D, {"filters": 3, "kernel_size": 1, "strides": 2}),
    "dilated": (layers.Conv2D, {"filters": 3, "kernel_size": 3, "dilation_rate": 2}),
    "groups": (layers.Conv2D, {"filters": 4, "kernel_size": 3, "groups": 2}),
    "up 2": (layers.Conv2DTranspose, {"filters": 3, "kernel_size": 2, "strides": 2}),
    "up 3": (layers.Conv2DTranspose, {"filters": 3, "kernel_size": 3, "strides": 2}),
    "up 4": (layers.Conv2DTranspose, {"filters": 3, "kernel_size": 4, "strides": 2}),
    "depthwise": (layers.DepthwiseConv2D, {"kernel_size": 3, "depth_multiplier": 2}),
    "depthwise 2": (layers.DepthwiseConv2D, {"kernel_size": 3, "strides": 2}),
    "separable": (layers.SeparableConv2D, {"filters": 4, "kernel_size": 3}),
    "rows": (layers.Conv1D, {"filters": 3, "kernel_size": 5, "strides": 2}),
    "rows, up": (layers.Conv1DTranspose, {"filters": 3, "kernel_size": 3}),
    "rows, separable": (layers.SeparableConv1D, {"filters": 3, "kernel_size": 3}),
    "rows, depthwise": (layers.DepthwiseConv1D, {"kernel_size": 5}),
    "volumes": (layers.Conv3D, {"filters": 2, "kernel_size": 3}),
    "volumes, up": (
        layers.Conv3DTranspose,
        {"filters": 2, "kernel_size": 3, "strides": 2},
    ),
}


@pytest.mark.quick(6)
@pytest.mark.parametrize("block", [2, 4])
@pytest.mark.parametrize("name", LAYERS)
def test_it_gives_the_averages_of_what_the_kernel_gives(name, block):
    kind, options = LAYERS[name]
    axes = int(next(c for c in kind.__name__ if c.isdigit()))
    sides = {1: (12,), 2: (12, 6), 3: (6, 6, 6)}[axes]
    with floatx("float64"):
        layer = kind(**options, padding="same", activation=None)
        coarse = RNG.normal(size=(2, *sides, 4))
        fine = coarse
        for axis in range(axes):
            fine = fine.repeat(block, axis=axis + 1)
        expected = outputs(layer, fine)
        form = on_blocks(layer, sides[0] * block, (1, block), {})
        form(coarse)
        form.set_weights(layer.get_weights())
        actual = outputs(form, coarse)
        averages = averaged(expected, actual.shape[1:-1])
        np.testing.assert_allclose(actual, averages, atol=EXACT)
        # And on images of the finest size it is the layer.
        np.testing.assert_allclose(outputs(form, fine), expected, atol=EXACT)
        if block > 2:
            return
        # Of any size, for a program that is not told.
        inputs = keras.Input((*[None] * axes, 4))
        anything = keras.Model(inputs, form(inputs))
        for x, y in ((coarse, actual), (fine, expected)):
            np.testing.assert_allclose(anything.predict(x, verbose=0), y, atol=EXACT)


def test_what_has_no_stencil_keeps_its_kernel():
    class Mine(layers.Conv2D):
        pass

    assert all(kind.__name__.endswith(("D", "Transpose")) for kind in CONVOLUTIONS)
    assert has_stencil(layers.Conv2D(2, 3, padding="same"))
    assert not has_stencil(layers.Conv2D(2, 3))  # no padding
    assert not has_stencil(layers.Conv1D(2, 3, padding="causal"))
    assert not has_stencil(Mine(2, 3, padding="same"))
    assert not has_stencil(layers.MaxPooling2D(padding="same"))
    up = layers.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1)
    assert not has_stencil(up)
