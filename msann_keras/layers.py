"""The dense layer that holds a weight of every level (section 3.4)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

from msann.schedules import EVERY_LEVEL
from msann.topology import Chain, Topology, chain, resolve
from msann_keras.initializers import check_integer, for_level, sum_of_levels


@keras.saving.register_keras_serializable("msann_keras")
class MultilevelDense(keras.layers.Layer):
    """A dense layer whose kernel and bias are sums over levels, (3.6) to (3.8).

    `Theta = theta_0 + Pro theta_1 + .. + Pro theta_L`, and the output is
    `activation(x Theta + bias)`, as `keras.layers.Dense` has it. Pro is part of the
    forward pass, so autodiff restricts the gradient of every level, (3.13).

    By itself the layer trains every level at once. `MultilevelModel` and
    `CycleSchedule` train one level at a time.

    Args:
        units: Positive integer, size of the output.
        depth: L, the coarsest level; level 0 is the finest.
        activation, use_bias, bias_initializer, activity_regularizer: As in
            `keras.layers.Dense`.
        kernel_initializer: Draws every level, each with its own fan-in and fan-out
            and (where a seed is given) a seed of its own.
        kernel_regularizer, bias_regularizer: Act on Theta, as in `Dense`.
        input_topology: What the last axis of the input lives on: a topology such as
            `grid(32, 32)`, or the name of one that its size determines ("path",
            "cycle", "grid", "identity"). Path by default.
        output_topology: The same for the units.

    Input shape:
        `(batch, ..., input_dim)`.

    Output shape:
        `(batch, ..., units)`.

    Raises:
        ValueError: Units or depth not positive integers, unknown topologies, or
            topologies that do not fit the sizes or the depth.

    Example:

    >>> layer = MultilevelDense(4, depth=1, activation="sigmoid")
    >>> layer(np.ones((2, 6))).shape
    TensorShape([2, 4])
    >>> [tuple(kernel.shape) for kernel in layer.kernels]
    [(6, 4), (3, 2)]
    """

    def __init__(
        self,
        units: int,
        depth: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_normal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        input_topology: Topology | str | dict | None = None,
        output_topology: Topology | str | dict | None = None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        check_integer("units", units, least=1)
        check_integer("depth", depth, least=0)
        self.units = units
        self.depth = depth
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.input_topology = input_topology
        self.output_topology = resolve(output_topology, units, "output_topology")
        self.output_chain = chain(self.output_topology, depth)
        self.input_chain: Chain | None = None
        self.input_spec = keras.layers.InputSpec(min_ndim=2)
        self.supports_masking = True
        self._focus = (EVERY_LEVEL, None)

    def build(self, input_shape):
        """Add kernel_0 .. kernel_L and bias_0 .. bias_L."""
        size = input_shape[-1]
        self.input_topology = resolve(self.input_topology, size, "input_topology")
        self.input_chain = chain(self.input_topology, self.depth)
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: size})
        self.kernels, self.biases = [], []
        for level in range(self.depth + 1):
            rows, columns = (
                self.input_chain.sizes[level],
                self.output_chain.sizes[level],
            )
            self.kernels.append(
                self._add_level(
                    "kernel", level, (rows, columns), self.kernel_initializer
                )
            )
            if self.use_bias:
                self.biases.append(
                    self._add_level("bias", level, (columns,), self.bias_initializer)
                )
        self.built = True

    def _add_level(self, name, level, shape, initializer):
        variable = self.add_weight(
            name=f"{name}_{level}",
            shape=shape,
            initializer=for_level(initializer, level),
        )
        variable.level = level  # what `at_level` goes by
        return variable

    def theta(self, without: int | None = None):
        """The kernel and the bias of the plain layer, (3.7) and (3.8).

        Args:
            without: A level to leave out of the sum.

        Returns:
            `(kernel, bias)` of shapes `(input_dim, units)` and `(units,)`; `None` in
            place of a sum without terms (no bias, or no other level).
        """
        if not self.built:
            raise ValueError(
                f"The layer {self.name!r} has no weights before it is built: call it "
                "on a batch, or `build(input_shape)`, first."
            )
        kernels, biases = (
            [None if level == without else x for level, x in enumerate(variables)]
            for variables in (self.kernels, self.biases)
        )
        spaces = [self.input_chain, self.output_chain]
        return sum_of_levels(kernels, spaces), sum_of_levels(biases, spaces[1:])

    def set_theta(self, kernel, bias=None) -> None:
        """Make Theta equal `kernel` and `bias` by setting level 0; others stay.

        Raises:
            ValueError: Other shapes than `theta()` has, or a bias too many or missing.
        """
        rest, rest_bias = self.theta(without=0)
        own = self.kernels[:1] + (self.biases[:1] or [None])
        expected = [None if x is None else tuple(x.shape) for x in own]
        received = [None if x is None else np.shape(x) for x in (kernel, bias)]
        if received != expected:
            raise ValueError(
                f"Kernel and bias of the layer {self.name!r} must have the shapes "
                f"{expected}. Received: {received}"
            )
        self.kernels[0].assign(kernel if rest is None else kernel - rest)
        if self.use_bias:
            self.biases[0].assign(bias if rest_bias is None else bias - rest_bias)

    def gather(self) -> None:
        """Move the whole of Theta into level 0; the output stays the same."""
        kernel, bias = self.theta()
        self.kernels[0].assign(kernel)
        if self.use_bias:
            self.biases[0].assign(bias)
        for variable in self.kernels[1:] + self.biases[1:]:
            variable.assign(ops.zeros_like(variable))

    @contextmanager
    def training_at(self, level: int, frozen: Any = None):
        """Calls inside train `level` alone; the others are merged and constant.

        Args:
            level: 0 .. depth, or `EVERY_LEVEL`.
            frozen: `theta(without=level)`, for a caller who computed it already.
        """
        before, self._focus = self._focus, (level, frozen)
        try:
            yield
        finally:
            self._focus = before

    def call(self, inputs):
        """Apply the layer."""
        level, frozen = self._focus
        if level == EVERY_LEVEL:
            kernel, bias = self.theta()
            outputs = ops.matmul(inputs, kernel)
        else:
            outputs, kernel, bias = self._at_level(inputs, level, frozen)
        if self.kernel_regularizer is not None:
            self.add_loss(self.kernel_regularizer(kernel))
        if self.use_bias:
            if self.bias_regularizer is not None:
                self.add_loss(self.bias_regularizer(bias))
            outputs = outputs + bias
        return outputs if self.activation is None else self.activation(outputs)

    def _at_level(self, inputs, level, frozen):
        """`x Theta`, Theta where it is needed, and the bias; `level` alone trains."""
        inputs = ops.cast(inputs, self.compute_dtype)  # integers, for `restrict`
        if frozen is None:
            frozen = self.theta(without=level)
        frozen_kernel, frozen_bias = (
            None if x is None else ops.stop_gradient(ops.cast(x, self.compute_dtype))
            for x in frozen
        )
        P = self.input_chain.composites[level]
        Q = self.output_chain.composites[level]
        theta = ops.convert_to_tensor(self.kernels[level])
        kernel = None
        if level == 0 or self.kernel_regularizer is not None:
            own = P.prolong(Q.prolong(theta, axis=1, xp=ops), axis=0, xp=ops)
            kernel = _sum(frozen_kernel, own)
        if level == 0:
            outputs = ops.matmul(inputs, kernel)
        else:
            # The factors of x P theta Q^T are small, their product is a fine matrix.
            own = ops.matmul(P.restrict(inputs, xp=ops), theta)
            outputs = ops.matmul(inputs, frozen_kernel) + Q.prolong(own, xp=ops)
        bias = None
        if self.use_bias:
            own = ops.convert_to_tensor(self.biases[level])
            bias = _sum(frozen_bias, Q.prolong(own, xp=ops))
        return outputs, kernel, bias

    def compute_output_shape(self, input_shape):
        """The input's shape with `units` as its last axis."""
        return (*input_shape[:-1], self.units)

    def get_config(self):
        """Everything that `from_config` needs."""
        serialize = keras.saving.serialize_keras_object
        topologies = {
            name: value.get_config() if isinstance(value, Topology) else value
            for name in ("input_topology", "output_topology")
            for value in [getattr(self, name)]
        }
        return super().get_config() | {
            "units": self.units,
            "depth": self.depth,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": serialize(self.kernel_initializer),
            "bias_initializer": serialize(self.bias_initializer),
            "kernel_regularizer": serialize(self.kernel_regularizer),
            "bias_regularizer": serialize(self.bias_regularizer),
            "activity_regularizer": serialize(self.activity_regularizer),
            **topologies,
        }


def at_level(variables, level: int) -> list:
    """Those of `variables` that train at `level`.

    These are the level's own and those that belong to no level, such as the weights of
    an ordinary Keras layer, which train at every level.
    """
    if level == EVERY_LEVEL:
        return list(variables)
    return [v for v in variables if getattr(v, "level", level) == level]


def _sum(a, b):
    if a is None or b is None:
        return a if b is None else ops.convert_to_tensor(b)
    return a + b
