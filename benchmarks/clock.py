"""Seconds to a target: training on coarsened data against tuned plain training.

    python -m benchmarks.clock [--quick] [--task one-object-1024 ...]

Three baselines and the multilevel run, on the same data, to the same absolute targets:
a tenth, a twentieth and a fiftieth of the plain network's first validation MSE.

    fit       keras.Model.fit, jit_compile on or off, whichever is faster
    plain     this library's compiled engine, level 0 only
    start     the same from the multilevel start (weights drawn on every level)
    cycles    V-cycles on coarsened data, from the multilevel start

So fit/plain is what the engine gives, plain/start what the start gives, and
start/cycles what the cycles give. Every scheme is tuned on one seed with as many
trials: twelve, of which a trial that has used up the best one's seconds is cut off.
`fit` trains exactly as `plain` does, so it takes over its optimizer and rate. The
medians are over the other seeds. Seconds are of training: without evaluation, and
without compiling, which stands in a column of its own.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import msann_keras as ms
from experiments.mnist import load_mnist
from experiments.runs import provenance
from experiments.synthetic import one_object, two_objects
from msann_keras.cost import cost_to_target

BATCH = 128
FRACTIONS = (10, 20, 50)
TUNING_SEED, SEEDS = 11, (618, 2357, 9041)
OPTIMIZERS = {"Adam": keras.optimizers.Adam, "RMSProp": ms.TF1RMSprop}
RATES = (4e-3, 8e-3, 2e-3, 1.6e-2, 1e-3, 5e-4)  # the likeliest first: others are cut
TASKS = [
    "one-object-1024",
    "two-objects-1024",
    "mnist",
    "one-object-2048",
    "one-object-4096",
    "two-objects-4096",
]
#: Steps of plain training in a compiled call, and between evaluations.
PLAIN_STEPS = 16


class Data(NamedTuple):
    """Arrays of a task, and its topology and depth."""

    x: np.ndarray
    y: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    topology: str
    depth: int


class Trial(NamedTuple):
    """One way to train."""

    scheme: str
    optimizer: str
    rate: float
    smoothing_steps: int = 0


class Outcome(NamedTuple):
    """What a run of a trial took; histories are (C(t), examples, seconds, MSE)."""

    trial: Trial
    seed: int
    history: list
    compile_seconds: float


def task(name):
    """The data of a task, such as "one-object-1024" or "mnist"."""
    if name == "mnist":
        digits = load_mnist("bundled", size=32, validation=1000, seed=2019)
        x, v = digits.x_train, digits.x_validation
        return Data(x, x, v, v, "grid", 4)
    kind, n = name.rsplit("-", 1)
    make = {"one-object": one_object, "two-objects": two_objects}[kind]
    n = int(n)
    drawn = make(n, samples=min(20_000, 20_480_000 // n), validation=1000, seed=2019)
    return Data(*drawn[:4], "path", 4 if n == 1024 else 5)


class Bench:
    """A task with its networks: models are compiled once for all trials.

    Args:
        data: The task's data.
        limit: Seconds of training after which any run ends.
    """

    def __init__(self, data, limit):
        self.data, self.limit = data, limit
        self.models, self.targets = {}, None
        x, y = tf.constant(data.x_validation), tf.constant(data.y_validation)

        @tf.function(jit_compile=True)
        def mse(weights):
            outputs = x
            for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
                outputs = tf.sigmoid(outputs @ kernel + bias)
            return tf.reduce_mean(tf.square(outputs - y))

        self._mse = mse

    def network(self):
        """The plain network: n, n/4, n/8, n/4, n sigmoid units from Glorot's start."""
        n = self.data.x.shape[1]
        glorot = keras.initializers.GlorotNormal
        return keras.Sequential(
            [keras.Input((n,))]
            + [
                keras.layers.Dense(k, activation="sigmoid", kernel_initializer=glorot())
                for k in (n // 4, n // 8, n // 4, n)
            ]
        )

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
        watch = _Watch(self, limits or [self.limit] * len(FRACTIONS))
        if trial.scheme == "fit":
            compiling = self._fit(trial, watch)
        else:
            compiling = self._cycles(trial, watch)
        return Outcome(trial, seed, watch.history, compiling)

    def _fit(self, trial, watch):
        key = ("fit", trial.optimizer)
        if key not in self.models:
            self.models[key] = self._fastest_fit(trial.optimizer)
        model, compiling = self.models[key]
        self._reset(model, self.network(), trial)
        model.fit(
            self.data.x,
            self.data.y,
            batch_size=BATCH,
            epochs=10**6,
            callbacks=[_PlainClock(), watch],
            verbose=0,
        )
        return compiling

    def _fastest_fit(self, optimizer):
        """Keras's own `fit` compiled with the better of `jit_compile` on and off."""
        best = None
        for jit in (True, False):
            model = self.network()
            model.compile(
                OPTIMIZERS[optimizer](1e-3),
                "mse",
                jit_compile=jit,
                steps_per_execution=PLAIN_STEPS,
            )
            seconds = []
            for _ in range(4):
                clock = _PlainClock()
                model.fit(
                    self.data.x[: BATCH * PLAIN_STEPS],
                    self.data.y[: BATCH * PLAIN_STEPS],
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
        depth = self.data.depth if trial.scheme == "cycles" else 0
        key = (depth, trial.optimizer)
        if key not in self.models:
            model = ms.multilevel(self.network(), depth, self.data.topology)
            model.compile(OPTIMIZERS[trial.optimizer](1e-3), "mse")
            self.models[key] = model
        model = self.models[key]
        start = self.network()
        if trial.scheme != "plain":
            drawn = ms.multilevel(start, self.data.depth, self.data.topology)
            start = drawn.merge()
        self._reset(model, start, trial)
        if depth:
            growing = ms.schedules.Growing(trial.smoothing_steps, 2)
            schedule = ms.schedules.gamma_cycle(depth, 1, growing)
        else:
            schedule = ms.Schedule((ms.Visit(0, PLAIN_STEPS),))
        model.fit(
            self.data.x,
            self.data.y,
            batch_size=BATCH,
            epochs=10**6,
            callbacks=[ms.CycleSchedule(schedule=schedule, coarsen_data=True), watch],
            verbose=0,
        )
        return model.compile_seconds

    def _reset(self, model, start, trial):
        """Begin anew from the weights of a plain network."""
        dense = ([x for x in each.layers if x.weights] for each in (model, start))
        for target, layer in zip(*dense, strict=True):
            if isinstance(target, ms.MultilevelDense):
                target.set_theta(*layer.get_weights())
                target.gather()
            else:
                target.set_weights(layer.get_weights())
        optimizer = model.optimizer
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
        fresh = type(optimizer).from_config(optimizer.get_config())
        fresh.build(model.trainable_variables)
        pairs = zip(optimizer.variables, fresh.variables, strict=True)
        for variable, value in pairs:
            variable.assign(value)
        optimizer.learning_rate = trial.rate


class _PlainClock(keras.callbacks.Callback):
    """Logs what `CycleSchedule` logs, for plain training."""

    def __init__(self):
        super().__init__()
        self.seconds, self.examples = 0.0, 0

    def on_train_batch_begin(self, batch, logs=None):
        self.began, self.first = time.perf_counter(), batch

    def on_train_batch_end(self, batch, logs=None):
        self.seconds += time.perf_counter() - self.began
        self.examples += BATCH * (batch - self.first + 1)
        logs["seconds"], logs["cost"] = self.seconds, float(self.examples)


class _Watch(keras.callbacks.Callback):
    """Evaluates after every compiled call, and ends the run when it is decided."""

    def __init__(self, bench, limits):
        super().__init__()
        self.bench, self.limits, self.history = bench, limits, []

    def on_train_begin(self, logs=None):
        self.history.append((0.0, 0, 0.0, self.bench.mse(self.model)))

    def on_train_batch_end(self, batch, logs=None):
        mse, seconds = self.bench.mse(self.model), logs["seconds"]
        progress = getattr(self.model, "progress", None)
        examples = progress.examples if progress else int(logs["cost"])
        self.history.append((logs["cost"], examples, seconds, mse))
        targets = self.bench.targets
        open_limits = [
            limit
            for limit, target in zip(self.limits, targets, strict=True)
            if all(row[3] > target for row in self.history)
        ]
        if not np.isfinite(mse) or not open_limits or seconds > max(open_limits):
            self.model.stop_training = True


def reached(outcome, targets, column=2):
    """Seconds (or another column) to each target."""
    errors = [row[3] for row in outcome.history]
    spent = [row[column] for row in outcome.history]
    return [cost_to_target(spent, errors, target) for target in targets]


def trials(scheme):
    """Twelve for each scheme."""
    if scheme == "cycles":
        return [
            Trial(scheme, "Adam", rate, k)
            for rate in (8e-3, 4e-3, 1.6e-2, 2e-3)
            for k in (2, 8, 1)
        ]
    return [Trial(scheme, name, rate) for name in OPTIMIZERS for rate in RATES]


def tuned(bench, scheme, candidates):
    """The best trial for each target, on the tuning seed."""
    best = [(bench.limit, None)] * len(FRACTIONS)
    for trial in candidates:
        limits = [seconds for seconds, _ in best]
        seconds = reached(bench.run(trial, TUNING_SEED, limits), bench.targets)
        best = [
            (new, trial) if new < old[0] else old
            for new, old in zip(seconds, best, strict=True)
        ]
        print(f"    {trial}: {np.round(seconds, 2)}", flush=True)
    return [trial for _, trial in best]


def measure(name, limit, quick):
    """All schemes of a task; rows of the table, and the outcomes."""
    data = task(name)
    bench = Bench(data, limit)
    keras.utils.set_random_seed(TUNING_SEED)
    first = bench.mse(bench.network())
    bench.targets = [first / fraction for fraction in FRACTIONS]
    print(f"{name}: first MSE {first:.4f}, targets {np.round(bench.targets, 5)}")
    outcomes, chosen = [], {}
    for scheme in ("plain", "start", "cycles"):
        candidates = trials(scheme)
        chosen[scheme] = tuned(bench, scheme, candidates[:3] if quick else candidates)
    chosen["fit"] = [
        trial and trial._replace(scheme="fit") for trial in chosen["plain"]
    ]
    for best in chosen.values():
        for trial in dict.fromkeys(filter(None, best)):
            for seed in SEEDS[:1] if quick else SEEDS:
                outcomes.append(bench.run(trial, seed))
    return bench, chosen, outcomes


def rows(bench, chosen, outcomes):
    """For each scheme and target: trial, and medians of C(t), evaluations, seconds."""
    for scheme in ("fit", "plain", "start", "cycles"):
        for i, fraction in enumerate(FRACTIONS):
            trial = chosen[scheme][i]
            runs = [x for x in outcomes if x.trial == trial]
            if trial is None:
                yield scheme, fraction, None, [], [], [], 0.0
                continue
            costs, examples, seconds = (
                [reached(x, bench.targets, column)[i] for x in runs]
                for column in (0, 1, 2)
            )
            compiling = runs[0].compile_seconds
            yield scheme, fraction, trial, costs, examples, seconds, compiling


def report(name, bench, chosen, outcomes):
    """Print a task's table, as Markdown; the same as plain values."""
    table = list(rows(bench, chosen, outcomes))
    print(f"\n### {name}\n")
    print(
        "| target | scheme | tuned | C(t) | gradients | seconds, each seed | seconds |"
        " x cycles | with compiling |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    cycles = {
        row[1]: np.median(row[5]) for row in table if row[0] == "cycles" and row[5]
    }
    for fraction in FRACTIONS:
        for scheme, _, trial, costs, examples, seconds, compiling in (
            row for row in table if row[1] == fraction
        ):
            if trial is None:
                print(f"| 1/{fraction} | {scheme} | | | | not reached | | | |")
                continue
            k = f", k {trial.smoothing_steps}" if trial.smoothing_steps else ""
            each = ", ".join(
                "not reached" if np.isinf(s) else f"{s:.2f}" for s in seconds
            )
            median = np.median(seconds)
            ratio = median / cycles.get(fraction, np.nan)
            print(
                f"| 1/{fraction} | {scheme} | {trial.optimizer} {trial.rate:g}{k} "
                f"| {np.median(costs):,.0f} | {np.median(examples):,.0f} | {each} "
                f"| {median:.2f} | {ratio:.1f} | {median + compiling:.1f} |",
                flush=True,
            )
    return [
        {
            "task": name,
            "target": bench.targets[FRACTIONS.index(fraction)],
            "fraction": fraction,
            "scheme": scheme,
            "trial": trial and trial._asdict(),
            "costs": costs,
            "gradients": examples,
            "seconds": seconds,
            "compile_seconds": compiling,
        }
        for scheme, fraction, trial, costs, examples, seconds, compiling in table
    ]


def picture(panels, path):
    """MSE against seconds of training, a panel for each task."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    styles = {"fit": ":", "plain": "--", "start": "-.", "cycles": "-"}
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(4.6 * len(panels), 4), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axis, (name, bench, chosen, outcomes) in zip(axes[0], panels, strict=True):
        for scheme, style in styles.items():
            runs = [x for x in outcomes if x.trial == chosen[scheme][0]]
            for i, run in enumerate(runs):
                axis.loglog(
                    [row[2] for row in run.history[1:]],
                    [row[3] for row in run.history[1:]],
                    style,
                    color="black" if scheme == "cycles" else "0.5",
                    linewidth=1.6 if scheme == "cycles" else 1.2,
                    label=scheme if i == 0 else None,
                )
        for target in bench.targets:
            axis.axhline(target, color="0.85", linewidth=0.8, zorder=0)
        axis.set(title=name, xlabel="seconds of training", ylabel="validation MSE")
        axis.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="n = 1024, one seed")
    parser.add_argument("--task", nargs="+", default=None)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of a run")
    parser.add_argument("--figure", type=Path, default=Path("figures/clock.png"))
    parser.add_argument("--json", type=Path, default=Path("runs/clock.json"))
    options = parser.parse_args()
    names = options.task or (TASKS[:1] if options.quick else TASKS)
    panels, values = [], []
    for name in names:
        parts = measure(name, 15.0 if options.quick else options.limit, options.quick)
        values += report(name, *parts)
        panels.append((name, *parts))
        picture(panels, options.figure)
        options.json.parent.mkdir(parents=True, exist_ok=True)
        command = f"python -m benchmarks.clock --limit {options.limit:g} --task "
        command += " ".join(names) + " --quick" * options.quick
        record = {"provenance": provenance(command), "rows": values}
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\nfigure: {options.figure}; numbers: {options.json}")


if __name__ == "__main__":
    main()
