"""The level-l network M_l as a network of its own, on coarsened data (section 3.4.2).

The level-l variables are V = P^T W Q and v = Q^T b, P and Q the prolongations from
level l to level 0 of the spaces that a layer joins. With c = P^T 1, the column sums of
a P that reproduces constants, the network M_l works on averages x_l = (P^T x) / c, and
its layers have the kernels diag(c_in) V diag(c_out)^-1 and the biases v / c_out. If the
data are constant on the aggregates and W = P V Q^T, b = Q v, it gives exactly the
averages of the fine network's outputs, whatever the pointwise activations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from msann.topology import Chain
from msann_keras.layers import MultilevelDense
from msann_keras.merge import functional, shared_config

#: Layers that draw random numbers when they train.
RANDOM = (
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.AlphaDropout,
)
#: Layers without weights whose output lives on the space of their input.
POINTWISE = (
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
)
#: Layers without weights that may stand before the first dense layer.
RESHAPING = (keras.layers.Flatten, keras.layers.Reshape, keras.layers.Permute)
#: How far P P^T 1 may be from 1.
CONSTANTS_TOLERANCE = 1e-5


class Coarsening(NamedTuple):
    """What coarse networks are made of; `coarsening(model)` finds it out.

    Attributes:
        graph: The multilevel model as a functional one.
        layers: Its multilevel layers, in order.
        inputs: The chain of spaces of each input, after `stem`.
        outputs: The same for each output.
        stem: The reshaping layers between the inputs and the first dense layers, as a
            model; `None` without such.
        stem_layers: Their names.
    """

    graph: keras.Model
    layers: list[MultilevelDense]
    inputs: list[Chain]
    outputs: list[Chain]
    stem: keras.Model | None
    stem_layers: frozenset[str]

    def network(self, level: int, dense: type = keras.layers.Dense) -> keras.Model:
        """M_l: the model with the sizes of `level`; its weights are not set.

        Layers have the names of the fine model's; `dense` is the class of those with
        weights.
        """

        def convert(layer):
            if isinstance(layer, MultilevelDense):
                units = layer.output_chain.sizes[level]
                config = shared_config(layer) | {"units": units}
                return dense.from_config(config)
            if layer.name in self.stem_layers:
                return keras.layers.Identity(name=layer.name)
            return type(layer).from_config(layer.get_config())

        fine = self.graph.inputs if self.stem is None else self.stem.outputs
        inputs = [
            keras.Input(
                (*tensor.shape[1:-1], chain.sizes[level]),
                dtype=_dtype_of_averages(tensor, chain, level),
                name=tensor.name,
            )
            for tensor, chain in zip(fine, self.inputs, strict=True)
        ]
        return keras.models.clone_model(
            self.graph,
            input_tensors=self.structured(inputs),
            clone_function=convert,
        )

    def structured(self, inputs: Sequence) -> Any:
        """Inputs, one after another, in the structure that the model takes them in."""
        return keras.tree.pack_sequence_as(self.graph.input, list(inputs))

    def weights(self, variables: list, level: int) -> list:
        """The weights of M_l's layers from the level's variables V and v.

        Args:
            variables: Kernel and bias (if any) of each layer, in order.
            level: l.
        """
        result, values = [], iter(variables)
        for layer in self.layers:
            source = column_sums(layer.input_chain, level)
            target = column_sums(layer.output_chain, level)
            result.append(_scaled(next(values), np.divide.outer(source, target)))
            if layer.use_bias:
                result.append(_scaled(next(values), 1 / target))
        return result

    def restricted(self, variables: list, level: int) -> list:
        """V at `level` + 1 from V at `level`: P^T V Q, Galerkin's restriction."""
        return self._transferred(variables, level, "restrict")

    def prolonged(self, variables: list, level: int) -> list:
        """V at `level` from V at `level` + 1: P V Q^T."""
        return self._transferred(variables, level, "prolong")

    def _transferred(self, variables, level, transfer):
        result, values = [], iter(variables)
        for layer in self.layers:
            P = getattr(layer.input_chain.steps[level], transfer)
            Q = getattr(layer.output_chain.steps[level], transfer)
            # The smaller array is made first.
            kernel = next(values)
            if transfer == "restrict":
                result.append(Q(P(kernel, axis=0, xp=ops), axis=1, xp=ops))
            else:
                result.append(P(Q(kernel, axis=1, xp=ops), axis=0, xp=ops))
            if layer.use_bias:
                result.append(Q(next(values), axis=0, xp=ops))
        return result


