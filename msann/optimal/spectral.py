"""E(P) between eigenvectors, where all but one small part of its Hessian is diagonal.

With A1 = 2 sum w X1^2 / c, A2 = 2 sum w c X2^2 over the terms of (3.3), the gradient is

    G(P) = P A1 + A2 P - 4 sum w X2 P X1.

In the eigenbases V1 of A1 and V2 of A2 (Q = V2^T P V1) the first two summands are a
product by entries. Where L and T nearly commute, as on paths and grids, the third one
is nearly so too, which makes a good preconditioner of its diagonal.
"""

from __future__ import annotations

import numpy as np

from msann.arrays import dense
from msann.checks import instance
from msann.optimal.objective import Objective, symmetric, tangent

#: No direction is favoured more than by this, relative to the median.
FLOOR = 1e-2


class SpectralForm:
    """An `Objective` as a quadratic form of Q = V2^T P V1.

    Args:
        objective: E.

    Attributes:
        shape: (n2, n1).
        V1: Orthogonal `(n1, n1)`.
        V2: Orthogonal `(n2, n2)`.
        scale: A bound on the Hessian: the largest entry of `plain`.
        plain: Diagonal of P -> P A1 + A2 P, `(n2, n1)`.
        diagonal: Of the whole Hessian.

    Example:

    >>> import networkx as nx
    >>> form = SpectralForm(Objective(nx.path_graph(4), nx.path_graph(8), s=1))
    >>> round(form.value(np.kron(np.eye(4), [[1], [1]]) / np.sqrt(2)), 9)
    88.0
    """

    def __init__(self, objective: Objective):
        instance("objective", objective, Objective, "an `Objective`")
        self.shape = objective.shape
        pairs = [
            (
                2 * x.weight,
                x.scale,
                dense(x.X1, "eigenvectors"),
                dense(x.X2, "eigenvectors"),
            )
            for x in objective.active
        ]
        d1, self.V1 = np.linalg.eigh(sum(w / c * (X1 @ X1) for w, c, X1, _ in pairs))
        d2, self.V2 = np.linalg.eigh(sum(w * c * (X2 @ X2) for w, c, _, X2 in pairs))
        self.plain = np.add.outer(d2, d1)
        self.scale = float(self.plain[-1, -1])
        coarse = [self.V1.T @ X1 @ self.V1 for _, _, X1, _ in pairs]
        fine = [2 * w * (self.V2.T @ X2 @ self.V2) for w, _, _, X2 in pairs]
        # One product for all terms: side by side, and one above the other.
        self._coarse, self._fine = np.stack(coarse), np.hstack(fine)
        self.diagonal = self.plain - sum(
            np.multiply.outer(np.diag(X2), np.diag(X1))
            for X1, X2 in zip(coarse, fine, strict=True)
        )

    def enter(self, P) -> np.ndarray:
        """Q = V2^T P V1."""
        return self.V2.T @ P @ self.V1

    def leave(self, Q) -> np.ndarray:
        """P = V2 Q V1^T."""
        return self.V2 @ Q @ self.V1.T

    def value(self, P) -> float:
        """E(P), for P itself."""
        Q = self.enter(P)
        return float(np.vdot(Q, self.gradient(Q)) / 2)

    def gradient(self, Q) -> np.ndarray:
        """The Euclidean gradient; linear, so that E is half of <Q, gradient(Q)>."""
        crossed = np.matmul(Q, self._coarse).reshape(-1, Q.shape[1])
        return self.plain * Q - self._fine @ crossed

    def matrix(self) -> np.ndarray:
        """The Euclidean Hessian on `Q.ravel()`, dense `(n1 n2, n1 n2)`."""
        fine = np.hsplit(self._fine, len(self._coarse))
        crossed = sum(map(np.kron, fine, self._coarse))
        return np.diag(self.plain.ravel()) - crossed

    def hessian(self, Q, gradient):
        """The Riemannian Hessian at Q, as a function of tangent vectors.

        Args:
            Q: Point `(n2, n1)`, with orthonormal columns.
            gradient: The Euclidean gradient there.
        """
        curvature = symmetric(Q.T @ gradient)
        return lambda Z: tangent(Q, self.gradient(Z) - Z @ curvature)

    def preconditioner(self, Q, gradient):
        """About the inverse of the absolute Hessian at Q, on tangent vectors."""
        curvature = np.sum(Q * gradient, axis=0)  # the diagonal of Q^T G
        weights = np.abs(self.diagonal - curvature)
        middle = weights.size // 2
        median = np.partition(weights, middle, axis=None)[middle]
        least = max(FLOOR * median, 1e-9 * self.scale)
        weights = 1 / np.maximum(weights, least)
        return lambda Z: tangent(Q, weights * Z)
