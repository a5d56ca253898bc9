"""What steps take on the backend that Keras runs on: `python -m benchmarks.backends`.

    KERAS_BACKEND=jax .venv-jax/bin/python -m benchmarks.backends

A plain step, a step at each level by the fine gradient, V-cycles, a whole V-cycle on
coarsened data, and what the first call takes, which compiles. Each number is the median
of five.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import msann_keras as ms

SIZE, DEPTH, BATCH, BATCHES, CALL = 1024, 3, 128, 24, 8
RNG = np.random.default_rng(0)
X = RNG.normal(size=(BATCH * BATCHES, SIZE)).astype("float32")


def plain():
    """Three layers, each as wide as the input."""
    layers = [keras.layers.Dense(SIZE, activation="gelu") for _ in range(2)]
    return keras.Sequential([keras.Input((SIZE,)), *layers, keras.layers.Dense(SIZE)])


def timed(model, jit, level=None, cycles=False):
    """Seconds of the first call, and of a batch afterwards."""
    model.compile("adam", "mse", jit_compile=jit, steps_per_execution=CALL)
    if level is not None:
        model.level = level

    def fit(samples):
        callbacks = [ms.CycleSchedule(gamma=1, smoothing_steps=2)] if cycles else []
        some = X[:samples]
        began = time.perf_counter()
        model.fit(some, some, batch_size=BATCH, verbose=0, callbacks=callbacks)
        return time.perf_counter() - began

    first = fit(len(X) if cycles else CALL * BATCH)
    later = [fit(len(X)) / BATCHES for _ in range(5)]
    return first, float(np.median(later))


def coarsened(jit):
    """The same of a cycle on coarsened data, and seconds that compiling took."""
    model = ms.multilevel(plain(), DEPTH)
    model.compile("adam", "mse", jit_compile=jit, steps_per_execution=CALL)
    cycles = ms.CycleSchedule(gamma=1, smoothing_steps=2, coarsen_data=True)
    options = {"batch_size": BATCH, "steps_per_epoch": CALL, "verbose": 0}
    history = model.fit(X, X, epochs=6, callbacks=[cycles], **options).history
    first = model.compile_seconds + history["seconds"][0]
    later = np.diff(history["seconds"]) / CALL
    return first, float(np.median(later)), model.compile_seconds


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.backends",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    backend = keras.backend.backend()
    columns = ["backend", "jitted", "what trains", "first call, s"]
    columns += ["a batch or cycle, ms", "of a plain step"]
    print(f"| {' | '.join(columns)} |")
    print(f"|{'---|' * len(columns)}")
    for jit in (False, True) if backend == "tensorflow" else (True,):
        rows = {"a plain model": timed(plain(), jit)}
        for level in range(DEPTH + 1):
            model = ms.multilevel(plain(), DEPTH)
            rows[f"level {level}"] = timed(model, jit, level)
        rows["V-cycles"] = timed(ms.multilevel(plain(), DEPTH), jit, cycles=True)
        first, cycle, compiling = coarsened(jit)
        rows["a cycle on coarsened data"] = first, cycle
        rows["compiling it"] = compiling, None
        _, step = rows["a plain model"]
        for name, (first, batch) in rows.items():
            cells = [backend, "yes" if jit else "no", name, f"{first:.1f}"]
            later = [f"{1e3 * batch:.1f}", f"{batch / step:.2f}"] if batch else ["", ""]
            cells += later
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
