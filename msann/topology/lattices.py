"""Paths, rings, grids and tori: topologies that halve, by pairs or by a closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import repeat
from typing import ClassVar

import numpy as np

from msann.arrays import MAX_NODES
from msann.checks import integer, integers, number, one_of, reals, refuse
from msann.prolongation.closed_forms import (
    CYCLES,
    DIVIDING,
    PATHS,
    WITH_MASSES,
    closed_form,
)
from msann.prolongation.operators import (
    Aggregation,
    Identity,
    Kronecker,
    Prolongation,
)
from msann.topology.base import Topology, node_count, settle


@dataclass(frozen=True, repr=False)
class Path(Topology):
    """n nodes in a row; pairs (2j, 2j+1) merge with weight 1/sqrt(2).

    The paper's choice for one-dimensional data (Figure 3, cycle column 3). An odd
    node at the end is left alone, and stands for less than the others from then on:
    where it joins a pair, weights are the square roots of what each node stands for,
    so that from every level to level 0 the weights of an aggregate are equal.

    Another `prolongation` is one of `closed_forms.PATHS`, between n and n/2 nodes,
    rounded up. `box` and `hat` reproduce on every level what the ones of level 0 are
    there, so that they keep constants through odd sizes too.
    """

    size: int
    #: What the last node stands for, as a multiple of any other; 1 at level 0.
    end: float = field(default=1.0, repr=False)
    #: The family of P: "pair", or a name of `closed_forms`.
    prolongation: str = field(default="pair", repr=False)
    #: Nodes of the level whose ones are to be reproduced; `None` for this one.
    finest: int | None = field(default=None, repr=False)

    periodic: ClassVar[bool] = False

    def __post_init__(self):
        settle(
            self,
            size=(size := node_count("size", self.size)),
            end=number("end", self.end, above=0),
            prolongation=_family(self.prolongation, self.periodic),
            finest=_finest("finest", self.finest, size),
        )

    @property
    def max_depth(self):
        """Ends at one node, or where the family needs an even size and has none."""
        return _depth(self.size, self.prolongation)

    def coarsen(self):
        """P of the family, and the path of ceil(n/2) nodes."""
        finest = self.finest or self.size
        if self.prolongation == "pair":
            pairs, end = _pairs(self.size, self.end)
            return pairs, type(self)(_half(self.size), end)
        P = _halving(finest, self.size, self.prolongation, self.periodic)
        even = finest == self.size and self.size % 2 == 0
        # Otherwise ones have become equal numbers, or are not asked for.
        kept = finest if self.prolongation in WITH_MASSES and not even else None
        return P, type(self)(_half(self.size), 1.0, self.prolongation, kept)

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
    #: As `Path.finest`, of each axis.
    finest: tuple[int, ...] = field(default=(), repr=False)

    periodic: ClassVar[bool] = False

    def __post_init__(self):
        shape = integers("shape", self.shape, least=1)
        if not shape or math.prod(shape) > MAX_NODES:
            refuse("shape", shape, f"sides of a grid of at most {MAX_NODES:,} nodes")
        ends, finest = (
            reals("ends", self.ends, above=0),
            integers("finest", self.finest),
        )
        for name, values in (("ends", ends), ("finest", finest)):
            if len(values) not in (0, len(shape)):
                refuse(name, values, f"a number for each of the {len(shape)} sides")
        settle(
            self,
            shape=shape,
            ends=ends,
            prolongation=_family(self.prolongation, self.periodic),
            finest=tuple(map(_finest, repeat("finest"), finest, shape)),
        )

    @property
    def size(self):
        """Number of nodes."""
        return math.prod(self.shape)

    @property
    def max_depth(self):
        """Each axis ends at one node, or at an odd side if the family needs even ones.

        It is 0 where no side is even: take another family, or `given`.
        """
        return sum(_depth(side, self.prolongation) for side in self.shape)

    def coarsen(self):
        """P along the longest axis that halves, and the grid with that axis halved."""
        axis = max(
            (axis for axis, side in enumerate(self.shape)
             if _depth(side, self.prolongation)),
            key=lambda axis: self.shape[axis],
        )  # fmt: skip
        as_line = (Cycle if self.periodic else Path)(
            self.shape[axis],
            self.ends[axis] if self.ends else 1.0,
            self.prolongation,
            self.finest[axis] if self.finest else None,
        )
        P, line = as_line.coarsen()
        factors = [Identity(side) for side in self.shape]
        shape, ends = list(self.shape), list(self.ends or [1.0] * len(self.shape))
        finest = list(self.finest or self.shape)
        factors[axis], shape[axis], ends[axis] = P, line.size, line.end
        finest[axis] = line.finest or line.size
        return Kronecker(*factors), type(self)(
            tuple(shape),
            () if set(ends) == {1.0} else tuple(ends),
            self.prolongation,
            () if finest == shape else tuple(finest),
        )

    def __repr__(self):
        return f"{type(self).__name__}(shape={self.shape}{_named(self.prolongation)})"


@dataclass(frozen=True, repr=False)
class Torus(Grid):
    """Rings along each axis; its pairs are those of the grid.

    Another `prolongation` is one of `closed_forms.CYCLES`.
    """

    periodic: ClassVar[bool] = True


def path(size: int, *, prolongation: str = "pair") -> Path:
    """Arrange `size` nodes in a row, of which half, rounded up, remain a level deeper.

    Args:
        size: n.
        prolongation: "pair", or another family of `closed_forms` between paths: "box",
            "hat", "band", "decimation", "fold".

    Raises:
        ValueError: A size that is not a positive integer, or too large; an unknown
            family.

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
    """Arrange `size` nodes in a ring.

    Args:
        size: n.
        prolongation: "pair", or another family of `closed_forms` between cycles: "box",
            "hat", "band", "decimation", "daubechies4", "cover".

    Raises:
        ValueError: A size that is not a positive integer, or too large; an unknown
            family.

    Example:

    >>> cycle(8).coarsen()
    (Aggregation(8 x 4), Cycle(size=4))
    """
    return Cycle(size, prolongation=prolongation)


