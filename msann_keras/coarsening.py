"""The level-l network M_l as a network of its own, on coarsened data (section 3.4.2).

The level-l variables are V = P^T W Q and v = Q^T b, P and Q the prolongations from
level l to level 0 of the spaces that a layer joins. With c = P^T 1, the column sums of
a P that reproduces constants, the network M_l works on averages x_l = (P^T x) / c, and
its layers have the kernels diag(c_in) V diag(c_out)^-1 and the biases v / c_out. If the
data are constant on the aggregates and W = P V Q^T, b = Q v, it gives exactly the
averages of the fine network's outputs, whatever the pointwise activations.

Multilevel models train by it on coarsened data, and a warm start trains plain models by
it from the coarsest level on. The two differ only in who says on what chain of levels
the two ends of a dense layer live (`coarse_forms.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from msann.hierarchy import Hierarchy, Weight
from msann.topology import Chain
from msann_keras.averages import averaged, dtype_of_averages
from msann_keras.coarse_networks import Hidden
from msann_keras.initializers import for_level
from msann_keras.kinds import (
    DENSE,
    RESHAPING,
    coarse_form,
    copied,
)
from msann_keras.spaces import Walk
from msann_keras.transfer import on_averages, prolonged, restricted


class Coarsening(NamedTuple):
    """What coarse networks of dense layers are made of; `coarsened` finds it out.

    To a warm start it is a `CoarseNetworks`.

    Attributes:
        seen: The model as spaces and layers.
        chains: The levels of each space that a dense layer reads or makes, by name.
    """

    seen: Walk
    chains: dict[str, Chain]

    @property
    def graph(self) -> keras.Model:
        """The functional model."""
        return self.seen.graph

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The model's layers with weights, in order."""
        return [step.layer for step in self.seen.weighted]

    @property
    def inputs(self) -> list[Chain]:
        """The levels of each input's space, behind the reshaping layers."""
        return [self.chains[space] for space in self.seen.inputs]

    @property
    def outputs(self) -> list[Chain]:
        """The same for each output."""
        return [self.chains[space] for space in self.seen.outputs]

    @property
    def weight_chains(self) -> list[tuple[Chain, ...]]:
        """What the axes of each kernel and vector live on, layer by layer."""
        result = []
        for step in self.seen.weighted:
            source, target = (self.chains[x] for x in (step.sources[0], step.target))
            if step.kind is DENSE:
                result += [(source, target), (target,)][: 1 + step.layer.use_bias]
            else:
                result += [(target,)] * len(step.layer.weights)
        return result

    @property
    def unit_axes(self) -> list[int]:
        """Which axis of each weight is that of its layer's units: the last one."""
        return [-1] * len(self.weight_chains)

    @property
    def hierarchy(self) -> Hierarchy:
        """Sizes and parameters of the levels."""
        kernels = [one for one in self.weight_chains if len(one) == 2]
        layers = [step.layer for step in self.seen.dense]
        pairs = zip(layers, kernels, strict=True)
        return Hierarchy([Weight(x.name, *one, x.use_bias) for x, one in pairs])

    @property
    def rates(self) -> tuple[float, ...]:
        """Learning rates by level: smaller layers have larger weights."""
        return self.hierarchy.glorot_ratios

    @property
    def hidden(self) -> list[Hidden | None]:
        """For each weight the hidden units that it reads; `None` if it reads none."""
        result = []
        for step in self.seen.weighted:
            source, layer = step.sources[0], step.layer
            reads = None
            if step.kind is DENSE and source not in self.seen.inputs:
                draw = for_level(layer.kernel_initializer, 1)
                reads = Hidden(self.chains[source], draw)
            result += [reads, None, None, None][: len(layer.weights)]
        return result

    @property
    def is_shared(self) -> bool:
        """Whether one network takes the data of all coarse levels."""
        return False

    def keeps_outputs(self, level: int) -> bool:
        """Whether weights of a level do on finer data what they do on its own."""
        return True

    def network(self, level: int) -> keras.Model:
        """M_l: the model with the sizes of `level`, its weights zero.

        Layers have the names of the fine model's.
        """
        units = {
            step.layer.name: self.chains[step.target].sizes[level]
            for step in self.seen.dense
        }
        steps = {step.layer.name: step for step in self.seen.steps}

        def coarse(layer):
            if layer.name in self.seen.stem_layers:
                return coarse_form(layer, RESHAPING)
            step = steps[layer.name]
            if step.kind is RESHAPING:
                sizes = self.chains[step.target].sizes
                if sizes[-1] == sizes[0]:
                    return copied(layer)  # what stays whole is folded as it was
            return coarse_form(layer, step.kind, units.get(layer.name))

        graph, stem = self.seen.graph, self.seen.stem
        inputs = [
            keras.Input(
                (*tensor.shape[1:-1], chain.sizes[level]),
                dtype=dtype_of_averages(tensor)
                if chain.sizes[level] < chain.sizes[0]
                else tensor.dtype,
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

    def first_weights(self, level: int) -> list:
        """Weights by the initializers of the model's layers, at the sizes of `level`.

        A weight is `None` where it begins as it is made.
        """
        result = []
        for step in self.seen.weighted:
            layer, few = step.layer, len(step.layer.weights)
            if step.kind is not DENSE:
                result += [None] * few
                continue
            initializers = (layer.kernel_initializer, layer.bias_initializer)[:few]
            for initializer in initializers:
                axes = self.weight_chains[len(result)]
                shape = tuple(one.sizes[level] for one in axes)
                result.append(for_level(initializer, 1)(shape))
        return result

    def data(self, inputs: Sequence, targets: Sequence, level: int) -> list[np.ndarray]:
        """Inputs and targets as M_l has them: behind the stem, flat, and averaged."""
        arrays = [*self.seen.stemmed(inputs), *self.flat(targets)]
        result = []
        for array, one in zip(arrays, (*self.inputs, *self.outputs), strict=True):
            if one.sizes[level] < one.sizes[0] and array.dtype.kind != "f":
                array = array.astype("float32")
            result.append(averaged(array, one, level, np))
        return result

    def numbers(self, level: int) -> int:
        """How many numbers a sample has at a level."""
        return sum(one.sizes[level] for one in (*self.inputs, *self.outputs))

    def structured(self, inputs: Sequence) -> Any:
        """Inputs, one after another, in the structure that the model takes them in."""
        return keras.tree.pack_sequence_as(self.seen.graph.input, list(inputs))

    def flat(self, targets: Sequence) -> list:
        """Targets as coarse networks give outputs: not folded into several axes."""
        ends = zip(targets, self.seen.folds, self.outputs, strict=True)
        return [
            target.reshape(len(target), -1)
            if axes == target.shape[1:] and one.sizes[-1] < one.sizes[0]
            else target
            for target, axes, one in ends
        ]

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
        pairs = zip(variables, self.weight_chains, strict=True)
        return [function(variable, chains, level) for variable, chains in pairs]
