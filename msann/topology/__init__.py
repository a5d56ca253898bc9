"""Topologies: what the nodes of a space look like, and how they coarsen."""

from msann.topology.base import MAX_DEPTH, Chain, Topology, chain
from msann.topology.graph_topology import graph
from msann.topology.lattices import cycle, grid, path, square_grid, torus
from msann.topology.others import (
    given,
    identity,
    random_orthogonal,
    shuffled,
    slower,
)
from msann.topology.resolve import resolve

__all__ = [
    "MAX_DEPTH",
    "Chain",
    "Topology",
    "chain",
    "cycle",
    "given",
    "graph",
    "grid",
    "identity",
    "path",
    "random_orthogonal",
    "resolve",
    "shuffled",
    "slower",
    "square_grid",
    "torus",
]
