"""A run that begins by a warm start: a plain Keras model, and nothing left out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import keras

import msann_keras as ms
from experiments.callbacks import Seconds, Watch
from experiments.config import Config
from experiments.runfiles import Evaluation, Run
from experiments.schemes import Scheme
from experiments.synthetic import Task
from experiments.training import (
    OPTIMIZERS,
    UNLIMITED,
    batches,
    error_on,
    mean_target_mse,
    network,
)
from msann_keras.nested.multilevel import cost_of


class WarmTrainer:
    """A plain model that `msann_keras.warm_start` begins and `fit` goes on with.

    The seconds of a start are those of the whole call: looking at the data, compiling
    its levels, training them. Its C(t) is that of the levels' steps. It decides for
    itself how many these are; if they take the whole budget, `fit` is left out.

    Args:
        config: The experiment.
        scheme: How deep to begin, and the kind of optimizer.
        seed: Of the weights that are drawn to compile with.
        task: The data.
    """

    def __init__(self, config: Config, scheme: Scheme, seed: int, task: Task):
        self.config, self.task, self._mse = config, task, error_on(task)
        began = time.perf_counter()
        # A call of the compiled step costs about `evaluate_every`, as elsewhere.
        self.steps = max(1, math.ceil(config.evaluate_every / config.batch_size))
        self.model = network(config)
        optimizer = OPTIMIZERS[scheme.optimizer](scheme.learning_rate)
        self.model.compile(optimizer, loss="mse", steps_per_execution=self.steps)
        optimizer.build(self.model.trainable_variables)
        self._unused = [variable.numpy() for variable in optimizer.variables]
        self._fit(1, Watch(self._mse), seed)
        self.compile_seconds = time.perf_counter() - began

    def run(
        self,
        config: Config,
        scheme: Scheme,
        seed: int,
        progress: Callable[[Evaluation], None] = lambda evaluation: None,
    ) -> Run:
        """Start from fresh weights, then train to the config's budget.

        Args:
            config: One with this trainer's data and network.
            scheme: One with this trainer's depth and optimizer; its rate may differ.
            seed: Of the weights and of the order of the data.
            progress: Called with every `Evaluation` as it is made.
        """
        self._begin_anew(config, scheme, seed)
        untrained = Evaluation(0.0, 0, 0.0, self._mse(self.model))
        progress(untrained)
        started, told = self._started(config, scheme)
        progress(started)
        unit, budget = config.budget_unit, config.budget

        def decided(history):
            last = history[-1]
            target = (scheme.until or 0.0) * history[0].mse
            return last.mse <= target or (unit == "seconds" and last.seconds >= budget)

        watch = Watch(self._mse, decided, progress, [untrained, started])
        calls = UNLIMITED
        if unit != "seconds":
            left = budget - getattr(started, unit)
            calls = int(left // (self.steps * config.batch_size))
        if calls > 0 and not decided(watch.history):
            self._fit(calls, watch, seed)
        return Run(
            watch.history, self.compile_seconds, told, mean_target_mse(self.task)
        )

    def _begin_anew(self, config, scheme, seed):
        """Fresh weights, and an optimizer that has not been used."""
        keras.utils.set_random_seed(seed)
        self.model.set_weights(network(config).get_weights())
        optimizer = self.model.optimizer
        for variable, value in zip(optimizer.variables, self._unused, strict=True):
            variable.assign(value)
        optimizer.learning_rate = scheme.learning_rate

    def _started(self, config, scheme) -> tuple[Evaluation, str]:
        """The state after the start, and what the start did."""
        began = time.perf_counter()
        record = ms.warm_start(
            self.model,
            self.task.x_train,
            self.task.y_train,
            depth=scheme.warm_start,
            batch_size=config.batch_size,
            verbose=0,
        )
        seconds = time.perf_counter() - began
        state = Evaluation(
            cost_of(record, config.batch_size),
            config.batch_size * sum(one.steps for one in record.levels),
            seconds,
            self._mse(self.model),
        )
        return state, f"{record.plan}\n{record}"

    def _fit(self, calls, watch, seed):
        """One call of `fit`: so many calls of the compiled step."""
        self.model.fit(
            batches(self.task, self.config.batch_size, seed),
            steps_per_epoch=calls * self.steps,
            callbacks=[Seconds(self.config.batch_size), watch],
            shuffle=False,
            verbose=0,
        )
