"""Programs for coarsened data on JAX: functions of the values of all variables, jitted.

Inside of such a function Keras's `StatelessScope` has the values, and a variable seems
to change in place. A loop takes the values of what it changes through every turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np


def program(
    function: Callable, variables: Callable[[], Sequence], model: keras.Model
) -> Callable:
    """A function of a plan, an order and data, jitted if steps of the model are.

    Args:
        function: Changes variables, and returns a tensor.
        variables: Returns all that `function` reads and changes.
        model: Compiled.
    """
    if model.run_eagerly or not model.jit_cycles:
        return function

    # No buffer is donated. That would save a copy of the state in each call (a tenth of
    # a large V-cycle), and leave no weights behind where somebody interrupts a call.
    @jax.jit
    def pure(values, *args):
        pairs = zip(variables(), values, strict=True)
        with keras.StatelessScope([*pairs], initialize_variables=False):
            result = function(*args)
            return result, _values(variables())

    def called(*args):
        result, values = pure(_values(variables()), *args)
        _assign(variables(), values)
        return result

    return called


def loop(
    condition: Callable, body: Callable, values: tuple, changes: Sequence
) -> tuple:
    """`body`, again and again: compiled within a program, and in Python outside."""
    if not isinstance(condition(*values), jax.core.Tracer):
        while condition(*values):
            values = body(*values)
        return values

    def turn(carried):
        values, state = carried
        _assign(changes, state)
        return tuple(body(*values)), _values(changes)

    begin = tuple(values), _values(changes)
    values, state = jax.lax.while_loop(lambda c: condition(*c[0]), turn, begin)
    _assign(changes, state)
    return values


def when(condition: Any, function: Callable, values: tuple, changes: Sequence) -> tuple:
    """A function of values, or the values."""
    if not isinstance(condition, jax.core.Tracer):
        return function(*values) if condition else values

    def chosen(values, state):
        _assign(changes, state)
        return tuple(function(*values)), _values(changes)

    begin = tuple(values), _values(changes)
    values, state = jax.lax.cond(condition, chosen, lambda *both: both, *begin)
    _assign(changes, state)
    return values


def value(variable: keras.Variable) -> jax.Array:
    """The present value."""
    return variable.value


def gradient(function: Callable, tensors: list) -> tuple[tuple, list]:
    """`function(tensors)`, which is `(loss, others)`, and the gradient of the loss."""
    return jax.value_and_grad(function, has_aux=True)(tensors)


def rows(array: jax.Array, indices: jax.Array) -> jax.Array:
    """Some rows, all of which there are."""
    return jnp.take(array, indices, axis=0, mode="clip")


def cut(vector: jax.Array, sizes: Sequence[int]) -> list:
    """A vector in pieces."""
    return jnp.split(vector, np.cumsum(sizes)[:-1])


def compiled(function: Callable) -> Callable:
    """A jitted function of arrays."""
    return jax.jit(function)


def on_device(array: Any) -> jax.Array:
    """A copy of an array."""
    return jnp.array(array)


class Tickets(keras.utils.PyDataset):
    """So many batches of nothing, or batches without end."""

    def __init__(self, count: int | None):
        super().__init__()
        self.count = count

    @property
    def num_batches(self) -> int | None:
        """How many."""
        return self.count

    def __getitem__(self, index: int) -> tuple:
        """A ticket."""
        return (np.zeros(1),)


tickets = Tickets


def train_function(model: keras.Model, train: Callable) -> Callable:
    """Keras calls it with the state and the iterator, for logs and a new state.

    Variables, which are empty while Keras trains, have their values meanwhile.
    """

    def function(state, iterator):
        variables = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
        for group, values in zip(variables, state, strict=True):
            _assign(group, values)
        try:
            logs = train(iterator)
        except BaseException:
            # Keras goes back to what the call before has left, which it does once.
            state = [_values(group) for group in variables]
            model.jax_state_sync()
            for group, values in zip(variables, state, strict=True):
                _assign(group, values)
            raise
        return logs, tuple(_values(group) for group in variables)

    return function


def _values(variables) -> list:
    return [variable.value for variable in variables]


def _assign(variables, values) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
