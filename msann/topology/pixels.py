"""Images whose sides, or sides and channels, are told for each level."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from msann.prolongation.operators import Kronecker
from msann.prolongation.splines import box
from msann.topology.base import Topology


@dataclass(frozen=True)
class Pixels(Topology):
    """Images of several sizes.

    Attributes:
        sides: Of the image at each level, finest first; the number of channels may be
            the last one.
        masses: What level 0's ones are along each side; none are all 1.
    """

    sides: tuple[tuple[int, ...], ...]
    masses: tuple[tuple[float, ...], ...] = field(default=(), repr=False)

    @property
    def size(self):
        """Pixels, times channels if there are any."""
        return math.prod(self.sides[0])

    @property
    def max_depth(self):
        """The levels that there are sides for."""
        return len(self.sides) - 1

    def coarsen(self):
        """Averages along each side, whatever the two sides are.

        >>> from msann.topology import chain
        >>> chain(Pixels(((4, 6), (2, 3))), depth=1).sizes
        (24, 6)
        """
        masses = self.masses or tuple((1.0,) * side for side in self.sides[0])
        each = zip(self.sides[1], self.sides[0], masses, strict=True)
        factors = [box(*sides, masses=np.array(own)) for *sides, own in each]
        pairs = zip(factors, masses, strict=True)
        coarse = tuple(tuple(P.restrict(np.array(own)).tolist()) for P, own in pairs)
        return Kronecker(*factors), Pixels(self.sides[1:], coarse)
