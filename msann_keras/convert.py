"""From a plain Keras model to a multilevel one."""

from __future__ import annotations

import keras

from msann import checks
from msann.topology import Topology
from msann.topology.others import Shuffled
from msann_keras.initializers import Multilevel
from msann_keras.kinds import (
    DENSE,
    KINDS,
    NORMALISING,
    WEIGHTED,
    copied,
    dense_like,
    kind_of,
)
from msann_keras.layers import MultilevelDense
from msann_keras.model import MultilevelModel
from msann_keras.spaces import walk
from msann_keras.topologies import TopologyLike, sources_of, topologies_of


def multilevel(
    model: keras.Model,
    depth: int,
    topology: TopologyLike = None,
    *,
    keep_weights: bool = False,
    start: str = "balanced",
    name: str | None = None,
) -> MultilevelModel:
    """Make a new model whose `Dense` layers have become `MultilevelDense` layers.

    These have the same name, activation, biases, initialisers and regularisers as
    before; pointwise and reshaping layers stay. Weights are drawn anew, so predictions
    change, unless `keep_weights` is set. The plain model is not changed, and
    `MultilevelModel.merge` leads back to one.

    Args:
        model: A built Sequential or functional model.
        depth: L, the coarsest level; 0 is plain training.
        topology: What the spaces (the input, and each Dense layer's units) look like:

            - a topology such as `grid(32, 32)`, or a connected networkx graph or its
              sparse adjacency matrix (`graph` has options): for every space of its
              size; other hidden spaces are paths;
            - "path", "cycle", "grid" (as square as the size allows), "identity", or a
              function from a size to a topology: for every space;
            - a dict from "input" or a layer's name to one of these: for that space;
              the others are as by default;
            - `None`: paths.

            A layer that is an output of the model keeps its units at every level
            (`identity`), unless its size is the input's or the dict names it: class
            logits have no neighbours.
        keep_weights: Start from the plain model's weights (predictions stay the same)
            rather than from a fresh draw on every level.
        start: How large that draw is: "balanced", so that the outputs are about as
            large as the plain model's, or "paper", where every level adds its share
            (see `MultilevelDense`).
        name: Name of the new model; the plain model's by default.

    Returns:
        A `MultilevelModel`, not compiled.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: The model is not built or not Sequential or functional, a layer
            cannot be converted (named, with the reason), a topology is unknown or does
            not fit, or a space is too small for the depth.

    Example:

    >>> plain = keras.Sequential([keras.Input((16,)),
    ...                           keras.layers.Dense(8, activation="relu"),
    ...                           keras.layers.Dense(3)])
    >>> print(multilevel(plain, depth=2).hierarchy)
    level  sizes   parameters  share
        0  16-8-3         163  1
        1  8-4-3           51  0.3129
        2  4-2-3           19  0.1166
    grid complexity 1.43: parameters of all levels / those of level 0
    """
    seen = walk(model)
    for step in seen.steps:
        _refuse_unconvertible(step.layer)
    sources = sources_of(seen)
    topologies = topologies_of(seen, topology)
    depth = _checked_depth(depth, topologies)
    keep_weights = checks.flag("keep_weights", keep_weights)
    checks.one_of("start", start, ("balanced", "paper"))

    def convert(layer):
        if kind_of(layer) is not DENSE:
            return copied(layer)
        source, target = topologies[sources[layer.name]], topologies[layer.name]
        number = list(sources).index(layer.name)
        return dense_like(
            layer,
            MultilevelDense,
            depth=depth,
            start=start,
            input_topology=_drawn_for(source, 2 * number),
            output_topology=_drawn_for(target, 2 * number + 1),
        )

    clone = keras.models.clone_model(seen.graph, clone_function=convert)
    result = MultilevelModel(clone.input, clone.output, name=name or model.name)
    if keep_weights:
        for layer_name in sources:
            weights = seen.graph.get_layer(layer_name).get_weights()
            result.get_layer(layer_name).set_theta(*weights)
    return result


def _checked_depth(depth: int, topologies: dict[str, Topology]) -> int:
    name, smallest = min(topologies.items(), key=lambda item: item[1].max_depth)
    try:
        return checks.integer("depth", depth, least=0, most=smallest.max_depth)
    except ValueError as error:
        raise ValueError(
            f"`depth` must be an integer, at least 0 and at most {smallest.max_depth}: "
            f"the space {name!r}, {smallest!r}, does not coarsen further. "
            f"Received: depth={depth!r}"
        ) from error


def _drawn_for(topology: Topology, number: int) -> Topology:
    """The script's `redraw`: an order of its own for each end of each weight."""
    if isinstance(topology, Shuffled) and topology.redraw:
        return topology.drawn_for(number)
    return topology


def _refuse_unconvertible(layer) -> None:
    kind = kind_of(layer)
    if kind not in (DENSE, NORMALISING, None):
        return
    if isinstance(layer, MultilevelDense):
        _refuse(layer, "it is multilevel already")
    if isinstance(layer, keras.Model):
        _refuse(
            layer,
            "it is a model inside the model; convert it by itself, or put "
            "its layers into the outer model",
        )
    if not isinstance(layer, keras.layers.Layer):
        _refuse(layer, "it is an operation, not a layer; use a Keras layer for it")
    if kind is not DENSE:
        plain = [kind for kind in KINDS if kind not in WEIGHTED]
        known = sorted(x.__name__ for kind in plain for x in kind.layers)
        _refuse(
            layer,
            f"a {type(layer).__name__} layer has no multilevel form here; "
            f"allowed are Dense, {', '.join(known)}",
        )
    if isinstance(layer.kernel_initializer, Multilevel):
        _refuse(
            layer,
            "its kernel_initializer is `Multilevel`, which sums over levels already; "
            "give the layer its `base`, and every level draws from that",
        )
    config = layer.get_config()
    for feature in ("lora_rank", "quantization_config"):
        if config.get(feature) is not None:
            _refuse(
                layer,
                f"it has {feature}={config[feature]!r}, which fine-tunes or "
                "compresses a finished layer; convert it before that",
            )


def _refuse(layer, reason: str):
    raise ValueError(f"The layer {layer.name!r} cannot be made multilevel: {reason}.")
