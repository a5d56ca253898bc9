"""The mean of a level's weights of late: what it has learned, without the noise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
from keras import ops

#: Weights are taken in each time that the steps have grown by this share.
GROWN = 0.01


class Mean(keras.callbacks.Callback):
    """Keeps the mean of a network's weights over the last part of its training.

    At a steady rate weights wander about what they have learned, the farther the larger
    the rate is. Their mean is nearer, as they would be after some steps at a small
    rate; but they have moved on at the large one. While a `fit` goes on the network
    has its own weights, and the mean for as long as `in_place` says; at the end of the
    `fit` it is given the mean.

    Args:
        window: The part of the steps so far that the mean is taken over, 0 to 1; at 0
            it is the weights themselves.
    """

    def __init__(self, window: float):
        super().__init__()
        self.window, self.taken = window, 0
        self.values: list[np.ndarray] | None = None  # `None` stands for the weights

    def on_train_begin(self, logs=None):
        """Begin anew."""
        self.taken, self.values = 0, None

    def on_train_batch_end(self, batch, logs=None):
        """Take in the weights as they are after so many steps, if it is time."""
        steps = batch + 1
        if not self.window or steps < (1 + GROWN) * self.taken:
            return
        now = self._weights()
        share = min(1.0, (steps - self.taken) / (self.window * steps))
        before = now if self.values is None else self.values
        pairs = zip(before, now, strict=True)
        self.values = [(1 - share) * a + share * b for a, b in pairs]
        self.taken = steps

    def on_train_end(self, logs=None):
        """Give the network the mean."""
        if self.values is not None:
            self._assign(self.values)
        self.values = None

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has the mean in here, and its own weights afterwards."""
        if self.values is None:
            yield
            return
        own = self._weights()
        self._assign(self.values)
        try:
            yield
        finally:
            self._assign(own)

    def _weights(self) -> list[np.ndarray]:
        return [ops.convert_to_numpy(x) for x in self.model.trainable_variables]

    def _assign(self, values: list[np.ndarray]) -> None:
        for variable, value in zip(self.model.trainable_variables, values, strict=True):
            variable.assign(value)
