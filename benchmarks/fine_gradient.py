"""What a step at each level costs with the fine gradient, in plain steps.

    python benchmarks/fine_gradient.py [--steps-per-execution 32] [--rounds 9]

Trains the paper's network 1024-256-128-256-1024 through `fit`, at one level for a
while, in turn with the same network as a plain `keras.Model`. Every scheme has the
better of `jit_compile` on and off. All numbers are medians over rounds of one run, as
multiples of the plain step of the same round.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import msann_keras as ms

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
    parser.add_argument("--steps", type=int, default=64, help="batches a round")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()

    images = tf.random.stateless_uniform((BATCH, SIZES[0]), seed=(7, 3))
    data = tf.data.Dataset.from_tensors((images, images)).cache().repeat()

    def trainer(model, jit, callbacks):
        model.compile(
            keras.optimizers.Adam(1e-3),
            "mse",
            steps_per_execution=arguments.steps_per_execution,
            jit_compile=jit,
        )

        def seconds_per_step():
            began = time.perf_counter()
            steps = arguments.steps
            model.fit(data, steps_per_epoch=steps, verbose=0, callbacks=callbacks)
            return (time.perf_counter() - began) / steps

        return seconds_per_step

    schemes = {}
    for jit in (True, False):
        schemes["plain", jit] = trainer(network(), jit, [])
        multilevel = ms.multilevel(network(), DEPTH)
        for level in range(DEPTH + 1):
            schedule = ms.Schedule((ms.Visit(level, 1),))
            model = keras.models.clone_model(multilevel)
            schemes[level, jit] = trainer(
                model, jit, [ms.CycleSchedule(schedule=schedule)]
            )
    for scheme in schemes.values():
        scheme()  # trace and compile
    rounds = [
        {key: scheme() for key, scheme in schemes.items()}
        for _ in range(arguments.rounds)
    ]

    def best(round_, name):
        return min(round_[name, True], round_[name, False])

    plain = np.median([best(r, "plain") for r in rounds])
    print(
        f"{'level':>6}  {'step / plain step':>17}   (batch {BATCH}, Adam, "
        f"steps_per_execution {arguments.steps_per_execution}, "
        f"plain step {1e3 * plain:.1f} ms)"
    )
    for level in range(DEPTH + 1):
        ratio = np.median([best(r, level) / best(r, "plain") for r in rounds])
        print(f"{level:>6}  {ratio:>17.2f}")


if __name__ == "__main__":
    main()
