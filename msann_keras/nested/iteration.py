"""Nested iteration: from the coarsest level up to the model, level by level."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor

import keras
import numpy as np
from keras import ops

from msann_keras.coarsening import Coarsening
from msann_keras.level_plans import SMALLER_IMAGES, Plan
from msann_keras.nested.ahead import Ahead
from msann_keras.nested.audience import Audience
from msann_keras.nested.data import Samples
from msann_keras.nested.handover import finer_weights
from msann_keras.nested.leaving import Leaving
from msann_keras.nested.level import TRIAL, Level, hand_over, values_of, weights_of
from msann_keras.nested.optimizer import begin_anew
from msann_keras.nested.record import Display, LevelRecord
from msann_keras.nested.statistics import settle, some_rows
from msann_keras.samples import rows_of

#: An error this close to what a level cannot hold of the targets, as a share of that,
#: is not worth lowering.
NEAR = 0.25
#: A level has at most this share of the time that is left, if a finer one follows.
SHARE = 0.6


class NestedIteration:
    """The levels of one warm start; `run` trains them and fills the model.

    Args:
        model: A compiled plain model.
        plan: How deep to begin, and what steps take.
        coarsening: The model's spaces.
        samples: To train on and to judge by.
        batch_size: Samples of a step.
        seconds: Time for training all levels; by default what the plan says.
        audience: The user's callbacks.
        display: What is printed.

    Attributes:
        records: Of the levels that were trained.
        level: That trains, or has trained last.
        error: Gives the error that it is judged by, and `pace` when it is left.
        boost: What its rate is multiplied by, the best of the pace's factors.
    """

    def __init__(
        self,
        model: keras.Model,
        plan: Plan,
        coarsening: Coarsening,
        samples: Samples,
        batch_size: int,
        seconds: float | None,
        audience: Audience,
        display: Display,
    ):
        self.model, self.plan, self.coarsening = model, plan, coarsening
        self.samples, self.batch_size = samples, batch_size
        self.by_steps = seconds is None and plan.pace.by_steps
        self.seconds = plan.seconds - plan.compiling if seconds is None else seconds
        self.audience, self.display = audience, display
        self.records: list[LevelRecord] = []
        self.level: Level | None = None
        self.boost: float | None = None

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
                went_well = self._from_coarsest(pool)
            if went_well and not self.audience.has_enough:
                self.audience.look(self._show, self.records[-1].left, now=True)
            # What callbacks do to the weights at the end is undone by what follows.
            self.audience.end()
            if went_well:
                known = [ops.copy(x) for x in optimizer.variables]
                begin_anew(optimizer, self.model.trainable_variables)
                hand_over(self.level, 0, self.coarsening.layers, self.model)
                settle(self.model, self._some_inputs)
            else:
                self._assign(before)
        except KeyboardInterrupt:
            if self.boost is not None:  # something has been learned
                self._show()
            raise
        except Exception:
            self._assign(before)
            for variable, value in zip(optimizer.variables, known, strict=False):
                variable.assign(value)
            raise
        return went_well

    def _from_coarsest(self, pool: ThreadPoolExecutor) -> bool:
        """Train level after level; whether each was worth it."""
        first, *others = self.plan.visited
        self._enter(self._made(first))
        self.level.draw()
        untrained = error = self.error()
        began, factors = time.perf_counter(), self.plan.pace.factors
        self.boost, tried = 1.0, 0
        if len(factors) > 1:
            self.boost, tried = self.level.best_rate(factors), TRIAL * len(factors)
            error = self.error()
        self._trials = tried, time.perf_counter() - began
        self.audience.look(self._show, error)
        for number in (*others, 0):
            # The next level is made and compiled while this one trains.
            coming = pool.submit(self._made, number, self.level) if number else None
            if not self._train(coming) < untrained:  # nor NaN
                return False
            if coming is None or self.audience.has_enough:
                return True
            finer = coming.result()
            finer.take_over(self.level, self.boost)
            self._enter(finer)

    def _enter(self, level: Level) -> None:
        """Go on with a level, and by what it is judged."""
        self.level, self.error, self.pace = level, level.error, self.plan.pace
        if not self.coarsening.keeps_outputs(level.level):
            self.error = Ahead(self.model, level, self.samples).error
            self.pace = SMALLER_IMAGES

    def _made(self, number: int, coarser: Level | None = None) -> Level:
        # A program that several levels share makes as many steps as suit the dearest.
        like = 1 if self.coarsening.is_shared else number
        level = Level(
            self.model,
            self.coarsening,
            number,
            self.samples,
            self.batch_size,
            self.plan.levels[like].step_seconds,
            coarser,
        )
        level.make_ready()
        return level

    def _train(self, coming: Future | None) -> float:
        """Train the level until it is left; its error on what is held out then."""
        level = self.level
        tried, seconds_tried = (0, 0.0) if self.records else self._trials
        left = self.seconds - seconds_tried - sum(map(self._spent, self.records))
        began = time.perf_counter()
        step = self.plan.levels[level.level].step_seconds
        self.display.begin(level.level)

        def tell(steps, loss):
            self.display.update(steps, loss)
            self.audience.look(self._show, loss)
            return self.audience.has_enough

        leaving = Leaving(
            self.error,
            self.pace,
            self._floor(level),
            left if coming is None else left * SHARE,
            (lambda: True) if coming is None else coming.done,
            tell,
            (lambda: step * leaving.steps) if self.by_steps else time.perf_counter,
        )
        before = level.state()
        level.fit(callbacks=[leaving])
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
            self.audience.look(self._show, at_last, now=True)
        return at_last

    def _spent(self, record: LevelRecord) -> float:
        """Of the time for training all levels."""
        step = self.plan.levels[record.level].step_seconds
        return step * record.steps if self.by_steps else record.seconds

    def _floor(self, level: Level) -> float:
        """The loss near which the level has nothing more to learn; 0 if unknown."""
        targets = self.samples.held_out[1]
        if len(targets) > 1 or not is_mean_square(self.model.loss):
            return 0.0
        lost = self.plan.levels[level.level].targets_lost
        return NEAR * lost * float(np.var(targets[0]))

    def _some_inputs(self):
        """Inputs of the model itself."""
        parts = self.samples.parts
        inputs, *_ = rows_of(parts, some_rows(self.samples.training, parts[0]))
        return self.coarsening.structured(inputs)

    def _show(self) -> None:
        """Let the model do what the level's network does."""
        own, levels = values_of(self.level.layers), (self.level.level, 0)
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
