"""The callback that moves a model through the levels of a schedule."""

from __future__ import annotations

import time
from collections.abc import Sequence
from operator import mul

import keras

from msann_keras.models import MultilevelModel
from msann_keras.multilevel_optimizer import unwrapped
from msann_keras.schedules import Schedule, gamma_cycle


class CycleSchedule(keras.callbacks.Callback):
    """Train a `MultilevelModel` in multigrid cycles (Algorithm 3.1).

    Adds to the logs, and so to the history: `level`, the last one trained; `cost`, C(t)
    of section 4.1 since the schedule began; `seconds`, time since this `fit` began,
    compiling included and validation not. Callbacks that write logs, such as
    `CSVLogger`, come after it.

    The schedule begins anew with every `fit`, unless `resume` is set: then it goes on
    at the batch where the model stands, also one that was saved and loaded.

    Args:
        gamma: How often each visit recurses to the next level: 1 makes V-cycles, 2
            W-cycles.
        smoothing_steps: k, batches a visit; one number, or one for each level.
        variant: "paper" or "script", see `msann_keras.schedules.gamma_cycle`.
        schedule: Any other `Schedule`, in place of the three above.
        resume: Go on with the schedule where the model's last one stopped.

    Raises:
        ValueError: What `gamma_cycle` refuses; both a schedule and a cycle's
            parameters; or, when training begins, a schedule deeper than the model.
        TypeError: When training begins: the model is not a `MultilevelModel`.

    Example:

    >>> import numpy as np
    >>> from msann_keras import multilevel
    >>> plain = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    >>> model = multilevel(plain, depth=1)
    >>> model.compile("adam", "mse")
    >>> history = model.fit(np.ones((40, 8)), np.ones((40, 8)), batch_size=10,
    ...                     verbose=0, callbacks=[CycleSchedule(smoothing_steps=2)])
    >>> history.history["level"], history.history["cost"]
    ([1], [25.55...])
    """

    def __init__(
        self,
        gamma: int | None = None,
        smoothing_steps: int | Sequence[int] | None = None,
        variant: str | None = None,
        *,
        schedule: Schedule | None = None,
        resume: bool = False,
    ):
        super().__init__()
        cycle = {
            "gamma": gamma,
            "smoothing_steps": smoothing_steps,
            "variant": variant,
        }
        self._cycle = {
            name: value for name, value in cycle.items() if value is not None
        }
        if schedule is not None and self._cycle:
            raise ValueError(
                "Give either `schedule` or the parameters of a cycle. Received: "
                f"schedule and {self._cycle}"
            )
        if not isinstance(schedule, Schedule | None):
            raise ValueError(
                "`schedule` must be a Schedule, such as "
                f"`msann_keras.schedules.f_cycle(depth=4)`. Received: {schedule!r}"
            )
        # Refuse bad parameters at once; the model's depth is known when it trains.
        levels = len(smoothing_steps) if isinstance(smoothing_steps, Sequence) else 2
        gamma_cycle(max(levels - 1, 0), **self._cycle)
        self._given = self.schedule = schedule
        self.resume = resume
        self._testing = 0.0

    def on_train_begin(self, logs=None):
        """Make the schedule for the model."""
        if not isinstance(self.model, MultilevelModel):
            raise TypeError(
                "CycleSchedule needs a MultilevelModel, which "
                "`msann_keras.multilevel(model, ...)` makes. "
                f"Received: {type(self.model).__name__}"
            )
        depth = self.model.depth
        self.schedule = self._given or gamma_cycle(depth, **self._cycle)
        if self.schedule.depth > depth:
            raise ValueError(
                f"The schedule goes down to level {self.schedule.depth}, but the "
                f"model's `depth` is {depth}."
            )
        self._placed = False
        self._shares = self.model.hierarchy.shares
        self._began, self._testing = time.perf_counter(), 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """Find the model's place in the schedule."""
        # Not when training begins, where BackupAndRestore may restore it after us.
        if not (self._placed or self.resume):
            unwrapped(self.model.optimizer).reset_progress()
        self._placed = True
        self._position = self.model.progress.position

    def on_train_batch_begin(self, batch, logs=None):
        """Tell the model the visits of its next call."""
        steps = self.model.steps_per_execution
        self.model.visits = self.schedule.take(self._position, steps)

    def on_train_batch_end(self, batch, logs=None):
        """Log level and cost."""
        self._log(logs)

    def on_epoch_end(self, epoch, logs=None):
        """Log level, cost and seconds."""
        self._log(logs)
        if logs is not None:
            logs["seconds"] = time.perf_counter() - self._began - self._testing

    def on_test_begin(self, logs=None):
        """Stop the clock for validation."""
        self._test_began = time.perf_counter()

    def on_test_end(self, logs=None):
        """Start the clock again."""
        self._testing += time.perf_counter() - self._test_began

    def _log(self, logs):
        progress = self.model.progress
        self._position = progress.position
        if logs is not None and progress.position:
            logs["level"] = self.schedule.take(progress.position - 1, 1)[0].level
            logs["cost"] = sum(map(mul, self._shares, progress.level_examples))
