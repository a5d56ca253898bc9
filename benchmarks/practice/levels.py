"""What a level costs: compiling and a step, with XLA and without.

    python -m benchmarks.practice.levels [--task poisson-64] [--repeats 3] [--steps 96]

A warm start compiles no level by XLA on TensorFlow. This prints, for each level that it
visits and for the whole network, what making it ready takes (networks are fresh each
time), what a step takes then, and how many steps XLA must make before it has earned
what compiling by it takes longer. Medians of the repeats.
"""

import argparse
import os
import time
from statistics import median
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from benchmarks.practice.tasks import TASKS
from msann_keras.backends import here
from msann_keras.nested.data import held_back
from msann_keras.nested.level import Level
from msann_keras.plan import planned
from msann_keras.samples import some_of
from msann_keras.spaces import functional


def measured(make, repeats, count):
    """Medians: seconds until ready, and seconds of a step, of so many that are made."""
    ready, steps = [], []
    for _ in range(repeats):
        level = make()
        began = time.perf_counter()
        level.make_ready()
        ready.append(time.perf_counter() - began)
        began = time.perf_counter()
        level.fit(steps=count)
        steps.append((time.perf_counter() - began) / count)
    return median(ready), median(steps)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.practice.levels",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--task", choices=TASKS, default="poisson-64")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=96, help="that are timed")
    options = parser.parse_args(arguments)
    task = TASKS[options.task]
    data = task.data(1)
    model = task.network(None)
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    graph = functional(model)
    parts = some_of(data.x, data.y, None, graph, 2**40)
    plan, coarsening = planned(graph, parts, task.topology(), "auto", task.batch_size)
    samples = held_back(parts, np.random.default_rng(0))
    print(
        "| level | parameters | ready, s | with XLA | a step, ms | with XLA | pays at |"
    )
    print("|---|---|---|---|---|---|---|")
    for number in (*plan.visited, 0):
        one = plan.levels[number]
        sizes = task.batch_size, task.batch_size
        given = model, coarsening, number, samples, sizes, one.step_seconds

        def level(given=given):
            return Level(*given)

        plain = measured(level, options.repeats, options.steps)
        with mock.patch.object(here, "JITS", True):
            by_xla = measured(level, options.repeats, options.steps)
        gain = plain[1] - by_xla[1]
        pays = f"{(by_xla[0] - plain[0]) / gain:,.0f} steps" if gain > 0 else "never"
        print(
            f"| {number} | {one.parameters:,} | {plain[0]:.2f} | {by_xla[0]:.2f} "
            f"| {1e3 * plain[1]:.2f} | {1e3 * by_xla[1]:.2f} | {pays} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
