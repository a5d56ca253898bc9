"""Networks of convolutions, and thinner ones on smaller images that teach them.

Other networks that have no coarse form as a whole are only made thinner.

Level 1 has half as many channels wherever that can be undone with no output changed
(`channels.py`). From level 2 on, images are averaged too, and kernels, which are those
of the finest image, act on them by their Galerkin stencils (`stencils.py`). Or coarse
levels see every other pixel, from level 1 on, with all channels and kernels as they
are. So weights are prolonged along channels only, but for what stands behind a
`Flatten`: that lives on pixels times channels, and coarsens along both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from msann.topology import Chain
from msann.topology.pixels import Pixels
from msann_keras.coarse_networks import Hidden
from msann_keras.images.chains import chains_of, pixels_of, roles_of
from msann_keras.images.channels import RESHAPING, halved
from msann_keras.images.stencils import has_stencil
from msann_keras.images.views import SLIDING, Size, View, check_call, refuse, view
from msann_keras.keras_private import layers_within

#: Sides that a coarse image has at least.
LEAST_SIDE = 12
#: Entries of a prolongation between sides that do not divide.
LARGEST_MATRIX = 2**18


class Images:
    """A network of convolutions and its levels; `images_of` makes it.

    To a warm start it is a `CoarseNetworks`, as `Coarsening` is for dense layers.

    Args:
        graph: The functional model.
        thin: Its layers whose channels are halved from level 1 on.
        sizes: Of the levels.
        views: Their networks.
        reason: Why there are no smaller images, if a layer is the reason.

    Attributes:
        layers: Layers with weights, in order.
        weight_chains: What the axes of each weight live on.
        unit_axes: Which of them is that of the layer's units.
        hidden: For each weight the hidden channels that it reads; `None` without such.
        inputs: The pixels of each input.
        outputs: The pixels of each output; labels stay whole.
        costs: Multiply-adds of a sample at each level.
        least: The shortest side of those images inside of the network that are smaller
            than at level 0, at each level; infinite without any.
        field: Pixels along a side that an output depends on, the same at all levels.
    """

    def __init__(
        self,
        graph: keras.Model,
        thin: frozenset[str],
        sizes: list[Size],
        views: list[View],
        reason: str = "",
    ):
        self.graph, self.thin, self.sizes, self._views = graph, thin, sizes, views
        self.reason = reason
        self.layers = [layer for layer in graph.layers if layer.weights]
        self.weight_chains: list[tuple[Chain, ...]] = []
        self.unit_axes: list[int] = []
        self.hidden: list[Hidden | None] = []
        for layer in self.layers:
            for place, chains in enumerate(chains_of(layer, views)):
                units, hidden = roles_of(layer, place, chains)
                self.weight_chains.append(chains)
                self.unit_axes.append(units)
                self.hidden.append(hidden)
        networks = [each.network for each in views]
        self.inputs = [
            pixels_of(each) for each in zip(*(x.inputs for x in networks), strict=True)
        ]
        self.outputs = [
            pixels_of(each) for each in zip(*(x.outputs for x in networks), strict=True)
        ]
        self.costs = [each.cost for each in views]
        self.least = [_least_side(each, views[0]) for each in views]
        self.field = views[0].field

    def up_to(self, depth: int) -> Images:
        """Without the levels that are deeper."""
        levels = slice(depth + 1)
        sizes, views = self.sizes[levels], self._views[levels]
        return Images(self.graph, self.thin, sizes, views, self.reason)

    def sampled(self) -> Images:
        """With smaller images that are sampled, on which kernels act as they are."""
        sizes = [size._replace(has_stencils=False) for size in self.sizes]
        return Images(self.graph, self.thin, sizes, self._views, self.reason)

    @property
    def rates(self) -> tuple[float, ...]:
        """Learning rates by level: kernels that read half the channels are larger."""
        return tuple(math.sqrt(2) if size.is_thin else 1.0 for size in self.sizes)

    def keeps_outputs(self, level: int) -> bool:
        """Whether weights of a level do on finer data what they do on its own."""
        return self.sizes[level].sides == self.sizes[max(0, level - 1)].sides

    @property
    def is_shared(self) -> bool:
        """Whether one network takes the images of all coarse levels.

        Its weights have one shape then, and what they do suits the size of the images;
        so one program trains all levels.
        """
        has_sizes = self.sizes[-1].blocks > (1,)
        return has_sizes and not any(
            isinstance(x, RESHAPING) for x in self.graph.layers
        )

    def network(self, level: int) -> keras.Model:
        """The network of a level, with weights of its own, newly drawn."""
        size = self.sizes[level]
        if level and self.is_shared:
            blocks = tuple(sorted({one.blocks[0] for one in self.sizes}))
            size = size._replace(blocks=blocks)
        return view(self.graph, size, self.thin, self._views[0], draws=True).network

    def structured(self, inputs: Sequence) -> Any:
        """Inputs, one after another, in the structure that the model takes them in."""
        return keras.tree.pack_sequence_as(self.graph.input, list(inputs))

    def first_weights(self, level: int) -> list[None]:
        """Every weight begins as it is made, drawn by the initializer of its layer."""
        return [None] * len(self.weight_chains)

    def data(self, inputs: Sequence, targets: Sequence, level: int) -> list[np.ndarray]:
        """Inputs and targets with images restricted to a level.

        Stencils are of averages. Kernels that act as they are would take these for
        images with less noise; of every other pixel they see what they will see of all.
        """
        smaller = averaged if self.sizes[level].has_stencils else sampled
        arrays, pixels = (*inputs, *targets), (*self.inputs, *self.outputs)
        return [
            smaller(array, one.topology.sides[level])
            if isinstance(one.topology, Pixels) and one.sizes[level] < one.sizes[0]
            else array
            for array, one in zip(arrays, pixels, strict=True)
        ]

    def numbers(self, level: int) -> int:
        """How many numbers a sample has at a level."""
        graph, pixels = self.graph, (*self.inputs, *self.outputs)
        tensors = zip((*graph.inputs, *graph.outputs), pixels, strict=True)
        each = [one.sizes[level] * (tensor.shape[-1] or 1) for tensor, one in tensors]
        return sum(each)


def of_images(graph: keras.Model) -> bool:
    """Whether a model takes images, and has layers that slide over them."""
    ranks = {len(tensor.shape) for tensor in graph.inputs}
    return min(ranks) > 2 and any(isinstance(x, SLIDING) for x in graph.layers)


def images_of(
    graph: keras.Model, most: int, reason: str = "", is_thin: bool = True
) -> Images:
    """The levels of a network, as many as its layers allow.

    Args:
        graph: A functional model.
        most: Levels at the most, beside level 0.
        reason: Why the network can only be made thinner, if that is known.
        is_thin: Whether coarse levels have half the channels, if any can be halved.

    Raises:
        ValueError: A layer does not train.
    """
    for layer in graph.layers:
        if any(x.weights and not x.trainable for x in layers_within(layer)):
            refuse(layer, "it does not train")
    sides = {tuple(tensor.shape[1:-1]) for tensor in graph.inputs}
    if of_images(graph) and (len(sides) > 1 or None in {x for s in sides for x in s}):
        shapes = [tensor.shape for tensor in graph.inputs]
        reason = reason or f"its inputs are no images of one known size, but {shapes}"
    size = Size()
    if not reason and of_images(graph):
        size = size._replace(sides=next(iter(sides)))
    sizes = [size]
    try:
        views = [view(graph, sizes[0], check=check_call)]
    except ValueError as error:
        reason = reason or str(error)
        views = [view(graph, sizes[0])]
    thin = halved(graph) if is_thin else frozenset()
    if thin and most:
        size = sizes[0]._replace(is_thin=True)
        try:
            views.append(view(graph, size, thin, views[0]))
            _check_halves(*views)
            sizes.append(size)
        except ValueError as error:  # a layer has constants for each channel, say
            thin, reason = frozenset(), reason or str(error)
            del views[1:]
    while not reason and len(sizes) <= most:
        smaller = _smaller(sizes[-1])
        if smaller is None:
            break
        try:
            seen = view(graph, smaller, thin, views[0])
        except ValueError:  # shapes that do not meet
            break
        if not _fits(seen, views, *smaller.blocks):
            break
        sizes.append(smaller)
        views.append(seen)
    return Images(graph, thin, sizes, views, reason)


def _smaller(size: Size) -> Size | None:
    """Images of half the sides; `None` if these are no whole numbers, or too small."""
    if size.sides is None or any(side % 2 for side in size.sides):
        return None
    sides = tuple(side // 2 for side in size.sides)
    if min(sides) < LEAST_SIDE:
        return None
    return size._replace(sides=sides, blocks=(2 * size.blocks[0],))


def averaged(array: np.ndarray, sides: Sequence[int]) -> np.ndarray:
    """Images `(samples, *sides, channels)` averaged to other sides, which divide.

    >>> averaged(np.array([[[1.0], [3.0], [5.0], [9.0]]]), [2])[0].tolist()
    [[2.0], [7.0]]
    """
    array = np.asarray(array)
    array = array if array.dtype.kind == "f" else array.astype("float32")
    for axis, side in enumerate(sides, start=1):
        shape = array.shape
        if side < shape[axis]:
            blocks = (*shape[:axis], side, shape[axis] // side, *shape[axis + 1 :])
            array = array.reshape(blocks).mean(axis=axis + 1)
    return array


def sampled(array: np.ndarray, sides: Sequence[int]) -> np.ndarray:
    """Every other pixel, or every fourth, of images `(samples, *sides, channels)`.

    Multigrid calls this restriction injection.

    >>> sampled(np.array([[[1.0], [3.0], [5.0], [9.0]]]), [2])[0].tolist()
    [[1.0], [5.0]]
    """
    array = np.asarray(array)
    strides = (large // few for large, few in zip(array.shape[1:], sides, strict=False))
    return array[(slice(None), *(slice(None, None, each) for each in strides))]


def _least_side(one: View, fine: View) -> float:
    """The shortest side that is shorter than on the finest images; infinite if none is.

    Others (of a pooling over whole images) say nothing of a level.
    """
    sides = [
        small
        for name, shapes in fine.shapes.items()
        for few, many in zip(one.shapes[name], shapes, strict=True)
        for small, large in zip(few[1:-1], many[1:-1], strict=True)
        if small is not None and small < large
    ]
    return min(sides, default=math.inf)


def _fits(one: View, views: list[View], factor: int) -> bool:
    """Whether outputs are so many times smaller, and all weights known to the finer."""
    fine, same = views[0], views[-1]
    pairs = zip(one.network.outputs, fine.network.outputs, strict=True)
    flat = zip(one.flattened.values(), fine.flattened.values(), strict=True)
    weights = (
        small.shape == large.shape
        for layer in same.network.layers
        if layer.name not in fine.flattened
        for small, large in zip(
            one.network.get_layer(layer.name).weights, layer.weights, strict=True
        )
    )
    kernels = (
        [side * factor for side in one.shapes[name][0][1:-1]] == [*shape[1:-1]]
        for name, (shape, _) in fine.shapes.items()
        if has_stencil(fine.network.get_layer(name)) and name not in fine.many
    )
    return (
        all(
            [side * factor for side in small.shape[1:-1]] == [*large.shape[1:-1]]
            and small.shape[-1] == large.shape[-1]
            for small, large in pairs
        )
        and all(
            large % small == 0 or large * small <= LARGEST_MATRIX
            for few, many in flat
            for small, large in zip(few[:-1], many[:-1], strict=True)
        )
        and all(weights)
        and all(kernels)
    )


def _check_halves(fine: View, thin: View) -> None:
    """Refuse a thin network in which a weight's axis is neither whole nor half.

    Raises:
        ValueError: There is one: layers do not fit together as they were thought to.
    """
    for layer in fine.network.layers:
        pairs = zip(
            layer.weights, thin.network.get_layer(layer.name).weights, strict=True
        )
        for large, small in pairs:
            sizes = zip(large.shape, small.shape, strict=True)
            if any(one not in (other, 2 * other) for one, other in sizes):
                raise ValueError(f"half the channels do not suit {layer.name!r}")
