"""Networks of convolutions: the same kernels, on images of several sizes.

A kernel does not depend on how large the image is. So the network of level l is the
network itself on images whose sides are halved l times, and its kernels are prolonged
by staying what they are. Only behind a `Flatten` weights depend on the size: these live
on pixels times channels, and are averaged and prolonged along the pixels.

With zero padding a coarse network sees more of the border, and a stride must divide the
coarse sides; otherwise nothing is lost but what the averages lose of the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from msann.topology import Chain, chain, identity
from msann.topology.pixels import Pixels
from msann_keras.averages import dtype_of_averages
from msann_keras.kinds import NORMALISING, POINTWISE, copied, kind_of
from msann_keras.transfer import on_averages, restricted

#: Layers whose weights do not depend on the size of the image.
SLIDING = tuple(
    getattr(keras.layers, f"{name}{axes}D")
    for axes in (1, 2, 3)
    for name in (
        *("Conv", "DepthwiseConv", "SeparableConv", "MaxPooling", "AveragePooling"),
        *("GlobalMaxPooling", "GlobalAveragePooling", "UpSampling", "ZeroPadding"),
        *("Cropping", "SpatialDropout"),
    )
    if hasattr(keras.layers, f"{name}{axes}D")
) + tuple(getattr(keras.layers, f"Conv{axes}DTranspose") for axes in (1, 2, 3))
#: Layers that are as good on an image of another size.
OTHERS = (
    keras.layers.Dense,
    keras.layers.Flatten,
    keras.layers.Concatenate,
    keras.layers.GroupNormalization,
    keras.layers.Normalization,
)
#: Sides that a coarse image has at least.
LEAST_SIDE = 12
#: Entries of a prolongation between sides that do not divide.
LARGEST_MATRIX = 2**18


class Images(NamedTuple):
    """A network of convolutions and its levels; `images_of` makes it.

    It says to a warm start what `Coarsening` says of a network of dense layers.

    Attributes:
        graph: The functional model.
        layers: Its layers with weights, in order.
        sides: Of the input images at each level.
        weight_chains: What the axes of each weight live on.
        inputs: The pixels of each input.
        outputs: The pixels of each output; labels stay whole.
        costs: Multiply-adds of a sample at each level.
    """

    graph: keras.Model
    layers: list[keras.layers.Layer]
    sides: list[tuple[int, ...]]
    weight_chains: list[tuple[Chain, ...]]
    inputs: list[Chain]
    outputs: list[Chain]
    costs: list[float]

    @property
    def rates(self) -> tuple[float, ...]:
        """Learning rates by level: kernels of one size have one rate."""
        return (1.0,) * len(self.sides)

    @property
    def hidden(self) -> list[None]:
        """Nothing is to be told apart: pixels that were one differ by what they see."""
        return [None] * len(self.weight_chains)

    def network(self, level: int) -> keras.Model:
        """The network on images of a level, with weights of its own."""
        return _view(self.graph, self.sides[level]).network

    def structured(self, inputs: Sequence) -> Any:
        """Inputs, one after another, in the structure that the model takes them in."""
        return keras.tree.pack_sequence_as(self.graph.input, list(inputs))

    def first_weights(self, level: int) -> list:
        """The model's own, on averages, so that what it knows is used."""
        result = []
        variables = [v for layer in self.layers for v in layer.weights]
        for variable, chains in zip(variables, self.weight_chains, strict=True):
            value = ops.convert_to_tensor(variable)
            if any(one.sizes[level] < one.sizes[0] for one in chains):
                for finer in range(level):
                    value = restricted(value, chains, finer)
                value = on_averages(value, chains, level)
            result.append(value)
        return result

    def averages(
        self, inputs: Sequence, targets: Sequence, level: int
    ) -> list[np.ndarray]:
        """Inputs and targets with images averaged to a level."""
        arrays, pixels = (*inputs, *targets), (*self.inputs, *self.outputs)
        return [
            _averaged(array, one.topology.sides[level]) if _coarsens(one) else array
            for array, one in zip(arrays, pixels, strict=True)
        ]

    def numbers(self, level: int) -> int:
        """How many numbers a sample has at a level."""
        graph, pixels = self.graph, (*self.inputs, *self.outputs)
        tensors = zip((*graph.inputs, *graph.outputs), pixels, strict=True)
        return sum(one.sizes[level] * tensor.shape[-1] for tensor, one in tensors)


