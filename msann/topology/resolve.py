"""The topology that a user means by a name, a graph, a config, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msann.arrays import MAX_NODES
from msann.checks import integer, shown
from msann.topology.base import Topology
from msann.topology.graph_topology import graph, is_graph
from msann.topology.lattices import cycle, path, square_grid
from msann.topology.others import identity

#: Topologies that a size alone determines, by the name a user may write.
BY_NAME: dict[str, Callable[[int], Topology]] = {
    "path": path,
    "cycle": cycle,
    "grid": square_grid,
    "identity": identity,
}


def resolve(topology: Any, size: int, argument: str) -> Topology:
    """Find the topology that a user means by a name, a graph, a config, or nothing.

    Args:
        topology: A `Topology`, its config, a name, a networkx graph or sparse matrix,
            or `None` for a path.
        size: Nodes of the space.
        argument: What to call it in an error.

    Raises:
        ValueError: An unknown name or type, or another size.

    Example:

    >>> resolve("grid", 1024, "input_topology")
    Grid(shape=(32, 32))
    """
    size = integer("size", size, least=1, most=MAX_NODES)
    if topology is None:
        topology = path(size)
    elif isinstance(topology, dict):
        topology = _named(argument, Topology.from_config, topology)
    elif isinstance(topology, str):
        if topology not in BY_NAME:
            raise ValueError(
                f"`{argument}` must be a topology or one of {sorted(BY_NAME)}. "
                f"Received: {argument}={shown(topology)}"
            )
        topology = BY_NAME[topology](size)
    elif is_graph(topology):
        topology = _named(argument, graph, topology)
    if not isinstance(topology, Topology):
        raise ValueError(
            f"`{argument}` must be a topology, such as `msann_keras.grid(32, 32)`, a "
            f"connected graph, or one of the names {sorted(BY_NAME)}. "
            f"Received: {argument}={shown(topology)}"
        )
    if topology.size != size:
        raise ValueError(
            f"`{argument}` must have as many nodes as the space has units, {size}. "
            f"Received: {argument}={topology!r} with {topology.size} nodes"
        )
    return topology


def _named(argument, make, value):
    """What `make` makes of a value, its refusals in the name of the argument."""
    try:
        return make(value)
    except ValueError as error:
        raise ValueError(f"`{argument}` is no topology. {error}") from error
