"""What a step at each level costs with the fine gradient, in plain steps.

    python -m benchmarks.fine_gradient [--steps-per-execution 32] [--topology path]

Trains the paper's network 1024-256-128-256-1024 through `fit`, at one level for a
while, in turn with the same network as a plain `keras.Model`. Every scheme has the
better of `jit_compile` on and off. All numbers are medians over rounds of one run, as
multiples of the plain step of the same round.
"""

import argparse
import os
from functools import partial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import msann_keras as ms
from experiments.callbacks import Seconds

SIZES = (1024, 256, 128, 256, 1024)
DEPTH = 6
BATCH = 128


def network():
    return keras.Sequential(
        [keras.Input((SIZES[0],))]
        + [keras.layers.Dense(n, activation="sigmoid") for n in SIZES[1:]]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps-per-execution", type=int, default=32)
    parser.add_argument("--steps", type=int, default=192, help="batches a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--topology", choices=["path", "grid"], default="path")
    options = parser.parse_args()
    image = tf.random.stateless_uniform((BATCH, SIZES[0]), seed=(7, 3))
    data = tf.data.Dataset.from_tensors((image, image)).cache().repeat()

    def seconds_per_step(model, callbacks=()):
        clock = Seconds(BATCH)
        model.fit(
            data,
            steps_per_epoch=options.steps,
            callbacks=[*callbacks, clock],
            shuffle=False,
            verbose=0,
        )
        return clock.seconds / options.steps

    schemes = {}
    for jit in (True, False):
        plain = network()
        multilevel = ms.multilevel(network(), DEPTH, options.topology)
        for model in (plain, multilevel):
            model.compile(
                keras.optimizers.Adam(1e-3),
                "mse",
                steps_per_execution=options.steps_per_execution,
                jit_compile=jit,
            )
        schemes["plain", jit] = partial(seconds_per_step, plain)
        for level in range(DEPTH + 1):
            at_level = ms.CycleSchedule(schedule=ms.Schedule((ms.Visit(level, 1),)))
            schemes[level, jit] = partial(seconds_per_step, multilevel, [at_level])
    for scheme in schemes.values():
        scheme()  # trace and compile
    rounds = [
        {key: scheme() for key, scheme in schemes.items()}
        for _ in range(options.rounds)
    ]

    def best(round_, name):
        return min(round_[name, True], round_[name, False])

    plain = np.median([best(round_, "plain") for round_ in rounds])
    print(
        f"steps of 1024-256-128-256-1024, {options.topology}, batch {BATCH}, Adam, "
        f"steps_per_execution {options.steps_per_execution}; "
        f"a plain step takes {1e3 * plain:.1f} ms\n\nlevel  step / plain step"
    )
    for level in range(DEPTH + 1):
        ratios = [best(round_, level) / best(round_, "plain") for round_ in rounds]
        print(f"{level:>5}  {np.median(ratios):.2f}")


if __name__ == "__main__":
    main()
