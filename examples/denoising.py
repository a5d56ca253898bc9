"""Find tones in noise by a dense autoencoder: a warm start against plain `fit`.

Tones of random pitch, phase and fading, 1,024 points long, in white noise nearly as
strong as they are. The plan tells noise in the inputs, which averaging takes away, from
what the targets need. A Gaussian filter of the best width is there to compare with.

    python examples/denoising.py
"""

from pathlib import Path
from time import perf_counter as now

import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter1d

import msann_keras as ms

rng, places = np.random.default_rng(0), np.linspace(0, 1, 1024)
pitch, phase, fading = rng.uniform([2, 0, 0], [8, 1, 3], (3400, 3)).T[:, :, None]
y = np.sin(2 * np.pi * (pitch * places + phase)) * np.exp(-fading * places)
x = y + 0.8 * y.std() * rng.normal(size=y.shape)
x, x_new, y, y_new = x[400:], x[:400], y[400:], y[:400]


def train(is_started, epochs):
    """A model, and seconds and errors at the end of each epoch."""
    began, ends = now(), []
    layers = [keras.layers.Dense(n, activation="gelu") for n in (512, 128, 512)]
    model = keras.Sequential([keras.Input((1024,)), *layers, keras.layers.Dense(1024)])
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    if is_started:
        print(ms.warm_start(model, x, y, batch_size=128, seconds=2, verbose=0))
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: ends.append(now()))
    options = {"validation_data": (x_new, y_new), "callbacks": [clock], "verbose": 0}
    history = model.fit(x, y, batch_size=128, epochs=epochs, **options).history
    return model, np.array(ends) - began, history["val_loss"] / np.var(y_new)


filtered = [gaussian_filter1d(x_new, width) for width in range(4, 41, 4)]
best = min(np.mean((one - y_new) ** 2) for one in filtered) / np.var(y_new)
print(f"Gaussian filter, the best of {len(filtered)}: error {best:.3f}")
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
left.axhline(best, color="0.75", linestyle="--", label="Gaussian filter")
right.plot(x_new[0], color="0.85", linewidth=0.5)
for name, n, colour in (("warm start", 3, "navy"), ("plain fit", 14, "darkorange")):
    model, seconds, errors = train(name != "plain fit", epochs=n)
    print(f"{name}, {n} epochs: error {errors[-1]:.3f} after {seconds[-1]:.1f} s")
    left.semilogy(seconds, errors, ".-", color=colour, label=name)
    right.plot(model.predict(x_new[:1], verbose=0)[0], color=colour)
left.set(xlabel="seconds, all counted", ylabel="error on new signals")
left.legend()
Path("figures").mkdir(exist_ok=True)
figure.savefig("figures/denoising.png", dpi=90)
print("figures/denoising.png")
