"""Piecewise constants and lines, orthonormalised: `box` and `hat`.

Both may be told what to reproduce in the place of ones. The polar factor of a sparse
matrix is dense, so they are, except where one size divides the other, a `Matrix`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import fft

from msann.arrays import MAX_DENSE, MAX_NODES, real_array
from msann.checks import flag, integer
from msann.prolongation.operators import Aggregation, Matrix, Prolongation


def box(coarse: int, fine: int, *, masses=None) -> Prolongation:
    """Average over intervals, Haar's scaling function: W (W^T W)^(-1/2).

    W holds the overlaps of fine and coarse cells. For n2 = 2 n1 this is the pair
    matrix, the paper's choice (Figure 3, cycle column 3 and, by Kronecker products,
    grid column 6). P P^T 1 = 1 always; P 1 is constant where n1 divides n2, and there
    P is an aggregation.

    Args:
        coarse: n1.
        fine: n2 >= n1.
        masses: Array `(n2,)` that P should reproduce, P P^T m = m, in the place of
            ones: in a chain, what the finest level's ones are at the fine nodes.

    Returns:
        P of shape `(n2, n1)`.

    Raises:
        ValueError: Sizes that are not integers with 1 <= n1 <= n2.

    Example:

    >>> box(2, 4).matrix().round(3)
    array([[0.707, 0.   ],
           [0.707, 0.   ],
           [0.   , 0.707],
           [0.   , 0.707]])
    """
    coarse, fine = sizes(coarse, fine)
    masses = _checked_masses(masses, fine)
    if fine % coarse == 0:
        labels = np.arange(fine) * coarse // fine
        if masses is None:
            return Aggregation(labels)
        totals = np.bincount(labels, np.square(masses))
        return Aggregation(labels, masses / np.sqrt(totals[labels]))
    sizes(coarse, fine, dense=True)
    # In units of 1/(n1 n2), so that every overlap is a whole number.
    i, j = np.arange(fine)[:, None], np.arange(coarse)
    ends = np.minimum((i + 1) * coarse, (j + 1) * fine)
    return _polar(np.maximum(0, ends - np.maximum(i * coarse, j * fine)), masses)


def hat(coarse: int, fine: int, *, periodic: bool = False, masses=None) -> Matrix:
    """Interpolate linearly between cell centres, orthonormalised by the polar factor.

    It is multigrid's usual interpolation, and the linear spline of Battle and Lemarie
    where the graphs are cycles. Beyond the first and the last centre of a path it is
    constant. P P^T 1 = 1 always; P 1 is constant where n1 divides n2.

    Args:
        coarse: n1.
        fine: n2 >= n1.
        periodic: Cycles rather than paths.
        masses: As for `box`.

    Returns:
        P of shape `(n2, n1)`, dense.

    Raises:
        ValueError: Sizes that are not integers with 1 <= n1 <= n2.

    Example:

    >>> hat(2, 4).matrix().round(3)
    array([[ 0.801, -0.094],
           [ 0.577,  0.13 ],
           [ 0.13 ,  0.577],
           [-0.094,  0.801]])
    """
    coarse, fine = sizes(coarse, fine, dense=True)
    masses = _checked_masses(masses, fine)
    place = (np.arange(fine) + 0.5) * coarse / fine - 0.5  # in coarse cells
    if not flag("periodic", periodic):
        place = np.clip(place, 0, coarse - 1)
    left = np.floor(place).astype(int)
    W = np.zeros((fine, coarse))
    rows = np.arange(fine)
    np.add.at(W, (rows, left % coarse), 1 - (place - left))
    np.add.at(W, (rows, (left + 1) % coarse), place - left)
    if masses is None and fine % coarse == 0:
        return _polar_by_waves(W, periodic)
    return _polar(W, masses)


def sizes(coarse: Any, fine: Any, dense: bool = False) -> tuple[int, int]:
    """n1 and n2 as Python's integers.

    Args:
        coarse: n1.
        fine: n2.
        dense: Whether P will be a dense matrix.

    Raises:
        ValueError: No integers with 1 <= n1 <= n2, or too large ones.
    """
    coarse = integer("coarse", coarse, least=1, most=MAX_NODES)
    fine = integer("fine", fine, least=1, most=MAX_NODES)
    if coarse > fine:
        raise ValueError(
            f"`fine` must be at least `coarse`. Received: coarse={coarse}, fine={fine}"
        )
    if dense and coarse * fine > MAX_DENSE:
        raise ValueError(
            f"A dense prolongation may have at most {MAX_DENSE:,} entries. "
            f"Received: coarse={coarse:,}, fine={fine:,}, which make {coarse * fine:,}"
        )
    return coarse, fine


def _checked_masses(masses, fine):
    """Positive numbers, one for each fine node, or `None`."""
    if masses is None:
        return None
    masses = real_array("masses", masses, ndim=1)
    if len(masses) != fine or not (masses > 0).all():
        raise ValueError(
            f"`masses` must hold {fine} positive numbers. Received: {len(masses)} "
            f"numbers, the least {masses.min(initial=np.inf):g}"
        )
    return masses


def _polar(W, masses) -> Matrix:
    """The matrix with orthonormal columns that is nearest to W, of rows times masses.

    Rows of W have one sum, so that masses times W is theirs to reproduce.
    """
    if masses is not None:
        W = W * masses[:, None]
    left, _, right = np.linalg.svd(W, full_matrices=False)
    return Matrix(left @ right)


def _polar_by_waves(W, periodic) -> Matrix:
    """The polar factor W (W^T W)^(-1/2), where cosines or waves diagonalise W^T W.

    They do where all coarse cells are alike: W^T W is a circulant on a cycle, and
    mirrored at its ends on a path. It takes n2 n1 log n1 operations; the singular
    value decomposition takes n2 n1^2.
    """
    first = W.T @ W[:, 0]
    if periodic:
        energies = fft.fft(first).real
        waves = fft.fft(W, axis=1) / np.sqrt(energies)
        return Matrix.orthonormal(fft.ifft(waves, axis=1).real)
    unit = np.eye(1, len(first))[0]
    energies = fft.dct(first) / fft.dct(unit)
    cosines = fft.dct(W, axis=1) / np.sqrt(energies)
    return Matrix.orthonormal(fft.idct(cosines, axis=1))
