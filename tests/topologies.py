"""Topologies of every kind, for the suites that each of them passes."""

from dataclasses import dataclass

import numpy as np
import pytest
from matrices import orthonormal

import msann_keras as ms
from msann.prolongation.operators import Aggregation, Identity, Kronecker, Matrix
from msann.topology import Topology, chain


@dataclass(frozen=True)
class Thirds(Topology):
    """A user's own topology: threes merge, with weights that are not equal."""

    size: int

    def coarsen(self):
        labels = np.arange(self.size)[::-1] // 3
        weights = 1.0 + np.arange(self.size)
        norms = np.sqrt(np.bincount(labels, weights**2))
        P = Aggregation(labels, weights / norms[labels])
        return P, Thirds(P.shape[1])


OWN_OPERATORS = [
    Aggregation([2, 0, 1, 3, 2, 0, 4, 5], [0.6, -0.8, 1, 1, 0.8, 0.6, -1, 1]),
    Kronecker(Matrix(orthonormal(3, 2)), Identity(2)),
    orthonormal(4, 3),
    Identity(3),
    Aggregation([1, 0, 1]),
]

SPACES = {
    "path": (ms.path(8), 3),
    "odd path": (ms.path(7), 3),
    "cycle": (ms.cycle(6), 3),
    "grid of 1 axis": (ms.grid(9), 2),
    "grid": (ms.grid(28, 28), 4),
    "square": (ms.grid(32, 32), 2),
    "grid of 3 axes": (ms.grid(7, 5, 3), 4),
    "odd path, band": (ms.path(7, prolongation="band"), 3),
    "odd path, box": (ms.path(7, prolongation="box"), 3),
    "path, fold": (ms.path(12, prolongation="fold"), 2),
    "path, decimation": (ms.path(9, prolongation="decimation"), 2),
    "cycle, daubechies4": (ms.cycle(8, prolongation="daubechies4"), 3),
    "cycle, cover": (ms.cycle(12, prolongation="cover"), 2),
    "cycle, hat": (ms.cycle(6, prolongation="hat"), 3),
    "grid, hat": (ms.grid(6, 5, prolongation="hat"), 3),
    "odd path, hat": (ms.path(13, prolongation="hat"), 4),
    "odd cycle, box": (ms.cycle(11, prolongation="box"), 4),
    "grid, fold": (ms.grid(4, 3, 2, prolongation="fold"), 3),
    "torus": (ms.torus(6, 5), 4),
    "torus, hat": (ms.torus(6, 5, prolongation="hat"), 5),
    "torus, cover": (ms.torus(4, 3, 2, prolongation="cover"), 3),
    "shuffled": (ms.shuffled(ms.path(9), seed=1), 2),
    "redraw": (ms.shuffled(ms.grid(4, 3), seed=2, redraw=True), 3),
    "slower": (ms.slower(ms.path(9), least=3), 5),
    "slower, odd grid": (ms.slower(ms.grid(3, 5)), 6),
    "shuffled dense": (ms.shuffled(ms.random_orthogonal(7, seed=3), seed=4), 2),
    "shuffled identity": (ms.shuffled(ms.identity(4), seed=5, redraw=True), 2),
    "random orthogonal": (ms.random_orthogonal(9, seed=6), 3),
    "identity": (ms.identity(5), 2),
    "given": (ms.given(*OWN_OPERATORS), 5),
    "shuffled given": (ms.shuffled(ms.given(*OWN_OPERATORS[1:]), seed=7), 2),
    "own": (Thirds(10), 2),
}


each_space = pytest.mark.parametrize("name", SPACES)


def operators(name):
    """The different ones among each step and composite of a space."""
    c = chain(*SPACES[name])
    return list(dict.fromkeys([*c.steps, *c.composites[2:]]))
