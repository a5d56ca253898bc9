"""One level of a warm start: a plain Keras model on averaged data."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from msann_keras.coarsening import Coarsening
from msann_keras.nested.data import Samples, at_level
from msann_keras.nested.feeding import feed
from msann_keras.nested.handover import finer_weights, fresh
from msann_keras.nested.optimizer import copy_of, hand_over_state
from msann_keras.samples import Parts

#: Longest compiled call in seconds, and most steps of one, where the backend makes
#: several steps in a call. Between calls it is asked whether to leave the level.
CALL_SECONDS = 0.1
STEPS_PER_CALL = 32 if keras.backend.backend() == "tensorflow" else 1
#: What makes of a `fit` one step.
ONE_STEP = {"epochs": 1, "steps_per_epoch": 1}


class Level:
    """Level l of a plain model: its coarse network, compiled, and its data.

    Nothing is jitted: XLA takes longer to compile a coarse step than it saves.

    Args:
        model: The compiled model of level 0.
        coarsening: Its spaces.
        level: l, 1 or more.
        samples: Of level 0.
        batch_size: Samples of a step.
        step_seconds: What a step takes, estimated.

    Attributes:
        network: M_l.
    """

    def __init__(
        self,
        model: keras.Model,
        coarsening: Coarsening,
        level: int,
        samples: Samples,
        batch_size: int,
        step_seconds: float,
    ):
        self.coarsening, self.level = coarsening, level
        self.network = coarsening.network(level)
        self.layers = [self.network.get_layer(x.name) for x in coarsening.layers]
        hierarchy = coarsening.hierarchy
        steps = round(CALL_SECONDS / step_seconds)
        self.network.compile(
            optimizer=copy_of(model.optimizer, hierarchy.glorot_ratios[level]),
            loss=model.loss,
            loss_weights=model.get_compile_config().get("loss_weights"),
            steps_per_execution=max(1, min(STEPS_PER_CALL, steps)),
            run_eagerly=model.run_eagerly,
            jit_compile=False,
        )
        self.network.optimizer.build(self.network.trainable_variables)
        self.held_out = self._as_fit_takes(
            at_level(samples.held_out, coarsening, level)
        )
        parts = at_level(samples.parts, coarsening, level)
        batch_size = min(batch_size, len(samples.training))
        self.batches = feed(*self._as_fit_takes(parts), samples.training, batch_size)

    def draw(self) -> None:
        """Weights by the initializers of the model's layers, at this level's sizes."""
        for layer, own in zip(self.coarsening.layers, self.layers, strict=True):
            own.kernel.assign(fresh(layer.kernel_initializer)(own.kernel.shape))
            if own.use_bias:
                own.bias.assign(fresh(layer.bias_initializer)(own.bias.shape))

    def take_over(self, coarser: Level) -> None:
        """Go on where a coarser level has stopped."""
        hand_over(coarser, self.level, self.layers, self.network)

    def error(self) -> float:
        """The loss on what is held out."""
        return loss_on(self.network, self.held_out)

    def fit(self, callbacks: list) -> None:
        """Train until a callback says that it is enough."""
        self.network.fit(**self.batches, callbacks=callbacks, verbose=0)

    def make_ready(self) -> None:
        """Compile by a first step, which is taken back."""
        variables = [*self.network.variables, *self.network.optimizer.variables]
        before = [ops.convert_to_numpy(x) for x in variables]
        self.network.fit(**self.batches | ONE_STEP, verbose=0)
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)

    def _as_fit_takes(self, parts: Parts) -> tuple[Any, Any, Any]:
        inputs, targets, weights = parts
        return (
            self.coarsening.structured(inputs),
            keras.tree.pack_sequence_as(self.network.output, list(targets)),
            weights[0] if weights else None,
        )


def hand_over(coarser: Level, level: int, layers: list, model: keras.Model) -> None:
    """Give a finer network what a coarser level and its optimizer have learned.

    Args:
        coarser: A level that has trained.
        level: A finer one.
        layers: The dense layers of the network there.
        model: That network, whose optimizer is built.
    """
    coarsening = coarser.coarsening
    on_the_way = range(coarser.level - 1, level - 1, -1)
    variables, values = weights_of(layers), values_of(coarser.layers)
    for finer in on_the_way:
        values = finer_weights(values, coarsening, finer)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    pairs = zip(variables, coarsening.weight_chains, strict=True)
    chains = {id(variable): one for variable, one in pairs}
    in_order = [chains[id(v)] for v in model.trainable_variables]
    hand_over_state(coarser.network.optimizer, model.optimizer, in_order, on_the_way)


def weights_of(layers: list) -> list:
    """Kernel and bias (if any) of each dense layer, in order."""
    return [x for layer in layers for x in (layer.kernel, layer.bias) if x is not None]


def values_of(layers: list) -> list[np.ndarray]:
    """The same as arrays."""
    return [ops.convert_to_numpy(x) for x in weights_of(layers)]


def loss_on(model: keras.Model, data: tuple[Any, Any, Any]) -> float:
    """The loss of a compiled model on inputs, targets and sample weights."""
    x, y, weights = data
    outputs = model(x, training=False)
    loss = model.compute_loss(x, y, outputs, weights, training=False)
    return float(ops.convert_to_numpy(loss))
