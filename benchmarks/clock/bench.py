"""The tasks of the clock, their networks, and one run of a trial."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

import msann_keras as ms
from experiments.callbacks import Seconds, Watch
from experiments.mnist import load_mnist
from experiments.synthetic import one_object, two_objects
from msann_keras.nested.optimizer import begin_anew

BATCH = 128
TARGETS = ("1/10", "1/20", "strict")
TUNING_SEEDS, SEEDS = (11, 12), (618, 2357, 9041)
OPTIMIZERS = {"Adam": keras.optimizers.Adam, "RMSProp": ms.TF1RMSprop}
# The likeliest first: the others are cut off the sooner.
RATES = (8e-3, 4e-3, 1.6e-2, 2e-3, 3.2e-2, 1e-3, 5e-4)
TASKS = [
    "one-object-1024",
    "two-objects-1024",
    "mnist",
    "one-object-2048",
    "one-object-4096",
    "two-objects-4096",
]
#: Steps of a compiled call without cycles, and so between evaluations.
STEPS = 16


def _v(first, factor, depth):
    steps = ms.schedules.Growing(first, factor)
    return ms.schedules.gamma_cycle(depth, smoothing_steps=steps)


#: V-cycles by their steps at level 0, their growth and L.
SCHEDULES = {
    "V 4, 3, L 3": _v(4, 3, 3),
    "V 8, 3, L 2": _v(8, 3, 2),
    "V 8, 2, L 4": _v(8, 2, 4),
    "V 1, 3, L 4": _v(1, 3, 4),
    "V 2, 4, L 3": _v(2, 4, 3),
    "V 1, 2, L 6": _v(1, 2, 6),
}


class Data(NamedTuple):
    """Arrays of a task, and its topology and depth."""

    x: np.ndarray
    y: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    topology: str
    depth: int
    strict: float | None = None  # the last target, where it is not a fiftieth


class Trial(NamedTuple):
    """One way to train."""

    scheme: str
    optimizer: str
    rate: float
    schedule: str = ""


class Outcome(NamedTuple):
    """What a run of a trial took; the history is of `Evaluation`s."""

    trial: Trial
    seed: int
    history: list
    compile_seconds: float


def task(name):
    """The data of a task, such as "one-object-1024" or "mnist"."""
    if name == "mnist":
        digits = load_mnist("bundled", size=32, validation=1000, seed=2019)
        x, v = digits.x_train, digits.x_validation
        return Data(x, x, v, v, "grid", 4, strict=0.010)
    kind, n = name.rsplit("-", 1)
    make = {"one-object": one_object, "two-objects": two_objects}[kind]
    n = int(n)
    drawn = make(n, samples=min(20_000, 20_480_000 // n), validation=1000, seed=2019)
    return Data(*drawn[:4], "path", {1024: 4, 2048: 5, 4096: 6}[n])


def network(n):
    """The plain network: n, n/4, n/8, n/4, n sigmoid units from Glorot's start."""
    return keras.Sequential(
        [keras.Input((n,))]
        + [
            keras.layers.Dense(k, "sigmoid", kernel_initializer="glorot_normal")
            for k in (n // 4, n // 8, n // 4, n)
        ]
    )


class Bench:
    """A task with its networks: models are compiled once for all trials.

    Args:
        data: The task's data.
        limit: Seconds of training after which any run ends.
    """

    def __init__(self, data, limit):
        self.data, self.limit, self.size = data, limit, data.x.shape[1]
        self.models, self.targets = {}, None
        x, y = tf.constant(data.x_validation), tf.constant(data.y_validation)

        @tf.function(jit_compile=True)
        def mse(weights):
            outputs = x
            for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
                outputs = tf.sigmoid(outputs @ kernel + bias)
            return tf.reduce_mean(tf.square(outputs - y))

        self._mse = mse

    def mse(self, model):
        """On the validation data, of a plain or multilevel model."""
        weights = []
        for layer in model.layers:
            if isinstance(layer, ms.MultilevelDense):
                weights += layer.theta()
            elif layer.weights:
                weights += [layer.kernel, layer.bias]
        return float(self._mse([tf.convert_to_tensor(w) for w in weights]))

    def run(self, trial, seed, limits=None):
        """Train until the last target, or until a limit is used up.

        Args:
            trial: What to do.
            seed: Of weights and batches.
            limits: Seconds for each target after which the run is no use.
        """
        keras.utils.set_random_seed(seed)
        limits = limits or [self.limit] * len(TARGETS)
        watch = Watch(self.mse, lambda history: self._decided(history, limits))
        if trial.scheme == "fit":
            compiling = self._fit(trial, watch)
        else:
            compiling = self._cycles(trial, watch)
        return Outcome(trial, seed, watch.history, compiling)

    def _decided(self, history, limits):
        """Whether no target is left that could still be reached within its limit."""
        mse, seconds = history[-1].mse, history[-1].seconds
        left = [
            limit
            for limit, target in zip(limits, self.targets, strict=True)
            if all(row.mse > target for row in history)
        ]
        return not np.isfinite(mse) or not left or seconds > max(left)

    def _fit(self, trial, watch):
        key = ("fit", trial.optimizer)
        if key not in self.models:
            self.models[key] = self._fastest_fit(trial.optimizer)
        model, compiling = self.models[key]
        reset(model, network(self.size), trial.rate)
        model.fit(
            self.data.x,
            self.data.y,
            batch_size=BATCH,
            epochs=10**6,
            callbacks=[Seconds(BATCH), watch],
            verbose=0,
        )
        return compiling

    def _fastest_fit(self, optimizer):
        """Keras's own `fit` compiled with the better of `jit_compile` on and off.

        Compiling is what a first pass takes longer: the last, smaller batch compiles a
        step of its own.
        """
        best = None
        for jit in (True, False):
            model = network(self.size)
            model.compile(
                OPTIMIZERS[optimizer](1e-3),
                "mse",
                jit_compile=jit,
                steps_per_execution=STEPS,
            )
            seconds = []
            for _ in range(3):
                clock = Seconds(BATCH)
                model.fit(
                    self.data.x,
                    self.data.y,
                    batch_size=BATCH,
                    callbacks=[clock],
                    verbose=0,
                )
                seconds.append(clock.seconds)
            compiling = seconds[0] - min(seconds[1:])
            if best is None or min(seconds[1:]) < best[0]:
                best = min(seconds[1:]), model, compiling
        return best[1:]

    def _cycles(self, trial, watch):
        schedule = ms.Schedule((ms.Visit(0, STEPS),))
        if trial.scheme == "cycles":
            schedule = SCHEDULES[trial.schedule]
        depth = schedule.depth
        key = (depth, trial.optimizer)
        if key not in self.models:
            model = ms.multilevel(network(self.size), depth, self.data.topology)
            model.compile(OPTIMIZERS[trial.optimizer](1e-3), "mse")
            self.models[key] = model, self._warmed(model)
        model, compiling = self.models[key]
        start = network(self.size)
        if trial.scheme != "level0":
            drawn = ms.multilevel(
                start, self.data.depth, self.data.topology, start="paper"
            )
            start = drawn.merge()
        reset(model, start, trial.rate)
        model.fit(
            self.data.x,
            self.data.y,
            batch_size=BATCH,
            epochs=10**6,
            callbacks=[ms.CycleSchedule(schedule=schedule, coarsen_data=True), watch],
            verbose=0,
        )
        return compiling

    def _warmed(self, model):
        """Seconds until a model is compiled, and of what a first call takes longer."""
        first, second = (
            model.fit(
                self.data.x,
                self.data.y,
                batch_size=BATCH,
                steps_per_epoch=1,
                callbacks=[ms.CycleSchedule(coarsen_data=True)],
                verbose=0,
            ).history["seconds"][0]
            for _ in range(2)
        )
        return model.compile_seconds + first - second


def reset(model, start, rate):
    """Begin anew from the weights of a plain network, at a learning rate.

    Args:
        model: A compiled model, multilevel or plain.
        start: The plain network.
        rate: Of level 0.
    """
    dense = ([x for x in each.layers if x.weights] for each in (model, start))
    for target, layer in zip(*dense, strict=True):
        if isinstance(target, ms.MultilevelDense):
            target.set_theta(*layer.get_weights())
            target.gather()
        else:
            target.set_weights(layer.get_weights())
    optimizer = model.optimizer
    if not isinstance(optimizer, ms.MultilevelOptimizer):
        begin_anew(optimizer, model.trainable_variables)
    elif optimizer.built:
        optimizer.begin_anew()
    else:
        optimizer.build(model.trainable_variables)
    optimizer.learning_rate = rate
