"""One level within the compiled program: its variables, network and optimizer."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from msann_keras.coarsening import Coarsening
from msann_keras.engines.coarsened.compiled import here
from msann_keras.optimizers.multilevel import unwrapped

#: Optimizers that treat every entry alike, so that variables may be joined to one.
ELEMENTWISE = (
    "SGD",
    "Adam",
    "AdamW",
    "Adamax",
    "Nadam",
    "RMSprop",
    "TF1RMSprop",
    "Adagrad",
    "Adadelta",
    "Ftrl",
    "Lion",
)
#: Coarse levels with fewer parameters are packed: compiling takes less time, but each
#: step copies, which makes larger levels up to twice as slow.
PACKED_BELOW = 2**16


class Level:
    """Level l of a model: V and v, and steps that train them on averaged data.

    Args:
        model: A compiled `MultilevelModel`.
        parts: What its coarse networks are made of.
        level: l.
        consistent: Whether the loss has a linear term tau (MG/OPT).

    Attributes:
        network: M_l. Its own weights stay zero: each call is given those that it uses.
        variables: What is trained: kernels and biases, or one vector of them all.
        tau: The term's coefficients, one tensor for each of `variables`.
    """

    def __init__(self, model, parts: Coarsening, level: int, consistent: bool):
        self.model, self.parts, self.level = model, parts, level
        own = [v for layer in parts.layers for v in layer.level_weights(level)]
        self.shapes = [tuple(v.shape) for v in own]
        self.network = parts.network(level)
        self.network.compile(loss=model.loss, loss_weights=model.loss_weights)
        optimizer = unwrapped(model.optimizer)
        size = sum(int(np.prod(shape)) for shape in self.shapes)
        small = level > 0 and size < PACKED_BELOW
        self.joined = small and _elementwise(optimizer.levels[level])
        if self.joined:
            vector, self.optimizer = optimizer.pack(level, size, own[0].dtype)
            self.variables = [vector]
        else:
            self.variables, self.optimizer = own, optimizer.levels[level]
        self.tau = [
            keras.Variable(ops.zeros(v.shape, v.dtype), trainable=False)
            for v in self.variables
            if consistent
        ]

    @property
    def changes(self) -> list[keras.Variable]:
        """All variables that steps and gradients of the level may change."""
        result = [*self.variables, *self.optimizer.variables, *self.tau]
        result += self.network.non_trainable_variables
        return result + self.model.metrics_variables * (self.level == 0)

    def output_spec(self, inputs):
        """What the network makes of inputs, as shapes and types."""
        return self.network.compute_output_spec(self.parts.structured(inputs))

    def clear(self):
        """Leave nothing of a coarse level in the model's weights."""
        if not self.joined:
            for variable in self.variables:
                variable.assign(ops.zeros(variable.shape, variable.dtype))

    def values(self):
        """Kernels and biases, V and v, as tensors."""
        return self._unpacked([here.value(v) for v in self.variables])

    def assign(self, values):
        """Make V and v these."""
        for variable, value in zip(self.variables, self._packed(values), strict=True):
            variable.assign(value)

    def add(self, values):
        """Add to V and v."""
        for variable, value in zip(self.variables, self._packed(values), strict=True):
            variable.assign_add(value)

    def _packed(self, values):
        if not self.joined:
            return values
        return [ops.concatenate([ops.reshape(x, [-1]) for x in values], axis=0)]

    def _unpacked(self, tensors):
        if not self.joined:
            return tensors
        sizes = [int(np.prod(shape)) for shape in self.shapes]
        parts = here.cut(tensors[0], sizes)
        return [ops.reshape(x, s) for x, s in zip(parts, self.shapes, strict=True)]

    def train(self, steps, batch, source):
        """So many steps of the level's optimizer, from batch number `batch` on."""

        def step(i):
            data = source.batch(self.level, source.rows(batch + i))
            gradient = self._gradient(data, consistent=True, log=self.level == 0)
            self.optimizer.apply(gradient, self.variables)
            return (i + 1,)

        zero = ops.zeros((), "int32")
        here.loop(lambda i: i < steps, step, (zero,), self.changes)

    def gradients(self, data):
        """dE_l/dV_l + tau_l, as kernels and biases."""
        return self._unpacked(self._gradient(data, consistent=True))

    def set_tau(self, wanted, data):
        """Choose tau so that the gradient on `data` becomes `wanted`."""
        own = self._gradient(data, consistent=False)
        pairs = zip(self.tau, self._packed(wanted), own, strict=True)
        for tau, target, present in pairs:
            tau.assign(target - present)

    def _gradient(self, data, consistent, log=False):
        """Of the level's loss for its variables, with tau if there is one."""
        tensors = [here.value(v) for v in self.variables]
        (loss, made), gradient = here.gradient(
            lambda tensors: self._loss(self._unpacked(tensors), data), tensors
        )
        outputs, states = made
        pairs = zip(self.network.non_trainable_variables, states, strict=True)
        for variable, state in pairs:  # of random layers
            variable.assign(state)
        if log:
            self._log(loss, outputs, data)
        if consistent and self.level:
            for i, tau in enumerate(self.tau):
                gradient[i] += here.value(tau)
        return gradient

    def _loss(self, values, data):
        """The loss for such V and v; outputs, and what random layers have come to."""
        inputs, _, sample_weight = data
        x = self.parts.structured(inputs)
        weights = self.parts.weights(values, self.level)
        own = [
            v
            for layer in self.parts.layers
            for v in self.network.get_layer(layer.name).weights
        ]
        random = self.network.non_trainable_variables
        given = [*zip(own, weights, strict=True), *((v, here.value(v)) for v in random)]
        with keras.StatelessScope(given, collect_losses=True) as scope:
            outputs = self.network(x, training=True)
            y = self._targets(outputs, data)
            weight = sample_weight[0] if sample_weight else None
            loss = self.network.compute_loss(x, y, outputs, weight)
        return loss, (outputs, [scope.get_current_value(v) for v in random])

    def _log(self, loss, outputs, data):
        """Let the model's metrics know."""
        inputs, _, sample_weight = data
        tracker = next(m for m in self.model.metrics if m.name == "loss")
        tracker.update_state(loss)
        x, y = self.parts.structured(inputs), self._targets(outputs, data)
        weight = sample_weight[0] if sample_weight else None
        self.model.compute_metrics(x, y, outputs, weight)

    def _targets(self, outputs, data):
        return keras.tree.pack_sequence_as(outputs, list(data[1]))


def _elementwise(optimizer) -> bool:
    return type(optimizer).__name__ in ELEMENTWISE and optimizer.clipnorm is None
