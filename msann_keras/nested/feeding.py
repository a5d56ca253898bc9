"""How samples come to a coarse network's `fit`: what is quickest on each backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def feed(
    x: Any, y: Any, weights: Any, rows: np.ndarray, batch_size: int
) -> dict[str, Any]:
    """Arguments of `fit` for shuffled batches of one size, again and again.

    On TensorFlow they are a dataset without end, which gathers rows from tensors. Given
    arrays, `fit` would build one that tunes itself, takes twice as long for small
    batches, and sometimes waits for seconds when training stops in the midst of it.

    Args:
        x, y: Arrays in the structures of the model.
        weights: Array `(samples,)`, or `None`.
        rows: The samples to use.
        batch_size: At most their number.
    """
    if keras.backend.backend() == "tensorflow":
        return _dataset(x, y, weights, rows, batch_size)
    rows = rows[: len(rows) // batch_size * batch_size]
    x, y = keras.tree.map_structure(lambda array: array[rows], (x, y))
    weights = None if weights is None else weights[rows]
    data = {"x": x, "y": y, "sample_weight": weights, "batch_size": batch_size}
    return data | {"epochs": 10**9}


def _dataset(x, y, weights, rows, batch_size):
    import tensorflow as tf

    data = (x, y) if weights is None else (x, y, weights)
    data = keras.tree.map_structure(tf.convert_to_tensor, data)

    def batch(rows):
        return keras.tree.map_structure(lambda one: tf.gather(one, rows), data)

    order = tf.data.Dataset.from_tensor_slices(rows).shuffle(len(rows)).repeat()
    batches = order.batch(batch_size, drop_remainder=True).map(batch).prefetch(2)
    options = tf.data.Options()
    options.autotune.enabled = False
    batches = batches.with_options(options)
    return {"x": batches, "steps_per_epoch": 10**9, "shuffle": False}
