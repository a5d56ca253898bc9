"""The dense layer that holds a weight of every level (section 3.4)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from msann import checks
from msann.arrays import real_array
from msann.schedules import EVERY_LEVEL
from msann.topology import Chain, Topology, chain, resolve
from msann_keras import focus
from msann_keras.initializers import for_level
from msann_keras.keras_private import is_sparse
from msann_keras.transfer import sum_of_levels


@keras.saving.register_keras_serializable("msann_keras")
class MultilevelDense(keras.layers.Layer):
    """Applies a dense layer whose kernel and bias are sums over levels, (3.6) to (3.8).

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
        kernel_constraint, bias_constraint: Hold for Theta after every step that trains
            level 0, and so at the end of a cycle.
        start: Of the kernels: "paper" draws every level as the initializer says; on
            smooth inputs each adds about as much to the output, which grows with the
            depth. "balanced" draws 1/sqrt(depth + 1) of that, which keeps the output
            as large as a plain layer's; models that `multilevel` converts begin so.
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
    >>> layer(ops.ones((2, 6))).shape
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
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        input_topology: Topology | str | dict | None = None,
        output_topology: Topology | str | dict | None = None,
        start: str = "paper",
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = checks.integer("units", units, least=1)
        self.depth = checks.integer("depth", depth, least=0)
        self.activation = keras.activations.get(activation)
        self.use_bias = checks.flag("use_bias", use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.start = checks.one_of("start", start, ("balanced", "paper"))
        self.input_topology = input_topology
        self.output_topology = resolve(output_topology, self.units, "output_topology")
        self.output_chain = chain(self.output_topology, self.depth)
        self.input_spec = keras.layers.InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape):
        """Add kernel_0 .. kernel_L and bias_0 .. bias_L."""
        size = input_shape[-1]
        self.input_topology = resolve(self.input_topology, size, "input_topology")
        self.input_chain: Chain = chain(self.input_topology, self.depth)
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: size})
        self.kernels, self.biases = [], []
        for level in range(self.depth + 1):
            rows = self.input_chain.sizes[level]
            columns = self.output_chain.sizes[level]
            kernel = self._add_level("kernel", level, (rows, columns))
            self.kernels.append(kernel)
            if self.use_bias:
                self.biases.append(self._add_level("bias", level, (columns,)))
        self.built = True

    def _add_level(self, name, level, shape):
        draw = for_level(getattr(self, f"{name}_initializer"), level)
        balanced = name == "kernel" and self.start == "balanced"
        scale = (self.depth + 1) ** -0.5 if balanced else 1.0
        variable = self.add_weight(
            name=f"{name}_{level}",
            shape=shape,
            initializer=draw if scale == 1 else _scaled(draw, scale),
            constraint=self._constraint(name) if level == 0 else None,
        )
        variable.level = level  # what `at_level` goes by
        return variable

    def _constraint(self, name):
        """For level 0: what it must become for Theta to fulfil the constraint."""
        constraint = getattr(self, f"{name}_constraint")

        def constrained(own):
            rest = self.theta(without=0)[name == "bias"]
            return constraint(own) if rest is None else constraint(own + rest) - rest

        return constraint and constrained

    @property
    def weight_chains(self) -> list[tuple[Chain, ...]]:
        """Return what the axes of kernel and bias live on, as `transfer` takes it."""
        chains = [(self.input_chain, self.output_chain), (self.output_chain,)]
        return chains if self.use_bias else chains[:1]

    def level_weights(self, level: int) -> list[keras.Variable]:
        """Return theta_l, the kernel and the bias (if any) of a level."""
        return [self.kernels[level], *self.biases[level : level + 1]]

    def check_level(self, level: int) -> None:
        """Refuse a level that the layer does not have."""
        checks.integer("level", level, least=EVERY_LEVEL, most=self.depth)

    def theta(self, without: int | None = None):
        """Return the kernel and the bias of the plain layer, (3.7) and (3.8).

        Args:
            without: A level to leave out of the sum.

        Returns:
            `(kernel, bias)` of shapes `(input_dim, units)` and `(units,)`; `None` in
            place of a sum without terms (no bias, or no other level).

        Raises:
            ValueError: The layer is not built, or has no level `without`.
        """
        if not self.built:
            raise ValueError(
                f"The layer {self.name!r} has no weights before it is built: call it "
                "on a batch, or `build(input_shape)`, first."
            )
        if without is not None:
            checks.integer("without", without, least=0, most=self.depth)
        kernels, biases = (
            [None if level == without else x for level, x in enumerate(variables)]
            for variables in (self.kernels, self.biases)
        )
        spaces = self.weight_chains
        bias = sum_of_levels(biases, spaces[1]) if self.use_bias else None
        return sum_of_levels(kernels, spaces[0]), bias

    def set_theta(self, kernel, bias=None) -> None:
        """Make Theta equal `kernel` and `bias` by setting level 0; others stay.

        Raises:
            ValueError: No finite real numbers, other shapes than `theta()` has, or a
                bias too many or missing.
        """
        rest, rest_bias = self.theta(without=0)
        own = self.kernels[:1] + (self.biases[:1] or [None])
        expected = [None if x is None else tuple(x.shape) for x in own]
        kernel, bias = (
            None if x is None else real_array(name, x).astype(self.variable_dtype)
            for name, x in (("kernel", kernel), ("bias", bias))
        )
        received = [None if x is None else x.shape for x in (kernel, bias)]
        if received != expected:
            raise ValueError(
                f"Kernel and bias of the layer {self.name!r} must have the shapes "
                f"{expected}. Received: {received}"
            )
        self.kernels[0].assign(kernel if rest is None else ops.subtract(kernel, rest))
        if self.use_bias:
            own = bias if rest_bias is None else ops.subtract(bias, rest_bias)
            self.biases[0].assign(own)

    def gather(self) -> None:
        """Move the whole of Theta into level 0; the output stays the same."""
        kernel, bias = self.theta()
        self.kernels[0].assign(kernel)
        if self.use_bias:
            self.biases[0].assign(bias)
        for variable in self.kernels[1:] + self.biases[1:]:
            variable.assign(ops.zeros(variable.shape, variable.dtype))

    def call(self, inputs):
        """Apply the layer."""
        step = focus.present()
        level = step.of(self)
        if level == EVERY_LEVEL:
            kernel, bias = self.theta()
            outputs = ops.matmul(inputs, kernel)
        else:
            frozen = step.frozen[id(self)]
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
            if is_sparse(inputs):  # x P would not be
                own = ops.matmul(inputs, P.prolong(theta, axis=0, xp=ops))
            else:
                own = ops.matmul(P.restrict(inputs, xp=ops), theta)
            outputs = ops.matmul(inputs, frozen_kernel) + Q.prolong(own, xp=ops)
        bias = None
        if self.use_bias:
            own = ops.convert_to_tensor(self.biases[level])
            bias = _sum(frozen_bias, Q.prolong(own, xp=ops))
        return outputs, kernel, bias

    def compute_output_shape(self, input_shape):
        """Return the input's shape with `units` as its last axis."""
        return (*input_shape[:-1], self.units)

    def get_config(self):
        """Return everything that `from_config` needs."""
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
            "kernel_constraint": serialize(self.kernel_constraint),
            "bias_constraint": serialize(self.bias_constraint),
            "start": self.start,
            **topologies,
        }


def _scaled(draw, factor):
    return lambda shape, dtype=None: factor * draw(shape, dtype=dtype)


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
