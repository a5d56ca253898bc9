"""Prolongations in closed form, for any n1 <= n2: the species of Figure 3 and kin.

Each is a classical object. All have orthonormal columns. Cells are [j/n, (j+1)/n], so
that a graph's nodes stand at the cells' centres.

=============  =============  ===============================  ================
name           graphs         classical object                 entries in a row
=============  =============  ===============================  ================
`box`          paths, cycles  Haar scaling function            1, or all
`hat`          paths, cycles  linear spline, orthonormalised   all; they decay
`band`         paths, cycles  cosine or Fourier interpolation  all
`decimation`   paths, cycles  every m-th node                  at most 1
`daubechies4`  cycles         Daubechies' wavelet of 4 taps    2
`cover`        cycles         the m-fold covering map          1
`fold`         paths          the m-fold folding map           1
=============  =============  ===============================  ================

What has one entry in a row is an `Aggregation`. The polar factor of a sparse matrix is
dense, so `hat`, and `box` between sizes that do not divide, are a `Matrix`; only
`daubechies4` would gain from a sparse operator, and at n2 = 1024 its dense product is
no part of what a training step costs that one could notice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

import numpy as np
from scipy.fft import idct

from msann.checks import flag, integers, one_of
from msann.prolongation.operators import (
    Aggregation,
    Identity,
    Kronecker,
    Matrix,
    Prolongation,
)
from msann.prolongation.splines import box, hat, sizes


def band(coarse: int, fine: int, *, periodic: bool = False) -> Matrix:
    """Make the P that interpolates by cosines (paths) or a Fourier series (cycles).

    The n1 smoothest waves of the fine graph take the place of the n1 waves of the
    coarse one. On paths P = C2[:, :n1] C1^T, where the columns of C1 and C2 are the
    orthonormal cosines (DCT-II) of n1 and n2 nodes; on cycles it is the Dirichlet
    kernel. Composites are exact: band(7, 14) then band(14, 28) is band(7, 28).
    Constants stay constants. P is close to the global optimum of E(P), (3.3), at
    s = 1 and beta = (n1/n2)^2.

    Args:
        coarse: n1.
        fine: n2 >= n1.
        periodic: Cycles rather than paths.

    Returns:
        P of shape `(n2, n1)`, dense.

    Raises:
        ValueError: Sizes that are not integers with 1 <= n1 <= n2, or are too large
            for a dense matrix.

    Example:

    >>> band(2, 4).matrix().round(3)
    array([[ 0.815, -0.108],
           [ 0.545,  0.162],
           [ 0.162,  0.545],
           [-0.108,  0.815]])
    """
    coarse, fine = sizes(coarse, fine, dense=True)
    basis = _fourier if flag("periodic", periodic) else _cosines
    return Matrix(basis(fine, coarse) @ basis(coarse, coarse).T)


def decimation(coarse: int, fine: int) -> Aggregation:
    """Make the P that copies each coarse entry to one fine node; the others get 0.

    That node is the first one of the coarse node's cell, so P's columns are columns of
    the identity. Its transpose keeps these nodes' entries, which multigrid calls
    injection. P does not keep constants.

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
    coarse, fine = sizes(coarse, fine)
    labels = np.arange(fine) * coarse // fine
    return Aggregation(labels, np.diff(labels, prepend=-1).astype(float))


def daubechies4(coarse: int, fine: int) -> Matrix:
    """Use Daubechies' scaling filter of four taps on a cycle, for n2 = 2 n1.

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
    coarse, fine = sizes(coarse, fine, dense=True)
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
    """Make the P that winds a cycle of m n nodes m times around n: [I; I; ..] / sqrt m.

    It is a global optimum of the diffusion term (E = 0 at s = 0), and of those columns
    of Figure 3 that are fully diffuse. It is not local: the fine nodes of a coarse one
    lie far apart. The cycle of two nodes, a single edge, is the exception.

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
    coarse, fine = _multiples("cover", coarse, fine)
    return Aggregation(np.arange(fine) % coarse)


def fold(coarse: int, fine: int) -> Aggregation:
    """Make the P that folds a path of m n nodes m times onto n: [I; J; ..] / sqrt m.

    J reverses the order of the n nodes. P is a global optimum of the diffusion term
    (E = 0 at s = 0), and it is not local: the fine nodes of a coarse one lie far apart.
    For m = 2 it is C2[:, ::2] C1^T with the orthonormal DCT-II.

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
    coarse, fine = _multiples("fold", coarse, fine)
    place = np.arange(fine) % (2 * coarse)
    return Aggregation(np.minimum(place, 2 * coarse - 1 - place))


#: Makes P from n1 and n2; some families take more by name (`WITH_MASSES`).
Family = Callable[..., Prolongation]
#: Families between paths, and so between grids, by name.
PATHS: dict[str, Family] = {
    "box": box,
    "hat": hat,
    "band": band,
    "decimation": decimation,
    "fold": fold,
}
#: Families between cycles, and so between tori.
CYCLES: dict[str, Family] = {
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
    """Make the P of a named family; for grids or tori, a Kronecker product over axes.

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
    families = CYCLES if flag("periodic", periodic) else PATHS
    make = families[one_of("name", name, families)]
    if not isinstance(coarse, Collection) and not isinstance(fine, Collection):
        return make(coarse, fine)
    shapes = [
        integers(argument, x if isinstance(x, Collection) else [x], least=1)
        for argument, x in (("coarse", coarse), ("fine", fine))
    ]
    if len(shapes[0]) != len(shapes[1]) or not shapes[0]:
        raise ValueError(
            "`coarse` and `fine` must have as many axes, at least one. "
            f"Received: coarse={coarse}, fine={fine}"
        )
    axes = zip(*shapes, strict=True)
    return Kronecker(*(Identity(n2) if n1 == n2 else make(n1, n2) for n1, n2 in axes))


def _cosines(n, columns):
    """The first columns of the orthonormal DCT-II, as vectors on a path."""
    return idct(np.eye(n, columns), axis=0, norm="ortho")


def _fourier(n, columns):
    """1, sin x, cos x, sin 2x, .. at the cell centres of a cycle, orthonormal.

    A sine comes first, because at the highest frequency of an even cycle the cosine
    is zero at every centre.
    """
    k = np.arange(columns)
    angle = 2 * np.pi * np.outer(np.arange(n) + 0.5, (k + 1) // 2) / n
    basis = np.where(k % 2, np.sin(angle), np.cos(angle))
    return basis / np.linalg.norm(basis, axis=0)


def _multiples(name, coarse, fine):
    coarse, fine = sizes(coarse, fine)
    if fine % coarse:
        raise ValueError(
            f"`{name}` needs a `coarse` that divides `fine`. "
            f"Received: coarse={coarse}, fine={fine}"
        )
    return coarse, fine
