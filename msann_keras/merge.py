"""From a multilevel model back to a plain one."""

from __future__ import annotations

from typing import Any

import keras

from msann_keras.layers import MultilevelDense


def merge(model: keras.Model, name: str | None = None) -> keras.Model:
    """The plain model with the same predictions as a multilevel one.

    `MultilevelModel.merge` is the way to call it.
    """
    graph = functional(model)

    def convert(layer):
        if isinstance(layer, MultilevelDense):
            return keras.layers.Dense.from_config(shared_config(layer))
        if isinstance(layer, keras.Model):
            return merge(layer)
        _refuse_hidden(layer)
        return type(layer).from_config(layer.get_config())

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
    parts = layer._flatten_layers() if isinstance(layer, keras.Layer) else []
    for part in parts:
        if isinstance(part, MultilevelDense):
            raise ValueError(
                f"The {type(layer).__name__} layer {layer.name!r} cannot be merged, it "
                f"holds the multilevel {part.name!r}. Put that layer into the model "
                "itself; it takes inputs of any rank."
            )


def functional(model: keras.Model) -> keras.Model:
    """A functional model of the same layers."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` must be a keras.Model. Received: an object of {type(model)}"
        )
    if isinstance(model, keras.Sequential):
        if not model.built:
            raise ValueError(
                f"The Sequential model {model.name!r} must be built first: begin it "
                "with a `keras.Input`, or call `model.build(input_shape)`."
            )
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if getattr(model, "inputs", None) is None or not hasattr(model, "operations"):
        raise ValueError(
            "`model` must be a Sequential or functional model, whose graph of layers "
            f"is known. Received: {model.name!r} of {type(model)}; build its layers "
            "from MultilevelDense, or read merged weights with `layer.theta()`"
        )
    return keras.Model(model.input, model.output, name=model.name)


def shared_config(layer) -> dict[str, Any]:
    """The part of a layer's config that Dense and MultilevelDense have in common."""
    config = layer.get_config()
    return {
        key: config[key]
        for key in (
            "name",
            "trainable",
            "dtype",
            "units",
            "activation",
            "use_bias",
            "kernel_initializer",
            "bias_initializer",
            "kernel_regularizer",
            "bias_regularizer",
            "activity_regularizer",
        )
        if key in config
    }
