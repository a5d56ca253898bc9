"""The topology of each space of a model, from what a user says of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msann.topology import Topology, graph, identity, resolve
from msann.topology.graph_topology import is_graph
from msann_keras.kinds import DENSE
from msann_keras.spaces import Walk

#: What stands for a topology; a graph of networkx or SciPy is `Any`.
TopologyLike = Topology | str | Callable[[int], Topology] | dict[str, Any] | Any | None


def sources_of(seen: Walk) -> dict[str, str]:
    """The space that each dense layer reads, by the layer's name.

    Raises:
        ValueError: There is no dense layer, or one that reads two spaces.
    """
    sources: dict[str, str] = {}
    for step in seen.steps:
        if step.kind is DENSE:
            known = sources.setdefault(step.layer.name, step.sources[0])
            if known != step.sources[0]:
                raise ValueError(
                    f"The layer {step.layer.name!r} cannot be made multilevel: it "
                    f"reads two spaces, {known!r} and {step.sources[0]!r}."
                )
    if not sources:
        raise ValueError(
            "`model` must have at least one Dense layer. Received: the layers "
            f"{[layer.name for layer in seen.graph.layers]}"
        )
    return sources


def topologies_of(seen: Walk, topology: TopologyLike) -> dict[str, Topology]:
    """The topology of each space of a model, as `multilevel` describes them.

    Raises:
        ValueError: An unknown topology or space, or one that does not fit.
    """
    if is_graph(topology):
        topology = graph(topology)
    named = topology if isinstance(topology, dict) else {}
    general = None if isinstance(topology, dict) else topology
    used = {s for step in seen.dense for s in (step.sources[0], step.target)}
    sizes = {name: size for name, size in seen.sizes.items() if name in used}
    inputs, outputs = input_spaces(seen) & used, set(seen.outputs) & used
    if unknown := set(named) - set(sizes):
        raise ValueError(
            f"The keys of `topology` must name spaces of the model, {[*sizes]}. "
            f"Received: {sorted(map(str, unknown))}"
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
        for name, size in sizes.items()
        if name not in outputs or name in named or name in inputs
    }
    of_inputs = {result[name].size: result[name] for name in inputs if name in result}
    for name in outputs - set(result):
        # One axis may be classes, several are an image.
        alone = asked_for if name in seen.folded else lambda _, size: identity(size)
        result[name] = of_inputs.get(sizes[name]) or alone(name, sizes[name])
    if isinstance(topology, Topology) and topology.size not in sizes.values():
        raise ValueError(
            "`topology` must have as many nodes as some space of the model: "
            f"{sizes}. Received: topology={topology!r} of size {topology.size}"
        )
    return result


def input_spaces(seen: Walk) -> set[str]:
    """The spaces that data live on before any dense layer."""
    spaces = {s for step in seen.steps if step.since_input for s in step.sources}
    spaces |= {step.target for step in seen.steps if step.since_input}
    return spaces | set(seen.inputs)
