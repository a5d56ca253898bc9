"""Which depth and rate suit your model? A small sweep by Optuna, everything counted.

Each trial makes a new model and has 1.5 seconds in all: planning, compiling, the start
and `fit`. Depth 0 is plain training, so it is tuned as long as the others are.

    python examples/sweep.py
"""

from pathlib import Path
from time import perf_counter as now

import keras
import matplotlib.pyplot as plt
import numpy as np
import optuna

import msann_keras as ms

SECONDS, GRID = 1.5, {"depth": [0, 3, 5], "rate": [1e-3, 4e-3]}
rng, places = np.random.default_rng(0), np.linspace(0, 1, 512)
phase = rng.uniform(0, 1, (2, 2300, 1))  # waves, and where they are after a while
x = np.sin(2 * np.pi * (places + phase[0])) + np.sin(6 * np.pi * (places + phase[1]))
y = np.tanh(np.roll(x, 50, axis=1))
x, x_new, y, y_new = x[300:], x[:300], y[300:], y[:300]


def error(trial):
    """On new waves, after so many seconds."""
    depth, rate = (trial.suggest_categorical(*one) for one in GRID.items())
    began = now()
    layers = [keras.layers.Dense(n, a) for n, a in ((256, "gelu"), (512, None))]
    model = keras.Sequential([keras.Input((512,)), *layers])
    model.compile(keras.optimizers.Adam(rate), "mse")

    def look(step, logs=None):
        model.stop_training = now() - began > SECONDS

    clock = keras.callbacks.LambdaCallback(on_train_batch_end=look, on_epoch_end=look)
    options = {"batch_size": 64, "callbacks": [clock], "verbose": 0}
    ms.warm_start(model, x, y, depth=depth, **options)
    model.fit(x, y, epochs=100, **options)
    return model.evaluate(x_new, y_new, verbose=0) / np.var(y_new)


optuna.logging.set_verbosity(optuna.logging.WARNING)
# With storage="sqlite:///sweep.db", say, it may be killed, and several share it.
study = optuna.create_study(sampler=optuna.samplers.GridSampler(GRID, seed=0))
study.optimize(error)
for depth, colour in zip(GRID["depth"], ("0.7", "darkorange", "navy"), strict=True):
    trials = [one for one in study.trials if one.params["depth"] == depth]
    points = sorted((one.params["rate"], one.value) for one in trials)
    plt.loglog(*zip(*points, strict=True), "o-", color=colour, label=f"L = {depth}")
    least, rate = min((value, rate) for rate, value in points)
    print(f"L = {depth}: error {least:.5f} at the best rate, {rate:g}")
print(f"The best of {len(study.trials)} trials is {study.best_params}")
plt.legend(title=f"error after {SECONDS} s against the rate")
Path("figures").mkdir(exist_ok=True)
plt.savefig("figures/sweep.png", dpi=72)
print("figures/sweep.png")
