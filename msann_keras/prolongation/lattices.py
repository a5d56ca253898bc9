"""Paths, rings and grids: topologies that halve, by pairs or by a closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from msann_keras.prolongation.closed_forms import (
    CYCLES,
    DIVIDING,
    PATHS,
    check_name,
    closed_form,
)
from msann_keras.prolongation.operators import (
    Aggregation,
    Identity,
    Kronecker,
    Prolongation,
)
from msann_keras.prolongation.topology import Topology, check_sizes, half


@dataclass(frozen=True, repr=False)
class Path(Topology):
    """n nodes in a row; pairs (2j, 2j+1) merge with weight 1/sqrt(2).

    The paper's choice for one-dimensional data (Figure 3, cycle column 3). An odd
    node at the end is left alone, and stands for less than the others from then on:
    where it joins a pair, weights are the square roots of what each node stands for,
    so that from every level to level 0 the weights of an aggregate are equal.

    Another `prolongation` is one of `closed_forms.PATHS`, between n and n/2 nodes,
    rounded up.
    """

    size: int
    #: What the last node stands for, as a multiple of any other; 1 at level 0.
    end: float = field(default=1.0, repr=False)
    #: The family of P: "pair", or a name of `closed_forms`.
    prolongation: str = field(default="pair", repr=False)

    periodic: ClassVar[bool] = False

    def __post_init__(self):
        check_sizes("size", self.size)
        _check_family(self.prolongation, self.periodic)

    @property
    def max_depth(self):
        """Ends at one node, or where the family needs an even size and has none."""
        return _depth(self.size, self.prolongation)

    def coarsen(self):
        """P of the family, and the path of ceil(n/2) nodes."""
        P, end = _halving(self.size, self.end, self.prolongation, self.periodic)
        return P, type(self)(half(self.size), end, self.prolongation)

    def __repr__(self):
        return f"{type(self).__name__}(size={self.size}{_named(self.prolongation)})"


@dataclass(frozen=True, repr=False)
class Cycle(Path):
    """n nodes in a ring. Its pairs are those of the path (Figure 3, cycle column 3).

    Another `prolongation` is one of `closed_forms.CYCLES`.
    """

    periodic: ClassVar[bool] = True


@dataclass(frozen=True, repr=False)
class Grid(Topology):
    """A grid of any number of axes, nodes in row-major order.

    Each step merges pairs along the longest axis (the first of equals), so that every
    level has half the nodes; two steps on a square make P_1 (x) P_1 (Figure 3, grid
    column 6). Another `prolongation`, one of `closed_forms.PATHS`, takes the pairs'
    place along the axis.
    """

    shape: tuple[int, ...]
    #: Of each axis, as `Path.end`; none are all 1.
    ends: tuple[float, ...] = field(default=(), repr=False)
    #: As `Path.prolongation`.
    prolongation: str = field(default="pair", repr=False)

    def __post_init__(self):
        check_sizes("shape", *self.shape)
        _check_family(self.prolongation, periodic=False)

    @property
    def size(self):
        """Number of nodes."""
        return math.prod(self.shape)

    @property
    def max_depth(self):
        """Each axis ends at one node, or all where the longest does not halve."""
        if self.prolongation not in DIVIDING:
            return sum(_depth(side, self.prolongation) for side in self.shape)
        sides, depth = sorted(self.shape), 0
        while sides[-1] % 2 == 0:
            sides[-1] //= 2
            sides.sort()
            depth += 1
        return depth

    def coarsen(self):
        """P along the longest axis, and the grid with that axis halved."""
        axis = self.shape.index(max(self.shape))
        factors = [Identity(side) for side in self.shape]
        halved, ends = list(self.shape), list(self.ends or [1.0] * len(self.shape))
        factors[axis], ends[axis] = _halving(
            halved[axis], ends[axis], self.prolongation, periodic=False
        )
        halved[axis] = half(halved[axis])
        ends = () if set(ends) == {1.0} else tuple(ends)
        return Kronecker(*factors), Grid(tuple(halved), ends, self.prolongation)

    def __repr__(self):
        return f"Grid(shape={self.shape}{_named(self.prolongation)})"


def path(size: int, *, prolongation: str = "pair") -> Path:
    """A path of `size` nodes: pairs merge, ceil(size/2) remain.

    Args:
        size: n.
        prolongation: "pair", or another family of `closed_forms` between paths: "box",
            "hat", "band", "decimation", "fold".

    Raises:
        ValueError: A size that is not a positive integer, or an unknown family.

    Example:

    >>> P, coarser = path(4).coarsen()
    >>> P.matrix().round(3)
    array([[0.707, 0.   ],
           [0.707, 0.   ],
           [0.   , 0.707],
           [0.   , 0.707]])
    >>> coarser
    Path(size=2)
    >>> path(1024, prolongation="band").coarsen()
    (Matrix(1024 x 512), Path(size=512, prolongation='band'))
    """
    return Path(size, prolongation=prolongation)


def cycle(size: int, *, prolongation: str = "pair") -> Cycle:
    """A ring of `size` nodes.

    Args:
        size: n.
        prolongation: "pair", or another family of `closed_forms` between cycles: "box",
            "hat", "band", "decimation", "daubechies4", "cover".

    Raises:
        ValueError: A size that is not a positive integer, or an unknown family.

    Example:

    >>> cycle(8).coarsen()
    (Aggregation(8 x 4), Cycle(size=4))
    """
    return Cycle(size, prolongation=prolongation)


def grid(*shape: int, prolongation: str = "pair") -> Grid:
    """A grid of any number of axes: `grid(32, 32)` for images of 32 x 32 pixels.

    Args:
        shape: Nodes along each axis.
        prolongation: "pair", or another family, as for `path`, along the axes.

    Raises:
        ValueError: Sides that are not positive integers, or an unknown family.

    Example:

    >>> grid(28, 28).coarsen()
    (Kronecker(784 x 392), Grid(shape=(14, 28)))
    """
    return Grid(tuple(shape), prolongation=prolongation)


def square_grid(size: int) -> Grid:
    """The grid of two axes, as square as `size` allows.

    >>> square_grid(1024).shape, square_grid(128).shape
    ((32, 32), (8, 16))
    """
    check_sizes("size", size)
    rows = next(r for r in range(math.isqrt(size), 0, -1) if size % r == 0)
    return Grid((rows, size // rows))


def _pairs(size: int, end: float) -> tuple[Aggregation, float]:
    """Pairs of nodes whose last one stands for `end`, and the same of their path."""
    labels = np.arange(size) // 2
    stands_for = np.ones(size)
    stands_for[-1] = end
    totals = np.bincount(labels, stands_for)
    P = Aggregation(labels, 1 / np.sqrt(totals[labels] / stands_for))
    return P, totals[-1] / 2


def _halving(size, end, prolongation, periodic) -> tuple[Prolongation, float]:
    """P of a family from half the nodes, and what the last of those stands for."""
    if prolongation == "pair":
        return _pairs(size, end)
    return closed_form(prolongation, half(size), size, periodic=periodic), 1.0


def _depth(size: int, prolongation: str) -> int:
    """How often a path or ring halves."""
    if prolongation in DIVIDING:
        return (size & -size).bit_length() - 1
    return math.ceil(math.log2(size))


def _check_family(prolongation, periodic):
    check_name(prolongation, {"pair", *(CYCLES if periodic else PATHS)})


def _named(prolongation: str) -> str:
    """How `repr` shows a family: not at all if it is the default one."""
    return "" if prolongation == "pair" else f", prolongation={prolongation!r}"
