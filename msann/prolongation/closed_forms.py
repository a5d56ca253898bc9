"""Prolongations in closed form, for any n1 <= n2: the species of Figure 3 and kin.

Each is a classical object. All have orthonormal columns. Cells are [j/n, (j+1)/n], so
that a graph's nodes stand at the cells' centres.

| name          | graphs        | classical object                | entries in a row |
| ------------- | ------------- | ------------------------------- | ---------------- |
| `box`         | paths, cycles | Haar scaling function           | 1, or all        |
| `hat`         | paths, cycles | linear spline, orthonormalised  | all; they decay  |
| `band`        | paths, cycles | cosine or Fourier interpolation | all              |
| `decimation`  | paths, cycles | every m-th node                 | at most 1        |
| `daubechies4` | cycles        | Daubechies' wavelet of 4 taps   | 2                |
| `cover`       | cycles        | the m-fold covering map         | 1                |
| `fold`        | paths         | the m-fold folding map          | 1                |

What has one entry in a row is an `Aggregation`. The polar factor of a sparse matrix is
dense, so `hat`, and `box` between sizes that do not divide, are a `Matrix`; only
`daubechies4` would gain from a sparse operator, and at n2 = 1024 its dense product is
no part of what a training step costs that one could notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy.fft import dct

from msann.prolongation.operators import (
    Aggregation,
    Identity,
    Kronecker,
    Matrix,
    Prolongation,
)


def box(coarse: int, fine: int, *, masses=None) -> Prolongation:
    """Piecewise constants, the Haar scaling function: W (W^T W)^(-1/2).

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
    _check(coarse, fine)
    if fine % coarse == 0:
        labels = np.arange(fine) * coarse // fine
        if masses is None:
            return Aggregation(labels)
        totals = np.bincount(labels, np.square(masses))
        return Aggregation(labels, masses / np.sqrt(totals[labels]))
    # In units of 1/(n1 n2), so that every overlap is a whole number.
    i, j = np.arange(fine)[:, None], np.arange(coarse)
    ends = np.minimum((i + 1) * coarse, (j + 1) * fine)
    return _polar(np.maximum(0, ends - np.maximum(i * coarse, j * fine)), masses)


