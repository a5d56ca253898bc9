"""Programs for coarsened data on TensorFlow: `tf.function`s, whose variables change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

#: Bytes; TensorFlow takes over memory that begins at a multiple of this.
ALIGNMENT = 64

value, rows, cut = tf.convert_to_tensor, tf.gather, tf.split


def program(
    function: Callable, variables: Callable[[], Sequence], model: keras.Model
) -> Callable:
    """A function of a plan, an order and data, compiled unless the model runs eagerly.

    Args:
        function: Changes variables, and returns a tensor.
        variables: Has no meaning here: a graph finds out by itself.
        model: Compiled.
    """
    if not model.run_eagerly:
        # A partial: TensorFlow counts traces by code, and would take the programs of
        # several models for one that is traced again and again.
        function = tf.function(
            partial(function), jit_compile=model.jit_cycles, autograph=False
        )
    return lambda plan, order, data: function(
        tf.constant(plan), tf.constant(order), data
    )


def loop(
    condition: Callable, body: Callable, values: tuple, changes: Sequence
) -> tuple:
    """`body`, again and again."""
    return tf.while_loop(condition, body, values)


def when(condition: Any, function: Callable, values: tuple, changes: Sequence) -> tuple:
    """A function of values, or the values."""
    return tf.cond(condition, lambda: function(*values), lambda: values)


def gradient(function: Callable, tensors: list) -> tuple[tuple, list]:
    """`function(tensors)`, which is `(loss, others)`, and the gradient of the loss."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        result = function(tensors)
    return result, tape.gradient(result[0], tensors)


def compiled(function: Callable) -> Callable:
    """A function of tensors, compiled by XLA."""
    return tf.function(function, jit_compile=True, autograph=False)


def on_device(array: Any) -> tf.Tensor:
    """A copy of an array as a tensor.

    NumPy asks for huge pages, so its copy takes .6 of the time of TensorFlow's, which
    is spent in page faults; TensorFlow can take over memory that is aligned.
    """
    floats = isinstance(array, np.ndarray) and array.dtype.kind == "f"
    if not floats or tf.config.list_logical_devices("GPU"):
        return tf.convert_to_tensor(array)
    memory = np.empty(array.nbytes + ALIGNMENT, dtype="uint8")
    begin = -memory.ctypes.data % ALIGNMENT
    copy = memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    np.copyto(copy, array)
    return tf.experimental.dlpack.from_dlpack(copy.__dlpack__())


def tickets(count: int | None) -> tf.data.Dataset:
    """So many batches of nothing, or batches without end."""
    if count is None:
        return tf.data.Dataset.range(1).repeat()
    return tf.data.Dataset.range(count)


def train_function(model: keras.Model, train: Callable) -> Callable:
    """Keras calls it with the iterator, for logs."""
    return train
