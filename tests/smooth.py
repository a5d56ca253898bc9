"""Smooth data that coarse levels hold, and plain networks on them."""

import keras
import numpy as np

import msann_keras as ms
from msann_keras.nested.level import loss_on


def waves(samples=400, size=64, seed=5):
    """Fields of two long waves, and the same as large as their own square."""
    rng = np.random.default_rng(seed)
    place = np.linspace(0, 1, size, endpoint=False)
    phase = rng.uniform(0, 1, (samples, 2, 1))
    height = rng.uniform(0.2, 1, (samples, 2, 1))
    number = np.array([[1.0], [2.0]])
    x = (height * np.sin(2 * np.pi * (number * place + phase))).sum(axis=1)
    y = x * np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    return x.astype("float32"), y.astype("float32")


def images(samples=300, side=8, seed=5):
    """Images of one long wave in any direction."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:side, :side] / side
    a, b, phase = rng.uniform(0, 1, (3, samples, 1, 1))
    return np.sin(2 * np.pi * (a * row + b * column + phase)).astype("float32")


def network(*sizes, activation="gelu", last=None):
    """Dense layers of some sizes, the first one that of the input."""
    first, *hidden, outputs = sizes
    return keras.Sequential(
        [
            keras.Input((first,)),
            *(keras.layers.Dense(n, activation=activation) for n in hidden),
            keras.layers.Dense(outputs, activation=last),
        ]
    )


def compiled(*sizes, optimizer="adam", loss="mse", **options):
    model = network(*sizes, **options)
    model.compile(optimizer, loss)
    return model


# ------------------------------------------------------------------ warm starts

X, Y = waves(400, 64)
X_NEW, Y_NEW = waves(200, 64, seed=6)
#: Small networks are not worth it by the plan, so tests say how deep.
OPTIONS = {"depth": 3, "seconds": 0.6, "verbose": 0, "batch_size": 16}


def started(model=None, x=X, y=Y, **options):
    """A model and its record."""
    keras.utils.set_random_seed(3)
    model = model or compiled(64, 64, 64)
    return model, ms.warm_start(model, x, y, **OPTIONS | options)


def loss(model, x=X_NEW, y=Y_NEW):
    return loss_on(model, x, y)


def same(model, weights):
    for one, other in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def kick(model):
    """How much eight steps raise the loss at most; on all samples, so without noise."""
    before, most = loss(model), 0.0
    for _ in range(8):
        model.fit(X, Y, batch_size=len(X), verbose=0)
        most = max(most, loss(model) / before - 1)
    return most