def grid(*shape: int, prolongation: str = "pair") -> Grid:
    """Arrange nodes in a grid: `grid(32, 32)` for images of 32 x 32 pixels.

    Args:
        shape: Nodes along each axis.
        prolongation: "pair", or another family, as for `path`, along the axes.

    Raises:
        ValueError: Sides that are not positive integers, or too many nodes; an
            unknown family.

    Example:

    >>> grid(28, 28).coarsen()
    (Kronecker(784 x 392), Grid(shape=(14, 28)))
    """
    return Grid(shape, prolongation=prolongation)


def torus(*shape: int, prolongation: str = "pair") -> Torus:
    """Arrange nodes in a torus: rings along any number of axes, in row-major order.

    Args:
        shape: Nodes along each axis.
        prolongation: "pair", or another family, as for `cycle`, along the axes.

    Raises:
        ValueError: Sides that are not positive integers, or too many nodes; an
            unknown family.

    Example:

    >>> torus(8, 8, prolongation="cover").coarsen()
    (Kronecker(64 x 32), Torus(shape=(4, 8), prolongation='cover'))
    """
    return Torus(shape, prolongation=prolongation)


def square_grid(size: int) -> Grid:
    """Arrange nodes in a grid of two axes, as square as `size` allows.

    >>> square_grid(1024).shape, square_grid(128).shape
    ((32, 32), (8, 16))
    """
    size = node_count("size", size)
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


def _halving(finest: int, size: int, family: str, periodic: bool) -> Prolongation:
    """P of a family from half of `size` nodes, in a chain from `finest` ones."""
    if family in WITH_MASSES and size != finest:
        make = (CYCLES if periodic else PATHS)[family]
        masses = _masses(finest, size, family, periodic)
        return make(_half(size), size, masses=masses)
    return closed_form(family, _half(size), size, periodic=periodic)


@lru_cache(maxsize=256)
def _masses(finest, size, family, periodic):
    """What the ones of `finest` nodes are at `size` nodes; `None` where still equal."""
    masses, n = np.ones(finest), finest
    while n != size:
        masses, n = _halving(finest, n, family, periodic).restrict(masses), _half(n)
    return None if np.ptp(masses) < 1e-12 * masses.max() else masses


def _half(size: int) -> int:
    """Nodes of the next coarser level, where pairs merge: size/2, rounded up."""
    return (size + 1) // 2


def _depth(size: int, prolongation: str) -> int:
    """How often a path or ring halves."""
    if prolongation in DIVIDING:
        return (size & -size).bit_length() - 1
    return math.ceil(math.log2(size))


def _family(prolongation: str, periodic: bool) -> str:
    """One of the families of P between paths, or between cycles."""
    families = sorted({"pair", *(CYCLES if periodic else PATHS)})
    return one_of("prolongation", prolongation, families)


def _finest(name: str, finest: int | None, size: int) -> int | None:
    """Nodes of a level that is no coarser than `size` nodes; none is this one."""
    return None if finest is None else integer(name, finest, size, MAX_NODES)


def _named(prolongation: str) -> str:
    """How `repr` shows a family: not at all if it is the default one."""
    return "" if prolongation == "pair" else f", prolongation={prolongation!r}"
