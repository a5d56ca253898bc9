"""A Keras model seen as spaces: what does the last axis of each tensor live on?

A *space* is the input's pixels, or the units of one layer. Dense layers read one space
and make another, pointwise layers keep the space, reshaping layers make a new one.
`walk` goes once through a model's graph of layers and notes which layer reads and makes
which space; conversion, coarse networks and whatever comes next ask that list.

A kind of layer is added here and nowhere else: `KINDS` says how it treats spaces and
what its coarse form is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from msann_keras.keras_private import layers_within
from msann_keras.layers.dense import MultilevelDense

#: The arguments that Dense and MultilevelDense have in common.
SHARED = (
    "name",
    "trainable",
    "dtype",
    "units",
    "activation",
    "use_bias",
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "kernel_constraint",
    "bias_constraint",
)


def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A layer of the same class and config, with weights of its own."""
    return type(layer).from_config(layer.get_config())


def dense_like(
    layer: keras.layers.Layer, kind: type = keras.layers.Dense, **others: Any
) -> keras.layers.Dense:
    """A dense layer with the config of another one, but for what is given.

    The activation is the same object: a function need not be registered with Keras.

    Args:
        layer: Of either dense class.
        kind: The class that is made.
        others: What differs, and what `kind` takes beside `SHARED`.
    """
    known = layer.get_config()
    config = {key: known[key] for key in SHARED if key in known}
    made = kind.from_config(config | {"activation": None} | others)
    made.activation = layer.activation
    return made


def adds_up(layer: keras.layers.Layer) -> bool:
    """Whether a layer's activation takes a space as a whole: a softmax."""
    across = (keras.activations.softmax, keras.activations.log_softmax)
    is_softmax = isinstance(layer, keras.layers.Softmax)
    return is_softmax or getattr(layer, "activation", None) in across


class Kind(NamedTuple):
    """How the layers of one kind treat spaces.

    Attributes:
        layers: Their classes.
        coarse: Makes a layer's coarse form from the layer and, if it makes a space, the
            space's size on the coarse level; `None` if there is no such form.
    """

    layers: tuple[type, ...]
    coarse: Callable[[keras.layers.Layer, int | None], keras.layers.Layer] | None


#: Layers that draw random numbers when they train.
RANDOM = (
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.AlphaDropout,
)
#: A dense layer reads one space and makes another, its units. The coarse form draws no
#: weights, since it is given those of a level.
DENSE = Kind(
    (keras.layers.Dense, MultilevelDense),
    lambda layer, units: dense_like(
        layer, units=units, kernel_initializer="zeros", bias_initializer="zeros"
    ),
)
#: Layers without weights whose output lives on the space of their input.
POINTWISE = Kind(
    (
        *RANDOM,
        keras.layers.Activation,
        keras.layers.ReLU,
        keras.layers.LeakyReLU,
        keras.layers.ELU,
        keras.layers.Softmax,
        keras.layers.ActivityRegularization,
        keras.layers.Identity,
        keras.layers.Rescaling,
        keras.layers.Add,
        keras.layers.Subtract,
        keras.layers.Multiply,
        keras.layers.Average,
        keras.layers.Maximum,
        keras.layers.Minimum,
    ),
    lambda layer, units: copied(layer),
)
#: Layers without weights that make a new space. On data they are applied once, before
#: averaging (the *stem*), so that on a coarse level nothing of them is left.
RESHAPING = Kind(
    (keras.layers.Flatten, keras.layers.Reshape, keras.layers.Permute),
    lambda layer, units: keras.layers.Identity(name=layer.name),
)
#: A layer that makes one space of several.
JOINING = Kind((keras.layers.Concatenate,), None)

KINDS = (DENSE, POINTWISE, RESHAPING, JOINING)


def kind_of(layer: keras.layers.Layer) -> Kind | None:
    """The kind of a layer; `None` for a stranger, and for a subclass of `Dense`."""
    if isinstance(layer, keras.layers.Dense) and type(layer) is not keras.layers.Dense:
        return None
    return next((kind for kind in KINDS if isinstance(layer, kind.layers)), None)


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
        stem: The reshaping layers between the inputs and the first dense layers, as a
            model; `None` without such.
        stem_layers: Their names, and those of the layers before them.
    """

    graph: keras.Model
    steps: list[Step]
    sizes: dict[str, int]
    inputs: list[str]
    outputs: list[str]
    stem: keras.Model | None
    stem_layers: frozenset[str]

    @property
    def dense(self) -> list[Step]:
        """Steps of dense layers; of a layer that is called twice, the first."""
        first = {}
        for step in self.steps:
            if step.kind is DENSE:
                first.setdefault(step.layer.name, step)
        return list(first.values())

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
            stem,
            frozenset(self.stem_layers),
        )

    def _space(self, tensor):
        name = self.space.get(id(tensor))
        if name is None:  # a tensor that no layer made
            name = self.space[id(tensor)] = "input" if self.single else tensor.name
            self.origin[id(tensor)] = (tensor, ())
        self.sizes.setdefault(name, tensor.shape[-1])
        return name

    def _call(self, clone, *args, **kwargs):
        tensors = [
            x
            for x in keras.tree.flatten((args, kwargs))
            if isinstance(x, keras.KerasTensor)
        ]
        sources = tuple(self._space(x) for x in tensors)
        outputs = clone(*args, **kwargs)
        self.alive += [*tensors, *keras.tree.flatten(outputs)]
        layer = self._original(clone)
        kind = kind_of(layer)
        made = keras.tree.flatten(outputs)
        same = [s for s in sources if self.sizes[s] == made[0].shape[-1]]
        target = same[0] if kind is POINTWISE and same else clone.name
        since_input = None
        if kind is not DENSE and all(id(x) in self.origin for x in tensors):
            source, before = self.origin[id(tensors[0])]
            since_input = (*before, layer)
            self.origin.update({id(x): (source, since_input) for x in made})
            if kind is RESHAPING:
                self.entry[id(source)] = made[0]
                self.stem_layers.update(x.name for x in since_input)
        self.space.update({id(x): target for x in made})
        self.sizes.setdefault(target, made[0].shape[-1])
        self.steps.append(Step(layer, kind, sources, target, since_input))
        return outputs

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


def functional(model: keras.Model) -> keras.Model:
    """A functional model of the same layers.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: It has no graph of layers (it is subclassed, or not built).
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` must be a keras.Model. Received: an object of {type(model)}"
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
            "`model` must be a Sequential or functional model, whose graph of layers "
            f"is known. Received: {model.name!r} of {type(model)}; build its layers "
            "from MultilevelDense, or read merged weights with `layer.theta()`"
        )
    return keras.Model(model.input, model.output, name=model.name)


def multilevel_within(layer: Any) -> list[MultilevelDense]:
    """Every multilevel layer in a layer or model, at any depth."""
    if not isinstance(layer, keras.layers.Layer):
        return []
    return [x for x in layers_within(layer) if isinstance(x, MultilevelDense)]
