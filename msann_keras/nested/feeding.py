"""How samples come to a coarse network: shuffled batches without end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np


def batches(
    data: tuple,
    rows: np.ndarray,
    batch_size: int,
    seed: int,
    any_sides: bool = False,
) -> Callable[[], Any]:
    """A source of shuffled batches of one size, for any number of calls of `fit`.

    Args:
        data: Inputs, targets and perhaps weights: arrays in the model's structures.
        rows: The samples to use.
        batch_size: At most their number.
        seed: Of the order.
        any_sides: Whether the sides of images are to be unknown to the program, so that
            it takes others, too.

    Returns:
        A function that gives what `fit` takes for `x`, with `steps_per_epoch`.
    """
    if keras.backend.backend() == "tensorflow":
        dataset = _dataset(data, rows, batch_size, seed, any_sides)
        return lambda: dataset
    rng = np.random.default_rng(seed)
    return lambda: _generator(data, rows, batch_size, rng)


def _dataset(data, rows, batch_size, seed, any_sides):
    """A dataset that gathers rows from tensors.

    Given arrays, `fit` would make one that tunes itself. It takes twice as long for
    small batches, and sometimes waits for seconds when training stops in its midst.
    """
    import tensorflow as tf

    # Of a list, a dataset would make one tensor.
    data = keras.tree.lists_to_tuples(data)
    data = keras.tree.map_structure(tf.convert_to_tensor, data)

    def gathered(some):
        return keras.tree.map_structure(lambda one: of(one, some), data)

    def of(one, some):
        batch = tf.gather(one, some)
        if not any_sides or len(one.shape) < 3:
            return batch
        shape = [batch_size, *[None] * (len(one.shape) - 2), one.shape[-1]]
        return tf.compat.v1.placeholder_with_default(batch, shape)

    order = tf.data.Dataset.from_tensor_slices(rows).shuffle(len(rows), seed).repeat()
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = order.batch(batch_size, drop_remainder=True).map(gathered).prefetch(2)
    return dataset.with_options(options)


def _generator(data, rows, batch_size, rng) -> Iterator:
    while True:
        order = rng.permutation(rows)
        for begin in range(0, len(rows) - batch_size + 1, batch_size):
            some = order[begin : begin + batch_size]
            yield keras.tree.map_structure(lambda one, some=some: one[some], data)
