"""When to leave a level: its gain slows down, or its time is over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import keras
from keras import ops

from msann_keras.level_plans import Pace
from msann_keras.nested.optimizer import rate_of, set_rate
from msann_keras.optimizers.multilevel import unwrapped

#: Then the rate falls to LAST of itself, in the COOLING-th part of the steps so far.
COOLING, LAST = 3, 0.05
#: It is judged each time that the steps have grown by this.
GROWTH = 1.3
#: The share of a level's time after which the rate falls.
STEADY = 0.75


class Leaving(keras.callbacks.Callback):
    """Ends the training of a level, in two phases.

    At a steady rate the error on held-out samples falls as a power of the steps. When
    the power is small, or most of the time is over, or the error has come to what the
    level's data lack, the rate goes down linearly, which takes the noise out of the
    weights, and training stops. (Where the pace says so, it stops at once.)

    Args:
        error: Gives the error on what is held out.
        pace: When it is judged first, and how fast its error must fall.
        floor: Below this error more training of the level is worth nothing.
        seconds: The level has this time.
        ready: Whether the next level is; before it is, this one goes on.
        tell: Is told the steps so far and the last error, after each call; what it does
            takes no time of the level's, and `True` from it ends the training.
        clock: Seconds, for tests.

    Attributes:
        steps: Made so far.
        errors: `(steps, error)` each time the level was judged, the first before
            training.
    """

    def __init__(
        self,
        error: Callable[[], float],
        pace: Pace,
        floor: float,
        seconds: float,
        ready: Callable[[], bool] = lambda: True,
        tell: Callable[[int, float], bool] = lambda steps, error: False,
        clock: Callable[[], float] = time.perf_counter,
    ):
        super().__init__()
        self.error, self.pace = error, pace
        self.floor, self.seconds = floor, seconds
        self.ready, self.tell, self.clock = ready, tell, clock
        self.steps, self.slow = 0, 0
        self.errors: list[tuple[int, float]] = []
        self.cooling: tuple[int, int] | None = None  # its first and last step

    def on_train_begin(self, logs=None):
        """Look at the clock, the rate and the error before the first step."""
        self.began, self.first = self.clock(), self._count()
        self.rate = rate_of(self.model.optimizer)
        self._judge()

    def on_train_batch_end(self, batch, logs=None):
        """After a call of one or more steps: go on, cool down, or stop."""
        self.steps = self._count() - self.first
        self._tell()
        if self.model.stop_training:
            return
        spent = self.clock() - self.began
        if self.cooling is None:
            due = spent >= STEADY * self.seconds
            if (due or (self._is_due() and self._is_enough())) and self.ready():
                if self.pace.cools:
                    self._cool()
                else:
                    self.model.stop_training = True
            return
        begin, end = self.cooling
        share = min(1.0, (self.steps - begin) / (end - begin))
        set_rate(self.model.optimizer, self.rate * (1 - share * (1 - LAST)))
        if share >= 1:
            self._judge()
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        """Give the optimizer its rate back."""
        set_rate(self.model.optimizer, self.rate)

    def _count(self) -> int:
        return int(ops.convert_to_numpy(unwrapped(self.model.optimizer).iterations))

    def _is_due(self) -> bool:
        return self.steps >= max(self.pace.first, GROWTH * self.errors[-1][0])

    def _judge(self) -> float:
        error = self.error()
        self.errors.append((self.steps, error))
        if not math.isfinite(error):
            self.model.stop_training = True
        self._tell()
        return error

    def _tell(self) -> None:
        """Tell of the steps so far, and of the error when the level was judged last."""
        told = self.clock()
        if self.tell(self.steps, self.errors[-1][1]):
            self.model.stop_training = True
        self.began += self.clock() - told

    def _is_enough(self) -> bool:
        error = self._judge()
        if error <= self.floor:
            return True
        # The best of the later half of the steps against the best before; noise hides a
        # slope over fewer.
        early = [(s, e) for s, e in self.errors if 0 < s <= self.steps / 2]
        if not early:
            return False
        steps, before = early[-1][0], min(e for _, e in early)
        best = min(e for _, e in self.errors[1 + len(early) :])
        slow = best > before * (self.steps / steps) ** -self.pace.fall
        self.slow = self.slow + 1 if slow else 0
        return self.slow >= self.pace.looks

    def _cool(self) -> None:
        self.cooling = (self.steps, self.steps + max(1, self.steps // COOLING))
