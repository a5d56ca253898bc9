"""Does time follow C(t)? Cycles on coarsened data, in what the paper charges for them.

    python -m benchmarks.cost [--size 1024 4096] [--cycles-per-call 1]

A cycle of cost C should take C / 128 steps of level 0. The table has seconds of
training divided by that, for the network n, n/4, n/8, n/4, n of the paper, batch 128
and Adam. Steps of level 0 are this engine's own, 64 of them in a call. Every number is
a median over rounds of one run, each against the step of level 0 of its round.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import msann_keras as ms
from benchmarks.clock.bench import BATCH, network
from experiments.callbacks import Watch
from experiments.synthetic import one_object

LEVEL_0 = ms.Schedule((ms.Visit(0, 64),))


def seconds_per_step(model, data, schedule, calls):
    """Seconds of a call over its C(t) / 128, the median over some calls."""
    watch = Watch(lambda model: 0.0)
    model.fit(
        *data,
        batch_size=BATCH,
        steps_per_epoch=calls * model.steps_per_execution,
        callbacks=[ms.CycleSchedule(schedule=schedule, coarsen_data=True), watch],
        verbose=0,
    )
    costs, _, seconds, _ = np.transpose(watch.history)
    return np.median(BATCH * np.diff(seconds) / np.diff(costs))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", nargs="+", type=int, default=[1024, 4096])
    parser.add_argument("--depth", nargs="+", type=int, default=[2, 4, 6])
    parser.add_argument("--gamma", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--steps", nargs="+", type=int, default=[1, 4, 16])
    parser.add_argument("--cycles-per-call", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("| n | L | gamma | " + " | ".join(f"k {k}" for k in options.steps) + " |")
    print("|---|---|---|" + "---|" * len(options.steps))
    for n in options.size:
        data = one_object(n, samples=4000, validation=1, seed=2019)[:2]
        for depth in options.depth:
            model = ms.multilevel(network(n), depth)
            model.compile("adam", "mse", steps_per_execution=options.cycles_per_call)
            for gamma in options.gamma:
                cells = []
                for k in options.steps:
                    schedule = ms.schedules.gamma_cycle(depth, gamma, k)
                    seconds_per_step(model, data, schedule, 1)  # may have to compile
                    seconds_per_step(model, data, LEVEL_0, 1)
                    ratios = [
                        seconds_per_step(model, data, schedule, 3)
                        / seconds_per_step(model, data, LEVEL_0, 1)
                        for _ in range(options.rounds)
                    ]
                    cells.append(f"{np.median(ratios):.2f}")
                print(
                    f"| {n} | {depth} | {gamma} | " + " | ".join(cells) + " |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
