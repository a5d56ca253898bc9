"""One run: a network trained by `model.fit` to a budget, with its history."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

import msann_keras as ms
from experiments.budget import Staged, price, stages, too_small
from experiments.callbacks import Watch
from experiments.config import Config
from experiments.runfiles import Evaluation, Run
from experiments.schemes import Scheme, topology
from experiments.synthetic import Task

#: Calls of a run that ends by its seconds.
UNLIMITED = 10**9
OPTIMIZERS = {"tf1_rmsprop": ms.TF1RMSprop, "adam": keras.optimizers.Adam}


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
        self._mse = error_on(task)
        began = time.perf_counter()
        self.model = self._fresh_model(config, scheme, seed)
        watch = Watch(self._mse)
        if scheme.coarsen_data:
            # It has compiled even so; `run` tells of it.
            with contextlib.suppress(FloatingPointError):
                schedule = ms.schedules.gamma_cycle(self.depth)
                self._fit_coarsened(schedule, 1, watch, seed)
        else:
            every_level = [ms.Visit(level, 1) for level in range(self.depth + 1)]
            if scheme.schedule == "simultaneous":
                every_level = [ms.Visit(ms.EVERY_LEVEL, 1)]
            once = ms.Schedule(every_level)
            self._fit(Staged(once, [once.cycle]), 1, watch, seed)
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
        optimizer.begin_anew()
        optimizer.learning_rate = scheme.learning_rate

        timed = config.budget_unit == "seconds"
        seconds = config.budget if timed else math.inf

        def decided(history):
            target = (scheme.until or 0.0) * history[0].mse
            return history[-1].mse <= target or history[-1].seconds >= seconds

        watch = Watch(self._mse, decided, progress)
        schedule = scheme.visits(config.variant)
        shared = (self.model.hierarchy.parameters, config.batch_size)
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
                    raise too_small(config.budget, first + each)
            try:
                self._fit_coarsened(schedule, cycles, watch, seed)
            except FloatingPointError:
                # The model has the weights from before; they are not the result.
                watch.note(watch.history[-1]._replace(mse=math.nan))
        else:
            plan = stages(
                schedule, *shared, config.budget, config.evaluate_every,
                config.budget_unit, config.evaluate_at == "visit",
            )  # fmt: skip
            plan = plan if timed else list(plan)
            calls = UNLIMITED if timed else len(plan)
            self._fit(Staged(schedule, plan), calls, watch, seed)
        return Run(
            watch.history,
            self.compile_seconds,
            str(self.model.hierarchy),
            mean_target_mse(self.task),
        )

    def _fresh_model(self, config, scheme, seed) -> ms.MultilevelModel:
        keras.utils.set_random_seed(seed)
        model = autoencoder(config, scheme, seed)
        optimizer = OPTIMIZERS[scheme.optimizer](scheme.learning_rate)
        model.compile(optimizer, loss="mse")
        model.optimizer.build(model.trainable_variables)
        return model

    def _fit(self, schedule, calls, watch, seed):
        """One call of `fit`, in which a "batch" is a whole stage of the schedule."""
        self.model.fit(
            batches(self.task, self.config.batch_size, seed),
            steps_per_epoch=calls,
            callbacks=[ms.CycleSchedule(schedule=schedule), watch],
            shuffle=False,
            verbose=0,
        )

    def _fit_coarsened(self, schedule, cycles, watch, seed):
        """One call of `fit`, in which a "batch" is a whole cycle."""
        keras.utils.set_random_seed(seed)
        self.model.fit(
            self.task.x_train,
            self.task.y_train,
            batch_size=self.config.batch_size,
            steps_per_epoch=cycles,
            callbacks=[ms.CycleSchedule(schedule=schedule, coarsen_data=True), watch],
            verbose=0,
        )


def error_on(task: Task) -> Callable[[keras.Model], float]:
    """A function of a model: its MSE on the validation data."""

    def error(model):
        outputs = model.predict_on_batch(task.x_validation)
        return float(np.mean(np.square(outputs - task.y_validation)))

    return error


def mean_target_mse(task: Task) -> float:
    """What the mean training target scores on the validation data."""
    return float(np.mean(np.square(task.y_validation - task.y_train.mean(axis=0))))


def network(config: Config) -> keras.Model:
    """The paper's network as a plain model: dense sigmoid layers, Glorot normal."""
    layers = [
        keras.layers.Dense(
            units, activation="sigmoid", kernel_initializer="glorot_normal"
        )
        for units in (*config.hidden, config.task.size)
    ]
    return keras.Sequential([keras.Input((config.task.size,)), *layers])


def autoencoder(config: Config, scheme: Scheme, seed: int) -> ms.MultilevelModel:
    """The paper's network on a hierarchy, drawn anew on every level.

    Args:
        config: Its sizes and topology.
        scheme: Its depth, and what replaces the config's topology.
        seed: Of prolongations that are drawn.
    """
    space = topology(config.topology_of(scheme), config.variant, seed)
    plain = network(config)
    if not scheme.start_depth:
        return ms.multilevel(plain, scheme.depth, space, start="paper")
    depth = scheme.start_depth
    drawn = ms.multilevel(plain, depth, config.topology, start="paper").merge()
    return ms.multilevel(drawn, 0, space, keep_weights=True)


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
