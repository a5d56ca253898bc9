"""Hop distances, as a matrix and as an operator (section 3.2.1)."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from scipy import fft, sparse
from scipy.sparse import csgraph

from msann.arrays import check_dense, real_array
from msann.graphs.adjacency import adjacency
from msann.graphs.products import grid_graph


def hop_distances(graph: Any) -> np.ndarray:
    """Count the edges on a shortest path between any two nodes: T of section 3.2.1.

    Returns:
        float64 array `(n, n)`.

    Raises:
        ValueError: The matrix would be larger than `DENSE_LIMIT`.

    >>> import networkx as nx
    >>> hop_distances(nx.cycle_graph(4))[0]
    array([0., 1., 2., 1.])
    """
    A = adjacency(graph)
    check_dense("hop distances", A.shape[0], A.shape[0])
    return csgraph.shortest_path(A, unweighted=True, directed=False)


class Distances:
    """Multiplies arrays by a graph's hop distances T: `distances @ X`.

    On paths, rings, grids and tori whose nodes are in row-major order, T is not made as
    a matrix: on a path cumulative sums give the product, on a ring a convolution
    does, and on a grid or torus the axes' shares add up. That costs O(n) or O(n log n)
    for a column. For any other graph the matrix `hop_distances(graph)` is kept.

    Args:
        graph: As `adjacency` takes it, of n nodes.

    Attributes:
        shape: (n, n).
        lattice: `(sides, periodic)` of a path, ring, grid or torus; `None` for others.

    Raises:
        TypeError: As `adjacency`.
        ValueError: As `hop_distances`. From `@`: X has no n rows, or more than two
            axes, or holds no finite real numbers.

    >>> import networkx as nx
    >>> Distances(nx.path_graph(4)) @ np.eye(4)[:, :1]
    array([[0.],
           [1.],
           [2.],
           [3.]])
    """

    def __init__(self, graph: Any):
        self._set(adjacency(graph))

    @classmethod
    def of(cls, A: sparse.csr_array) -> Distances:
        """Make one from an adjacency matrix that was checked before."""
        distances = cls.__new__(cls)
        distances._set(A)
        return distances

    def _set(self, A):
        self.shape = A.shape
        self.lattice = _lattice_of(A)
        self._matrix = None if self.lattice else hop_distances(A)

    def __matmul__(self, X):
        X = real_array("X", X)
        if X.ndim not in (1, 2) or len(X) != self.shape[0]:
            raise ValueError(
                f"`X` must have {self.shape[0]} rows. Received: shape {X.shape}"
            )
        if self._matrix is not None:
            return self._matrix @ X
        sides, periodic = self.lattice
        along = _along_ring if periodic else _along_path
        cube = X.reshape(*sides, -1)
        result = np.zeros_like(cube)
        for axis, side in enumerate(sides):
            others = tuple(i for i in range(len(sides)) if i != axis)
            line = along(cube.sum(axis=others), side)
            result += np.expand_dims(line, others)
        return result.reshape(X.shape)

    def toarray(self) -> np.ndarray:
        """Return the dense matrix."""
        if self._matrix is not None:
            return self._matrix
        check_dense("hop distances", *self.shape)
        return self @ np.eye(self.shape[0])


def _along_path(X, n):
    """sum_j |i - j| X_j for every i."""
    place = np.arange(n)[:, None]
    sums, moments = np.cumsum(X, axis=0), np.cumsum(place * X, axis=0)
    return 2 * (place * sums - moments) + moments[-1] - place * sums[-1]


def _along_ring(X, n):
    """sum_j min(|i - j|, n - |i - j|) X_j for every i."""
    hops = np.minimum(np.arange(n), n - np.arange(n)).astype(float)
    product = fft.rfft(hops)[:, None] * fft.rfft(X, axis=0)
    return fft.irfft(product, n, axis=0)


def _lattice_of(A):
    n = A.shape[0]
    if n == 1:
        return (1,), False
    # Cheap first: node 0 is a corner, of least degree d; no degree is above 2 d, and n
    # is at least 2^d, or 2^(d/2) on a torus.
    degrees = np.diff(A.indptr)
    corner = int(degrees[0])
    if corner != degrees.min() or degrees.max() > 2 * corner or 2**corner > n**2:
        return None
    for periodic in (False, True):
        for shape in _shapes(n, A.indices[: A.indptr[1]].tolist(), periodic):
            guess = grid_graph(*shape, periodic=periodic)
            if guess.nnz == A.nnz and abs(guess - A).max() == 0:
                return shape, periodic
    return None


def _shapes(n, neighbours, periodic):
    """Shapes of lattices of n nodes whose first node has these neighbours."""

    def grow(stride, sides, left):
        # Inwards out: the next axis begins where the neighbour is a stride away.
        if not left:
            yield (*(() if stride == n else (n // stride,)), *sides)
            return
        if left[0] != stride:
            return
        if not periodic:
            side = left[1] // stride if len(left) > 1 else n // stride
            yield from grow(stride * side, (side, *sides), left[1:])
            return
        yield from grow(2 * stride, (2, *sides), left[1:])
        for mate in left[1:]:
            others = [x for x in left[1:] if x != mate]
            if mate % stride == 0:
                side = mate // stride + 1
                yield from grow(stride * side, (side, *sides), others)

    for shape in grow(1, (), sorted(neighbours)):
        if prod(shape) == n:
            yield shape
