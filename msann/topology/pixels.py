"""Images whose sides are told for each level, with channels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from msann.prolongation.operators import Identity, Kronecker
from msann.prolongation.splines import box
from msann.topology.base import Topology


@dataclass(frozen=True)
class Pixels(Topology):
    """Images of several sizes, whose channels stay whole.

    Attributes:
        sides: Of the image at each level, finest first.
        channels: Numbers at each pixel.
        masses: What level 0's ones are along each side; none are all 1.
    """

    sides: tuple[tuple[int, ...], ...]
    channels: int = 1
    masses: tuple[tuple[float, ...], ...] = field(default=(), repr=False)

    @property
    def size(self):
        """Pixels times channels."""
        return math.prod(self.sides[0]) * self.channels

    @property
    def max_depth(self):
        """The levels that there are sides for."""
        return len(self.sides) - 1

    def coarsen(self):
        """Averages along each side, whatever the two sides are.

        >>> from msann.topology import chain
        >>> chain(Pixels(((4, 6), (2, 3)), channels=2), depth=1).sizes
        (48, 12)
        """
        masses = self.masses or tuple((1.0,) * side for side in self.sides[0])
        each = zip(self.sides[1], self.sides[0], masses, strict=True)
        factors = [box(*sides, masses=np.array(own)) for *sides, own in each]
        pairs = zip(factors, masses, strict=True)
        coarse = tuple(tuple(P.restrict(np.array(own)).tolist()) for P, own in pairs)
        P = Kronecker(*factors, Identity(self.channels))
        return P, Pixels(self.sides[1:], self.channels, coarse)