def coarse_network(model: keras.Model, level: int) -> keras.Model:
    """M_l, with the restriction of the model's present weights Theta.

    Args:
        model: A functional `MultilevelModel`.
        level: 0 .. depth; 0 gives the fine network without its leading reshaping
            layers.

    Returns:
        A plain, uncompiled Keras model for data averaged to `level`
        (`coarse_data`).

    Raises:
        ValueError: What `coarsening` refuses.

    Example:

    >>> from msann_keras import multilevel
    >>> plain = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    >>> coarse_network(multilevel(plain, depth=2), level=1).output_shape
    (None, 4)
    """
    parts = coarsening(model)
    _check_level(level, parts.layers[0].depth)
    variables = [x for layer in parts.layers for x in layer.theta() if x is not None]
    for finer in range(level):
        variables = parts.restricted(variables, finer)
    network = parts.network(level)
    weights = iter(parts.weights(variables, level))
    for layer in parts.layers:
        clone = network.get_layer(layer.name)
        clone.set_weights([next(weights) for _ in clone.weights])
    return network


def coarse_data(data: Any, chain: Chain, level: int) -> Any:
    """Averages over the chain's aggregates: (P^T x) / c along the last axis.

    Args:
        data: Array or tensor `(..., n)`.
        chain: Of the space that the last axis lives on.
        level: l.

    Returns:
        A tensor `(..., n_l)`.

    Raises:
        ValueError: A level that the chain does not have.

    >>> from msann.topology import chain, path
    >>> coarse_data([[1.0, 3.0, 5.0]], chain(path(3), 1), level=1).numpy().round(5)
    array([[2., 5.]], dtype=float32)
    """
    _check_level(level, len(chain.steps))
    data = ops.convert_to_tensor(data)
    if chain.sizes[level] == chain.sizes[0]:
        return data
    restricted = chain.composites[level].restrict(data, axis=-1, xp=ops)
    return _scaled(restricted, 1 / column_sums(chain, level))


@lru_cache(maxsize=64)
def averaging(chain: Chain) -> Callable:
    """A compiled function from data to their averages at levels 1 .. L.

    `coarse_data` at every level, each made from the one before: where sizes halve, all
    of them together take twice what the first one takes.

    >>> from msann.topology import chain, path
    >>> [x.numpy().round(5).tolist() for x in averaging(chain(path(4), 2))(
    ...     ops.convert_to_tensor([[1.0, 3.0, 5.0, 7.0]]))]
    [[[2.0, 6.0]], [[4.0]]]
    """

    def every_level(data):
        result = []
        for level, P in enumerate(chain.steps):
            if P.shape[0] != P.shape[1]:
                sums = _scaled(data, column_sums(chain, level))
                restricted = P.restrict(sums, axis=-1, xp=ops)
                data = _scaled(restricted, 1 / column_sums(chain, level + 1))
            result.append(data)
        return result

    if chain.sizes[-1] == chain.sizes[0]:  # nothing to compute, and nothing to copy
        return every_level
    return tf.function(every_level, jit_compile=True, autograph=False)


def column_sums(chain: Chain, level: int) -> np.ndarray:
    """c = P^T 1, P the prolongation from `level` to level 0."""
    return chain.composites[level].restrict(np.ones(chain.sizes[0]))


def coarsening(model: keras.Model) -> Coarsening:
    """Find out how a model is coarsened.

    Raises:
        ValueError: The model is not functional, or a layer or a prolongation cannot
            be coarsened; each is named, with the reason.
    """
    graph = functional(model)
    walk = _Walk(graph)
    layers = [x for x in graph.layers if isinstance(x, MultilevelDense)]
    if not layers:
        raise ValueError("Coarsened data need at least one MultilevelDense layer.")
    for layer in layers:
        if not layer.trainable:
            _refuse(layer, "it does not train; coarsened data train every layer")
        _check_constants(layer.name, "input", layer.input_chain)
        _check_constants(layer.name, "output", layer.output_chain)
    stem = None
    if walk.stem_layers:
        single = len(walk.inputs) == 1
        ends = (walk.inputs, walk.entries)
        stem = keras.Model(*(x[0] if single else x for x in ends))
    return Coarsening(
        graph,
        layers,
        [walk.chain_of(x, "an input") for x in walk.entries],
        [walk.chain_of(x, "an output") for x in walk.outputs],
        stem,
        frozenset(walk.stem_layers),
    )


