"""Graphs and the two processes on them (section 3.1): diffusion and distance.

A graph is what networkx has, or a symmetric matrix of weights; inside it is a sparse
adjacency matrix with nodes in the graph's own order. Products number their nodes in
row-major order, as `numpy.kron` does.
"""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import Any

import networkx as nx
import numpy as np
from scipy import fft, sparse
from scipy.sparse import csgraph

#: Largest dense matrix that is made, in bytes.
DENSE_LIMIT = 4 * 2**30


def adjacency(graph: Any, argument: str = "graph") -> sparse.csr_array:
    """A, the adjacency matrix, checked.

    Args:
        graph: A networkx graph (edge attribute `weight` if there is one), or a sparse
            or dense symmetric matrix `(n, n)`.
        argument: What to call it in an error.

    Returns:
        A sparse float64 array `(n, n)`.

    Raises:
        TypeError: Neither a graph nor a matrix.
        ValueError: No nodes, directed or not symmetric, weights that are negative, NaN
            or infinite, a self-loop (but on the single vertex of a lineage's G_0), or
            more than one connected component.

    Example:

    >>> adjacency(nx.path_graph(3)).toarray()
    array([[0., 1., 0.],
           [1., 0., 1.],
           [0., 1., 0.]])
    """
    if isinstance(graph, nx.Graph):
        if graph.is_directed():
            raise ValueError(f"`{argument}` must be undirected. Received: {graph}")
        if not len(graph):
            raise ValueError(f"`{argument}` must have a node. Received: {graph}")
        A = nx.to_scipy_sparse_array(graph, dtype=float, format="csr")
    elif sparse.issparse(graph) or isinstance(graph, np.ndarray | list | tuple):
        A = sparse.csr_array(graph, dtype=float, copy=True)
    else:
        raise TypeError(
            f"`{argument}` must be a networkx graph or a matrix. "
            f"Received: {type(graph).__name__}"
        )
    A.eliminate_zeros()
    _check_weights(A, argument)
    parts = csgraph.connected_components(A, directed=False, return_labels=False)
    if parts > 1:
        raise ValueError(
            f"`{argument}` must be connected. Received: {A.shape[0]} nodes in "
            f"{parts} components"
        )
    return A


def _check_weights(A, argument):
    if A.ndim != 2 or A.shape[0] != A.shape[1] or not A.shape[0]:
        raise ValueError(
            f"`{argument}` must be a square matrix. Received: shape {A.shape}"
        )
    if not np.isfinite(A.data).all():
        raise ValueError(f"`{argument}` must not contain NaN or infinite weights.")
    if (A.data < 0).any():
        raise ValueError(
            f"`{argument}` must have non-negative weights. Received: {A.data.min():g}"
        )
    if abs(A - A.T).max() > 1e-12 * A.max():
        raise ValueError(
            f"`{argument}` must be symmetric. Received: a matrix that is off by "
            f"{abs(A - A.T).max():.2g}"
        )
    loops = np.flatnonzero(A.diagonal())
    if len(loops) and A.shape[0] > 1:
        raise ValueError(
            f"`{argument}` must have no self-loops. Received: loops at the nodes "
            f"{loops[:5].tolist()}"
        )


def laplacian(graph: Any) -> sparse.csr_array:
    """L = A - D, the paper's sign: the Laplacian of the continuum (section 3.1).

    >>> laplacian(nx.path_graph(3)).toarray()
    array([[-1.,  1.,  0.],
           [ 1., -2.,  1.],
           [ 0.,  1., -1.]])
    """
    return laplacian_of(adjacency(graph))


def laplacian_of(A: sparse.csr_array) -> sparse.csr_array:
    """`laplacian` of an adjacency matrix that was checked before."""
    return sparse.csr_array(A - sparse.diags_array(A.sum(axis=1)))


def hop_distances(graph: Any) -> np.ndarray:
    """T, the number of edges on a shortest path between any two nodes (section 3.2.1).

    Returns:
        float64 array `(n, n)`.

    Raises:
        ValueError: The matrix would be larger than `DENSE_LIMIT`.

    >>> hop_distances(nx.cycle_graph(4))[0]
    array([0., 1., 2., 1.])
    """
    A = adjacency(graph)
    check_dense("hop distances", A.shape[0], A.shape[0])
    return csgraph.shortest_path(A, unweighted=True, directed=False)


def spectrum(graph: Any) -> np.ndarray:
    """Eigenvalues of L, ascending, so that 0 comes last.

    >>> spectrum(nx.path_graph(3)).round(9) + 0.0
    array([-3., -1.,  0.])
    """
    return np.linalg.eigvalsh(dense(laplacian(graph), "Laplacian"))


def kronecker_sum(A, B) -> sparse.csr_array:
    """A (+) B = A (x) I + I (x) B, for square matrices (section 3.1).

    >>> kronecker_sum(np.diag([1, 2]), np.diag([10, 20])).diagonal()
    array([11., 21., 12., 22.])
    """
    A, B = sparse.csr_array(A, dtype=float), sparse.csr_array(B, dtype=float)
    left = sparse.kron(A, sparse.eye_array(B.shape[0]))
    result = sparse.csr_array(left + sparse.kron(sparse.eye_array(A.shape[0]), B))
    result.eliminate_zeros()  # `kron` stores some of them
    return result


def box_product(*graphs: Any) -> sparse.csr_array:
    """A of the box product: an edge moves in one factor (3.1); Figure 1, right.

    >>> box_product(nx.path_graph(2), nx.path_graph(2)).toarray().astype(int)
    array([[0, 1, 1, 0],
           [1, 0, 0, 1],
           [1, 0, 0, 1],
           [0, 1, 1, 0]])
    """
    first, *others = map(adjacency, graphs)
    for A in others:
        first = kronecker_sum(first, A)
    return first