def hat(coarse: int, fine: int, *, periodic: bool = False, masses=None) -> Matrix:
    """Linear interpolation between cell centres, orthonormalised by its polar factor.

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
    _check(coarse, fine)
    place = (np.arange(fine) + 0.5) * coarse / fine - 0.5  # in coarse cells
    if not periodic:
        place = np.clip(place, 0, coarse - 1)
    left = np.floor(place).astype(int)
    W = np.zeros((fine, coarse))
    rows = np.arange(fine)
    np.add.at(W, (rows, left % coarse), 1 - (place - left))
    np.add.at(W, (rows, (left + 1) % coarse), place - left)
    return _polar(W, masses)


def band(coarse: int, fine: int, *, periodic: bool = False) -> Matrix:
    """The smoothest n1 vibrations of the fine graph stand for those of the coarse one.

    On paths C2[:, :n1] C1^T with the orthonormal DCT-II, on cycles the Dirichlet
    kernel: interpolation by cosines and by Fourier series at cell centres. Composites
    are exact, band(7, 14) then band(14, 28) being band(7, 28), and constants stay
    constants. It is close to the global optimum at s = 1, beta = (n1/n2)^2.

    Args:
        coarse: n1.
        fine: n2 >= n1.
        periodic: Cycles rather than paths.

    Returns:
        P of shape `(n2, n1)`, dense.

    Raises:
        ValueError: Sizes that are not integers with 1 <= n1 <= n2.

    Example:

    >>> band(2, 4).matrix().round(3)
    array([[ 0.815, -0.108],
           [ 0.545,  0.162],
           [ 0.162,  0.545],
           [-0.108,  0.815]])
    """
    _check(coarse, fine)
    basis = _fourier if periodic else _cosines
    return Matrix(basis(fine, coarse) @ basis(coarse, coarse).T)


def decimation(coarse: int, fine: int) -> Aggregation:
    """Every m-th node: injection, as multigrid people call its transpose.

    Columns of the identity: each coarse node is the first fine node of its cell. It
    keeps no constants.

    Args:
        coarse: n1.
        fine: n2 >= n1.

    Returns:
        P of shape `(n2, n1)`, of zeros and ones.

    Raises:
        ValueError: Sizes that are not integers with 1 <= n1 <= n2.

    Example:

    >>> decimation(2, 4).matrix().T
    array([[1., 0., 0., 0.],
           [0., 0., 1., 0.]])
    """
    _check(coarse, fine)
    labels = np.arange(fine) * coarse // fine
    return Aggregation(labels, np.diff(labels, prepend=-1).astype(float))


def daubechies4(coarse: int, fine: int) -> Matrix:
    """Daubechies' scaling filter of four taps on a cycle, for n2 = 2 n1.

    Orthonormal, local, and exact for linear functions, at the price of symmetry. On
    cycles at beta = 1/2 and s = 1 its E is that of the pair matrix.

    Args:
        coarse: n1.
        fine: 2 n1.

    Returns:
        P of shape `(2 n1, n1)`.

    Raises:
        ValueError: Another ratio than two.

    Example:

    >>> daubechies4(4, 8).matrix()[:, 0].round(3)
    array([ 0.483,  0.837,  0.224, -0.129,  0.   ,  0.   ,  0.   ,  0.   ])
    """
    _check(coarse, fine)
    if fine != 2 * coarse:
        raise ValueError(
            "`daubechies4` goes from n to 2n nodes. "
            f"Received: coarse={coarse}, fine={fine}"
        )
    root = np.sqrt(3)
    taps = np.array([1 + root, 3 + root, 3 - root, 1 - root]) / (4 * np.sqrt(2))
    W = np.zeros((fine, coarse))
    columns = np.arange(coarse)
    for k, tap in enumerate(taps):
        np.add.at(W, ((2 * columns + k) % fine, columns), tap)
    return Matrix(W)


def cover(coarse: int, fine: int) -> Aggregation:
    """[I; I; ..] / sqrt m: the cycle of m n nodes winds m times around that of n.

    A global optimum of the diffusion term, E = 0 at s = 0, and of those columns of
    Figure 3 that are fully diffuse; nonlocal. The cycle of two nodes, a single edge, is
    the exception.

    Args:
        coarse: n1.
        fine: m n1.

    Returns:
        P of shape `(n2, n1)`.

    Raises:
        ValueError: n1 does not divide n2.

    Example:

    >>> cover(2, 4).labels
    array([0, 1, 0, 1])
    """
    _check_divides("cover", coarse, fine)
    return Aggregation(np.arange(fine) % coarse)


def fold(coarse: int, fine: int) -> Aggregation:
    """[I; J; I; ..] / sqrt m, J the reversal: a path folded m times onto another.

    A global optimum of the diffusion term, E = 0 at s = 0; nonlocal. For m = 2 it is
    C2[:, ::2] C1^T with the orthonormal DCT-II.

    Args:
        coarse: n1.
        fine: m n1.

    Returns:
        P of shape `(n2, n1)`.

    Raises:
        ValueError: n1 does not divide n2.

    Example:

    >>> fold(2, 6).labels
    array([0, 1, 1, 0, 0, 1])
    """
    _check_divides("fold", coarse, fine)
    place = np.arange(fine) % (2 * coarse)
    return Aggregation(np.minimum(place, 2 * coarse - 1 - place))


#: Families between paths, and so between grids, by name.
PATHS = {"box": box, "hat": hat, "band": band, "decimation": decimation, "fold": fold}
#: Families between cycles, and so between tori.
CYCLES = {
    "box": box,
    "hat": partial(hat, periodic=True),
    "band": partial(band, periodic=True),
    "decimation": decimation,
    "daubechies4": daubechies4,
    "cover": cover,
}
#: Families that need n1 to divide n2.
DIVIDING = {"daubechies4", "cover", "fold"}
#: Families that can be told what to reproduce.
WITH_MASSES = {"box", "hat"}


def closed_form(
    name: str,
    coarse: int | Sequence[int],
    fine: int | Sequence[int],
    *,
    periodic: bool = False,
) -> Prolongation:
    """A family by name; between grids or tori, its Kronecker product over the axes.

    Args:
        name: Of `PATHS`, or of `CYCLES` if `periodic`.
        coarse: n1, or the shape of the coarse grid.
        fine: n2, or the shape of the fine grid, of as many axes.
        periodic: Cycles and tori rather than paths and grids.

    Returns:
        P of shape `(n2, n1)`.

    Raises:
        ValueError: An unknown name, shapes of different length, or what the family
            refuses.

    Example:

    >>> closed_form("band", (4, 4), (8, 8))
    Kronecker(64 x 16)
    """
    families = CYCLES if periodic else PATHS
    check_name(name, families)
    if isinstance(coarse, int) and isinstance(fine, int):
        return families[name](coarse, fine)
    shapes = [[x] if isinstance(x, int) else list(x) for x in (coarse, fine)]
    if len(shapes[0]) != len(shapes[1]):
        raise ValueError(
            "`coarse` and `fine` must have as many axes. "
            f"Received: coarse={coarse}, fine={fine}"
        )
    axes = zip(*shapes, strict=True)
    return Kronecker(
        *(Identity(n2) if n1 == n2 else families[name](n1, n2) for n1, n2 in axes)
    )


def check_name(name: str, families) -> None:
    """Refuse a name that is not among `families`."""
    if name not in families:
        raise ValueError(
            f"`prolongation` must be one of {sorted(families)}. "
            f"Received: prolongation={name!r}"
        )


def _polar(W, masses) -> Matrix:
    """The matrix with orthonormal columns that is nearest to W, of rows times masses.

    Rows of W have one sum, so that masses times W is theirs to reproduce.
    """
    if masses is not None:
        W = W * np.asarray(masses)[:, None]
    left, _, right = np.linalg.svd(W, full_matrices=False)
    return Matrix(left @ right)


def _cosines(n, columns):
    """The first columns of the orthonormal DCT-II, as vectors on a path."""
    return dct(np.eye(n), axis=0, norm="ortho")[:columns].T


def _fourier(n, columns):
    """1, sin x, cos x, sin 2x, .. at the cell centres of a cycle, orthonormal.

    A sine comes first, because at the highest frequency of an even cycle the cosine
    is zero at every centre.
    """
    k = np.arange(columns)
    angle = 2 * np.pi * np.outer(np.arange(n) + 0.5, (k + 1) // 2) / n
    basis = np.where(k % 2, np.sin(angle), np.cos(angle))
    return basis / np.linalg.norm(basis, axis=0)


def _check(coarse, fine):
    for name, value in (("coarse", coarse), ("fine", fine)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(
                f"`{name}` must be a positive integer. Received: {name}={value!r}"
            )
    if coarse > fine:
        raise ValueError(
            f"`fine` must be at least `coarse`. Received: coarse={coarse}, fine={fine}"
        )


def _check_divides(name, coarse, fine):
    _check(coarse, fine)
    if fine % coarse:
        raise ValueError(
            f"`{name}` needs a `coarse` that divides `fine`. "
            f"Received: coarse={coarse}, fine={fine}"
        )
