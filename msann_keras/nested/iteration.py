"""Nested iteration: from the coarsest level up to the model, level by level."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from msann_keras.coarse_networks import CoarseNetworks
from msann_keras.level_plans import Pace, Plan
from msann_keras.nested.ahead import Ahead
from msann_keras.nested.audience import Audience
from msann_keras.nested.data import Samples
from msann_keras.nested.handover import finer_weights
from msann_keras.nested.leaving import Leaving
from msann_keras.nested.level import TRIAL, Level, hand_over, values_of, weights_of
from msann_keras.nested.mean import Mean
from msann_keras.nested.optimizer import begin_anew
from msann_keras.nested.record import Display, LevelRecord
from msann_keras.nested.statistics import settle, some_rows
from msann_keras.samples import rows_of

#: An error this close to what a level cannot hold of the targets, as a share of that,
#: is not worth lowering.
NEAR = 0.25
#: A level has at most this share of the time that is left, if a finer one follows.
SHARE = 0.6


class Judge(NamedTuple):
    """What a level is judged by.

    Attributes:
        error: Gives the error on what is held out.
        pace: When the level is left.
    """

    error: Callable[[], float]
    pace: Pace


class NestedIteration:
    """The levels of one warm start; `run` trains them and fills the model.

    Args:
        model: A compiled plain model.
        plan: How deep to begin, and what steps take.
        coarsening: The model's spaces.
        samples: To train on and to judge by.
        batch_sizes: Samples of a step at level 0, 1, ..; the last one is that of all
            coarser levels.
        seconds: Time for training all levels; by default what the plan says.
        audience: The user's callbacks.
        display: What is printed.

    Attributes:
        records: Of the levels that were trained.
        level: Whose weights the model is given if the user interrupts; `None` before
            the first one.
    """

    def __init__(
        self,
        model: keras.Model,
        plan: Plan,
        coarsening: CoarseNetworks,
        samples: Samples,
        batch_sizes: Sequence[int],
        seconds: float | None,
        audience: Audience,
        display: Display,
    ):
        self.model, self.plan, self.coarsening = model, plan, coarsening
        self.samples, self.batch_sizes = samples, batch_sizes
        self.by_steps = seconds is None and plan.pace.by_steps
        self.seconds = plan.seconds - plan.compiling if seconds is None else seconds
        self.audience, self.display = audience, display
        self.records: list[LevelRecord] = []
        self.level: Level | None = None
        self.mean = Mean(0.0)  # of the level that trains

    def run(self) -> bool:
        """Train the levels, coarsest first, and give the model what they have learned.

        Returns:
            Whether it did. Otherwise the coarsest level learned nothing, or a level's
            loss became NaN, and the model is unchanged.

        Raises:
            KeyboardInterrupt: Of the user; the model has what was learned so far.
        """
        # Callbacks are shown other states.
        before = [ops.copy(x) for x in weights_of(self.coarsening.layers)]
        optimizer, known = self.model.optimizer, []
        try:
            with ThreadPoolExecutor(1) as pool:
                last = self._from_coarsest(pool)
            if last is not None and not self.audience.has_enough:
                self._look(last, self.records[-1].left, now=True)
            # What callbacks do to the weights at the end is undone by what follows.
            self.audience.end()
            if last is not None:
                known = [ops.copy(x) for x in optimizer.variables]
                begin_anew(optimizer, self.model.trainable_variables)
                hand_over(last, 0, self.coarsening.layers, self.model)
                settle(self.model, self._some_inputs)
            else:
                self._assign(before)
        except KeyboardInterrupt:
            if self.level is not None:  # something has been learned
                self._show(self.level)
            raise
        except Exception:
            self._assign(before)
            for variable, value in zip(optimizer.variables, known, strict=False):
                variable.assign(value)
            raise
        return last is not None

    def _from_coarsest(self, pool: ThreadPoolExecutor) -> Level | None:
        """Train level after level; the last one, or `None` if one was not worth it."""
        first, *others = self.plan.visited
        level = self._made(first)
        judge = self._judge_of(level)
        level.draw()
        untrained = error = judge.error()
        self.level = level
        began, factors = time.perf_counter(), self.plan.pace.factors
        boost, tried = 1.0, 0
        if len(factors) > 1:
            boost, tried = level.best_rate(factors), TRIAL * len(factors)
            error = judge.error()
        self._trials = tried, time.perf_counter() - began
        self._look(level, error)
        for number in others:
            # The next level is made and compiled while this one trains.
            coming = pool.submit(self._made, number, level)
            if not self._train(level, judge, coming) < untrained:  # nor NaN
                return None
            if self.audience.has_enough:
                return level
            finer = coming.result()
            finer.take_over(level, boost)
            self.level = level = finer
            judge = self._judge_of(level)
        return level if self._train(level, judge) < untrained else None

    def _judge_of(self, level: Level) -> Judge:
        """By its own error, or by what its weights would do on the finer data."""
        if self.coarsening.keeps_outputs(level.level):
            return Judge(level.error, self.plan.pace)
        pace = self.plan.pace
        ahead = Ahead(self.model, level, self.samples)
        return Judge(ahead.error, pace.ahead or pace)

    def _made(self, number: int, coarser: Level | None = None) -> Level:
        # A program that several levels share makes as many steps as suit the dearest.
        like = 1 if self.coarsening.is_shared else number
        level = Level(
            self.model,
            self.coarsening,
            number,
            self.samples,
            (self.batch_sizes[0], self._batch_size(number)),
            self._step_seconds(like),
            coarser,
        )
        level.make_ready()
        return level

    def _train(
        self, level: Level, judge: Judge, coming: Future[Level] | None = None
    ) -> float:
        """Train a level until it is left; its error on what is held out then.

        Args:
            level: That trains.
            judge: Of it.
            coming: The next finer level, which is being made; `None` at the last one.
        """
        tried, seconds_tried = (0, 0.0) if self.records else self._trials
        left = self.seconds - seconds_tried - sum(map(self._spent, self.records))
        began = time.perf_counter()
        step = self._step_seconds(level.level)
        self.display.begin(level.level)
        self.mean = mean = Mean(judge.pace.window)

        def error():
            with mean.in_place():
                return judge.error()

        def tell(steps, loss):
            self.display.update(steps, loss)
            self._look(level, loss)
            return self.audience.has_enough

        leaving = Leaving(
            error,
            judge.pace,
            self._floor(level),
            left if coming is None else left * SHARE,
            (lambda: True) if coming is None else coming.done,
            tell,
            (lambda: step * leaving.steps) if self.by_steps else time.perf_counter,
        )
        before = level.state()
        level.fit(callbacks=[mean, leaving])
        (_, entered), (_, at_last) = leaving.errors[0], leaving.errors[-1]
        if entered < at_last:  # too few steps to be worth it
            level.restore(before)
            at_last = entered
        self.display.end(leaving.steps, at_last)
        self.records.append(
            LevelRecord(
                level.level,
                tried + leaving.steps,
                seconds_tried + time.perf_counter() - began,
                entered,
                at_last,
            )
        )
        if coming is not None and not self.audience.has_enough:
            self._look(level, at_last, now=True)
        return at_last

    def _spent(self, record: LevelRecord) -> float:
        """Of the time for training all levels."""
        step = self._step_seconds(record.level)
        return step * record.steps if self.by_steps else record.seconds

    def _batch_size(self, level: int) -> int:
        """Samples of a step at a level."""
        return self.batch_sizes[min(level, len(self.batch_sizes) - 1)]

    def _step_seconds(self, level: int) -> float:
        """What a step takes, estimated; the plan says it for batches of one size."""
        times = self._batch_size(level) / self.batch_sizes[0]
        return self.plan.levels[level].step_seconds * times

    def _floor(self, level: Level) -> float:
        """The loss near which the level has nothing more to learn; 0 if unknown."""
        targets = self.samples.held_out[1]
        if len(targets) > 1 or not is_mean_square(self.model.loss):
            return 0.0
        if not self.coarsening.keeps_outputs(level.level):
            return 0.0  # it is judged on data that lack less
        lost = self.plan.levels[level.level].targets_lost
        return NEAR * lost * float(np.var(targets[0]))

    def _some_inputs(self):
        """Inputs of the model itself."""
        parts = self.samples.parts
        inputs, *_ = rows_of(parts, some_rows(self.samples.training, parts[0]))
        return self.coarsening.structured(inputs)

    def _look(self, level: Level, loss: float, now: bool = False) -> None:
        """Let the user's callbacks look at what a level has learned, if it is time."""
        self.audience.look(lambda: self._show(level), loss, now)

    def _show(self, level: Level) -> None:
        """Let the model do what a level's network does."""
        with self.mean.in_place():
            own, levels = values_of(level.layers), (level.level, 0)
        self._assign(finer_weights(own, self.coarsening, *levels, apart=False))

    def _assign(self, values: list) -> None:
        variables = weights_of(self.coarsening.layers)
        for variable, value in zip(variables, values, strict=False):
            variable.assign(value)


def is_mean_square(loss) -> bool:
    """Whether a loss is the mean square error, by whichever of its names."""
    try:
        return isinstance(keras.losses.get(loss), keras.losses.MeanSquaredError) or (
            keras.losses.get(loss) is keras.losses.mean_squared_error
        )
    except (ValueError, TypeError):  # a list or dict of losses, or the user's own
        return False
