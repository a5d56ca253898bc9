"""What batch normalisation knows of a level: recomputed, since averages have others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

#: Samples that statistics are computed from.
MOST_SAMPLES = 512


def settle(model: keras.Model, inputs: Callable[[], Any]) -> None:
    """Set the statistics of batch normalisation to those of some inputs.

    A running mean would need hundreds of steps to get to those of a new level, and what
    the network does would be judged by the old ones until then.

    Args:
        model: A Sequential or functional model.
        inputs: Called for at most `MOST_SAMPLES` of them, if a layer keeps statistics.

    >>> import numpy as np
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
