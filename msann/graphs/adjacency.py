"""A graph as a sparse symmetric matrix, checked, and its Laplacian (section 3.1).

A graph is what networkx has, or a symmetric matrix of weights, with nodes in the
graph's own order.
"""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from msann.arrays import real_array

#: Largest weight: its powers must be numbers too.
MAX_WEIGHT = 1e60


def adjacency(graph: Any, argument: str = "graph") -> sparse.csr_array:
    """Check a graph and return its adjacency matrix A, sparse and symmetric.

    Args:
        graph: A networkx graph (edge attribute `weight` if there is one), or a sparse
            or dense symmetric matrix `(n, n)`.
        argument: What to call it in an error.

    Returns:
        A sparse float64 array `(n, n)`.

    Raises:
        TypeError: Neither a graph nor a matrix.
        ValueError: No nodes, directed or not symmetric, weights that are negative, NaN
            or infinite, a self-loop (but on a single vertex), or more than one
            connected component.

    Example:

    >>> adjacency(nx.path_graph(3)).toarray()
    array([[0., 1., 0.],
           [1., 0., 1.],
           [0., 1., 0.]])
    """
    if isinstance(graph, nx.Graph):
        A = _of_networkx(graph, argument)
    elif sparse.issparse(graph):
        if graph.dtype.kind not in "biuf":
            raise ValueError(
                f"`{argument}` must hold real numbers. Received: dtype {graph.dtype}"
            )
        _check_square(graph, argument)
        A = sparse.csr_array(graph, dtype=float, copy=True)
    elif isinstance(graph, np.ndarray | list | tuple):
        graph = real_array(argument, graph)
        _check_square(graph, argument)
        A = sparse.csr_array(graph)
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


def _of_networkx(graph, argument):
    if graph.is_directed():
        raise ValueError(f"`{argument}` must be undirected. Received: {graph}")
    if not len(graph):
        raise ValueError(f"`{argument}` must have a node. Received: {graph}")
    try:
        return nx.to_scipy_sparse_array(graph, dtype=np.dtype(float), format="csr")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{argument}` must have numbers as edge weights. Received: {graph} "
            f"({error})"
        ) from error


def _check_square(A, argument):
    if A.ndim != 2 or A.shape[0] != A.shape[1] or not A.shape[0]:
        raise ValueError(
            f"`{argument}` must be a square matrix. Received: shape {A.shape}"
        )


def _check_weights(A, argument):
    if not np.isfinite(A.data).all():
        raise ValueError(f"`{argument}` must not contain NaN or infinite weights.")
    if A.nnz and not 0 <= A.data.min() <= A.data.max() <= MAX_WEIGHT:
        raise ValueError(
            f"`{argument}` must have non-negative weights, at most {MAX_WEIGHT:g}. "
            f"Received: {A.data.min():g} to {A.data.max():g}"
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
    """Make the Laplacian L = A - D of a graph, the matrix of diffusion on it.

    A is the adjacency matrix, D the diagonal of its row sums. The sign is the paper's
    (3.1), that of the Laplacian of the continuum: no eigenvalue is positive.

    Args:
        graph: As `adjacency` takes it.

    Returns:
        A sparse float64 array `(n, n)`.

    Raises:
        TypeError: As `adjacency`.
        ValueError: As `adjacency`.

    >>> laplacian(nx.path_graph(3)).toarray()
    array([[-1.,  1.,  0.],
           [ 1., -2.,  1.],
           [ 0.,  1., -1.]])
    """
    return laplacian_of(adjacency(graph))


def laplacian_of(A: sparse.csr_array) -> sparse.csr_array:
    """`laplacian` of an adjacency matrix that was checked before."""
    return sparse.csr_array(A - sparse.diags_array(A.sum(axis=1)))
