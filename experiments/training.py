"""One run: a network trained by `model.fit` to a budget, with its history."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

import msann_keras as ms
from experiments.config import Config, Scheme
from experiments.synthetic import Task
from msann.cost import cost
from msann.topology import resolve
from msann_keras.multilevel_optimizer import begin_anew

#: Calls of a run that ends by its seconds.
UNLIMITED = 10**9
OPTIMIZERS = {"tf1_rmsprop": ms.TF1RMSprop, "adam": keras.optimizers.Adam}


class Evaluation(NamedTuple):
    """The state of a run: before training, or between two visits.

    Attributes:
        cost: C(t), section 4.1.
        evaluations: Examples whose gradient was computed, at any level.
        seconds: Of training, without evaluation and compilation.
        mse: On the validation data.
    """

    cost: float
    evaluations: int
    seconds: float
    mse: float


class Run(NamedTuple):
    """What a run leaves behind.

    Attributes:
        history: From the untrained network on; the MSE of one that diverged is NaN.
        compile_seconds: To build, trace and compile the program; shared by all runs
            of a `Trainer`.
        hierarchy: The table of levels.
        mean_mse: What the mean training target scores: the trivial predictor.
    """

    history: list[Evaluation]
    compile_seconds: float
    hierarchy: str
    mean_mse: float


def stages(
    schedule: ms.Schedule,
    parameters: Sequence[int],
    batch_size: int,
    budget: float,
    every: float,
    unit: str = "cost",
    within: bool = False,
) -> Iterator[tuple[ms.Visit, ...]]:
    """Cut a schedule into stages that end after smoothing at level 0.

    A run is evaluated between stages, so always at the same point of the cycle, unless
    stages may end within it, after any visit (as in the authors' script). A stage
    costs at least `every` C(t), if the budget allows, and the stages together at most
    `budget`.

    Args:
        schedule: Of levels.
        parameters: |M_l| of each level.
        batch_size: Examples in a batch.
        budget: In all, in `unit`.
        every: C(t) of a stage.
        unit: Of the budget: "cost" for C(t), "evaluations", or "seconds", of which no
            one knows beforehand how many there will be: then stages do not end.
        within: Whether stages may end at any level.

    Raises:
        ValueError: The budget does not allow a single stage.

    >>> v_cycle = ms.schedules.gamma_cycle(depth=1, smoothing_steps=2)
    >>> list(stages(v_cycle, [10, 5], batch_size=1, budget=9.0, every=4.0))
    [(Visit(level=0, steps=2), Visit(level=1, steps=2), Visit(level=0, steps=2)),
     (Visit(level=0, steps=2),)]
    """
    spent, stage, stage_cost, waiting = 0.0, (), 0.0, ()
    for visit in schedule.walk():
        waiting += (visit,)
        if visit.level > 0 and not within:
            continue
        part = price(waiting, parameters, batch_size)
        spending = price(waiting, parameters, batch_size, unit)
        if spent + spending > budget:
            if not spent:
                raise _too_small(budget, spending)
            break
        spent, stage_cost = spent + spending, stage_cost + part
        stage, waiting = stage + waiting, ()
        if stage_cost >= every:
            yield ms.schedules.merged(stage)
            stage, stage_cost = (), 0.0
    if stage:
        yield ms.schedules.merged(stage)


def price(
    visits: Sequence[ms.Visit],
    parameters: Sequence[int],
    batch_size: int,
    unit: str = "cost",
) -> float:
    """What visits take of a budget.

    >>> price([ms.Visit(0, 2), ms.Visit(1, 4)], [100, 25], 128, "evaluations")
    768.0
    """
    if unit == "cost":
        return cost(visits, parameters, batch_size)
    examples = batch_size * sum(visit.steps for visit in visits)
    return 0.0 if unit == "seconds" else float(examples)


def _too_small(budget, least):
    return ValueError(
        "`budget` must allow the schedule to return to level 0 once, which takes "
        f"{least:,.0f}. Received: budget={budget:,.0f}"
    )


class Clock(keras.callbacks.Callback):
    """Evaluates between compiled calls, and ends a run that is done.

    Args:
        evaluate: Called with the seconds of training so far; returns the MSE.
        seconds: After which the run ends.
        until: Fraction of the first MSE at which the run ends.
    """

    def __init__(
        self,
        evaluate: Callable[[float], float],
        seconds: float = math.inf,
        until: float | None = None,
    ):
        super().__init__()
        self.evaluate, self.limit, self.until = evaluate, seconds, until
        self.seconds = 0.0

    def on_train_begin(self, logs=None):
        """Evaluate the untrained network."""
        self.target = (self.until or 0.0) * self.evaluate(0.0)

    def on_train_batch_begin(self, batch, logs=None):
        """Start the clock."""
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Stop the clock and evaluate."""
        # Of a call on coarsened data `CycleSchedule` knows what was compiling.
        passed = self.seconds + time.perf_counter() - self.began
        self.seconds = logs.get("seconds", passed)
        if self.evaluate(self.seconds) <= self.target or self.seconds >= self.limit:
            self.model.stop_training = True


class Stages(keras.callbacks.Callback):
    """Runs a stage in each call of the compiled step."""

    def __init__(self, stages):
        super().__init__()
        self.stages = iter(stages)

    def on_train_batch_begin(self, batch, logs=None):
        """Hand the model the next stage."""
        self.model.visits = next(self.stages)


class Trainer:
    """Networks of one shape and depth, compiled once for many runs.

    Args:
        config: The experiment.
        scheme: Depth, topology, kind of optimizer and of data shape the compiled
            program; rate, gamma and k do not.
        seed: Of prolongations that are drawn; it shapes the program only where there
            are such.
        task: The data.
    """

    def __init__(self, config: Config, scheme: Scheme, seed: int, task: Task):
        self.config, self.task, self.depth = config, task, scheme.depth
        began = time.perf_counter()
        self.model = self._fresh_model(config, scheme, seed)
        clock = Clock(lambda seconds: self._mse())
        if scheme.coarsen_data:
            # It has compiled even so; `run` tells of it.
            with contextlib.suppress(FloatingPointError):
                schedule = ms.schedules.gamma_cycle(self.depth)
                self._fit_coarsened(schedule, 1, clock, seed)
        else:
            every_level = [ms.Visit(level, 1) for level in range(self.depth + 1)]
            if scheme.schedule == "simultaneous":
                every_level = [ms.Visit(ms.EVERY_LEVEL, 1)]
            self._fit([every_level], 1, clock, seed)
        self.compile_seconds = time.perf_counter() - began

    def run(
        self,
        config: Config,
        scheme: Scheme,
        seed: int,
        progress: Callable[[Evaluation], None] = lambda evaluation: None,
    ) -> Run:
        """Train from fresh weights to the config's budget.

        Args:
            config: One with this trainer's data and network.
            scheme: One with this trainer's program.
            seed: Of the weights and of the order of the data.
            progress: Called with every `Evaluation` as it is made.
        """
        weights = self._fresh_model(config, scheme, seed).get_weights()
        self.model.set_weights(weights)
        optimizer = self.model.optimizer
        # Slots of coarse levels that are packed for coarsened data begin anew too.
        begin_anew(optimizer, self.model.trainable_variables)
        optimizer.learning_rate = scheme.learning_rate

        hierarchy = self.model.hierarchy
        history: list[Evaluation] = []

        def evaluate(seconds):
            examples = self.model.progress.examples
            history.append(Evaluation(self.model.cost, examples, seconds, self._mse()))
            progress(history[-1])
            return history[-1].mse

        timed = config.budget_unit == "seconds"
        seconds = config.budget if timed else math.inf
        clock = Clock(evaluate, seconds, scheme.until)
        schedule = scheme.visits(config.variant)
        shared = (hierarchy.parameters, config.batch_size)
        if scheme.coarsen_data:
            cycle_cost = price(schedule.cycle, *shared)
            self.model.steps_per_execution = max(
                1, int(config.evaluate_every / cycle_cost)
            )
            cycles = UNLIMITED
            if not timed:
                first, each = (
                    price(visits, *shared, config.budget_unit)
                    for visits in (schedule.start, schedule.cycle)
                )
                cycles = int((config.budget - first) // each)
                if cycles < 1:
                    raise _too_small(config.budget, first + each)
            try:
                self._fit_coarsened(schedule, cycles, clock, seed)
            except FloatingPointError:
                # The model has the weights from before; they are not the result.
                history.append(history[-1]._replace(mse=math.nan))
                progress(history[-1])
        else:
            plan = stages(
                schedule, *shared, config.budget, config.evaluate_every,
                config.budget_unit, config.evaluate_at == "visit",
            )  # fmt: skip
            plan = plan if timed else list(plan)
            self._fit(plan, UNLIMITED if timed else len(plan), clock, seed)
        return Run(
            history, self.compile_seconds, str(hierarchy), self._mean_target_mse()
        )

    def _fresh_model(self, config, scheme, seed) -> ms.MultilevelModel:
        keras.utils.set_random_seed(seed)
        model = autoencoder(config, scheme, seed)
        optimizer = OPTIMIZERS[scheme.optimizer](scheme.learning_rate)
        model.compile(optimizer, loss="mse")
        model.optimizer.build(model.trainable_variables)
        return model

    def _fit(self, plan, calls, clock, seed):
        """One call of `fit`, in which a "batch" is a whole stage of the plan."""
        self.model.fit(
            batches(self.task, self.config.batch_size, seed),
            steps_per_epoch=calls,
            callbacks=[Stages(plan), clock],
            shuffle=False,
            verbose=0,
        )

    def _fit_coarsened(self, schedule, cycles, clock, seed):
        """One call of `fit`, in which a "batch" is a whole cycle."""
        keras.utils.set_random_seed(seed)
        self.model.fit(
            self.task.x_train,
            self.task.y_train,
            batch_size=self.config.batch_size,
            steps_per_epoch=cycles,
            callbacks=[ms.CycleSchedule(schedule=schedule, coarsen_data=True), clock],
            verbose=0,
        )

    def _mean_target_mse(self) -> float:
        errors = self.task.y_validation - self.task.y_train.mean(axis=0)
        return float(np.mean(np.square(errors)))

    def _mse(self) -> float:
        outputs = self.model.predict_on_batch(self.task.x_validation)
        return float(np.mean(np.square(outputs - self.task.y_validation)))


def autoencoder(config: Config, scheme: Scheme, seed: int) -> ms.MultilevelModel:
    """The paper's network: dense sigmoid layers, Glorot normal on every level.

    Args:
        config: Its sizes and topology.
        scheme: Its depth, and what replaces the config's topology.
        seed: Of prolongations that are drawn.
    """
    space = topology(config.topology_of(scheme), config.variant, seed)

    layers = [
        keras.layers.Dense(
            units, activation="sigmoid", kernel_initializer="glorot_normal"
        )
        for units in (*config.hidden, config.task.size)
    ]
    plain = keras.Sequential([keras.Input((config.task.size,)), *layers])
    if not scheme.start_depth:
        return ms.multilevel(plain, scheme.depth, space)
    drawn = ms.multilevel(plain, scheme.start_depth, config.topology).merge()
    return ms.multilevel(drawn, 0, space, keep_weights=True)


def topology(name: str, variant: str, seed: int):
    """What every space looks like, by name; see `msann_keras.multilevel`.

    Shuffled is the grid in random order: one order a space, or, as in the authors'
    script, another one at every use.
    """
    if name == "shuffled":
        return lambda size: ms.shuffled(
            resolve("grid", size, "topology"), seed=seed, redraw=variant == "script"
        )
    if name == "random_orthogonal":
        return lambda size: ms.random_orthogonal(size, seed=seed)
    return name


def batches(task: Task, batch_size: int, seed: int) -> tf.data.Dataset:
    """Endless batches drawn with replacement."""
    x, y = tf.constant(task.x_train), tf.constant(task.y_train)

    def draw(number):
        rows = tf.random.stateless_uniform(
            (batch_size,), (seed, number), maxval=len(x), dtype=tf.int64
        )
        return tf.gather(x, rows), tf.gather(y, rows)

    numbers = tf.data.Dataset.counter()
    return numbers.map(draw, num_parallel_calls=1).prefetch(16)
