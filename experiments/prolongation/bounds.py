"""Section 5: the diffusion distance of graph products, bounded and exactly.

For P = P1 (x) P2 between box products, with A = P1 L1/sqrt(a) - sqrt(a) L1' P1 for the
first pair of factors and B likewise for the second,

    P L/sqrt(a) - sqrt(a) L' P = A (x) P2 + P1 (x) B,

since the Laplacian of a box product is a Kronecker sum (with a plus in the third line
of the paper's proof, where it prints a minus). Theorem 5.1 is the triangle inequality
of that sum; the squared norm itself is known exactly.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from msann.graphs import laplacian
from msann.optimal.objective import Term


class Factor(NamedTuple):
    """A pair of graphs and a P between them.

    Attributes:
        coarse: Graph of n nodes.
        fine: Graph of n' >= n nodes.
        P: Array `(n', n)` with orthonormal columns.
    """

    coarse: Any
    fine: Any
    P: np.ndarray

    def residual(self, alpha: float = 1.0) -> np.ndarray:
        """P L/sqrt(alpha) - sqrt(alpha) L' P."""
        return Term(laplacian(self.coarse), laplacian(self.fine), alpha, 1.0).residual(
            np.asarray(self.P, dtype=float)
        )


def diffusion_distance(coarse: Any, fine: Any, P, alpha: float = 1.0) -> float:
    """D_{P,alpha}(G_1, G_2) of (5.1), the square root of the diffusion term.

    >>> import networkx as nx
    >>> pairs = np.kron(np.eye(4), [[1], [1]]) / np.sqrt(2)
    >>> round(diffusion_distance(nx.path_graph(4), nx.path_graph(8), pairs) ** 2, 9)
    6.0
    """
    return float(np.linalg.norm(Factor(coarse, fine, P).residual(alpha)))


def box_bound(first: Factor, second: Factor, alpha: float = 1.0) -> float:
    """Theorem 5.1: D_box <= sqrt(n2) D1 + sqrt(n1) D2, n1 and n2 the coarse sizes."""
    (D1, n1), (D2, n2) = _distances_and_sizes(first, second, alpha)
    return float(np.sqrt(n2) * D1 + np.sqrt(n1) * D2)


def box_distance(first: Factor, second: Factor, alpha: float = 1.0) -> float:
    """D of the box products at P1 (x) P2, exactly, without forming the products.

    D_box^2 = n2 D1^2 + n1 D2^2 + 2 tr(A^T P1) tr(B^T P2).
    """
    (D1, n1), (D2, n2) = _distances_and_sizes(first, second, alpha)
    cross = np.prod([np.sum(x.residual(alpha) * x.P) for x in (first, second)])
    return float(np.sqrt(max(n2 * D1**2 + n1 * D2**2 + 2 * cross, 0.0)))


def _distances_and_sizes(first, second, alpha):
    return [
        (np.linalg.norm(x.residual(alpha)), np.shape(x.P)[1]) for x in (first, second)
    ]
