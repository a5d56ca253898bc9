"""The level-l network M_l as a network of its own, on coarsened data (section 3.4.2).

The level-l variables are V = P^T W Q and v = Q^T b, P and Q the prolongations from
level l to level 0 of the spaces that a layer joins. With c = P^T 1, the column sums of
a P that reproduces constants, the network M_l works on averages x_l = (P^T x) / c, and
its layers have the kernels diag(c_in) V diag(c_out)^-1 and the biases v / c_out. If the
data are constant on the aggregates and W = P V Q^T, b = Q v, it gives exactly the
averages of the fine network's outputs, whatever the pointwise activations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from msann import checks
from msann.topology import Chain
from msann_keras.engines.coarsened.averages import (
    check_constants,
    dtype_of_averages,
)
from msann_keras.layers import MultilevelDense
from msann_keras.spaces import POINTWISE, RANDOM, RESHAPING, Walk, walk
from msann_keras.transfer import on_averages, prolonged, restricted


class Coarsening(NamedTuple):
    """What coarse networks are made of; `coarsening(model)` finds it out.

    Attributes:
        seen: The multilevel model as spaces and layers.
        layers: Its multilevel layers, in order.
        inputs: The chain of the space of each input, behind the reshaping layers.
        outputs: The same for each output.
    """

    seen: Walk
    layers: list[MultilevelDense]
    inputs: list[Chain]
    outputs: list[Chain]

    def network(self, level: int) -> keras.Model:
        """M_l: the model with the sizes of `level`, its weights zero.

        Layers have the names of the fine model's.
        """
        units = {x.name: x.output_chain.sizes[level] for x in self.layers}
        kinds = {step.layer.name: step.kind for step in self.seen.steps}

        def coarse(layer):
            in_stem = layer.name in self.seen.stem_layers
            kind = RESHAPING if in_stem else kinds[layer.name]
            return kind.coarse(layer, units.get(layer.name))

        graph, stem = self.seen.graph, self.seen.stem
        inputs = [
            keras.Input(
                (*tensor.shape[1:-1], chain.sizes[level]),
                dtype=dtype_of_averages(tensor, chain, level),
                name=tensor.name,
            )
            for tensor, chain in zip(
                graph.inputs if stem is None else stem.outputs, self.inputs, strict=True
            )
        ]
        return keras.models.clone_model(
            graph,
            input_tensors=self.structured(inputs),
            clone_function=coarse,
        )

    def structured(self, inputs: Sequence) -> Any:
        """Inputs, one after another, in the structure that the model takes them in."""
        return keras.tree.pack_sequence_as(self.seen.graph.input, list(inputs))

    @property
    def chains(self) -> list[tuple[Chain, ...]]:
        """What the axes of each layer's weights live on, in order."""
        return [chains for layer in self.layers for chains in layer.weight_chains]

    def weights(self, variables: list, level: int) -> list:
        """The weights of M_l's layers from the level's variables V and v.

        Args:
            variables: Kernel and bias (if any) of each layer, in order.
            level: l.
        """
        return self._each(on_averages, variables, level)

    def restricted(self, variables: list, level: int) -> list:
        """V at `level` + 1 from V at `level`: P^T V Q, Galerkin's restriction."""
        return self._each(restricted, variables, level)

    def prolonged(self, variables: list, level: int) -> list:
        """V at `level` from V at `level` + 1: P V Q^T."""
        return self._each(prolonged, variables, level)

    def _each(self, function, variables, level):
        pairs = zip(variables, self.chains, strict=True)
        return [function(variable, chains, level) for variable, chains in pairs]


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
        TypeError: `model` is no Keras model.
        ValueError: What `coarsening` refuses, or a level that there is not.

    Example:

    >>> from msann_keras import multilevel
    >>> plain = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    >>> coarse_network(multilevel(plain, depth=2), level=1).output_shape
    (None, 4)
    """
    parts = coarsening(model)
    level = checks.integer("level", level, least=0, most=parts.layers[0].depth)
    variables = [x for layer in parts.layers for x in layer.theta() if x is not None]
    for finer in range(level):
        variables = parts.restricted(variables, finer)
    network = parts.network(level)
    weights = iter(parts.weights(variables, level))
    for layer in parts.layers:
        clone = network.get_layer(layer.name)
        clone.set_weights([next(weights) for _ in clone.weights])
    return network


def coarsening(model: keras.Model) -> Coarsening:
    """Find out how a multilevel model is coarsened.

    Raises:
        TypeError: `model` is no Keras model.
        ValueError: The model is not functional, or a layer or a prolongation cannot
            be coarsened; each is named, with the reason.
    """
    seen = walk(model)
    layers = [step.layer for step in seen.dense]
    if not any(isinstance(x, MultilevelDense) for x in layers):
        raise ValueError("Coarsened data need at least one MultilevelDense layer.")
    chains: dict[str, Chain] = {}
    for step in seen.steps:
        _check_step(step, chains)
    for layer in layers:
        if not layer.trainable:
            _refuse(layer, "it does not train; coarsened data train every layer")
        for side in ("input", "output"):
            chain = getattr(layer, f"{side}_chain")
            check_constants(f"the {side} of the layer {layer.name!r}", chain)

    def chains_of(spaces, tensors, what):
        for space, tensor in zip(spaces, tensors, strict=True):
            if space not in chains:
                raise ValueError(
                    f"Data cannot be coarsened for {what} of the model, "
                    f"{tensor.name!r}: no MultilevelDense layer reads or makes that "
                    "space."
                )
        return [chains[space] for space in spaces]

    return Coarsening(
        seen,
        layers,
        chains_of(seen.inputs, seen.graph.inputs, "an input"),
        chains_of(seen.outputs, seen.graph.outputs, "an output"),
    )


def _check_step(step, chains):
    """Refuse a layer without a coarse form; note the chains of its spaces."""
    layer, sources = step.layer, step.sources
    if isinstance(layer, MultilevelDense):
        _meet(layer, chains, sources[0], layer.input_chain)
        _meet(layer, chains, step.target, layer.output_chain)
        _refuse_softmax(layer, layer.activation, layer.output_chain)
    elif step.kind is POINTWISE:
        activation = getattr(layer, "activation", None)
        if isinstance(layer, keras.layers.Softmax):
            activation = keras.activations.softmax
        _refuse_softmax(layer, activation, chains.get(sources[0]))
        for other in sources[1:]:
            _join(layer, chains, sources[0], other)
    elif step.kind is RESHAPING:
        if step.since_input is None:
            _refuse(layer, "it comes after a dense layer, whose space it takes apart")
        for before in step.since_input:
            if isinstance(before, RANDOM):
                _refuse(before, "it must come after the reshaping layers")
    else:
        _refuse(layer, f"a {type(layer).__name__} layer has no coarse form")


def _meet(layer, chains, space, chain):
    known = chains.setdefault(space, chain)
    if known.topology != chain.topology or known.sizes != chain.sizes:
        _refuse(
            layer,
            f"it sees a space as {chain.topology!r} that another layer sees as "
            f"{known.topology!r}, so there is no one average to give to both",
        )


def _join(layer, chains, space, other):
    chain, known = chains.get(space), chains.get(other)
    if chain is not None and known is not None:
        _meet(layer, chains, other, chain)
    elif space != other:
        _refuse(layer, "it joins an input that no dense layer has read")


def _refuse_softmax(layer, activation, chain):
    across = (keras.activations.softmax, keras.activations.log_softmax)
    if activation in across and chain is not None and chain.sizes[-1] < chain.sizes[0]:
        _refuse(
            layer,
            "its softmax adds up over a space that is coarsened; an `identity` "
            "topology keeps that space whole",
        )


def _refuse(layer, reason):
    raise ValueError(
        f"Data cannot be coarsened for the layer {layer.name!r}: {reason}."
    )
