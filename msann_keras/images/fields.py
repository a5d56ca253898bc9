"""Receptive fields: how much of an image one pixel of a layer's output depends on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from msann_keras.images.channels import AUGMENTING
from msann_keras.images.stencils import TRANSPOSED
from msann_keras.kinds import MERGING, NORMALISING, POINTWISE

#: Layers that treat each pixel by itself, or move all of them alike.
KEEPING = (
    *(*POINTWISE.layers, *NORMALISING.layers, *MERGING, *AUGMENTING),
    *(keras.layers.Dense, keras.layers.Embedding, keras.layers.Concatenate),
    keras.layers.GroupNormalization,
)
#: What layers call the pixels that they read at once.
READS = ("kernel_size", "pool_size")
#: How the names of layers begin that drop or add whole pixels.
MOVING = ("SpatialDropout", "ZeroPadding", "Cropping")


class Field(NamedTuple):
    """What one pixel of a tensor depends on, along the first axis of the image.

    Attributes:
        pixels: Of the input, at the most; infinite, if that is all that there are.
        step: Pixels of the input from one pixel of the tensor to the next.
    """

    pixels: float = 1.0
    step: float = 1.0


def field_after(layer: Any, read: Sequence[Field]) -> Field:
    """The field of what a layer makes, from the fields of what it reads.

    That normalisation looks at all pixels for its statistics is left aside.

    >>> two = field_after(keras.layers.Conv2D(1, 3, strides=2), [Field()])
    >>> field_after(keras.layers.Conv2D(1, 3), [two])
    Field(pixels=7.0, step=2.0)
    """
    pixels = max(one.pixels for one in read)
    step = min(one.step for one in read)
    name = type(layer).__name__
    if isinstance(layer, KEEPING) or name.startswith(MOVING):
        return Field(pixels, step)
    if name.startswith("UpSampling"):
        factor = _first(layer.size)
        smooth = getattr(layer, "interpolation", "nearest") != "nearest"
        return Field(pixels + smooth * step, step / factor)
    sizes = [getattr(layer, one) for one in READS if hasattr(layer, one)]
    if not sizes or name.startswith("Global"):
        return Field(math.inf, step)
    size, stride = _first(sizes[0]), _first(getattr(layer, "strides", 1))
    if isinstance(layer, TRANSPOSED):  # an output meets a part of the kernel
        return Field(pixels + (math.ceil(size / stride) - 1) * step, step / stride)
    dilation = _first(getattr(layer, "dilation_rate", 1))
    return Field(pixels + (size - 1) * dilation * step, step * stride)


def _first(value: Any) -> int:
    """Along the first axis, of a number for all axes or one for each."""
    return value[0] if isinstance(value, Sequence) else value
