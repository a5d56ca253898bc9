"""Small models for the batteries: the same network plain, and multilevel."""

from __future__ import annotations

import keras
import numpy as np

import msann_keras as ms

RNG = np.random.default_rng(8)
X = RNG.uniform(size=(12, 8)).astype("float32")
Y = RNG.uniform(size=(12, 6)).astype("float32")


def dense(units, depth=None, **options):
    """A `Dense` layer; a `MultilevelDense` if there is a depth."""
    options = {"kernel_initializer": "glorot_normal"} | options  # ours, not Keras's
    if depth is None:
        return keras.layers.Dense(units, **options)
    return ms.MultilevelDense(units, depth, **options)


def between(depth, inputs, outputs):
    """The model between these, plain without a depth."""
    kind = keras.Model if depth is None else ms.MultilevelModel
    return kind(inputs, outputs)


def network(depth=None, seed=3, **options):
    """8-4-6, functional; plain without a depth."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8,), name="inputs")
    hidden = dense(4, depth, activation="tanh", name="hidden", **options)(inputs)
    return between(depth, inputs, dense(6, depth, name="outputs", **options)(hidden))


#: How to compile a model whose programs are small: not at all, or without XLA.
EAGER, GRAPH = {"run_eagerly": True}, {"jit_compile": False}


def compiled(depth=None, optimizer="sgd", loss="mse", **options):
    """`network`, compiled to be run eagerly unless told otherwise."""
    model = network(depth)
    model.compile(
        optimizer, loss, **(options if "jit_compile" in options else EAGER | options)
    )
    return model


def fit(model, x=X, y=Y, **options):
    """The history of a silent `fit` in the data's own order."""
    options = {"verbose": 0, "shuffle": False, "epochs": 2} | options
    if isinstance(x, np.ndarray | dict | list):
        options.setdefault("batch_size", 5)
    return model.fit(x, y, **options).history


def assert_equal(a, b, rtol=1e-5):
    """Two structures of numbers are close."""
    keras.tree.assert_same_structure(a, b)
    for one, other in zip(keras.tree.flatten(a), keras.tree.flatten(b), strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-6)


def assert_as_keras(run, rtol=1e-5):
    """`run(depth)` is the same without levels (0) as with Keras's own (`None`)."""
    assert_equal(run(0), run(None), rtol=rtol)
