"""A Keras model seen as spaces: what does the last axis of each tensor live on?

A *space* is the input's pixels, or the units of one layer. Dense layers read one space
and make another, pointwise layers keep the space, reshaping layers make a new one.
`walk` goes once through a model's graph of layers and notes which layer reads and makes
which space; conversion, coarse networks and whatever comes next ask that list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from msann_keras.keras_private import layers_within
from msann_keras.kinds import (
    DENSE,
    NORMALISING,
    POINTWISE,
    RESHAPING,
    STEM,
    WEIGHTED,
    Kind,
    adds_up,
    copied,
    dense_like,
    kind_of,
)
from msann_keras.layers.dense import MultilevelDense


class Step(NamedTuple):
    """One call of a layer in a model's graph.

    Attributes:
        layer: The model's own.
        kind: Of the layer.
        sources: Names of the spaces that it reads, one for each tensor.
        target: Name of the space that its output lives on.
        since_input: The layers from a model's input up to this one, if none of them is
            dense (so the output is still data); otherwise `None`.
    """

    layer: keras.layers.Layer
    kind: Kind | None
    sources: tuple[str, ...]
    target: str
    since_input: tuple[keras.layers.Layer, ...] | None


class Walk(NamedTuple):
    """What `walk` saw.

    Attributes:
        graph: The functional model that was walked.
        steps: Calls of layers, in order.
        sizes: Of each space, by name: "input" (an input tensor's own name, if there are
            several), or the name of the layer that makes it.
        inputs: The space of each input, behind its last reshaping layer.
        outputs: The space of each output.
        folds: The axes that each output folds its space into; `None` where it does not.
        stem: The layers between the inputs and the first dense layers that data can be
            taken through once and for all, as a model; `None` without such.
        stem_layers: Their names, and those of the layers before them.
    """

    graph: keras.Model
    steps: list[Step]
    sizes: dict[str, int]
    inputs: list[str]
    outputs: list[str]
    folds: list[tuple[int, ...] | None]
    stem: keras.Model | None
    stem_layers: frozenset[str]

    def stemmed(self, inputs: Sequence) -> list[np.ndarray]:
        """Inputs behind the stem, as arrays."""
        if self.stem is None:
            return list(inputs)
        x = inputs[0] if len(inputs) == 1 else list(inputs)
        made = self.stem(x, training=False)
        return [ops.convert_to_numpy(one) for one in keras.tree.flatten(made)]

    @property
    def weighted(self) -> list[Step]:
        """Steps of layers with weights; of a layer that is called twice, the first."""
        first: dict[str, Step] = {}
        for step in self.steps:
            if step.kind in WEIGHTED:
                first.setdefault(step.layer.name, step)
        return list(first.values())

    @property
    def dense(self) -> list[Step]:
        """Those of dense layers."""
        return [step for step in self.weighted if step.kind is DENSE]

    @property
    def folded(self) -> dict[str, tuple[int, ...]]:
        """The axes of each output that folds its space, by the space's name."""
        pairs = zip(self.outputs, self.folds, strict=True)
        return {space: axes for space, axes in pairs if axes is not None}

    @property
    def added_up(self) -> set[str]:
        """Spaces over which a softmax adds up, which can therefore not be averaged."""
        return {step.target for step in self.steps if adds_up(step.layer)}


def walk(model: keras.Model) -> Walk:
    """Go once through a model's graph of layers, from its inputs to its outputs.

    Args:
        model: A built Sequential or functional model, plain or multilevel.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: It has no graph of layers (it is subclassed, or not built).

    Example:

    >>> inputs = keras.Input((4, 4))
    >>> x = keras.layers.Flatten(name="flat")(inputs)
    >>> x = keras.layers.Dense(8, name="hidden")(x)
    >>> outputs = keras.layers.Dense(2, name="logits")(keras.layers.ReLU()(x))
    >>> seen = walk(keras.Model(inputs, outputs))
    >>> seen.inputs, seen.outputs, seen.sizes
    (['flat'], ['logits'], {'input': 4, 'flat': 16, 'hidden': 8, 'logits': 2})
    >>> [(step.layer.name, step.sources, step.target) for step in seen.dense]
    [('hidden', ('flat',), 'hidden'), ('logits', ('hidden',), 'logits')]
    """
    return _Walker(functional(model)).walk()


