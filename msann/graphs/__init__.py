"""Graphs and the two processes on them (section 3.1): diffusion and distance."""

from msann.graphs.adjacency import adjacency, laplacian
from msann.graphs.distances import Distances, hop_distances
from msann.graphs.products import box_product, cross_product, grid_graph

__all__ = [
    "Distances",
    "adjacency",
    "box_product",
    "cross_product",
    "grid_graph",
    "hop_distances",
    "laplacian",
]