class _Walk:
    """One walk through a model's graph: which space does each tensor live on?

    `space[id(tensor)]` is a number; pointwise layers keep it. `chains[number]` is known
    once a multilevel layer reads or makes the space.
    """

    def __init__(self, graph):
        self.space, self.chains, self.seen = {}, {}, []
        # Of tensors before any dense layer: the input, and the layers since then.
        self.origin, self.entry, self.stem_layers = {}, {}, set()
        clone = keras.models.clone_model(
            graph, clone_function=_stand_in, call_function=self._visit
        )
        self.inputs, self.outputs = clone.inputs, clone.outputs
        self.entries = [self.entry.get(id(x), x) for x in clone.inputs]

    def chain_of(self, tensor, what):
        """The chain of the space that a tensor lives on."""
        chain = self.chains.get(self.space.get(id(tensor)))
        if chain is None:
            raise ValueError(
                f"Data cannot be coarsened for {what} of the model, {tensor.name!r}: "
                "no MultilevelDense layer reads or makes that space."
            )
        return chain

    def _visit(self, layer, *args, **kwargs):
        tensors = [
            x
            for x in keras.tree.flatten((args, kwargs))
            if isinstance(x, keras.KerasTensor)
        ]
        outputs = layer(*args, **kwargs)
        self.seen += [*tensors, outputs]  # an id is unique while its object lives
        for tensor in tensors:
            if id(tensor) not in self.space:
                self.origin[id(tensor)] = (tensor, [])
            self.space.setdefault(id(tensor), len(self.space))
        spaces = [self.space[id(x)] for x in tensors]
        own = self.space[id(outputs)] = len(self.space)
        original = getattr(layer, "original", layer)
        if isinstance(original, MultilevelDense):
            self._meet(layer, spaces[0], original.input_chain)
            self._meet(layer, own, original.output_chain)
            _refuse_softmax(layer, original.activation, original.output_chain)
            return outputs
        if id(tensors[0]) in self.origin:
            source, layers = self.origin[id(tensors[0])]
            self.origin[id(outputs)] = (source, [*layers, layer])
        if isinstance(layer, POINTWISE):
            activation = getattr(layer, "activation", None)
            if isinstance(layer, keras.layers.Softmax):
                activation = keras.activations.softmax
            _refuse_softmax(layer, activation, self.chains.get(spaces[0]))
            for other in spaces[1:]:
                self._join(layer, spaces[0], other)
            self.space[id(outputs)] = spaces[0]
        elif isinstance(layer, RESHAPING):
            self._reshape(layer, outputs)
        else:
            _refuse(layer, f"a {type(layer).__name__} layer has no coarse form")
        return outputs

    def _reshape(self, layer, outputs):
        if id(outputs) not in self.origin:
            _refuse(layer, "it comes after a dense layer, whose space it takes apart")
        source, layers = self.origin[id(outputs)]
        for before in layers:
            if isinstance(before, RANDOM):
                _refuse(before, "it must come after the reshaping layers")
        self.entry[id(source)] = outputs
        self.stem_layers.update(x.name for x in layers)

    def _meet(self, layer, number, chain):
        known = self.chains.setdefault(number, chain)
        if known.topology != chain.topology or known.sizes != chain.sizes:
            _refuse(
                layer,
                f"it sees a space as {chain.topology!r} that another layer sees as "
                f"{known.topology!r}, so there is no one average to give to both",
            )

    def _join(self, layer, number, other):
        chain, known = self.chains.get(number), self.chains.get(other)
        if chain is not None and known is not None:
            self._meet(layer, other, chain)
        elif number != other:
            _refuse(layer, "it joins an input that no dense layer has read")


def _stand_in(layer):
    if not isinstance(layer, MultilevelDense):
        return type(layer).from_config(layer.get_config())
    # A plain layer of the same shape stands for it: nothing is drawn or transferred.
    stand_in = keras.layers.Dense.from_config(shared_config(layer))
    stand_in.original = layer
    return stand_in


def _refuse_softmax(layer, activation, chain):
    across = (keras.activations.softmax, keras.activations.log_softmax)
    if activation in across and chain is not None and chain.sizes[-1] < chain.sizes[0]:
        _refuse(
            layer,
            "its softmax adds up over a space that is coarsened; an `identity` "
            "topology keeps that space whole",
        )


def _check_constants(name, side, chain):
    for level, P in enumerate(chain.composites):
        ones = np.ones(P.shape[0])
        sums = P.restrict(ones)
        error = np.abs(P.prolong(sums) - ones).max()
        if error > CONSTANTS_TOLERANCE or np.abs(sums).min() < CONSTANTS_TOLERANCE:
            raise ValueError(
                f"Data cannot be coarsened on the {side} of the layer {name!r}: its "
                f"prolongation from level {level}, of {chain.topology!r}, must "
                f"reproduce constants, P P^T 1 = 1 (blocks of equal weights do). It "
                f"is off by {error:.2g}"
            )


def _dtype_of_averages(tensor, chain, level):
    whole = keras.backend.is_int_dtype(tensor.dtype)
    coarsened = chain.sizes[level] < chain.sizes[0]
    return keras.config.floatx() if whole and coarsened else tensor.dtype


def _check_level(level, depth):
    if isinstance(level, bool | float) or level not in range(depth + 1):
        raise ValueError(f"`level` must be in 0 .. {depth}. Received: level={level!r}")


def _scaled(x, factors):
    """`x` times constants; nothing where they are all one."""
    if np.allclose(factors, 1, rtol=0, atol=1e-12):
        return x
    if np.all(factors == factors.flat[0]):
        return x * float(factors.flat[0])
    return x * ops.convert_to_tensor(factors, dtype=x.dtype)


def _refuse(layer, reason):
    raise ValueError(
        f"Data cannot be coarsened for the layer {layer.name!r}: {reason}."
    )