class _Walker:
    """State of one walk. Tensors are told apart by `id`, so all are kept alive."""

    def __init__(self, graph):
        self.graph, self.steps, self.sizes = graph, [], {}
        self.single = len(graph.inputs) == 1
        self.space, self.alive = {}, []
        # Of tensors that are still data: the input, and the layers since then.
        self.origin, self.entry, self.stem_layers = {}, {}, set()
        # Of folded tensors: what their last axis is called where it is taken by itself.
        self.folded = {}

    def walk(self):
        clone = keras.models.clone_model(
            self.graph, clone_function=_stand_in, call_function=self._call
        )
        entries = [self.entry.get(id(x), x) for x in clone.inputs]
        stem = None
        if self.stem_layers:
            ends = (clone.inputs, entries)
            stem = keras.Model(*(x[0] if self.single else x for x in ends))
        return Walk(
            self.graph,
            self.steps,
            self.sizes,
            [self._space(x) for x in entries],
            [self._space(x) for x in clone.outputs],
            [x.shape[1:] if id(x) in self.folded else None for x in clone.outputs],
            stem,
            frozenset(self.stem_layers),
        )

    def _space(self, tensor, kind=None):
        name = self.space.get(id(tensor))
        if name is None:  # a tensor that no layer made
            name = self.space[id(tensor)] = "input" if self.single else tensor.name
            self.origin[id(tensor)] = (tensor, ())
        if kind not in (None, POINTWISE, RESHAPING):  # but along the last axis
            name = self.folded.get(id(tensor), name)
        self.sizes.setdefault(name, tensor.shape[-1])
        return name

    def _call(self, clone, *args, **kwargs):
        tensors = [
            x
            for x in keras.tree.flatten((args, kwargs))
            if isinstance(x, keras.KerasTensor)
        ]
        layer = self._original(clone)
        kind = kind_of(layer, len(tensors[0].shape))
        sources = tuple(self._space(x, kind) for x in tensors)
        outputs = clone(*args, **kwargs)
        self.alive += [*tensors, *keras.tree.flatten(outputs)]
        made = keras.tree.flatten(outputs)
        same = [s for s in sources if self.sizes[s] == made[0].shape[-1]]
        keeps = kind in (POINTWISE, NORMALISING) and same
        target = same[0] if keeps else clone.name
        since_input = None
        if kind is not DENSE and all(id(x) in self.origin for x in tensors):
            source, before = self.origin[id(tensors[0])]
            since_input = (*before, layer)
            self.origin.update({id(x): (source, since_input) for x in made})
            if kind in STEM:
                self.entry[id(source)] = made[0]
                self.stem_layers.update(x.name for x in since_input)
        elif self._keeps(layer, kind, tensors, made[0]):
            target = sources[0]
            if len(made[0].shape) > 2:
                last_axis = self.folded.get(id(tensors[0]), clone.name)
                self.folded[id(made[0])] = last_axis
        self.space.update({id(x): target for x in made})
        self.sizes.setdefault(target, made[0].shape[-1])
        self.steps.append(Step(layer, kind, sources, target, since_input))
        return outputs

    def _keeps(self, layer, kind, tensors, made):
        """Whether a layer leaves a space whole that it folds, or that is folded."""
        folded = [id(x) in self.folded for x in tensors]
        if kind is POINTWISE:
            return all(folded) and all(x.shape == made.shape for x in tensors)
        if kind is not RESHAPING or isinstance(layer, keras.layers.Permute):
            return False
        return all(folded) or len(tensors[0].shape) == 2

    def _original(self, clone):
        if not isinstance(clone, keras.layers.Layer):  # an operation of `keras.ops`
            return clone
        return self.graph.get_layer(clone.name)


class _StandIn(keras.layers.Dense):
    """A dense layer of the same shape, without weights: nothing is drawn."""

    def build(self, input_shape):
        self.built = True

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((*inputs.shape[:-1], self.units), self.compute_dtype)


def _stand_in(layer):
    if kind_of(layer) is DENSE:
        return dense_like(layer, _StandIn)
    return copied(layer)


def functional(model: keras.Model, name: str = "model") -> keras.Model:
    """A functional model of the same layers.

    Args:
        model: Sequential or functional.
        name: What an error calls it.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: It has no graph of layers (it is subclassed, or not built).
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`{name}` must be a keras.Model. Received: an object of {type(model)}"
        )
    if isinstance(model, keras.Sequential):
        if not model.built:
            raise ValueError(
                f"The Sequential model {model.name!r} must be built first: begin it "
                "with a `keras.Input`, or call `model.build(input_shape)`."
            )
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if getattr(model, "inputs", None) is None or not hasattr(model, "operations"):
        raise ValueError(
            f"`{name}` must be a Sequential or functional model, whose graph of layers "
            f"is known. Received: {model.name!r} of {type(model)}; build its layers "
            "from MultilevelDense, or read merged weights with `layer.theta()`"
        )
    return keras.Model(model.input, model.output, name=model.name)


def multilevel_within(layer: Any) -> list[MultilevelDense]:
    """Every multilevel layer in a layer or model, at any depth."""
    if not isinstance(layer, keras.layers.Layer):
        return []
    return [x for x in layers_within(layer) if isinstance(x, MultilevelDense)]
