"""One run in a process of its own: `python -m benchmarks.practice.run`.

    python -m benchmarks.practice.run --task burgers-1024 --method warm --out run.json

Imports, data and the model's first weights come before the clock starts. It starts
before `compile`, so tracing, compiling and whatever a method does before it trains are
counted; evaluation is not.
"""

import argparse
import dataclasses
import json
import math
import os
import resource
import shlex
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import msann_keras as ms
from benchmarks.practice.tasks import TASKS
from benchmarks.practice.tuning import SHARES
from experiments.provenance import provenance
from msann_keras.backends import here
from msann_keras.images.levels import averaged

#: What `ms.warm_start` may be told of kernels, for a comparison.
KERNELS = ("stencils", "kernels")
METHODS = ("fit", "start", "warm", "auto", "cycles", "ramp", *KERNELS)
#: Of progressive resizing: what sides are divided by, and steps there.
RAMP = ((4, 80), (2, 40))
#: Of the multilevel model that is started and then trained on level 0, or in V-cycles
#: of so many steps a visit. How deep it begins is read off the data.
DEPTHS, CYCLE_STEPS = {"auto": 1, "cycles": 3}, 4
#: Levels of the multilevel start, and so the narrowest layer that has it.
DEPTH = 4
#: Most samples that an evaluation uses.
MOST_VALIDATION = 1000
#: A decayed rate ends at this share of the first.
LAST_RATE = 0.05


class Clock(keras.callbacks.Callback):
    """Evaluates at growing distances outside its time, and ends the run in time.

    It may watch several calls one after another; the time goes on from one to the next.

    Args:
        error: Called without arguments; the model's validation error.
        limit: Seconds of the run.
        rate: What decays by a cosine of the time, or `None`.
        now: Seconds, for tests.

    Attributes:
        trace: Pairs of seconds and error; an error that is no number is `None`.
    """

    #: The first evaluation, and how many times later each one is than the last.
    FIRST, GROWTH = 0.3, 1.12
    #: An evaluation so soon after the last would say the same again.
    SAME = 0.02

    def __init__(self, error, limit, rate=None, now=time.perf_counter):
        super().__init__()
        self.error, self.limit, self.rate, self.now = error, limit, rate, now
        self.trace = []

    def begin(self, ahead=0.0):
        """Evaluate the model as it is, and start, so many seconds having passed."""
        self._away, self._due, self._began = 0.0, self.FIRST, 0.0
        self._evaluate(0.0)
        self._away, self._began = 0.0, self.now() - ahead

    @property
    def seconds(self):
        """Since the start, without evaluations."""
        return self.now() - self._began - self._away

    def on_train_batch_end(self, batch, logs=None):
        """Decay the rate; evaluate if it is time."""
        if self.rate is not None:
            turn = math.pi * min(1.0, self.seconds / self.limit)
            share = LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(turn)) / 2
            self.model.optimizer.learning_rate = self.rate * share
        self._look()

    def on_epoch_end(self, epoch, logs=None):
        """Evaluate if it is time; a warm start has no batches that one could see."""
        self._look()

    def on_train_end(self, logs=None):
        """Evaluate what the call has come to."""
        self._look(due=True)

    def _look(self, due=False):
        seconds = self.seconds
        late = seconds >= self.limit
        if late:
            self.model.stop_training = True
        if due or late or seconds >= self._due:
            self._evaluate(seconds)

    def _evaluate(self, seconds):
        if self.trace and seconds - self.trace[-1][0] < self.SAME:
            return
        began = self.now()
        error = self.error()
        if not math.isfinite(error):
            self.model.stop_training = True
        self.trace.append([seconds, error if math.isfinite(error) else None])
        # The moments that the report asks for are never between two evaluations.
        marks = [share * self.limit for share in SHARES if share * self.limit > seconds]
        self._due = min([max(self.FIRST, self.GROWTH * seconds), *marks])
        self._away += self.now() - began


def validation_error(task, data, model):
    """What tells a model's error, as `task.kind` has it; compiled at its first call."""
    x = tf.constant(data.x_validation[:MOST_VALIDATION])
    y = data.y_validation[:MOST_VALIDATION]
    outputs = tf.function(lambda: model(x, training=False))
    if task.kind == "rate":
        return lambda: float(np.mean(outputs().numpy().argmax(axis=-1) != y))
    variance = float(np.var(y, dtype=np.float64))
    return lambda: float(np.mean((outputs().numpy() - y) ** 2) / variance)


def multilevel_initializers(task):
    """The multilevel start of every kernel that is wide enough at both ends."""
    sizes, topology = task.network.sizes, task.topology()
    spaces = [None] * len(sizes)
    for end in (0, -1):
        if topology is not None and topology.size == sizes[end]:
            spaces[end] = topology
    return [
        ms.initializers.Multilevel(
            depth=DEPTH, input_topology=spaces[i], output_topology=spaces[i + 1]
        )
        if min(sizes[i : i + 2]) >= 2**DEPTH
        else "glorot_uniform"
        for i in range(len(sizes) - 1)
    ]


