"""Learn what Burgers' equation does to a wave: a warm start against plain `fit`.

A dense network takes a wave of 1,024 points on a ring to what has become of it .3
later. Both ways have the same data and rate, and about as many seconds, which count all
from the new model on: planning, compiling, training. Errors are shares of the variance.

    python examples/pde_surrogate.py
"""

from pathlib import Path
from time import perf_counter as now

import keras
import matplotlib.pyplot as plt
import numpy as np

import msann_keras as ms

# Random waves, and 150 steps of the pseudo-spectral method on 256 points.
rng, waves = np.random.default_rng(0), np.arange(129, dtype="float32")
state = rng.normal(size=(2, 2700, 129)).astype("float32") * 60 * (waves > 0)
state = (state[0] + 1j * state[1]) * np.exp(-((waves / 8) ** 2))
x = np.fft.irfft(4 * state, 1024).astype("float32")
for _ in range(150):
    flux = np.fft.rfft(np.fft.irfft(state) ** 2) * (waves < 85)
    state = (state - 2e-3j * np.pi * waves * flux) * np.exp(-1.6e-3 * waves**2)
y = np.fft.irfft(4 * state, 1024).astype("float32")
x, x_new, y, y_new = x[300:], x[:300], y[300:], y[:300]


def train(is_started, epochs):
    """A model, and seconds and errors at the end of each epoch."""
    began, ends = now(), []
    layers = [keras.layers.Dense(512, activation="gelu") for _ in range(2)]
    model = keras.Sequential([keras.Input((1024,)), *layers, keras.layers.Dense(1024)])
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * len(x) // 128)
    model.compile(keras.optimizers.Adam(rate), "mse")
    if is_started:
        print(ms.warm_start(model, x, y, batch_size=128, seconds=2, verbose=0))
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: ends.append(now()))
    options = {"validation_data": (x_new, y_new), "callbacks": [clock], "verbose": 0}
    history = model.fit(x, y, batch_size=128, epochs=epochs, **options).history
    return model, np.array(ends) - began, history["val_loss"] / np.var(y_new)


figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
for name, n, colour in (("warm start", 3, "navy"), ("plain fit", 10, "darkorange")):
    model, seconds, errors = train(name != "plain fit", epochs=n)
    print(f"{name}, {n} epochs: error {errors[-1]:.4f} after {seconds[-1]:.1f} s")
    left.semilogy(seconds, errors, ".-", color=colour, label=name)
    right.plot(model.predict(x_new[:1], verbose=0)[0], color=colour)
right.plot(y_new[0], ":", color="0.45", label="the equation")
left.set(xlabel="seconds, all counted", ylabel="error on new waves")
right.set(xlabel="point of the ring", ylabel="one new wave, .3 later")
left.legend(), right.legend()
Path("figures").mkdir(exist_ok=True)
figure.savefig("figures/pde_surrogate.png", dpi=90)
print("figures/pde_surrogate.png")
