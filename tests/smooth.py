"""Smooth data that coarse levels hold, and plain networks on them."""

import keras
import numpy as np


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
