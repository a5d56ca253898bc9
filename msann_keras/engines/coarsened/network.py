"""The coarse networks of a multilevel model."""

from __future__ import annotations

import keras

from msann import checks
from msann_keras.coarse_forms import coarsened, refuse
from msann_keras.coarsening import Coarsening
from msann_keras.kinds import NORMALISING
from msann_keras.layers import MultilevelDense
from msann_keras.spaces import walk


def coarse_network(model: keras.Model, level: int) -> keras.Model:
    """Make the network of one level, with the model's weights restricted to it.

    Args:
        model: A functional `MultilevelModel`.
        level: 0 .. depth; 0 gives the fine network without its leading reshaping
            layers.

    Returns:
        A plain, uncompiled Keras model for data averaged to `level`
        (`coarse_data`).

    Raises:
        TypeError: `model` is no Keras model.
        ValueError: The model is not functional, or has no `MultilevelDense` layer; a
            layer or a prolongation has no coarse form (the error names it); or there is
            no such level.

    Example:

    >>> from msann_keras import multilevel
    >>> plain = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    >>> coarse_network(multilevel(plain, depth=2), level=1).output_shape
    (None, 4)
    """
    parts = coarsening(model)
    level = checks.integer("level", level, least=0, most=parts.layers[0].depth)
    variables = [x for layer in parts.layers for x in layer.theta() if x is not None]
    for finer in range(level):
        variables = parts.restricted(variables, finer)
    network = parts.network(level)
    weights = iter(parts.weights(variables, level))
    for layer in parts.layers:
        clone = network.get_layer(layer.name)
        clone.set_weights([next(weights) for _ in clone.weights])
    return network


def coarsening(model: keras.Model) -> Coarsening:
    """Find out how a multilevel model is coarsened.

    Raises:
        TypeError: `model` is no Keras model.
        ValueError: The model is not functional, or a layer or a prolongation cannot
            be coarsened; each is named, with the reason.
    """
    seen = walk(model)
    if not any(isinstance(step.layer, MultilevelDense) for step in seen.dense):
        raise ValueError("Coarsened data need at least one MultilevelDense layer.")
    for step in seen.steps:
        if step.kind is NORMALISING:  # whose weights are of no level
            kind = type(step.layer).__name__
            refuse(step.layer, f"a {kind} layer has no coarse form in cycles")

    def ends(layer):
        if not isinstance(layer, MultilevelDense):
            refuse(layer, f"a {type(layer).__name__} layer has no coarse form")
        return layer.input_chain, layer.output_chain

    return coarsened(seen, ends)
