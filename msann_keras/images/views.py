"""One level of a network of convolutions: the same layers on smaller images."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import keras

from msann_keras.averages import dtype_of_averages
from msann_keras.images.stencils import CONVOLUTIONS, has_stencil, on_blocks
from msann_keras.kinds import NORMALISING, POINTWISE, copied, kind_of

#: Layers whose weights do not depend on the size of the image.
SLIDING = CONVOLUTIONS + tuple(
    getattr(keras.layers, f"{name}{axes}D")
    for axes in (1, 2, 3)
    for name in (
        *("MaxPooling", "AveragePooling", "GlobalMaxPooling", "GlobalAveragePooling"),
        *("UpSampling", "ZeroPadding", "Cropping", "SpatialDropout"),
    )
)
#: Layers that are as good on an image of another size.
OTHERS = (
    keras.layers.Dense,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Concatenate,
    keras.layers.GroupNormalization,
    keras.layers.Normalization,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.RandomContrast,
    keras.layers.RandomBrightness,
)


class Size(NamedTuple):
    """What a level is.

    Attributes:
        sides: Of the input images; `None` for all that there are.
        blocks: Pixels of the finest image to one of its along each axis; several, if
            its network takes images of several sizes.
        is_thin: Whether the channels that can be halved are.
    """

    sides: tuple[int | None, ...]
    blocks: tuple[int, ...] = (1,)
    is_thin: bool = False


class View(NamedTuple):
    """The network of one level.

    Attributes:
        network: It.
        flattened: The shape that a `Flatten` before a layer took apart, by the layer.
        sides: The first side of what a layer reads; 0 if it reads several.
        cost: Multiply-adds of a sample.
    """

    network: keras.Model
    flattened: dict[str, tuple[int, ...]]
    sides: dict[str, int]
    cost: float


def view(
    graph: keras.Model,
    size: Size,
    thin: frozenset[str] = frozenset(),
    fine: View | None = None,
    check: Callable[[keras.layers.Layer, Any], None] = lambda layer, source: None,
) -> View:
    """The network on images of some size, with weights of its own, newly drawn.

    Args:
        graph: A functional model.
        size: Of the level.
        thin: The layers whose channels are halved where the level is thin.
        fine: The view of the finest images, for all others.
        check: Is called for each layer with what it reads, before it is called.

    Raises:
        ValueError: The network does not fit such images.
    """
    inputs = [
        keras.Input(
            (*size.sides, tensor.shape[-1]),
            dtype=dtype_of_averages(tensor),
            name=tensor.name,
        )
        for tensor in graph.inputs
    ]
    flat, flattened, sides, alive, costs = {}, {}, {}, [], []

    def coarse(layer):
        side = 0 if fine is None else fine.sides.get(layer.name, 0)
        return _coarse(layer, size, thin if size.is_thin else (), side)

    def call(layer, *args, **kwargs):
        tensors = keras.tree.flatten((args, kwargs))
        source = next(x for x in tensors if isinstance(x, keras.KerasTensor))
        check(layer, source)
        outputs = layer(*args, **kwargs)
        side = source.shape[1] if len(source.shape) > 2 else 0
        sides[layer.name] = side if sides.get(layer.name, side) == side else 0
        alive.extend([source, *keras.tree.flatten(outputs)])
        if isinstance(layer, keras.layers.Flatten) and len(source.shape) > 2:
            flat[id(outputs)] = source.shape[1:]
        elif id(source) in flat:
            flattened[layer.name] = flat[id(source)]
            if not isinstance(layer, (keras.layers.Dense, keras.layers.Concatenate)):
                flat[id(outputs)] = flat[id(source)]
        kernels = sum(math.prod(w.shape) for w in layer.weights if len(w.shape) > 1)
        made = keras.tree.flatten(outputs)[0].shape[1:-1]
        costs.append(kernels * math.prod(0 if side is None else side for side in made))
        return outputs

    network = keras.models.clone_model(
        graph,
        input_tensors=keras.tree.pack_sequence_as(graph.input, inputs),
        clone_function=coarse,
        call_function=call,
    )
    return View(network, flattened, sides, float(sum(costs)))


def _coarse(layer, size, thin, side) -> keras.layers.Layer:
    """A layer's form on a level."""
    changes = {}
    if layer.name in thin:
        name = "units" if isinstance(layer, keras.layers.Dense) else "filters"
        changes[name] = getattr(layer, name) // 2
    if max(size.blocks) > 1 and side and has_stencil(layer):
        return on_blocks(layer, side, size.blocks, changes)
    if isinstance(layer, keras.layers.Reshape) and size.is_thin:
        # Thinner channels are fewer of what runs fastest.
        changes["target_shape"] = (*layer.target_shape[:-1], -1)
    return copied(layer, changes)


def check_call(layer: keras.layers.Layer, source: Any) -> None:
    """Refuse a layer that is not known to work on images of another size."""
    known = (*SLIDING, *OTHERS, *POINTWISE.layers)
    normalises = kind_of(layer, len(source.shape)) is NORMALISING
    if not isinstance(layer, keras.layers.Layer):
        refuse(layer, "it is an operation, not a layer; use a Keras layer for it")
    if not isinstance(layer, known) and not normalises:
        refuse(layer, f"a {type(layer).__name__} layer has no coarse form")
    if isinstance(layer, keras.layers.Normalization):
        last = len(source.shape) - 1
        if any(axis % len(source.shape) != last for axis in layer.axis):
            refuse(layer, "it has a mean for each pixel, and not for each channel")
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        refuse(layer, "its channels do not come last")


def refuse(layer: keras.layers.Layer, reason: str) -> NoReturn:
    """Say which layer stops a network of convolutions from being coarsened, and why."""
    raise ValueError(f"The layer {layer.name!r} cannot be coarsened: {reason}.")
