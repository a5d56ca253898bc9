"""Kinds of layers: how each treats the space of its input, and its coarse form.

A kind of layer is added here and nowhere else, but for layers that slide over images
(`images.py`). Dense layers read one space and make another, pointwise layers keep the
space, reshaping layers make a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from msann_keras.layers.dense import MultilevelDense

#: The arguments that Dense and MultilevelDense have in common.
SHARED = (
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
    "kernel_constraint",
    "bias_constraint",
)


def copied(
    layer: keras.layers.Layer, changes: dict[str, Any] | None = None
) -> keras.layers.Layer:
    """A layer of the same class and config, with weights of its own.

    Args:
        layer: Of a model.
        changes: Of the config; none by default.

    The activation is the same object: a function need not be registered with Keras.
    What a `Normalization` has adapted to is part of what it is, and so is copied.
    """
    config = layer.get_config()
    # A recurrent layer's activation is that of its cell; what a layer of somebody's own
    # does with its activation is not known.
    is_derived = isinstance(getattr(type(layer), "activation", None), property)
    is_keras = type(layer).__module__.startswith("keras.")
    takes = "activation" in config and is_keras and not is_derived
    known = {"activation": None} if takes else {}
    try:
        if isinstance(
            layer, keras.layers.Lambda
        ):  # a config has lost what it refers to
            shape, names = config.get("output_shape"), ("name", "dtype", "trainable")
            given = {name: getattr(layer, name) for name in names}
            given["arguments"] = layer.arguments
            return keras.layers.Lambda(layer.function, output_shape=shape, **given)
        copy = type(layer).from_config(config | known | (changes or {}))
    except Exception as error:
        raise ValueError(
            f"The layer {layer.name!r} cannot be copied: {error}"
        ) from error
    if known:
        copy.activation = layer.activation
    if isinstance(layer, keras.layers.Normalization) and layer.built:
        copy.build_from_config(layer.get_build_config())
        copy.set_weights(layer.get_weights())
        copy.finalize_state()
    return copy


def dense_like(
    layer: keras.layers.Layer, kind: type[Any] = keras.layers.Dense, **others: Any
) -> keras.layers.Dense:
    """A dense layer with the config of another one, but for what is given.

    The activation is the same object: a function need not be registered with Keras.

    Args:
        layer: Of either dense class.
        kind: The class that is made.
        others: What differs, and what `kind` takes beside `SHARED`.
    """
    known = layer.get_config()
    config = {key: known[key] for key in SHARED if key in known}
    made = kind.from_config(config | {"activation": None} | others)
    made.activation = layer.activation
    return made


def adds_up(layer: keras.layers.Layer) -> bool:
    """Whether a layer's activation takes a space as a whole: a softmax."""
    names = ("softmax", "log_softmax", "sparsemax")
    across = [getattr(keras.activations, name, None) for name in names]
    is_softmax = isinstance(layer, keras.layers.Softmax)
    activation = getattr(layer, "activation", None)
    return is_softmax or (activation is not None and activation in across)


def undrawn(layer: keras.layers.Layer) -> dict[str, str]:
    """What to change of a layer's config so that no random weights are drawn.

    >>> undrawn(keras.layers.Dense(2))["kernel_initializer"]
    'zeros'
    """
    names = layer.get_config() if isinstance(layer, keras.layers.Layer) else ()
    return {name: "zeros" for name in names if name.endswith("_initializer")}


class Kind(NamedTuple):
    """How the layers of one kind treat spaces.

    Attributes:
        layers: Their classes.
        coarse: Makes a layer's coarse form from the layer and, if it makes a space, the
            space's size on the coarse level; `None` if there is no such form.
    """

    layers: tuple[type, ...]
    coarse: Callable[[keras.layers.Layer, int | None], keras.layers.Layer] | None


def coarse_form(
    layer: keras.layers.Layer, kind: Kind | None, units: int | None = None
) -> keras.layers.Layer:
    """A layer's form on a coarse level.

    Args:
        layer: Of a model.
        kind: Of the layer.
        units: The size there of the space that it makes, if it makes one.

    Raises:
        ValueError: Layers of that kind have no coarse form.
    """
    if kind is None or kind.coarse is None:
        raise ValueError(f"The layer {layer.name!r} has no coarse form.")
    return kind.coarse(layer, units)


#: Layers that draw random numbers when they train.
RANDOM = (
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.AlphaDropout,
)
#: A dense layer reads one space and makes another, its units. The coarse form draws no
#: weights, since it is given those of a level.
DENSE = Kind(
    (keras.layers.Dense, MultilevelDense),
    lambda layer, units: dense_like(
        layer, units=units, kernel_initializer="zeros", bias_initializer="zeros"
    ),
)
#: Layers of several tensors that live on the same space.
MERGING = (
    keras.layers.Add,
    keras.layers.Subtract,
    keras.layers.Multiply,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
)
#: Layers without weights whose output lives on the space of their input.
POINTWISE = Kind(
    (
        *RANDOM,
        keras.layers.Activation,
        keras.layers.ReLU,
        keras.layers.LeakyReLU,
        keras.layers.ELU,
        keras.layers.Softmax,
        keras.layers.ActivityRegularization,
        keras.layers.Identity,
        keras.layers.Rescaling,
        *MERGING,
    ),
    lambda layer, units: copied(layer),
)
#: Layers that scale each unit by what it is over a batch, or over the units; their
#: weights are vectors on the space of their input, which they keep.
NORMALISING = Kind(
    (keras.layers.BatchNormalization, keras.layers.LayerNormalization),
    lambda layer, units: copied(layer),
)
#: Layers without weights that make a new space, or fold one into several axes. On data
#: they are applied once, before averaging (the *stem*), and targets are flattened, so
#: that on a coarse level nothing of them is left.
RESHAPING = Kind(
    (keras.layers.Flatten, keras.layers.Reshape, keras.layers.Permute),
    lambda layer, units: keras.layers.Identity(name=layer.name),
)
#: Layers that have adapted to the data and do not train. They are part of the stem.
PREPROCESSING = Kind(
    (keras.layers.Normalization,),
    lambda layer, units: keras.layers.Identity(name=layer.name),
)
#: A layer that makes one space of several.
JOINING = Kind((keras.layers.Concatenate,), None)

KINDS = (DENSE, POINTWISE, NORMALISING, RESHAPING, PREPROCESSING, JOINING)
#: Kinds with weights that train.
WEIGHTED = (DENSE, NORMALISING)
#: Kinds that are applied to data once.
STEM = (RESHAPING, PREPROCESSING)


def kind_of(layer: keras.layers.Layer, rank: int | None = None) -> Kind | None:
    """The kind of a layer; `None` for a stranger, and for a subclass of `Dense`.

    Args:
        layer: Of a model.
        rank: Of its input, if known: what normalises another axis than the last is a
            stranger.
    """
    if isinstance(layer, keras.layers.Dense) and type(layer) is not keras.layers.Dense:
        return None
    kind = next((kind for kind in KINDS if isinstance(layer, kind.layers)), None)
    if kind is NORMALISING and rank is not None:
        axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
        return kind if {axis % rank for axis in axes} == {rank - 1} else None
    return kind
