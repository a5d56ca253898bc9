"""Products of graphs (Figure 1), and grids and tori, the products of paths and rings.

Products number their nodes in row-major order, as `numpy.kron` does.
"""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import Any

from scipy import sparse

from msann.arrays import MAX_ENTRIES
from msann.checks import flag, integers, refuse
from msann.graphs.adjacency import adjacency


def box_product(*graphs: Any) -> sparse.csr_array:
    """Make the box product of graphs, whose edges move in one of the factors (3.1).

    It is on the right of Figure 1; the box product of two paths is a grid.

    Args:
        graphs: One or more, as `adjacency` takes them.

    Returns:
        The adjacency matrix of the product, a sparse array.

    Raises:
        TypeError: As `adjacency`.
        ValueError: No graphs, what `adjacency` refuses, or a product too large.

    >>> import networkx as nx
    >>> box_product(nx.path_graph(2), nx.path_graph(2)).toarray().astype(int)
    array([[0, 1, 1, 0],
           [1, 0, 0, 1],
           [1, 0, 0, 1],
           [0, 1, 1, 0]])
    """
    return _box([adjacency(graph, f"graphs[{i}]") for i, graph in enumerate(graphs)])


def cross_product(first: Any, second: Any) -> sparse.csr_array:
    """Make the adjacency matrix of the cross product: edges move in both factors.

    It need not be connected.

    Raises:
        ValueError: What `adjacency` refuses, or a product too large.

    >>> import networkx as nx
    >>> cross_product(nx.path_graph(2), nx.path_graph(2)).toarray().astype(int)
    array([[0, 0, 0, 1],
           [0, 0, 1, 0],
           [0, 1, 0, 0],
           [1, 0, 0, 0]])
    """
    A, B = adjacency(first, "first"), adjacency(second, "second")
    _check_entries("first` and `second", A.nnz * B.nnz)
    A = sparse.kron(A, B, format="csr")
    A.eliminate_zeros()
    return A


def grid_graph(*shape: int, periodic: bool = False) -> sparse.csr_array:
    """Return A of a grid, the box product of paths, or of a torus if `periodic`.

    Two nodes in a ring share one edge.

    Args:
        shape: Nodes along each axis.
        periodic: Rings along the axes rather than paths.

    Raises:
        ValueError: No sides, sides that are no positive integers, or too many nodes.

    >>> grid_graph(2, 3).sum() / 2, grid_graph(3, 3, periodic=True).sum() / 2
    (np.float64(7.0), np.float64(18.0))
    """
    shape, ring = integers("shape", shape, least=1), flag("periodic", periodic)
    if not shape:
        refuse("shape", shape, "the number of nodes along each axis")
    long = [side for side in shape if side > 1]
    entries = prod(long) * (1 + 2 * len(long))
    _check_entries("shape", entries)  # before any axis is made
    return _box([_axis(side, ring) for side in long or [1]])


def _box(factors):
    """The Kronecker sum of adjacency matrices."""
    if not factors:
        refuse("graphs", (), "at least one graph")
    nodes = prod(A.shape[0] for A in factors)
    _check_entries("graphs", sum(A.nnz * nodes // A.shape[0] for A in factors))
    # SciPy's sum has its first factor innermost, and stores some zeros.
    A = reduce(lambda A, B: sparse.kronsum(B, A, format="csr"), factors)
    A.eliminate_zeros()
    return A


def _axis(n, periodic):
    """A of a path or ring of n nodes."""
    upper = sparse.eye_array(n, k=1, format="csr")
    if periodic and n > 2:
        upper = upper + sparse.eye_array(n, k=n - 1, format="csr")
    return sparse.csr_array(upper + upper.T)


def _check_entries(name, entries):
    if entries > MAX_ENTRIES:
        raise ValueError(
            f"`{name}` must make a product of at most {MAX_ENTRIES:,} nodes and edges, "
            f"both ways. Received: what makes {entries:,}"
        )
