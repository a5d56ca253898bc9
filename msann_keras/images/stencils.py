"""Convolutions on averaged images: Galerkin's stencil of the fine kernel.

With P the piecewise constant prolongation of a coarse image to a fine one, P^T K P of a
convolution K is a convolution again, with a kernel of the same size or a smaller one: a
coarse pixel's neighbour is met by as many of the fine offsets as cross into it. A layer
of a coarse level holds the fine kernel, takes its stencil in every step, and so learns
a kernel that means the same on images of all sizes; autodiff takes the gradient back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import keras
import numpy as np
from keras import ops

SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
CONVOLUTIONS = (
    *(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D),
    *(*SEPARABLE, *DEPTHWISE, *TRANSPOSED),
)


def stencil(
    size: int, block: int, stride: int = 1, dilation: int = 1, least: int = 1
) -> np.ndarray:
    """What Galerkin's stencil makes of a kernel along one axis, with zero padding.

    On images that are constant on blocks, the convolution with the stencil gives the
    averages over blocks of what the kernel gives on the fine images, borders included.

    Args:
        size: Of the kernel.
        block: Fine pixels to a coarse one.
        stride: Of the convolution, or of its transpose.
        dilation: Of the kernel; the stencil has none.
        least: Size of the stencil, at least; it is as small as it can be.

    Returns:
        T of shape `(coarse size, size)`, so that the stencil is T k.

    >>> stencil(3, block=2)
    array([[0.5, 0. , 0. ],
           [0.5, 1. , 0.5],
           [0. , 0. , 0.5]])
    >>> stencil(5, block=4)
    array([[0.5 , 0.25, 0.  , 0.  , 0.  ],
           [0.5 , 0.75, 1.  , 0.75, 0.5 ],
           [0.  , 0.  , 0.  , 0.25, 0.5 ]])
    """
    reach = (size - 1) * dilation + 1
    offsets = np.arange(size) * dilation - _before(reach, stride)
    # A coarse output is the mean over the outputs e of its block; their inputs lie
    # `stride` e and the offset away from the first input.
    inputs = stride * np.arange(block)[:, None] + offsets
    blocks = inputs // block
    low, high = blocks.min(), blocks.max()
    coarse = least
    while _before(coarse, stride) < -low or coarse - 1 - _before(coarse, stride) < high:
        coarse += 1
    T = np.zeros((coarse, size))
    rows = blocks + _before(coarse, stride)
    np.add.at(T, (rows, np.broadcast_to(np.arange(size), rows.shape)), 1 / block)
    return T


def _before(size: int, stride: int) -> int:
    """How far a kernel reaches before its first pixel, with "same" padding."""
    return max(size - stride, 0) // 2


def has_stencil(layer: keras.layers.Layer) -> bool:
    """Whether a layer's kernel has a stencil; others keep their kernel as it is."""
    return (
        type(layer) in CONVOLUTIONS
        and layer.padding == "same"
        and getattr(layer, "output_padding", None) is None
    )


def on_blocks(
    layer: keras.layers.Layer,
    side: int,
    blocks: Sequence[int],
    changes: dict[str, Any],
) -> keras.layers.Layer:
    """A convolution of the same weights that works on averages over blocks, too.

    Args:
        layer: A layer that `has_stencil`.
        side: What it reads has this first side on the finest images. What it is called
            with tells by its own side which averages it is.
        blocks: Fine pixels to a coarse one along each axis: all that may come.
        changes: Of the layer's config: fewer filters, say.
    """
    config = layer.get_config() | {"activation": None} | changes
    made = STENCILLED[type(layer)].from_config(config)
    made.activation = layer.activation
    axes = [*zip(layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)]
    least = [max(len(stencil(k, b, *rest)) for b in blocks) for k, *rest in axes]
    made.side, made.sizes = side, tuple(least)
    matrices = {
        b: reduce(
            np.kron,
            [
                stencil(k, b, stride, dilation, least=one)
                for (k, stride, dilation), one in zip(axes, least, strict=True)
            ],
        )
        for b in blocks
    }
    shape = next(iter(matrices.values())).shape
    made.stencils = np.zeros((max(blocks) + 1, *shape), "float32")
    for block, matrix in matrices.items():
        made.stencils[block] = matrix
    return made


class _Stencilled(keras.layers.Layer):
    """A convolution with the stencil of its kernel, channels last."""

    side: int
    sizes: tuple[int, ...]
    stencils: np.ndarray  # by block

    def call(self, inputs):
        """What the layer does, with the kernel that suits the size of the input."""
        now = inputs.shape[1]
        if now is not None:
            stencil = self.stencils[self.side // now]
        else:
            block = self.side // ops.shape(inputs)[1]
            stencil = ops.take(self.stencils, block, axis=0)
        stencil = ops.cast(stencil, self.compute_dtype)
        options = {"strides": self.strides, "padding": "same"}
        options["data_format"] = self.data_format
        if isinstance(self, SEPARABLE):
            depthwise = self._stencil_of(self.depthwise_kernel, stencil)
            kernels = depthwise, self.pointwise_kernel
            outputs = ops.separable_conv(inputs, *kernels, **options)
        else:
            function = ops.conv
            if isinstance(self, DEPTHWISE):
                function = ops.depthwise_conv
            elif isinstance(self, TRANSPOSED):
                function = ops.conv_transpose
            kernel = self._stencil_of(self.kernel, stencil)
            outputs = function(inputs, kernel, **options)
        if self.use_bias:
            outputs = ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def _stencil_of(self, kernel, stencil):
        flat = ops.reshape(kernel, (math.prod(kernel.shape[:-2]), -1))
        made = stencil @ ops.cast(flat, self.compute_dtype)
        return ops.reshape(made, (*self.sizes, *kernel.shape[-2:]))


#: Of each convolution the class that takes its kernel's stencil.
STENCILLED: dict[type, type[Any]] = {
    kind: type(f"Coarse{kind.__name__}", (_Stencilled, kind), {})
    for kind in CONVOLUTIONS
}
