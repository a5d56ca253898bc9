"""One level within the compiled program: its variables, network and optimizer."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from msann_keras.coarsening import Coarsening
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
        self.tau = [tf.Variable(tf.zeros_like(v)) for v in self.variables if consistent]

    def output_spec(self, inputs):
        """What the network makes of inputs, as shapes and types."""
        return self.network.compute_output_spec(self.parts.structured(inputs))

    def clear(self):
        """Leave nothing of a coarse level in the model's weights."""
        if not self.joined:
            for variable in self.variables:
                variable.assign(tf.zeros_like(variable))

    def values(self):
        """Kernels and biases, V and v, as tensors."""
        return self._unpacked([tf.convert_to_tensor(v) for v in self.variables])

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
        return [tf.concat([tf.reshape(x, [-1]) for x in values], axis=0)]

    def _unpacked(self, tensors):
        if not self.joined:
            return tensors
        sizes = [int(np.prod(shape)) for shape in self.shapes]
        parts = tf.split(tensors[0], sizes)
        return [tf.reshape(x, s) for x, s in zip(parts, self.shapes, strict=True)]

    def train(self, steps, batch, source):
        """So many steps of the level's optimizer, from batch number `batch` on."""

        def step(i):
            data = source.batch(self.level, source.rows(batch + i))
            gradient = self._gradient(data, consistent=True, log=self.level == 0)
            self.optimizer.apply(gradient, self.variables)
            return (i + 1,)

        tf.while_loop(lambda i: i < steps, step, (tf.constant(0),))

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
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tensors = [tf.convert_to_tensor(v) for v in self.variables]
            tape.watch(tensors)
            weights = self.parts.weights(self._unpacked(tensors), self.level)
            loss = self._loss(weights, data, log)
        gradient = tape.gradient(loss, tensors)
        if consistent and self.level:
            for i, tau in enumerate(self.tau):
                gradient[i] += tau
        return gradient

    def _loss(self, weights, data, log):
        inputs, targets, sample_weight = data
        x = self.parts.structured(inputs)
        sample_weight = sample_weight[0] if sample_weight else None
        own = [
            v
            for layer in self.parts.layers
            for v in self.network.get_layer(layer.name).weights
        ]
        given = list(zip(own, weights, strict=True))
        with keras.StatelessScope(given, collect_losses=True) as scope:
            outputs = self.network(x, training=True)
            y = keras.tree.pack_sequence_as(outputs, list(targets))
            loss = self.network.compute_loss(x, y, outputs, sample_weight)
        for state in self.network.non_trainable_variables:  # of random layers
            if (value := scope.get_current_value(state)) is not None:
                state.assign(value)
        if log:
            tracker = next(m for m in self.model.metrics if m.name == "loss")
            tracker.update_state(loss)
            self.model.compute_metrics(x, y, outputs, sample_weight)
        return loss


def _elementwise(optimizer) -> bool:
    return type(optimizer).__name__ in ELEMENTWISE and optimizer.clipnorm is None
