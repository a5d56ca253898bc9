"""Topologies that are no lattices and no graphs: shuffled, slower, given, ..."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from msann.arrays import MAX_DENSE
from msann.checks import flag, instance, integer, integers, refuse
from msann.prolongation.composition import fitting, permuted
from msann.prolongation.operators import (
    Identity,
    Matrix,
    Prolongation,
)
from msann.topology.base import Stored, Topology, node_count, settle


@dataclass(frozen=True)
class Unstructured(Topology):
    """n nodes that do not coarsen: class logits, for example."""

    size: int
    max_depth = math.inf

    def __post_init__(self):
        settle(self, size=node_count("size", self.size))

    def coarsen(self):
        """The identity, and the same space again."""
        return Identity(self.size), self


@dataclass(frozen=True)
class Shuffled(Topology):
    """Another topology with its nodes in random order (section 4.4, strategy 3).

    By default the nodes are shuffled once. With `redraw` every level is shuffled anew,
    and `multilevel` draws anew for every weight that touches the space, as the
    authors' script does, so that weights and levels disagree about the order.
    """

    base: Topology
    seed: int
    redraw: bool = False

    def __post_init__(self):
        instance("base", self.base, Topology, "a topology such as `path(1024)`")
        seed, redraw = integer("seed", self.seed, least=0), flag("redraw", self.redraw)
        settle(self, seed=seed, redraw=redraw)

    @property
    def size(self):
        """Number of nodes."""
        return self.base.size

    @property
    def max_depth(self):
        """That of the topology that is shuffled."""
        return self.base.max_depth

    def coarsen(self):
        """The base's P with its rows shuffled, and the base's coarser topology."""
        P, coarser = self.base.coarsen()
        order = np.random.default_rng(self.seed).permutation(self.size)
        if self.redraw:
            coarser = self.drawn_for(1, base=coarser)
        return permuted(P, order), coarser

    def drawn_for(self, *key: int, base: Topology | None = None) -> Shuffled:
        """The same topology with a seed of its own for `key`."""
        key = integers("key", key, least=0)
        seed = int(np.random.SeedSequence([self.seed, *key]).generate_state(1)[0])
        return Shuffled(base or self.base, seed, self.redraw)


@dataclass(frozen=True)
class Slower(Topology):
    """Another topology that coarsens at every second level only, down to a least size.

    Hidden spaces of a network coarsen so while its data halve at every level: they
    hold what the network makes of the data, which shrinks less than the data do.

    Attributes:
        base: The topology that coarsens.
        least: It stays whole where it would fall below so many nodes.
        due: Whether the next level is one that coarsens.
    """

    base: Topology
    least: int = 1
    due: bool = False
    max_depth = math.inf

    def __post_init__(self):
        instance("base", self.base, Topology, "a topology such as `path(1024)`")
        least, due = integer("least", self.least, least=1), flag("due", self.due)
        settle(self, least=least, due=due)

    @property
    def size(self):
        """Number of nodes."""
        return self.base.size

    def coarsen(self):
        """The identity and the base's P in turn.

        >>> from msann.topology import chain, path
        >>> chain(Slower(path(64), least=16), depth=6).sizes
        (64, 64, 32, 32, 16, 16, 16)
        """
        if self.due and self.base.max_depth >= 1:
            P, coarser = self.base.coarsen()
            if coarser.size >= self.least:
                return P, Slower(coarser, self.least)
        return Identity(self.size), Slower(self.base, self.least, due=not self.due)


@dataclass(frozen=True)
class RandomOrthogonal(Topology):
    """Unstructured P: random orthonormal columns, half as many at each level."""

    size: int
    seed: int

    def __post_init__(self):
        size = node_count("size", self.size)
        if size * ((size + 1) // 2) > MAX_DENSE:
            most = math.isqrt(2 * MAX_DENSE)
            refuse("size", size, f"at most {most:,}: the matrix is dense")
        settle(self, size=size, seed=integer("seed", self.seed, least=0))

    def coarsen(self):
        """A uniformly random point of the Stiefel manifold."""
        rng = np.random.default_rng(self.seed)
        shape = self.size, (self.size + 1) // 2
        Q, R = np.linalg.qr(rng.standard_normal(shape))
        coarser = RandomOrthogonal(shape[1], int(rng.integers(2**32)))
        # Signs from R make QR's Q uniformly distributed.
        return Matrix(Q * np.sign(np.diag(R))), coarser


@dataclass(frozen=True, eq=False)
class Given(Stored):
    """A space with the user's own prolongations, finest first."""

    operators: tuple[Prolongation, ...]

    def __post_init__(self):
        settle(self, operators=fitting(self.operators, "operators"))

    @property
    def size(self):
        """Number of nodes."""
        return self.operators[0].shape[0]

    def coarsen(self):
        """The first prolongation, and a topology with the others."""
        P, *others = self.operators
        return P, Given(tuple(others)) if others else Unstructured(P.shape[1])


def shuffled(base: Topology, *, seed: int, redraw: bool = False) -> Shuffled:
    """Put another topology's nodes in random order: the control of Figure 7.

    Args:
        base: The topology to shuffle.
        seed: Integer >= 0 that the order is drawn with.
        redraw: Whether each level has an order of its own, and in `multilevel` each
            weight that touches the space too, as in the authors' script.

    Raises:
        ValueError: `base` is no topology, `seed` no integer >= 0, or `redraw` no bool.

    Example:

    >>> from msann.topology import path
    >>> P, coarser = shuffled(path(4), seed=5).coarsen()
    >>> P.matrix().sum(axis=0).round(3), coarser
    (array([1.414, 1.414]), Path(size=2))
    """
    return Shuffled(base, seed, redraw)


def slower(base: Topology, *, least: int = 1) -> Slower:
    """Coarsen a topology at every second level only, as hidden spaces may.

    Args:
        base: The topology that coarsens.
        least: It stays whole where it would fall below so many nodes.

    Example:

    >>> from msann.topology import chain, path
    >>> chain(slower(path(8), least=4), depth=4).sizes
    (8, 8, 4, 4, 4)
    """
    return Slower(base, least)


def random_orthogonal(size: int, *, seed: int) -> RandomOrthogonal:
    """Coarsen a space by random matrices, which know nothing of the data's shape.

    Each P has random orthonormal columns, half as many (rounded up) as it has rows.

    Args:
        size: Number of nodes.
        seed: Integer >= 0 that the matrices are drawn with.

    Raises:
        ValueError: No positive `size`, or one above 4,096, since P is dense; or a seed
            that is no integer >= 0.

    >>> P, _ = random_orthogonal(6, seed=5).coarsen()
    >>> np.allclose(P.matrix().T @ P.matrix(), np.eye(3))
    True
    """
    return RandomOrthogonal(size, seed)


def identity(size: int) -> Unstructured:
    """Keep all `size` nodes of a space at every level.

    >>> identity(10).coarsen()
    (Identity(10 x 10), Unstructured(size=10))
    """
    return Unstructured(size)


def given(*prolongations: Any) -> Given:
    """Bring your own chain of prolongations, finest first.

    Args:
        prolongations: Matrices `(fine, coarse)` with orthonormal columns, or
            `Prolongation` operators; the coarse size of each is the fine size of the
            next.

    Raises:
        ValueError: None given, columns not orthonormal, or neighbours that do not fit.

    Example:

    >>> given(np.eye(4)[:, :2], np.eye(2)[:, :1]).max_depth
    2
    """
    operators = [P if isinstance(P, Prolongation) else Matrix(P) for P in prolongations]
    return Given(fitting(operators, "prolongations"))
