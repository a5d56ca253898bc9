"""Callbacks of the user that watch a warm start, as if it were a `fit`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import keras

#: Callbacks are called when the call has lasted so many times as long as at last, and
#: since then so many times as long as it took to show them the model.
PATIENCE, SELDOM = 1.125, 5


class Audience:
    """Calls callbacks with the present state of the fine model, at growing distances.

    What they see is the coarse network's weights, prolonged; so an "epoch" here is a
    look at the model, not a pass over the data.

    Args:
        callbacks: Of Keras.
        model: That they watch.
        began: When the call began.
        clock: Seconds, for tests.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        model: keras.Model,
        began: float,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.all = keras.callbacks.CallbackList(list(callbacks), model=model)
        self.any, self.model, self.clock = bool(callbacks), model, clock
        self.began, self.looks, self.last, self.cost = began, 0, 0.0, 0.0

    def begin(self) -> None:
        """Training begins."""
        self.model.stop_training = False
        self.all.on_train_begin()

    def look(self, show: Callable[[], None], loss: float, now: bool = False) -> None:
        """Let them look, if it is time.

        Args:
            show: Sets the model's weights to the present state.
            loss: On what is held out, at the present level.
            now: Whether it is time in any case.
        """
        seconds = self.clock() - self.began
        due = seconds >= max(PATIENCE * self.last, self.last + SELDOM * self.cost)
        if not self.any or self.has_enough or not (now or due):
            return
        show()
        self.cost = self.clock() - self.began - seconds
        self.all.on_epoch_begin(self.looks)
        self.all.on_epoch_end(self.looks, {"loss": loss})
        self.looks, self.last = self.looks + 1, self.clock() - self.began

    @property
    def has_enough(self) -> bool:
        """Whether a callback has asked the model to stop training."""
        return self.any and bool(self.model.stop_training)

    def end(self) -> None:
        """Training is over."""
        self.all.on_train_end()
