"""How well P carries one graph's processes to another's: E(P) of (3.3).

Every term compares "step on the coarse graph, then prolong" with "prolong, then step on
the fine graph", for the Laplacian L (diffusion) and the hop distances T (locality):

    E(P) = (1-s) ||P L1/sqrt(a) - sqrt(a) L2 P||^2 + s ||P T1/sqrt(b) - sqrt(b) T2 P||^2

E is a quadratic form, so its gradient is linear in P and is its own second derivative.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from msann.arrays import real_array
from msann.checks import number
from msann.graphs import Distances, adjacency
from msann.graphs.adjacency import laplacian_of

#: Least and largest alpha and beta.
SCALES = 1e-12, 1e12
#: Operators of so many nodes are matrices: structure only pays beyond.
SMALL = 256


class Term(NamedTuple):
    """Measures ||P X1 / sqrt(c) - sqrt(c) X2 P||_F^2 for two symmetric operators.

    Attributes:
        X1: Of the coarse graph: anything with `X1 @ array`.
        X2: Of the fine graph.
        scale: c, that is alpha or beta.
        weight: 1 - s or s.
    """

    X1: Any
    X2: Any
    scale: float
    weight: float

    def residual(self, P):
        """Return P X1 / sqrt(c) - sqrt(c) X2 P."""
        root = np.sqrt(self.scale)
        return (self.X1 @ P.T).T / root - root * (self.X2 @ P)

    def value(self, P) -> float:
        """Return the squared norm, without the weight."""
        return float(np.sum(self.residual(P) ** 2))

    def gradient(self, P):
        """Return 2 (R X1 / sqrt(c) - sqrt(c) X2 R), R the residual; no weight."""
        return 2 * self.residual(self.residual(P))


class Objective:
    """Measures E(P) for a pair of graphs, with derivatives on the Stiefel manifold.

    Args:
        coarse: G_1, a graph of n1 nodes (`msann.graphs.adjacency`).
        fine: G_2, of n2 >= n1 nodes.
        s: Weight of locality in [0, 1]; 0 is fully diffuse, 1 fully local.
        alpha: Scale of the diffusion term.
        beta: Scale of the locality term; n1/n2 by default, the paper's value, which is
            not best. On grids, tori and long even cycles some P have T2 P = 0: there
            the infimum over P and beta together is 0, approached as beta grows without
            bound, and the joint problem of (3.3) has no solution.

    Raises:
        ValueError: What `adjacency` refuses, a fine graph smaller than the coarse one,
            s outside [0, 1], alpha or beta outside 1e-12 .. 1e12, or no numbers.

    Example:

    >>> import networkx as nx
    >>> pairs = np.kron(np.eye(4), [[1], [1]]) / np.sqrt(2)
    >>> E = Objective(nx.path_graph(4), nx.path_graph(8), s=1.0)
    >>> round(E(pairs), 9)
    88.0
    """

    def __init__(self, coarse, fine, *, s: float, alpha: float = 1.0, beta=None):
        graphs = adjacency(coarse, "coarse"), adjacency(fine, "fine")
        coarse, fine = graphs
        self.shape = fine.shape[0], coarse.shape[0]
        if self.shape[0] < self.shape[1]:
            raise ValueError(
                "`fine` must have at least as many nodes as `coarse`. "
                f"Received: {self.shape[0]} and {self.shape[1]} nodes"
            )
        beta = self.shape[1] / self.shape[0] if beta is None else beta
        self.s = number("s", s, least=0, most=1)
        self.alpha = number("alpha", alpha, *SCALES)
        self.beta = number("beta", beta, *SCALES)
        self.coarse, self.fine = coarse, fine
        distances = [Distances.of(graph) for graph in graphs]
        #: Of the coarse and the fine graph, as `graphs.lattice` has them.
        self.lattices = tuple(T.lattice for T in distances)
        L1, L2, T1, T2 = (
            X.toarray() if X.shape[0] <= SMALL else X
            for X in (*map(laplacian_of, graphs), *distances)
        )
        self.diffusion = Term(L1, L2, self.alpha, 1 - self.s)
        self.locality = Term(T1, T2, self.beta, self.s)
        #: The terms that count.
        self.active = [x for x in (self.diffusion, self.locality) if x.weight]

    def __call__(self, P) -> float:
        """E(P), for an array `(n2, n1)`."""
        P = self._point(P)
        return sum(term.weight * term.value(P) for term in self.active)

    def terms(self, P) -> tuple[float, float]:
        """Return diffusion and locality, each without its weight 1 - s or s."""
        P = self._point(P)
        return self.diffusion.value(P), self.locality.value(P)

    def gradient(self, P) -> np.ndarray:
        """Return the Euclidean gradient; it is linear: at Z, the Hessian times Z."""
        P = self._point(P)
        return sum(term.weight * term.gradient(P) for term in self.active)

    def terms_and_gradient(self, P) -> tuple[tuple[float, float], np.ndarray]:
        """Return `terms` and `gradient`, which share their residuals."""
        P = self._point(P)
        values, gradient = [], np.zeros(self.shape)
        for term in (self.diffusion, self.locality):
            R = term.residual(P)
            values.append(float(np.sum(R**2)))
            if term.weight:
                gradient += 2 * term.weight * term.residual(R)
        diffusion, locality = values
        return (diffusion, locality), gradient

    def riemannian_gradient(self, P) -> np.ndarray:
        """Return the gradient along the manifold P^T P = I (embedded metric)."""
        P = self._point(P)
        return tangent(P, self.gradient(P))

    def _point(self, P):
        return point(P, self.shape)


def point(P: Any, shape: tuple[int, int]) -> np.ndarray:
    """Check P: an array of this shape.

    Raises:
        ValueError: Another shape, or no array of finite numbers.
    """
    P = real_array("P", P)
    if P.shape != shape:
        raise ValueError(
            f"`P` must have shape {shape}, fine by coarse nodes. "
            f"Received: shape {P.shape}"
        )
    return P


def symmetric(X):
    """Return (X + X^T) / 2."""
    return (X + X.T) / 2


def tangent(P, X):
    """Project X to the tangent space of the Stiefel manifold at P."""
    return X - P @ symmetric(P.T @ X)


def polar(X) -> np.ndarray:
    """Find the nearest matrix with orthonormal columns: X (X^T X)^(-1/2)."""
    U, _, V = np.linalg.svd(X, full_matrices=False)
    return U @ V
