"""One `fit`: where its schedule stands, what trains, and what it has taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Protocol

import keras

from msann.schedules import Schedule, State, Visit
from msann_keras.backends import here
from msann_keras.optimizers.multilevel import unwrapped
from msann_keras.optimizers.progress import Progress


class Engine(Protocol):
    """What trains; `msann_keras.engines` says what the members mean."""

    whole_cycles: bool

    @property
    def progress(self) -> Progress:
        """How far the schedule has been walked."""

    def function(self, train: Callable) -> Callable:
        """The model's `train_function`, from a function of the iterator."""

    def due(self, iterator) -> int:
        """How many batches or cycles the next call makes."""

    def run(self, visits: tuple[Visit, ...], iterator) -> dict | None:
        """Make visits; the logs of the last batch."""


class Session:
    """The state of one `fit` with a `CycleSchedule`, which begins and reads it.

    `MultilevelModel.fit` holds it while it runs; `train` is the model's training step.

    Args:
        model: That is fitted.
        schedule: What is walked.
        engine: What trains.
        rates: Learning rate of each level as a multiple of level 0's, for this fit;
            `None` for the optimizer's own.
        resume: Go on in the schedule where the model stands, or begin anew.
        seconds: That were spent before the first step, in averaging data.
        spent: C(t) of a warm start before the schedule began.

    Attributes:
        level: That the last batch trained; `None` before the first.
        seconds: Spent in averaging data and in training steps so far.
        logs: Of the last call.
    """

    def __init__(
        self,
        model: keras.Model,
        schedule: Schedule,
        engine: Engine,
        rates: Sequence[float] | None = None,
        resume: bool = False,
        seconds: float = 0.0,
        spent: float = 0.0,
    ):
        self.model, self.schedule, self.engine = model, schedule, engine
        self.resume, self.seconds, self._spent = resume, seconds, spent
        unwrapped(model.optimizer).use_rates(rates)
        self._progress: Progress | None = None
        self.level: int | None = None
        self.logs: dict[str, Any] = {}
        self._shares = model.hierarchy.shares

    def place(self) -> None:
        """Find the place in the schedule: where the model stands, or the beginning.

        It happens once, when the first epoch begins: when training begins it would be
        too early for `BackupAndRestore`, which may come later among the callbacks.
        """
        if self._progress is not None:
            return
        optimizer = unwrapped(self.model.optimizer)
        if not self.resume:
            optimizer.reset_progress()
        self._progress = optimizer.progress

    @property
    def progress(self) -> Progress:
        """Batches and examples since the schedule began, at the last call.

        Before the session has found its place they are those of the model.
        """
        return self._progress or progress_of(self.model)

    def end(self) -> None:
        """Give the optimizer its own rates back."""
        unwrapped(self.model.optimizer).use_rates()

    def next(self, count: int) -> tuple[Visit, ...]:
        """The visits of a call that makes so many batches or cycles."""
        state = State(
            self.progress.position,
            count,
            self.engine.whole_cycles,
            self.logs,
            self.seconds,
        )
        return self.schedule.next(state)

    def train(self, iterator) -> dict:
        """Make the next visits; the logs of the last batch.

        Raises:
            StopIteration: The data have ended.
        """
        count = self.engine.due(iterator)
        visits = self.next(count) if count else ()
        began = time.perf_counter()
        logs = self.engine.run(visits, iterator) if visits else None
        if logs is None:
            raise StopIteration
        self.seconds += time.perf_counter() - began
        before, self._progress = self.progress.position, self.engine.progress
        self.level = _level_after(visits, self._progress.position - before)
        self.logs = logs
        return logs

    @property
    def cost(self) -> float:
        """C(t), section 4.1, since the schedule began."""
        return self._spent + self.progress.cost(self._shares)

    def walked(self) -> dict[str, float]:
        """Level, C(t) and seconds, for the logs."""
        if self.level is None:
            return {}
        return {"level": self.level, "cost": self.cost, "seconds": self.seconds}


def progress_of(model: keras.Model) -> Progress:
    """How far a model's last schedule was walked, as its optimizer has it."""
    here.synchronise(model)
    return unwrapped(model.optimizer).progress


def _level_after(visits, batches: int) -> int | None:
    """The level of the last of so many batches of visits."""
    ends = accumulate(visit.steps for visit in visits)
    pairs = zip(visits, ends, strict=True)
    return next((visit.level for visit, end in pairs if end >= batches), None)
