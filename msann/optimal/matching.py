"""The minimal eigenvalue matching m* of (3.2), exact with ties.

The cost (x_j - y_i)^2 is convex in the difference, so some cheapest matching keeps the
order of sorted values; among all cheapest ones, the lexicographically first has the
smallest rows of those that keep it (uncrossing two pairs keeps the rows, and lowers the
order). So a dynamic programme over the suffixes gives the costs, and the first matching
is read off forwards.
"""

from __future__ import annotations

import numpy as np

from msann.arrays import real_array

#: Costs that differ by less than this times the largest squared value are equal.
TIE = 1e-12


def minimal_matching(coarse, fine) -> np.ndarray:
    """Match sorted values at the least cost; of equals, the lexicographically first.

    Args:
        coarse: Ascending array `(n1,)`, eigenvalues of the smaller graph.
        fine: Ascending array `(n2,)`, n2 >= n1.

    Returns:
        Integer array `(n1,)`: the row i (fine) that each column j (coarse) is matched
        with, increasing. M of (3.2) has its ones at `(rows[j], j)`.

    Raises:
        ValueError: Not one-dimensional, NaN or infinite, not ascending, or more coarse
            values than fine ones.

    Example:

    >>> minimal_matching([-3, -1, 0], [-4, -3.2, -2, -1.1, 0])
    array([1, 3, 4])
    """
    coarse, fine = _checked("coarse", coarse), _checked("fine", fine)
    n1, n2 = len(coarse), len(fine)
    if n1 > n2:
        raise ValueError(
            "`coarse` must have no more values than `fine`. "
            f"Received: {n1} and {n2} values"
        )
    width = n2 - n1 + 1  # column j takes one of the rows j .. j + width - 1
    tie = TIE * max(np.abs(coarse).max(), np.abs(fine).max()) ** 2
    # best[j][d]: columns j .. on rows j + d ..; ahead[j][d]: with row j + d for j.
    ahead = np.empty((n1, width))
    best = np.zeros(width)
    for j in reversed(range(n1)):
        ahead[j] = (coarse[j] - fine[j : j + width]) ** 2 + best
        best = np.minimum.accumulate(ahead[j, ::-1])[::-1]
    rows, offset = np.empty(n1, dtype=int), 0
    for j in range(n1):
        left = ahead[j, offset:]
        offset += int(np.argmax(left <= left.min() + tie))
        rows[j] = j + offset
    return rows


def _checked(name, values):
    values = real_array(name, values, ndim=1)
    if not len(values):
        raise ValueError(f"`{name}` must hold at least one value. Received: none")
    if (falls := np.flatnonzero(np.diff(values) < 0)).size:
        raise ValueError(
            f"`{name}` must be ascending. Received: {values[falls[0]]:g} before "
            f"{values[falls[0] + 1]:g}"
        )
    return values
