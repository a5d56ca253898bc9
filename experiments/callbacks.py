"""Callbacks of runs and benchmarks: one that watches, one that tells the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import keras

from experiments.runfiles import Evaluation


class Watch(keras.callbacks.Callback):
    """Evaluates after every compiled call, and ends a run that is decided.

    It comes after the callback that logs `cost` and `seconds`: `CycleSchedule`, or
    `Seconds` for a plain model.

    Args:
        mse: Called with the model; its validation error.
        decided: Called with the history after every call; whether the run may end.
        progress: Called with every `Evaluation` as it is made.
        begun: What came before this `fit`, the untrained network first; by default
            nothing, and the untrained network is evaluated when training begins.

    Attributes:
        history: Of `Evaluation`, the untrained network first.
    """

    def __init__(
        self,
        mse: Callable[[keras.Model], float],
        decided: Callable[[list[Evaluation]], bool] = lambda history: False,
        progress: Callable[[Evaluation], None] = lambda evaluation: None,
        begun: Sequence[Evaluation] = (),
    ):
        super().__init__()
        self.mse, self.decided, self.progress = mse, decided, progress
        self.history: list[Evaluation] = list(begun)

    def on_train_begin(self, logs=None):
        """Evaluate the untrained network."""
        if not self.history:
            self.note(Evaluation(0.0, 0, 0.0, self.mse(self.model)))
        self._before = self.history[-1]

    def on_train_batch_end(self, batch, logs=None):
        """Evaluate, outside the clock."""
        progress = getattr(self.model, "progress", None)
        examples = progress.examples if progress else int(logs["cost"])
        before, mse = self._before, self.mse(self.model)
        self.note(
            Evaluation(
                before.cost + logs["cost"],
                before.evaluations + examples,
                before.seconds + logs["seconds"],
                mse,
            )
        )
        if self.decided(self.history):
            self.model.stop_training = True

    def note(self, evaluation: Evaluation) -> None:
        """Add to the history."""
        self.history.append(evaluation)
        self.progress(evaluation)


class Seconds(keras.callbacks.Callback):
    """Logs what `CycleSchedule` logs, `seconds` and `cost`, for plain training.

    Args:
        batch_size: Examples in a batch.

    Attributes:
        seconds: Spent in training steps so far.
    """

    def __init__(self, batch_size: int):
        super().__init__()
        self.batch_size, self.seconds, self._examples = batch_size, 0.0, 0

    def on_train_batch_begin(self, batch, logs=None):
        """Start the clock."""
        self._began, self._first = time.perf_counter(), batch

    def on_train_batch_end(self, batch, logs=None):
        """Stop it; a compiled call may have made several batches."""
        self.seconds += time.perf_counter() - self._began
        self._examples += self.batch_size * (batch - self._first + 1)
        logs["seconds"], logs["cost"] = self.seconds, float(self._examples)
