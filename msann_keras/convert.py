"""From a plain Keras model to a multilevel one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from msann.topology import Topology, graph, identity, resolve
from msann.topology.graph_topology import is_graph
from msann.topology.others import Shuffled
from msann_keras.coarse import POINTWISE, RESHAPING
from msann_keras.initializers import Multilevel
from msann_keras.layers import MultilevelDense
from msann_keras.merge import functional, shared_config
from msann_keras.models import MultilevelModel

#: Layers without weights whose output is a new space.
NEW_SPACE = (*RESHAPING, keras.layers.Concatenate)

#: What `multilevel` takes for a topology; a graph of networkx or SciPy is `Any`.
TopologyLike = Topology | str | Callable[[int], Topology] | dict[str, Any] | Any | None


def multilevel(
    model: keras.Model,
    depth: int,
    topology: TopologyLike = None,
    *,
    keep_weights: bool = False,
    name: str | None = None,
) -> MultilevelModel:
    """Make a model of Dense layers multilevel.

    Dense layers become `MultilevelDense` of the same name, activation, biases,
    initialisers and regularisers; pointwise and reshaping layers stay. The plain model
    is not changed, and `MultilevelModel.merge` leads back to it.

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
    graph = functional(model)
    survey = _survey(graph)
    topologies = _topologies(survey, topology)
    _check_depth(depth, topologies)

    def convert(layer):
        if type(layer) is not keras.layers.Dense:
            return type(layer).from_config(layer.get_config())
        source, target = topologies[survey.sources[layer.name]], topologies[layer.name]
        number = list(survey.sources).index(layer.name)
        return MultilevelDense.from_config(
            shared_config(layer)
            | {
                "depth": depth,
                "input_topology": _drawn_for(source, 2 * number),
                "output_topology": _drawn_for(target, 2 * number + 1),
            }
        )

    clone = keras.models.clone_model(graph, clone_function=convert)
    result = MultilevelModel(clone.input, clone.output, name=name or model.name)
    if keep_weights:
        for layer_name in survey.sources:
            weights = graph.get_layer(layer_name).get_weights()
            result.get_layer(layer_name).set_theta(*weights)
    return result


class _Survey(NamedTuple):
    """The spaces of a model by name: "input", or the layer that makes the space.

    Only those that a Dense layer reads or makes.
    """

    sizes: dict[str, int]
    sources: dict[str, str]  # of each Dense layer: the space that it reads
    inputs: set[str]  # no Dense layer comes before
    outputs: set[str]


def _survey(model: keras.Model) -> _Survey:
    """Walk the model's graph, naming spaces and refusing what cannot be converted."""
    sizes, sources, space_of, seen = {}, {}, {}, []
    single = len(model.inputs) == 1
    inputs = {"input"} if single else {x.name for x in model.inputs}

    def space(tensor):
        name = space_of.get(id(tensor))
        if name is None:
            name = "input" if single else tensor.name
        sizes[name] = tensor.shape[-1]
        return name

    def visit(layer, *args, **kwargs):
        tensors = [x for x in keras.tree.flatten((args, kwargs)) if _is_symbolic(x)]
        spaces = [space(x) for x in tensors]
        _refuse_unconvertible(layer)
        if type(layer) is keras.layers.Dense:
            source = sources.setdefault(layer.name, spaces[0])
            if source != spaces[0]:
                _refuse(layer, f"it reads two spaces, {source!r} and {spaces[0]!r}")
        outputs = layer(*args, **kwargs)
        same = [s for s in spaces if sizes[s] == outputs.shape[-1]]
        pointwise = isinstance(layer, POINTWISE) and same
        name = space_of[id(outputs)] = same[0] if pointwise else layer.name
        if layer.name not in sources and inputs.issuperset(spaces):
            inputs.add(name)
        seen.append(outputs)  # keeps ids from being used again
        space(outputs)
        return outputs

    clone = keras.models.clone_model(model, call_function=visit)
    if not sources:
        raise ValueError(
            "`model` must have at least one Dense layer. Received: the layers "
            f"{[layer.name for layer in model.layers]}"
        )
    outputs = {space(x) for x in clone.outputs}
    used = {*sources, *sources.values()}
    sizes = {name: size for name, size in sizes.items() if name in used}
    return _Survey(sizes, sources, inputs & used, outputs & used)


def _topologies(survey: _Survey, topology: TopologyLike) -> dict[str, Topology]:
    """The topology of each space of a model."""
    if is_graph(topology):
        topology = graph(topology)
    named = topology if isinstance(topology, dict) else {}
    general = None if isinstance(topology, dict) else topology
    if unknown := set(named) - set(survey.sizes):
        raise ValueError(
            f"The keys of `topology` must name spaces of the model, {[*survey.sizes]}. "
            f"Received: {sorted(unknown)}"
        )

    def asked_for(name, size):
        wish = named.get(name, general)
        if name not in named and isinstance(wish, Topology) and wish.size != size:
            wish = None
        if callable(wish):
            wish = wish(size)
        argument = f"topology[{name!r}]" if name in named else "topology"
        return resolve(wish, size, argument)

    result = {
        name: asked_for(name, size)
        for name, size in survey.sizes.items()
        if name not in survey.outputs or name in named or name in survey.inputs
    }
    inputs = {
        result[name].size: result[name] for name in survey.inputs if name in result
    }
    for name in survey.outputs - set(result):
        size = survey.sizes[name]
        result[name] = inputs.get(size) or identity(size)
    if isinstance(topology, Topology) and topology.size not in survey.sizes.values():
        raise ValueError(
            "`topology` must have as many nodes as some space of the model: "
            f"{survey.sizes}. Received: topology={topology!r} of size {topology.size}"
        )
    return result


def _check_depth(depth: int, topologies: dict[str, Topology]) -> None:
    name, smallest = min(topologies.items(), key=lambda item: item[1].max_depth)
    is_integer = isinstance(depth, int) and not isinstance(depth, bool)
    if not is_integer or not 0 <= depth <= smallest.max_depth:
        raise ValueError(
            f"`depth` must be an integer, at least 0 and at most {smallest.max_depth}: "
            f"the space {name!r}, {smallest!r}, does not coarsen further. "
            f"Received: depth={depth!r}"
        )


def _drawn_for(topology: Topology, number: int) -> Topology:
    """The script's `redraw`: an order of its own for each end of each weight."""
    if isinstance(topology, Shuffled) and topology.redraw:
        return topology.drawn_for(number)
    return topology


def _refuse_unconvertible(layer) -> None:
    if isinstance(layer, POINTWISE + NEW_SPACE):
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
    if type(layer) is not keras.layers.Dense:
        known = sorted(x.__name__ for x in POINTWISE + NEW_SPACE)
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
    for feature in ("kernel_constraint", "bias_constraint"):
        if config.get(feature) is not None:
            _refuse(
                layer,
                f"its {feature} acts on Theta, which is a sum over levels; "
                "a constraint on the parts would not be one on the sum",
            )
    for feature in ("lora_rank", "quantization_config"):
        if config.get(feature) is not None:
            _refuse(
                layer,
                f"it has {feature}={config[feature]!r}, which fine-tunes or "
                "compresses a finished layer; convert it before that",
            )


def _refuse(layer, reason: str):
    raise ValueError(f"The layer {layer.name!r} cannot be made multilevel: {reason}.")


def _is_symbolic(x) -> bool:
    return isinstance(x, keras.KerasTensor)