def of_images(graph: keras.Model) -> bool:
    """Whether a model takes images, and has layers that slide over them."""
    ranks = {len(tensor.shape) for tensor in graph.inputs}
    return min(ranks) > 2 and any(isinstance(x, SLIDING) for x in graph.layers)


def images_of(graph: keras.Model, most: int) -> Images:
    """The levels of a network of convolutions, as many as its sides allow.

    Args:
        graph: A functional model that `of_images`.
        most: Levels at the most.

    Raises:
        ValueError: A layer is not known to work on images of another size; it is
            named, with the reason.
    """
    shapes = {tuple(tensor.shape[1:-1]) for tensor in graph.inputs}
    if len(shapes) > 1 or None in {side for shape in shapes for side in shape}:
        raise ValueError(
            "`model` must have images of one known size as inputs. Received: inputs of "
            f"shape {[tensor.shape for tensor in graph.inputs]}"
        )
    layers = [layer for layer in graph.layers if layer.weights]
    for layer in layers:
        if not layer.trainable:
            _refuse(layer, "it does not train")
    sides = [*shapes]
    views = [_view(graph, sides[0], _check_call)]
    while len(sides) <= most and all(side % 2 == 0 for side in sides[-1]):
        smaller = tuple(side // 2 for side in sides[-1])
        if min(smaller) < LEAST_SIDE:
            break
        try:
            view = _view(graph, smaller)
        except ValueError:  # shapes that do not meet
            break
        if not _fits(view, views[0], 2 ** len(sides)):
            break
        sides.append(smaller)
        views.append(view)
    chains = [_chains(layer, views) for layer in layers]
    inputs, outputs = (
        [_pixels(tensors) for tensors in zip(*ends, strict=True)]
        for ends in (
            [view.network.inputs for view in views],
            [view.network.outputs for view in views],
        )
    )
    return Images(
        graph,
        layers,
        sides,
        [axes for each in chains for axes in each],
        inputs,
        outputs,
        [view.cost for view in views],
    )


class _View(NamedTuple):
    """The network on images of one size.

    Attributes:
        network: It.
        flattened: The shape that a `Flatten` before a layer took apart, by the layer.
        cost: Multiply-adds of a sample.
    """

    network: keras.Model
    flattened: dict[str, tuple[int, ...]]
    cost: float


def _view(graph, sides, check=lambda layer, source: None) -> _View:
    """The network on images of some size, each call of a layer checked before.

    Raises:
        ValueError: It does not fit them.
    """
    inputs = [
        keras.Input(
            (*sides, tensor.shape[-1]),
            dtype=dtype_of_averages(tensor),
            name=tensor.name,
        )
        for tensor in graph.inputs
    ]
    flat, flattened, alive, costs = {}, {}, [], []

    def call(layer, *args, **kwargs):
        tensors = keras.tree.flatten((args, kwargs))
        source = next(x for x in tensors if isinstance(x, keras.KerasTensor))
        check(layer, source)
        outputs = layer(*args, **kwargs)
        alive.extend([source, *keras.tree.flatten(outputs)])
        if isinstance(layer, keras.layers.Flatten) and len(source.shape) > 2:
            flat[id(outputs)] = source.shape[1:]
        elif id(source) in flat:
            flattened[layer.name] = flat[id(source)]
            if not isinstance(layer, (keras.layers.Dense, keras.layers.Concatenate)):
                flat[id(outputs)] = flat[id(source)]
        kernels = sum(math.prod(w.shape) for w in layer.weights if len(w.shape) > 1)
        positions = math.prod(keras.tree.flatten(outputs)[0].shape[1:-1])
        costs.append(kernels * positions)
        return outputs

    network = keras.models.clone_model(
        graph,
        input_tensors=keras.tree.pack_sequence_as(graph.input, inputs),
        clone_function=copied,
        call_function=call,
    )
    return _View(network, flattened, float(sum(costs)))


def _fits(view, fine, factor) -> bool:
    """Whether a smaller network's outputs are so many times smaller, too."""
    pairs = zip(view.network.outputs, fine.network.outputs, strict=True)
    flat = zip(view.flattened.values(), fine.flattened.values(), strict=True)
    return all(
        [side * factor for side in one.shape[1:-1]] == [*other.shape[1:-1]]
        and one.shape[-1] == other.shape[-1]
        for one, other in pairs
    ) and all(
        large % small == 0 or large * small <= LARGEST_MATRIX
        for one, other in flat
        for small, large in zip(one[:-1], other[:-1], strict=True)
    )


def _pixels(tensors) -> Chain:
    """What an image lives on, from its tensors at all levels; labels have no pixels."""
    sides = tuple(tuple(tensor.shape[1:-1]) for tensor in tensors)
    return chain(Pixels(sides) if sides[0] else identity(1), len(sides) - 1)


def _chains(layer, views) -> list[tuple[Chain, ...]]:
    """What the axes of a layer's weights live on."""
    depth = len(views) - 1
    shapes = [view.flattened.get(layer.name) for view in views]
    result = []
    for weight in layer.weights:
        axes = [chain(identity(size), depth) for size in weight.shape]
        is_bias = isinstance(layer, keras.layers.Dense) and len(axes) == 1
        if shapes[0] is not None and not is_bias:  # it reads what has been flattened
            *sides, channels = zip(*shapes, strict=True)
            pixels = Pixels(tuple(zip(*sides, strict=True)), channels[0])
            axes[0] = chain(pixels, depth)
        result.append(tuple(axes))
    for level, view in enumerate(views):
        made = [tuple(w.shape) for w in view.network.get_layer(layer.name).weights]
        if made != [tuple(one.sizes[level] for one in axes) for axes in result]:
            _refuse(layer, "its weights depend on the image's size in an unknown way")
    return result


def _coarsens(one: Chain) -> bool:
    return one.sizes[-1] < one.sizes[0]


def _averaged(array, sides) -> np.ndarray:
    """Images `(samples, *sides, channels)` averaged to other sides, which divide."""
    array = np.asarray(array)
    array = array if array.dtype.kind == "f" else array.astype("float32")
    for axis, side in enumerate(sides, start=1):
        shape = array.shape
        blocks = (*shape[:axis], side, shape[axis] // side, *shape[axis + 1 :])
        array = array.reshape(blocks).mean(axis=axis + 1)
    return array


def _check_call(layer, source) -> None:
    """Refuse a layer that is not known to work on images of another size."""
    known = (*SLIDING, *OTHERS, *POINTWISE.layers)
    normalises = kind_of(layer, len(source.shape)) is NORMALISING
    if not isinstance(layer, keras.layers.Layer):
        _refuse(layer, "it is an operation, not a layer; use a Keras layer for it")
    if not isinstance(layer, known) and not normalises:
        _refuse(layer, f"a {type(layer).__name__} layer has no coarse form")
    if isinstance(layer, keras.layers.Normalization):
        last = len(source.shape) - 1
        if any(axis % len(source.shape) != last for axis in layer.axis):
            _refuse(layer, "it has a mean for each pixel, and not for each channel")
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        _refuse(layer, "its channels do not come last")


def _refuse(layer, reason):
    raise ValueError(f"The layer {layer.name!r} cannot be coarsened: {reason}.")
