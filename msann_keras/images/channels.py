"""Channels of a network of convolutions that can be halved, with no output changed.

The channels of an image are to a convolution what units are to a dense layer: hidden
ones may be coarsened whatever the data are. Pairs of neighbours are one channel of a
thinner network; prolonged, both do what that one did, and the outputs are the same.
Channels that are added, joined or normalised in groups must be halved together.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from msann_keras.images.stencils import CONVOLUTIONS, DEPTHWISE
from msann_keras.kinds import (
    MERGING,
    NORMALISING,
    POINTWISE,
    adds_up,
    copied,
    kind_of,
    undrawn,
)

#: Layers that make new channels, and what their config calls the number of these.
MAKING = {
    keras.layers.Dense: "units",
    keras.layers.Embedding: "output_dim",
    **{kind: "filters" for kind in CONVOLUTIONS if kind not in DEPTHWISE},
}
#: Layers that do the same with each channel of an image, whatever its size.
POOLING = tuple(
    getattr(keras.layers, f"{name}{axes}D")
    for axes in (1, 2, 3)
    for name in (
        *("MaxPooling", "AveragePooling", "GlobalMaxPooling", "GlobalAveragePooling"),
        *("UpSampling", "ZeroPadding", "Cropping", "SpatialDropout"),
    )
)
#: Layers that change images when they train.
AUGMENTING = (
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.RandomContrast,
    keras.layers.RandomBrightness,
)
#: Layers that lay numbers out anew, the last axis running fastest.
RESHAPING = (keras.layers.Flatten, keras.layers.Reshape)
#: Channels that a thinner network has at least.
LEAST_CHANNELS = 4


def halved(graph: keras.Model) -> frozenset[str]:
    """Names of the layers whose filters or units can be halved.

    Channels that a layer of an unknown kind reads or makes stay whole.

    Args:
        graph: A functional model.

    >>> from keras import layers
    >>> inputs = keras.Input((16, 16, 1))
    >>> x = layers.Conv2D(8, 3, name="hidden")(inputs)
    >>> x = layers.Conv2D(9, 3, name="odd")(x)
    >>> x = layers.Conv2D(8, 3, name="also")(layers.ReLU()(x))
    >>> x = layers.Conv2D(8, 3, name="last")(x)
    >>> sorted(halved(keras.Model(inputs, x)))
    ['also', 'hidden']
    """
    spaces = _Spaces()
    clone = keras.models.clone_model(
        graph,
        clone_function=lambda layer: copied(layer, undrawn(layer)),
        call_function=spaces.call,
    )
    for tensor in (*clone.inputs, *clone.outputs):
        spaces.keep(spaces.of(tensor))
    return spaces.not_kept()


class _Spaces:
    """Which channels are the same, while a model is called layer by layer.

    A tensor's channels are a tuple of spaces, one after another; a space has the name
    of the layer that makes it. Tensors are told apart by `id`, so all are kept alive.
    """

    def __init__(self):
        self.parent: dict[str, str] = {}
        self.whole: set[str] = set()
        self.makers: list[str] = []
        self.side_by_side: list[tuple[str, ...]] = []
        self.tensors: dict[int, tuple[str, ...]] = {}
        self.alive: list[Any] = []
        self.read: dict[str, tuple[str, ...]] = {}

    def of(self, tensor) -> tuple[str, ...]:
        """The spaces of a tensor's channels."""
        return self.tensors.setdefault(id(tensor), (tensor.name,))

    def keep(self, spaces: tuple[str, ...]) -> None:
        """Leave channels whole."""
        self.whole |= {self._root(one) for one in spaces}

    def not_kept(self) -> frozenset[str]:
        """The layers whose channels need not stay whole."""
        before = -1
        while before != len(self.whole):  # of channels side by side all stay, or none
            before = len(self.whole)
            for spaces in self.side_by_side:
                if any(self._root(one) in self.whole for one in spaces):
                    self.keep(spaces)
        return frozenset(x for x in self.makers if self._root(x) not in self.whole)

    def call(self, layer, *args, **kwargs):
        """Call a layer, and note the spaces of what it makes."""
        tensors = [
            x
            for x in keras.tree.flatten((args, kwargs))
            if isinstance(x, keras.KerasTensor)
        ]
        outputs = layer(*args, **kwargs)
        made = keras.tree.flatten(outputs)
        self.alive += [*tensors, *made]
        if self._is_known(layer, tensors[0]):
            self.tensors[id(made[0])] = self._made(layer, tensors, made[0])
        else:
            for tensor in (*tensors, *made):
                self.keep(self.of(tensor))
        if not _keeps_pairs(layer):
            self.keep(self.of(made[0]))
        return outputs

    def _is_known(self, layer, source) -> bool:
        """Whether a layer does with halved channels what it does with all."""
        known = (*DEPTHWISE, *POOLING, *AUGMENTING, *POINTWISE.layers, *RESHAPING)
        known += (keras.layers.Concatenate, keras.layers.GroupNormalization)
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            return False
        if isinstance(layer, keras.layers.Rescaling):
            return np.size(layer.scale) == np.size(layer.offset) == 1
        return (
            type(layer) in (*MAKING, *known)
            or kind_of(layer, len(source.shape)) is NORMALISING
        )

    def _made(self, layer, tensors, made) -> tuple[str, ...]:
        if isinstance(layer, keras.layers.Concatenate):
            return self._concatenated(layer, tensors, made)
        if isinstance(layer, MERGING):
            return self._merged(tensors, made)
        spaces = self.of(tensors[0])
        if layer.weights:  # what reads two tensors, called twice, reads one space
            self._join(spaces, self.read.setdefault(layer.name, spaces))
        before, size = tensors[0].shape[-1], made.shape[-1]
        multiplies = getattr(layer, "depth_multiplier", 1) > 1
        groups = getattr(layer, "groups", 1)
        if multiplies or not _halves(before, groups):
            self.keep(spaces)
        if type(layer) in MAKING:
            self.makers.append(layer.name)
            if not _halves(size, groups) or size < 2 * LEAST_CHANNELS:
                self.keep((layer.name,))
            return (layer.name,)
        if isinstance(layer, RESHAPING):
            if not _halves(size):
                self.keep(spaces)
        elif size != before:
            self.keep((*spaces, made.name))
            return (made.name,)
        return spaces

    def _concatenated(self, layer, tensors, made):
        each = [self.of(tensor) for tensor in tensors]
        if layer.axis % len(made.shape) != len(made.shape) - 1:
            for other in each[1:]:
                self._join(each[0], other)
            return each[0]
        self.side_by_side.append(tuple(one for spaces in each for one in spaces))
        return self.side_by_side[-1]

    def _merged(self, tensors, made):
        """Of tensors that are added, say: one channel is added to each of many."""
        if any(len(x.shape) < 2 or x.shape[-1] is None for x in tensors):
            self.keep((made.name, *(one for x in tensors for one in self.of(x))))
            return (made.name,)
        most = max(tensor.shape[-1] for tensor in tensors)
        spaces, *others = [self.of(x) for x in tensors if x.shape[-1] == most]
        for other in others:
            self._join(spaces, other)
        return spaces

    def _root(self, space: str) -> str:
        """The one space that stands for all that are the same."""
        while (parent := self.parent.get(space, space)) != space:
            space = parent
        return space

    def _join(self, one: tuple[str, ...], other: tuple[str, ...]) -> None:
        """Channels are the same, space by space; otherwise they stay whole."""
        if len(one) != len(other):
            self.keep((*one, *other))
            return
        for a, b in zip(map(self._root, one), map(self._root, other), strict=True):
            if a != b:
                self.parent[a] = b
                if a in self.whole:
                    self.whole.add(b)


def _keeps_pairs(layer) -> bool:
    """Whether a layer's activation, if any, does with pairs what it does with one."""
    if adds_up(layer):
        return False
    activation = getattr(layer, "activation", None)
    if activation is None or not callable(activation):
        return True
    if getattr(activation, "__module__", "").startswith("keras."):
        return activation is not getattr(keras.activations, "glu", None)
    few = np.array([[-1.5, 0.5, 2.0]], "float32")
    try:
        one, both = (
            ops.convert_to_numpy(activation(ops.convert_to_tensor(x)))
            for x in (few, few.repeat(2, axis=-1))
        )
        return np.allclose(one.repeat(2, axis=-1), both, rtol=1e-4, atol=1e-5)
    except (ValueError, TypeError):  # it asks for more than that
        return False


def _halves(size: int | None, groups: int = 1) -> bool:
    """Whether each of so many groups of channels consists of pairs."""
    return size is not None and size % (2 * groups) == 0
