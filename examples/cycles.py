"""The paper's method: cycles through the levels, by its gradient and on averaged data.

A network finds an object, a run of 64 ones, in a noisy row of 512 pixels. C(t) is
the paper's cost: an example at level l counts as that level's share of the parameters.
By the fine gradient that is not time, for each step runs the whole network.

    python examples/cycles.py
"""

from pathlib import Path
from time import perf_counter as now

import keras
import matplotlib.pyplot as plt
import numpy as np

import msann_keras as ms

rng = np.random.default_rng(0)
starts, places = rng.integers(0, 449, (4500, 1)), np.arange(512)
y = ((places >= starts) & (places < starts + 64)).astype("float32")
x = np.maximum(y, rng.random(y.shape) < 0.05).astype("float32")
x, x_new, y, y_new = x[500:], x[:500], y[500:], y[:500]


def train(cycles, epochs, calls):
    """C(t), seconds and errors on new rows."""
    began = now()
    layers = [keras.layers.Dense(n, "sigmoid") for n in (256, 128, 256, 512)]
    model = ms.multilevel(keras.Sequential([keras.Input((512,)), *layers]), depth=3)
    model.compile(keras.optimizers.Adam(4e-3), "mse", steps_per_execution=calls)
    new = {"x": x_new, "y": y_new, "batch_size": 500, "verbose": 0}
    watch = ms.Evaluate(lambda model: (model.evaluate(**new), now() - began), cost=1000)
    callbacks = [cycles, watch]
    model.fit(x, y, batch_size=128, epochs=epochs, verbose=0, callbacks=callbacks)
    errors, seconds = zip(*(one.result for one in watch.history), strict=True)
    return [one.cost for one in watch.history], seconds, errors


level_0 = ms.CycleSchedule(schedule=ms.schedules.plain())
W = ms.CycleSchedule(gamma=2, smoothing_steps=4)
V = ms.CycleSchedule(gamma=1, smoothing_steps=4, coarsen_data=True)
figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
for name, cycles, epochs, colour in (
    ("level 0 only", level_0, 8, "0.7"),
    ("W-cycles, fine gradient", W, 10, "darkorange"),
    ("V-cycles, averaged data", V, 4, "navy"),
):
    *measures, errors = train(cycles, epochs, 1 if cycles is V else 8)
    cost, seconds = (ms.cost.cost_to_fraction(one, errors) for one in measures)
    print(f"{name}: a tenth of the first error at C(t) = {cost:,.0f}, {seconds:.1f} s")
    for axis, label, one in zip(axes, ("C(t)", "seconds"), measures, strict=True):
        axis.semilogy(one, errors, color=colour, label=name)
        axis.set_xlabel(label)
axes[0].legend(title="error on new rows")
Path("figures").mkdir(exist_ok=True)
figure.savefig("figures/cycles.png", dpi=90)
print("figures/cycles.png")
