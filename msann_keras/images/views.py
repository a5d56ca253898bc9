"""One level of a network: the same layers, thinner or on smaller images."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import keras
import numpy as np

from msann_keras.averages import dtype_of_averages
from msann_keras.images.channels import AUGMENTING, MAKING, POOLING
from msann_keras.images.fields import Field, field_after
from msann_keras.images.stencils import (
    CONVOLUTIONS,
    DEPTHWISE,
    has_stencil,
    on_blocks,
)
from msann_keras.keras_private import layers_within
from msann_keras.kinds import NORMALISING, POINTWISE, copied, kind_of, undrawn

#: Layers that slide over images of any size.
SLIDING = (*CONVOLUTIONS, *POOLING)
#: Layers that are as good on an image of another size.
OTHERS = (
    keras.layers.Dense,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Concatenate,
    keras.layers.GroupNormalization,
    keras.layers.Normalization,
)


class Size(NamedTuple):
    """What a level is.

    Attributes:
        sides: Of the input images; `None` if inputs are as the model has them.
        blocks: Pixels of the finest image to one of its along each axis; several, if
            its network takes images of several sizes, of whatever sides.
        is_thin: Whether the channels that can be halved are.
        has_stencils: Whether smaller images are averages, on which kernels act by their
            stencils, or every other pixel, on which they act as they are.
    """

    sides: tuple[int, ...] | None = None
    blocks: tuple[int, ...] = (1,)
    is_thin: bool = False
    has_stencils: bool = True

    @property
    def is_sampled(self) -> bool:
        """Whether images are sampled, for a network with all its channels."""
        return self.blocks > (1,) and not self.has_stencils and not self.is_thin


class View(NamedTuple):
    """The network of one level.

    Attributes:
        network: It.
        flattened: The shape that a `Flatten` before a layer took apart, by the layer.
        shapes: Of what a layer reads and makes, by the layer; the last ones, if it is
            called several times.
        many: Layers that read images of several sizes.
        cost: Multiply-adds of a sample.
        field: Pixels along a side that one pixel of an output depends on; infinite, if
            that is all that there are.
    """

    network: keras.Model
    flattened: dict[str, tuple[int, ...]]
    shapes: dict[str, tuple[tuple, tuple]]
    many: set[str]
    cost: float
    field: float


def view(
    graph: keras.Model,
    size: Size,
    thin: frozenset[str] = frozenset(),
    fine: View | None = None,
    draws: bool = False,
    check: Callable[[keras.layers.Layer, Any], None] = lambda layer, source: None,
) -> View:
    """The network on images of some size, with weights of its own.

    Args:
        graph: A functional model.
        size: Of the level.
        thin: The layers whose channels are halved where the level is thin.
        fine: The view of the finest images, for all others.
        draws: Whether weights are drawn by the initializers of their layers; else they
            are zero, which is enough for a look at the network.
        check: Is called for each layer with what it reads, before it is called.

    Raises:
        ValueError: The network does not fit such images.
    """
    inputs = [_input(tensor, size) for tensor in graph.inputs]
    flat: dict[int, tuple[int, ...]] = {}  # what a tensor was, by its `id`
    flattened: dict[str, tuple[int, ...]] = {}
    shapes: dict[str, tuple[tuple, tuple]] = {}
    many: set[str] = set()
    alive: list[Any] = []  # so that no `id` comes twice
    costs: list[float] = []
    reshaping: dict[str, keras.layers.Reshape] = {}
    fields: dict[int, Field] = {}

    def coarse(layer):
        changes = {} if draws else undrawn(layer)
        return _coarse(layer, size, thin if size.is_thin else (), fine, changes)

    def call(layer, *args, **kwargs):
        tensors = keras.tree.flatten((args, kwargs))
        source = next(x for x in tensors if isinstance(x, keras.KerasTensor))
        check(layer, source)
        if (
            isinstance(layer, keras.layers.Reshape)
            and fine is not None
            and source.shape != fine.shapes[layer.name][0]
        ):
            made = _reshape(layer.name, source, fine)
            layer = reshaping.setdefault(layer.name, made)
        outputs = layer(*args, **kwargs)
        first = keras.tree.flatten(outputs)[0]
        if shapes.get(layer.name, (source.shape,))[0] != source.shape:
            many.add(layer.name)
        shapes[layer.name] = source.shape, first.shape
        alive.extend([source, *keras.tree.flatten(outputs)])
        read = [x for x in tensors if isinstance(x, keras.KerasTensor)]
        field = field_after(layer, [fields.get(id(x), Field()) for x in read])
        fields.update({id(x): field for x in keras.tree.flatten(outputs)})
        if isinstance(layer, keras.layers.Flatten) and len(source.shape) > 2:
            flat[id(outputs)] = source.shape[1:]
        elif id(source) in flat:
            flattened[layer.name] = flat[id(source)]
            keeps = kind_of(layer, len(source.shape)) in (POINTWISE, NORMALISING)
            if keeps and first.shape == source.shape:
                flat[id(outputs)] = flat[id(source)]
        kernels = sum(math.prod(w.shape) for w in weights_of(layer) if len(w.shape) > 1)
        costs.append(kernels * math.prod(side or 1 for side in first.shape[1:-1]))
        return outputs

    network = keras.models.clone_model(
        graph,
        input_tensors=keras.tree.pack_sequence_as(graph.input, inputs),
        clone_function=coarse,
        call_function=call,
    )
    _give_strangers_their_weights(graph, network)
    field = max(fields.get(id(one), Field()).pixels for one in network.outputs)
    return View(network, flattened, shapes, many, float(sum(costs)), field)


def _give_strangers_their_weights(graph, network) -> None:
    """Layers of unknown kinds stay as they are: with the weights that they have."""
    known = (*MAKING, *DEPTHWISE, *NORMALISING.layers, keras.layers.GroupNormalization)
    for layer in graph.layers:
        if not layer.weights or type(layer) in known:
            continue
        copy = network.get_layer(layer.name)
        copy.set_weights(layer.get_weights())
        for inner in layers_within(copy):
            if isinstance(inner, keras.layers.Normalization):
                inner.finalize_state()


def weights_of(layer: Any) -> list:
    """The weights of a layer; an operation of `keras.ops` has none."""
    return getattr(layer, "weights", [])


def _input(tensor, size) -> keras.KerasTensor:
    """What stands for an input of the model on a level."""
    shape, dtype = tensor.shape[1:], tensor.dtype
    if size.sides is not None:
        several = len(size.blocks) > 1
        shape = (*(None if several else x for x in size.sides), tensor.shape[-1])
    if size.blocks != (1,):
        dtype = dtype_of_averages(tensor)
    return keras.Input(shape, dtype=dtype, name=tensor.name)


def _reshape(name, source, fine) -> keras.layers.Reshape:
    """A `Reshape` of thinner channels: these are fewer of what runs fastest.

    Raises:
        ValueError: It reads something else than halved or whole channels.
    """
    before, (_, *axes, last) = fine.shapes[name]
    pairs = zip(before[1:], source.shape[1:], strict=True)
    known = [pair for pair in pairs if None not in pair]
    factor = math.prod(a for a, _ in known) / math.prod(b for _, b in known)
    if factor != 2 or last is None or last % 2 or axes.count(None) > 1:
        raise ValueError(f"{source.shape} cannot become {(*axes, last)}")
    target = [-1 if side is None else side for side in axes]
    return keras.layers.Reshape((*target, last // 2), name=name)


def _coarse(layer, size, thin, fine, changes) -> keras.layers.Layer:
    """A layer's form on a level."""
    if not isinstance(layer, keras.layers.Layer):
        return layer
    if layer.name in thin:
        name = MAKING[type(layer)]
        changes[name] = getattr(layer, name) // 2
    is_coarse = max(size.blocks) > 1 and size.has_stencils
    if is_coarse and has_stencil(layer) and layer.name not in fine.many:
        side = fine.shapes[layer.name][0][1]
        return on_blocks(layer, side, size.blocks, changes)
    return copied(layer, changes)