def cross_product(first: Any, second: Any) -> sparse.csr_array:
    """A of the cross product: an edge moves in both factors; Figure 1, left.

    It need not be connected.

    >>> cross_product(nx.path_graph(2), nx.path_graph(2)).toarray().astype(int)
    array([[0, 0, 0, 1],
           [0, 0, 1, 0],
           [0, 1, 0, 0],
           [1, 0, 0, 0]])
    """
    return sparse.csr_array(sparse.kron(adjacency(first), adjacency(second)))


def grid_graph(*shape: int, periodic: bool = False) -> sparse.csr_array:
    """A of a grid, the box product of paths; of a torus if `periodic`, of cycles.

    Two nodes in a ring share one edge.

    >>> grid_graph(2, 3).sum() / 2, grid_graph(3, 3, periodic=True).sum() / 2
    (np.float64(7.0), np.float64(18.0))
    """
    if not shape or not all(isinstance(n, int) and n >= 1 for n in shape):
        raise ValueError(f"A grid needs positive integers. Received: shape={shape}")
    return reduce(kronecker_sum, (_axis(n, periodic) for n in shape))


def _axis(n, periodic):
    """A of a path or ring of n nodes."""
    i = np.arange(n - 1)
    j = i + 1
    if periodic and n > 2:
        i, j = np.append(i, n - 1), np.append(j, 0)
    ends = np.concatenate([i, j]), np.concatenate([j, i])
    return sparse.csr_array((np.ones(2 * len(i)), ends), shape=(n, n))


#: Members of each lineage after G_0, by level; they double, or so.
LINEAGES = {
    "path": lambda level: nx.path_graph(2**level),
    "cycle": lambda level: nx.cycle_graph(2**level),
    "grid": lambda level: grid_graph(2**level, 2**level),
    "torus": lambda level: grid_graph(2**level, 2**level, periodic=True),
    "complete": lambda level: nx.complete_graph(2**level),
    "star": lambda level: nx.star_graph(2**level - 1),
    "hypercube": lambda level: grid_graph(*[2] * level),
    "tree": lambda level: nx.balanced_tree(2, level),
}


def lineage(name: str, level: int) -> sparse.csr_array:
    """G_level of a graph lineage (section 3.1); G_0 is a vertex with a self-loop.

    Args:
        name: "path", "cycle", "grid", "torus", "complete", "star", "hypercube" or
            "tree" (binary).
        level: 0, 1, 2, ..; sizes grow exponentially with it.

    Returns:
        Its adjacency matrix.

    Raises:
        ValueError: An unknown name, or a negative level.

    >>> [lineage("grid", level).shape[0] for level in range(4)]
    [1, 4, 16, 64]
    """
    if name not in LINEAGES:
        raise ValueError(
            f"`name` must be one of {sorted(LINEAGES)}. Received: name={name!r}"
        )
    if not isinstance(level, int) or level < 0:
        raise ValueError(f"`level` must be an integer >= 0. Received: level={level!r}")
    if level == 0:
        return sparse.csr_array(np.ones((1, 1)))
    return adjacency(LINEAGES[name](level))


class Distances:
    """T as an operator: `distances @ X`, without the matrix where the graph allows.

    On a path hops are summed up cumulatively, on a ring they are a convolution, and on
    a grid or torus they add up over the axes; each costs O(n) a column, or O(n log n).
    Nodes must be in row-major order to be recognised.

    Attributes:
        shape: (n, n).
        lattice: Shape and whether periodic, of a path, ring, grid or torus; or `None`.

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
        """Of an adjacency matrix that was checked before."""
        distances = cls.__new__(cls)
        distances._set(A)
        return distances

    def _set(self, A):
        self.shape = A.shape
        self.lattice = _lattice_of(A)
        self._matrix = None if self.lattice else hop_distances(A)

    def __matmul__(self, X):
        if self.lattice is None:
            return self._matrix @ X
        sides, periodic = self.lattice
        along = _along_ring if periodic else _along_path
        X = np.asarray(X, dtype=float)
        cube = X.reshape(*sides, -1)
        result = np.zeros_like(cube)
        for axis, side in enumerate(sides):
            others = tuple(i for i in range(len(sides)) if i != axis)
            line = along(cube.sum(axis=others), side)
            result += np.expand_dims(line, others)
        return result.reshape(X.shape)

    def toarray(self) -> np.ndarray:
        """The dense matrix."""
        if self.lattice is None:
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


def lattice(graph: Any) -> tuple[tuple[int, ...], bool] | None:
    """Shape and whether periodic, if a graph is a lattice in row-major order.

    >>> lattice(grid_graph(3, 4)), lattice(nx.cycle_graph(6)), lattice(nx.star_graph(3))
    (((3, 4), False), ((6,), True), None)
    """
    return _lattice_of(adjacency(graph))


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


def dense(matrix, what: str) -> np.ndarray:
    """A sparse matrix or `Distances` as an array, if it is not too large."""
    if isinstance(matrix, np.ndarray):
        return matrix
    check_dense(what, *matrix.shape)
    return matrix.toarray()


def check_dense(what: str, rows: int, columns: int) -> None:
    """Refuse a dense matrix that is larger than `DENSE_LIMIT`.

    Raises:
        ValueError: With the size that it would need.
    """
    if (size := 8 * rows * columns) > DENSE_LIMIT:
        raise ValueError(
            f"A dense matrix is at most {DENSE_LIMIT / 2**30:.3g} GiB. Received: "
            f"{rows:,} nodes, whose {what} would take {size / 2**30:,.1f} GiB"
        )
