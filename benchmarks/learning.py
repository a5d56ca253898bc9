"""Do coarsened data teach the same, and what are rates, steps and tau by level worth?

    python -m benchmarks.learning [--seeds 618 2357 9041] [--budget 60000]

One object, n = 1024, V-cycles of depth 4, Adam, batch 128. Every way of training starts
from the same weights and is evaluated after smoothing at level 0. For each: the
validation MSE at the last cycle that ends within the budget of C(t), C(t) and seconds
of training to a tenth of the plain network's first MSE, all seeds.
"""

import argparse
import itertools
import os
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import msann_keras as ms
from benchmarks.clock.bench import BATCH, Bench, Trial, network, task
from experiments.callbacks import Watch
from msann.cost import cost_to_target

DEPTH = 4


class Way(NamedTuple):
    """One way to train."""

    data: str  # "fine" or "coarsened"
    rate: float  # of level 0
    by_level: bool  # rates follow Glorot's scale, sqrt(2) a level
    growth: int  # of the steps with the level
    tau: int = 0  # batches of the consistency term at each descent


def ways():
    """Everything that is compared."""
    for rate, growth in itertools.product((5e-4, 8e-3), (1, 2)):
        for data, by_level in itertools.product(("fine", "coarsened"), (False, True)):
            yield Way(data, rate, by_level, growth)
        for batches in (1, 4):
            yield Way("coarsened", rate, True, growth, batches)


def train(bench, models, way, seed, budget):
    """Evaluations of a run: C(t), seconds of training, MSE."""
    coarsen = way.data == "coarsened"
    steps = ms.schedules.Growing(4, way.growth)
    schedule = ms.schedules.gamma_cycle(DEPTH, smoothing_steps=steps)
    if (way.data, way.growth) not in models:
        model = ms.multilevel(network(bench.size), DEPTH)
        per_call = 1 if coarsen else schedule.batches_per_cycle  # a call is a cycle
        model.compile("adam", "mse", steps_per_execution=per_call)
        models[way.data, way.growth] = model
    model = models[way.data, way.growth]
    keras.utils.set_random_seed(seed)
    start = ms.multilevel(network(bench.size), DEPTH, start="paper").merge()
    bench.reset(model, start, Trial(way.data, "Adam", way.rate))
    factors = model.hierarchy.glorot_ratios if way.by_level else (1.0,) * (DEPTH + 1)
    cycles = ms.CycleSchedule(
        schedule=schedule,
        coarsen_data=coarsen,
        rate_factors=factors,
        consistency=way.tau,
    )
    watch = Watch(bench.mse, lambda history: history[-1].cost >= budget)
    options = {"epochs": 10**6, "callbacks": [cycles, watch], "verbose": 0}
    if coarsen:
        model.fit(bench.data.x, bench.data.y, batch_size=BATCH, **options)
    else:
        samples = tf.data.Dataset.from_tensor_slices((bench.data.x, bench.data.y))
        batches = samples.shuffle(len(samples), seed).batch(BATCH, drop_remainder=True)
        model.fit(
            batches.repeat(), steps_per_epoch=model.steps_per_execution, **options
        )
    return [(x.cost, x.seconds, x.mse) for x in watch.history if x.cost <= budget]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[618, 2357, 9041])
    parser.add_argument("--budget", type=float, default=60_000)
    options = parser.parse_args()
    bench, models = Bench(task("one-object-1024"), np.inf), {}
    keras.utils.set_random_seed(options.seeds[0])
    target = bench.mse(network(bench.size)) / 10
    print(f"target {target:.4f}, budget C(t) {options.budget:,.0f}\n")
    print(
        "| data | rate | by level | steps | tau | MSE | mean | C to 1/10 | s to 1/10 |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for way in ways():
        train(bench, models, way, options.seeds[0], 2000)  # compile
        runs = [
            train(bench, models, way, seed, options.budget) for seed in options.seeds
        ]
        final = [run[-1][2] for run in runs]
        spent = [
            [cost_to_target([x[i] for x in run], [x[2] for x in run], target)
             for run in runs]
            for i in (0, 1)
        ]  # fmt: skip
        print(
            f"| {way.data} | {way.rate:g} | {'sqrt 2' if way.by_level else '1'} "
            f"| 4 x {way.growth}^l | {way.tau or '-'} "
            f"| {', '.join(f'{x:.2e}' for x in final)} | {np.mean(final):.2e} "
            f"| {np.median(spent[0]):,.0f} | {np.median(spent[1]):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
