"""Averages by hand, and small models whose data are coarsened."""

from matrices import dense

import msann_keras as ms
from msann.topology import chain

#: The spaces of networks, and how deep they go.
SPACES = {
    "pairs": ([ms.path(8), ms.path(4), ms.path(8)], 2),
    "odd paths": ([ms.path(9), ms.path(5), ms.path(3)], 1),
    "odd path twice": ([ms.path(9), ms.path(5), ms.path(4)], 2),
    "grids": ([ms.grid(4, 4), ms.grid(2, 4), ms.grid(4, 2)], 3),
    "odd paths all the way": ([ms.path(7), ms.path(11), ms.path(13)], 3),
    "odd grid": ([ms.grid(3, 4), ms.path(4)], 2),
    "odd grid all the way": ([ms.grid(3, 5), ms.path(9), ms.grid(5, 3)], 4),
    "shuffled": ([ms.shuffled(ms.path(8), seed=1), ms.shuffled(ms.path(6), seed=2)], 1),
    "cycle and identity": ([ms.cycle(8), ms.path(4), ms.identity(3)], 2),
    "identity in front": ([ms.identity(3), ms.grid(4, 4), ms.identity(2)], 3),
    "identity alone": ([ms.identity(3), ms.identity(2)], 2),
    "depth 0": ([ms.path(3), ms.path(2)], 0),
}


def matrix(topology, level):
    """P from `level` to level 0, dense."""
    return dense(chain(topology, max(level, 1)).composites[level])


def averages(x, topology, level):
    """By the labels of the aggregates, not by P."""
    if level == 0:
        return x
    blocks = (matrix(topology, level) != 0).astype(float)
    return x @ blocks / blocks.sum(axis=0)