def train(task, options):
    """Make one run; its trace, and what else there is to say of it."""
    data = task.data(options.seed)
    keras.utils.set_random_seed(options.seed)
    start = multilevel_initializers(task) if options.method == "start" else None
    model, ahead = task.network(start), 0.0
    if options.method in DEPTHS:
        began = time.perf_counter()
        model = ms.multilevel(model, DEPTHS[options.method], task.topology())
        ahead = time.perf_counter() - began
    loss = {
        "mse": "mse",
        "cross-entropy": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }[task.loss]
    rate = options.rate if options.decay == "cosine" else None
    clock = Clock(validation_error(task, data, model), options.limit, rate)
    clock.set_model(model)
    clock.begin(ahead)
    model.compile(
        keras.optimizers.Adam(options.rate),
        loss,
        jit_compile=bool(options.jit),
        steps_per_execution=options.steps_per_execution,
    )
    more = {"megabytes": {"before": peak()}}
    if options.method in ("warm", *KERNELS):
        is_other = options.method in KERNELS
        record = ms.warm_start(
            model,
            data.x,
            data.y,
            topology=options.method if is_other else task.topology(),
            batch_size=task.batch_size,
            seconds=None,
            callbacks=[clock],
            verbose=0,
        )
        more["megabytes"]["after the start"] = peak()
        more |= {"warm_start": {"seconds": clock.seconds, "record": str(record)}}
    if options.method == "ramp":
        ramp(task, data, model, clock)
    callbacks = [clock]
    if options.method == "auto":
        callbacks = [ms.CycleSchedule("auto"), clock]
    if options.method == "cycles":
        cycles = ms.CycleSchedule(
            gamma=1, smoothing_steps=CYCLE_STEPS, coarsen_data=True, warm_start=True
        )
        callbacks = [cycles, clock]
    if clock.seconds < options.limit and clock.trace[-1][1] is not None:
        if options.method in DEPTHS:  # whose start and cycles average arrays
            samples = {"x": data.x, "y": data.y, "batch_size": task.batch_size}
        else:
            steps = len(data.x) // task.batch_size
            samples = batches(data.x, data.y, task.batch_size, steps, options.seed)
        model.fit(
            **samples,
            epochs=10**6,
            callbacks=callbacks,
            verbose=0,
        )
    more["megabytes"]["after"] = peak()
    return {"trace": clock.trace, **more}


def batches(x, y, batch_size, steps, seed):
    """What `fit` is to be given for arrays: a dataset that does not tune itself.

    Given arrays, it may stand still when an epoch ends, for up to 20 s.
    """
    source = here.batches((x, y), np.arange(len(x)), batch_size, seed)
    return {"x": source(), "steps_per_epoch": steps}


def ramp(task, data, model, clock):
    """Progressive resizing, as one does it by hand: the same kernels on small images.

    The steps on smaller images are those that suited the U-Net on 64 x 64 best. What
    the optimizer knows goes on with the weights.
    """
    state = None
    for factor, steps in RAMP:
        x, y = (averaged(a, [s // factor for s in a.shape[1:-1]]) for a in data[:2])
        small = dataclasses.replace(task.network, side=task.network.side // factor)()
        small.compile(
            keras.optimizers.Adam(float(model.optimizer.learning_rate)),
            model.loss,
            jit_compile=False,
        )
        small.set_weights(model.get_weights())
        small.optimizer.build(small.trainable_variables)
        if state is not None:
            for variable, value in zip(small.optimizer.variables, state, strict=True):
                variable.assign(value)
        small.fit(**batches(x, y, task.batch_size, steps, seed=steps), verbose=0)
        model.set_weights(small.get_weights())
        state = [variable.numpy() for variable in small.optimizer.variables]
        clock.on_epoch_end(0)
    model.optimizer.build(model.trainable_variables)
    for variable, value in zip(model.optimizer.variables, state, strict=True):
        variable.assign(value)


def peak():
    """The most memory that the process has had so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def given_options():
    """What the command was given, without where its file goes: that is no setting.

    Nor is where compiled programs are kept.
    """
    given = sys.argv[1:]
    place = given.index("--out")
    del given[place : place + 2]
    if "--cache" in given:
        given[given.index("--cache") + 1] = "FOLDER"
    return given


def write_whole(path, record):
    """Write JSON so that the file is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--method", choices=METHODS, required=True)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--decay", choices=("none", "cosine"), default="none")
    parser.add_argument("--steps-per-execution", type=int, default=1)
    parser.add_argument("--jit", type=int, choices=(0, 1), default=1)
    parser.add_argument("--batch-size", type=int, help="the task's by default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, help="seconds; the task's by default")
    parser.add_argument("--cache", type=Path, help="of programs that XLA has compiled")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    task = TASKS[options.task]
    options.limit = options.limit or task.budget
    if options.batch_size:
        task = dataclasses.replace(task, batch_size=options.batch_size)
    if (reason := task.missing()) is not None:
        sys.exit(f"{task.name}: skipped, {reason}")
    if options.cache:
        ms.enable_compile_cache(options.cache)
    names = ("rate", "decay", "steps_per_execution", "jit", "limit")
    record = {
        "task": task.name,
        "method": options.method,
        "seed": options.seed,
        "options": {name: getattr(options, name) for name in names}
        | {"batch_size": task.batch_size, "batch": options.batch_size}
        | {"cache": options.cache is not None},
        **train(task, options),
        "provenance": provenance(
            shlex.join(["python", "-m", "benchmarks.practice.run", *given_options()])
        ),
    }
    write_whole(options.out, record)


if __name__ == "__main__":
    main()
