"""Thinner networks for the parts of a model that trains in a way of its own."""

from __future__ import annotations

import keras

from msann_keras.images.levels import Images, images_of
from msann_keras.keras_private import layers_within
from msann_keras.nested.handover import finer_weights
from msann_keras.nested.level import values_of, weights_of
from msann_keras.spaces import functional


def thinner(part: keras.Model) -> keras.Model:
    """Make a network with half the hidden channels and units of another one.

    It takes and gives what that one does. So a model of parts (an autoencoder with a
    loss of its own, a generator and its critic) can be made of thinner ones, trained in
    its own way for a while, and handed over by `prolong`, part by part.

    Args:
        part: A built Sequential or functional model. Layers that the library does not
            know stay as they are, with their weights, and so does what they read.

    Returns:
        A model with weights newly drawn, not compiled. Layers have the same names.

    Raises:
        TypeError: `part` is not a Keras model.
        ValueError: It has no graph of layers, a layer that does not train, or nothing
            that can be halved.

    >>> hidden, last = keras.layers.Dense(256, "relu"), keras.layers.Dense(16)
    >>> encoder = keras.Sequential([keras.Input((784,)), hidden, last])
    >>> [layer.units for layer in thinner(encoder).layers if layer.weights]
    [128, 16]
    """
    return _levels(part).network(1)


def prolong(thin: keras.Model, part: keras.Model) -> None:
    """Give a network what a thinner one has learned; it then does the same.

    What was one channel or unit becomes two, which are told apart by weights that
    change no output.

    Args:
        thin: What `thinner` made of `part`, trained.
        part: The network that it stands for.

    Raises:
        TypeError: One of the two is not a Keras model.
        ValueError: `thin` is no thinner network of `part`, or `part` has a layer that
            does not train. It is unchanged then.

    >>> x = keras.ops.ones((2, 784))
    >>> hidden, last = keras.layers.Dense(256, "relu"), keras.layers.Dense(16)
    >>> part = keras.Sequential([keras.Input((784,)), hidden, last])
    >>> thin = thinner(part)
    >>> prolong(thin, part)
    >>> bool(keras.ops.max(abs(thin(x) - part(x))) < 1e-5)
    True
    """
    levels = _levels(part)
    known = {layer.name: layer for layer in functional(thin, "thin").layers}
    layers = [known.get(layer.name) for layer in levels.layers]
    expected = [
        tuple(axis.sizes[1] for axis in chains) for chains in levels.weight_chains
    ]
    there = None if None in layers else [tuple(w.shape) for w in weights_of(layers)]
    if there != expected:
        raise ValueError(
            "`thin` must be what `thinner(part)` made, with the same layers and half "
            f"the channels. Received: {thin.name!r} for {part.name!r}, with other "
            "layers or weights of other shapes"
        )
    values = finer_weights(values_of(layers), levels, 1, 0)
    for variable, value in zip(weights_of(levels.layers), values, strict=True):
        variable.assign(value)
    for layer in levels.layers:
        for inner in layers_within(layer):
            if isinstance(inner, keras.layers.Normalization):
                inner.finalize_state()


def _levels(part) -> Images:
    """A network and its thinner one."""
    levels = images_of(functional(part, "part"), 1)
    if not levels.thin:
        why = f": {levels.reason}" if levels.reason else ""
        raise ValueError(
            "`part` must have hidden channels or units that can be halved, an even "
            "number, 8 at least, between layers that the library knows. Received: "
            f"{part.name!r}{why}"
        )
    return levels
