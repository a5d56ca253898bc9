"""From a multilevel model back to a plain one."""

from __future__ import annotations

import keras

from msann_keras.kinds import copied, dense_like
from msann_keras.layers import MultilevelDense
from msann_keras.spaces import functional, multilevel_within


def merge(model: keras.Model, name: str | None = None) -> keras.Model:
    """The plain model with the same predictions as a multilevel one.

    `MultilevelModel.merge` is the way to call it.
    """
    graph = functional(model)

    def convert(layer):
        if isinstance(layer, MultilevelDense):
            return dense_like(layer)
        if isinstance(layer, keras.Model):
            return merge(layer)
        _refuse_hidden(layer)
        return copied(layer)

    clone = keras.models.clone_model(graph, clone_function=convert)
    plain = keras.Model(clone.input, clone.output, name=name or model.name)
    for layer in graph.layers:
        if isinstance(layer, MultilevelDense):
            theta = [x for x in layer.theta() if x is not None]
            plain.get_layer(layer.name).set_weights(theta)
        elif layer.weights and not isinstance(layer, keras.Model):
            plain.get_layer(layer.name).set_weights(layer.get_weights())
    return plain


def _refuse_hidden(layer) -> None:
    for part in multilevel_within(layer):
        raise ValueError(
            f"The {type(layer).__name__} layer {layer.name!r} cannot be merged, it "
            f"holds the multilevel {part.name!r}. Put that layer into the model "
            "itself; it takes inputs of any rank."
        )
