"""Torch has no steps at levels: what a model says that is to be trained there."""

from __future__ import annotations

import keras


class FineGradient:
    """Refuses to be made.

    Raises:
        ValueError: Always.
    """

    def __init__(self, model: keras.Model):
        raise ValueError(
            "A MultilevelModel trains on TensorFlow and JAX. On torch, train the plain "
            "model, `model.merge()`, which `warm_start` starts on every backend. "
            f"Received: {model.name!r}, and Keras on torch"
        )
