"""One run: a network trained by `model.fit` to a budget of C(t), with its history."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

import msann_keras as ms
from experiments.config import Config, Scheme
from msann_keras.cost import shares


class Evaluation(NamedTuple):
    """The state of a run: before training, or after smoothing at level 0.

    Attributes:
        cost: C(t), section 4.1.
        evaluations: Examples whose gradient was computed, at any level.
        seconds: Of training, without evaluation and compilation.
        mse: On the validation images.
    """

    cost: float
    evaluations: int
    seconds: float
    mse: float


class Run(NamedTuple):
    """What a run leaves behind.

    Attributes:
        history: From the untrained network on.
        compile_seconds: To build, trace and compile the program; shared by all runs
            of a `Trainer`.
        hierarchy: The table of levels.
        mean_image_mse: What the mean training image scores: the trivial predictor.
    """

    history: list[Evaluation]
    compile_seconds: float
    hierarchy: str
    mean_image_mse: float


def stages(
    schedule: ms.Schedule,
    parameters: Sequence[int],
    batch_size: int,
    budget: float,
    every: float,
) -> Iterator[tuple[ms.Visit, ...]]:
    """Cut a schedule into stages that end after smoothing at level 0.

    A run is evaluated between stages, so always at the same point of the cycle. A stage
    costs at least `every`, if the budget allows, and the stages together at most
    `budget`.

    Raises:
        ValueError: The budget does not allow a single stage.

    >>> v_cycle = ms.schedules.gamma_cycle(depth=1, smoothing_steps=2)
    >>> list(stages(v_cycle, [10, 5], batch_size=1, budget=9.0, every=4.0))
    [(Visit(level=0, steps=2), Visit(level=1, steps=2), Visit(level=0, steps=2)),
     (Visit(level=0, steps=2),)]
    """
    price = dict(enumerate(shares(parameters))) | {
        ms.EVERY_LEVEL: sum(shares(parameters))
    }
    spent, stage, stage_cost, waiting, waiting_cost = 0.0, (), 0.0, (), 0.0
    for visit in schedule.walk():
        waiting += (visit,)
        waiting_cost += batch_size * visit.steps * price[visit.level]
        if visit.level > 0:
            continue
        if spent + waiting_cost > budget:
            break
        spent, stage_cost = spent + waiting_cost, stage_cost + waiting_cost
        stage, waiting, waiting_cost = stage + waiting, (), 0.0
        if stage_cost >= every:
            yield ms.schedules.merged(stage)
            stage, stage_cost = (), 0.0
    if not spent:
        raise ValueError(
            "`budget` must allow the schedule to return to level 0 once, which costs "
            f"{waiting_cost:,.0f}. Received: budget={budget:,.0f}"
        )
    if stage:
        yield ms.schedules.merged(stage)


class Stages(keras.callbacks.Callback):
    """Runs a stage in each call of the compiled step, and evaluates after it."""

    def __init__(self, stages, evaluate):
        super().__init__()
        self.stages, self.evaluate, self.seconds = iter(stages), evaluate, 0.0

    def on_train_begin(self, logs=None):
        """Evaluate the untrained network."""
        self.evaluate(self.seconds)

    def on_train_batch_begin(self, batch, logs=None):
        """Hand the model the next stage."""
        self.model.visits = next(self.stages)
        self.clock = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Stop the clock and evaluate."""
        self.seconds += time.perf_counter() - self.clock
        self.evaluate(self.seconds)


class Trainer:
    """Networks of one shape and depth, compiled once for many runs.

    Args:
        config: The experiment.
        scheme: Its depth and kind of optimizer shape the compiled program; seed, rate,
            gamma and k do not.
        digits: The images, an `experiments.mnist.Digits`.
    """

    def __init__(self, config: Config, scheme: Scheme, digits):
        self.config, self.digits = config, digits
        self.depth, self.optimizer = scheme.depth, scheme.optimizer
        began = time.perf_counter()
        self.model = self._fresh_model(scheme, seed=0)
        every_level = [ms.Visit(level, 1) for level in range(self.depth + 1)]
        self._fit([every_level], lambda seconds: self._mse(), seed=0)
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
            scheme: One with this trainer's depth and optimizer.
            seed: Of the weights and of the order of the images.
            progress: Called with every `Evaluation` as it is made.
        """
        fresh = self._fresh_model(scheme, seed)
        self.model.set_weights(fresh.get_weights())
        pairs = zip(
            self.model.optimizer.variables, fresh.optimizer.variables, strict=True
        )
        for variable, start in pairs:
            variable.assign(start)

        hierarchy = self.model.hierarchy
        history: list[Evaluation] = []

        def evaluate(seconds):
            examples = self.model.progress.examples
            history.append(Evaluation(self.model.cost, examples, seconds, self._mse()))
            progress(history[-1])

        plan = stages(
            ms.schedules.gamma_cycle(
                scheme.depth, scheme.gamma, scheme.smoothing_steps, config.variant
            ),
            hierarchy.parameters,
            config.batch_size,
            config.budget,
            config.evaluate_every,
        )
        self._fit(list(plan), evaluate, seed)
        return Run(
            history, self.compile_seconds, str(hierarchy), self._mean_image_mse()
        )

    def _fresh_model(self, scheme: Scheme, seed: int) -> ms.MultilevelModel:
        keras.utils.set_random_seed(seed)
        model = autoencoder(self.config, self.depth)
        optimizers = {"tf1_rmsprop": ms.TF1RMSprop, "adam": keras.optimizers.Adam}
        model.compile(optimizers[self.optimizer](scheme.learning_rate), loss="mse")
        model.optimizer.build(model.trainable_variables)
        return model

    def _fit(self, plan, evaluate, seed):
        """One call of `fit`, in which a "batch" is a whole stage of the plan."""
        self.model.fit(
            batches(self.digits.x_train, self.config.batch_size, seed),
            steps_per_epoch=len(plan),
            callbacks=[Stages(plan, evaluate)],
            shuffle=False,
            verbose=0,
        )

    def _mean_image_mse(self) -> float:
        errors = self.digits.x_validation - self.digits.x_train.mean(axis=0)
        return float(np.mean(np.square(errors)))

    def _mse(self) -> float:
        images = self.digits.x_validation
        outputs = self.model.predict_on_batch(images)
        return float(np.mean(np.square(outputs - images)))


def autoencoder(config: Config, depth: int) -> ms.MultilevelModel:
    """The paper's network: dense sigmoid layers, Glorot normal on every level."""
    pixels = config.image_size**2
    layers = [
        keras.layers.Dense(
            units, activation="sigmoid", kernel_initializer="glorot_normal"
        )
        for units in (*config.hidden, pixels)
    ]
    plain = keras.Sequential([keras.Input((pixels,)), *layers])
    return ms.multilevel(plain, depth, config.topology)


def batches(images: np.ndarray, batch_size: int, seed: int) -> tf.data.Dataset:
    """Endless batches drawn with replacement, input and target alike."""
    images = tf.constant(images)

    def draw(number):
        rows = tf.random.stateless_uniform(
            (batch_size,), (seed, number), maxval=len(images), dtype=tf.int64
        )
        batch = tf.gather(images, rows)
        return batch, batch

    numbers = tf.data.Dataset.counter()
    return numbers.map(draw, num_parallel_calls=1).prefetch(16)
