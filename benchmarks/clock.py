"""Seconds to a target: training on coarsened data against tuned plain training.

    python -m benchmarks.clock [--quick] [--task one-object-1024 ...]

Three baselines and the multilevel run, on the same data, to the same absolute targets:
a tenth, a twentieth and a fiftieth of the plain network's first validation MSE (the
last, strict one is .010 for MNIST, where nothing reaches a fiftieth).

    fit       keras.Model.fit, jit_compile on or off, whichever is faster
    plain     this library's compiled engine, level 0 only
    start     the same from the multilevel start (weights drawn on every level)
    cycles    on coarsened data, from the multilevel start

So fit/plain is what the engine gives, plain/start what the start gives, and
start/cycles what the cycles give. Every scheme is tuned with as many trials: at most
fourteen, of which a trial that has used up the best one's seconds is cut off, and one
that seems better is made on a second seed before it counts. For the first two they are
seven rates of two optimizers; for the cycles four rates of Adam, and then, at those
that were best for the first and for the last target, or at the best one and its double,
five more schedules. (The six are the pick of some fifty that were tried on the same two
seeds of four tasks.) `fit` trains as `plain` does, but for the small last batch of each
pass, so it takes over its optimizer and rate. The medians are over three other seeds.
Seconds are of averaging the data and of training: without evaluation, and without
compiling, which stands in a column of its own.
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
from msann.cost import cost_to_target
from msann_keras.multilevel_optimizer import begin_anew

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
#: Steps of plain training in a compiled call, and between evaluations.
PLAIN_STEPS = 16


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
        watch = _Watch(self, limits or [self.limit] * len(TARGETS))
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
        self.reset(model, network(self.size), trial)
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
                steps_per_execution=PLAIN_STEPS,
            )
            seconds = []
            for _ in range(3):
                clock = _PlainClock()
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
        schedule = ms.Schedule((ms.Visit(0, PLAIN_STEPS),))
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
        if trial.scheme != "plain":
            drawn = ms.multilevel(start, self.data.depth, self.data.topology)
            start = drawn.merge()
        self.reset(model, start, trial)
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

    def reset(self, model, start, trial):
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
        begin_anew(optimizer, model.trainable_variables)
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


def tuned(bench, scheme, quick):
    """The best trial for each target: at most fourteen for each scheme."""
    if scheme == "cycles":
        first, *others = list(SCHEDULES)[: 2 if quick else None]
        rates = RATES[: 1 if quick else 4]
        best = best_of(bench, [Trial(scheme, "Adam", rate, first) for rate in rates])
        found = [trial.rate for _, trial in best if trial] or rates
        low, high = sorted((found[0], found[-1]))
        rates = low, high if high > low else 2 * low
        trials = [Trial(scheme, "Adam", rate, x) for x in others for rate in rates]
        best = best_of(bench, trials, best)
    else:
        rates = RATES[: 2 if quick else None]
        trials = [Trial(scheme, name, rate) for name in OPTIMIZERS for rate in rates]
        best = best_of(bench, trials)
    return [trial for _, trial in best]


def best_of(bench, trials, best=None):
    """For each target the least seconds of these trials and `best`, and the trial.

    A trial that seems better is made on a second seed, and the mean counts.
    """
    best = best or [(bench.limit, None)] * len(TARGETS)
    for trial in trials:
        limits = [seconds for seconds, _ in best]
        runs = []
        for seed in TUNING_SEEDS:
            runs.append(reached(bench.run(trial, seed, limits), bench.targets))
            seconds = np.mean(runs, axis=0)
            if not any(seconds < limits):
                break
        else:
            best = [
                (new, trial) if new < old[0] else old
                for new, old in zip(seconds, best, strict=True)
            ]
        print(f"    {' '.join(map(str, trial))}: {np.round(seconds, 2)}", flush=True)
    return best


def measure(name, limit, quick):
    """All schemes of a task; rows of the table, and the outcomes."""
    data = task(name)
    bench = Bench(data, limit)
    keras.utils.set_random_seed(TUNING_SEEDS[0])
    first = bench.mse(network(bench.size))
    bench.targets = [first / 10, first / 20, data.strict or first / 50]
    print(f"{name}: first MSE {first:.4f}, targets {np.round(bench.targets, 5)}")
    outcomes, chosen = [], {}
    for scheme in ("plain", "start", "cycles"):
        chosen[scheme] = tuned(bench, scheme, quick)
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
        for i, target in enumerate(bench.targets):
            trial = chosen[scheme][i]
            runs = [x for x in outcomes if x.trial == trial]
            if trial is None:
                yield scheme, target, None, [], [], [], 0.0
                continue
            costs, examples, seconds = (
                [reached(x, bench.targets, column)[i] for x in runs]
                for column in (0, 1, 2)
            )
            compiling = runs[0].compile_seconds
            yield scheme, target, trial, costs, examples, seconds, compiling


def report(name, bench, chosen, outcomes):
    """Print a task's table, as Markdown; the same as plain values."""
    table = list(rows(bench, chosen, outcomes))
    print(f"\n### {name}\n")
    print(
        "| target | scheme | tuned | C(t) | gradients | seconds, each seed | seconds |"
        " / cycles | with compiling | / cycles |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for label, target in zip(TARGETS, bench.targets, strict=True):
        lines = [row for row in table if row[1] == target]
        cycles = _times(*lines[-1][5:]) if lines[-1][2] else (np.inf, np.inf)
        for scheme, _, trial, costs, examples, seconds, compiling in lines:
            if trial is None:
                print(f"| {label} | {scheme} | | | | not reached | | | | |")
                continue
            each = ", ".join(
                "not reached" if np.isinf(s) else f"{s:.2f}" for s in seconds
            )
            own = _times(seconds, compiling)
            ratios = [x / y if np.isfinite([x, y]).all() else np.nan
                      for x, y in zip(own, cycles, strict=True)]  # fmt: skip
            print(
                f"| {label} ({target:.4f}) | {scheme} | {trial.optimizer} "
                f"{trial.rate:g} {trial.schedule} | {np.median(costs):,.0f} "
                f"| {np.median(examples):,.0f} | {each} | {own[0]:.2f} "
                f"| {ratios[0]:.1f} | {own[1]:.1f} | {ratios[1]:.1f} |",
                flush=True,
            )
    return [
        {
            "task": name,
            "target": target,
            "scheme": scheme,
            "trial": trial and trial._asdict(),
            "costs": costs,
            "gradients": examples,
            "seconds": seconds,
            "compile_seconds": compiling,
        }
        for scheme, target, trial, costs, examples, seconds, compiling in table
    ]


def _times(seconds, compiling):
    """The median over seeds, without and with compiling."""
    return np.median(seconds), np.median(seconds) + compiling


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
    limit = 15.0 if options.quick else options.limit
    panels, values = [], []
    for name in names:
        parts = measure(name, limit, options.quick)
        values += report(name, *parts)
        panels.append((name, *parts))
        picture(panels, options.figure)
        options.json.parent.mkdir(parents=True, exist_ok=True)
        command = f"python -m benchmarks.clock --limit {limit:g} --task "
        command += " ".join(names) + " --quick" * options.quick
        record = {"provenance": provenance(command), "rows": values}
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\nfigure: {options.figure}; numbers: {options.json}")


if __name__ == "__main__":
    main()