def check_call(layer: keras.layers.Layer, source: Any) -> None:
    """Refuse a layer that is not known to work on images of another size."""
    known = (*SLIDING, *AUGMENTING, *OTHERS, *POINTWISE.layers)
    normalises = kind_of(layer, len(source.shape)) is NORMALISING
    if not isinstance(layer, keras.layers.Layer):
        refuse(layer, "it is an operation, not a layer; use a Keras layer for it")
    if not isinstance(layer, known) and not normalises:
        refuse(layer, f"a {type(layer).__name__} layer has no coarse form")
    constants = [getattr(layer, name, 0) for name in ("scale", "offset")]
    is_scaling = isinstance(layer, keras.layers.Rescaling)
    if is_scaling and any(np.prod(np.shape(x)[:-1]) > 1 for x in constants):
        refuse(layer, "it scales each pixel, and not each channel")
    if isinstance(layer, keras.layers.Normalization):
        last = len(source.shape) - 1
        if any(axis % len(source.shape) != last for axis in layer.axis):
            refuse(layer, "it has a mean for each pixel, and not for each channel")
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        refuse(layer, "its channels do not come last")


def refuse(layer: keras.layers.Layer, reason: str) -> NoReturn:
    """Say which layer stops a network of convolutions from being coarsened, and why."""
    raise ValueError(f"The layer {layer.name!r} cannot be coarsened: {reason}.")
