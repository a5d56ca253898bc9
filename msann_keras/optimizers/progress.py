"""How far a schedule has been walked, and what that cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Progress(NamedTuple):
    """How far a schedule has been walked.

    Attributes:
        position: Batches since its beginning.
        examples: Examples since then, one gradient evaluation each.
        level_examples: Those that trained each level, finest first.
    """

    position: int
    examples: int
    level_examples: tuple[int, ...]

    def cost(self, shares: Sequence[float]) -> float:
        """C(t), section 4.1; `shares` are |M_l|/|M_0|, `Hierarchy.shares`."""
        return float(np.dot(shares, self.level_examples))
