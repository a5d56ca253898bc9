"""What batch normalisation knows of a level: recomputed, since averages have others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

#: Samples that statistics are computed from, and images, whose pixels are many.
MOST_SAMPLES, MOST_IMAGES = 512, 64


def settle(model: keras.Model, inputs: Callable[[], Any]) -> None:
    """Set the statistics of batch normalisation to those of some inputs.

    A running mean would need hundreds of steps to get to those of a new level, and what
    the network does would be judged by the old ones until then.

    Args:
        model: A Sequential or functional model.
        inputs: Called for some of them (see `some_rows`), if a layer keeps statistics.

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.BatchNormalization()])
    >>> settle(model, lambda: np.array([[1.0], [3.0]]))
    >>> [float(v.numpy()[0]) for v in model.non_trainable_variables]
    [2.0, 1.0]
    """
    kinds = keras.layers.BatchNormalization
    layers = [layer for layer in model.layers if isinstance(layer, kinds)]
    if not layers:
        return
    momenta, x = [layer.momentum for layer in layers], inputs()
    try:
        for layer in layers:
            layer.momentum = 0.0
        model(x, training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def some_rows(rows: np.ndarray, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """Rows spread over all, as few as one forward pass has memory for.

    >>> some_rows(np.arange(200), [np.zeros((200, 8, 8, 1))])[:3]
    array([0, 3, 6])
    """
    most = MOST_IMAGES if is_of_images(inputs) else MOST_SAMPLES
    return rows[:: max(1, len(rows) // most)][:most]


def is_of_images(arrays: Sequence[np.ndarray]) -> bool:
    """Whether samples have axes beside that of their channels."""
    return max(array.ndim for array in arrays) > 2
