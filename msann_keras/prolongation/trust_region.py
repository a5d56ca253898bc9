"""Minimise E(P) on the Stiefel manifold: a Riemannian trust region, second order.

Steihaug's truncated conjugate gradients solve each trust-region problem with exact
Hessian-vector products. E(P) = <P, P A1 + A2 P> - 2 sum w <P, X2 P X1>, with
A1 = sum w X1^2 / c and A2 = sum w c X2^2, is handled in the eigenbases of A1 and A2.
There the first part of the Hessian, which preconditions, divides entry by entry.
"""

from __future__ import annotations

import time
import warnings
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.sparse.linalg import LinearOperator, lobpcg

from msann_keras.graphs import dense
from msann_keras.prolongation.objective import Objective, polar, symmetric, tangent

#: Unknowns up to which the least eigenvalue comes from a dense Hessian.
DENSE_HESSIAN = 1100


class Minimum(NamedTuple):
    """Where a local search ended.

    Attributes:
        P: Array `(n2, n1)` with orthonormal columns.
        value: E(P).
        gradient_norm: Of the Riemannian gradient.
        iterations: Trust-region steps.
        reason: Why it stopped: "gradient", "iterations", "time" or "precision".
    """

    P: np.ndarray
    value: float
    gradient_norm: float
    iterations: int
    reason: str


class Rotated:
    """E in the eigenbases of A1 and A2, as Q = V2^T P V1.

    Attributes:
        scale: The largest eigenvalue of Z -> 2 (Z A1 + A2 Z).
        preconditioner: Its eigenvalues, `(n2, n1)`, kept from zero.
    """

    def __init__(self, objective: Objective):
        terms = [
            (term.weight, term.scale, _array(term.X1), _array(term.X2))
            for term in objective.active
        ]
        # 2 A1 and 2 A2
        d1, self.V1 = np.linalg.eigh(sum(2 * w / c * X @ X for w, c, X, _ in terms))
        d2, self.V2 = np.linalg.eigh(sum(2 * w * c * X @ X for w, c, _, X in terms))
        self.objective = objective
        self.scale = float(d1[-1] + d2[-1])
        self.diagonal = np.add.outer(d2, d1)
        self.preconditioner = np.maximum(self.diagonal, 1e-5 * self.scale)
        # One product on each side for all terms.
        self._right = np.stack([self.V1.T @ X1 @ self.V1 for _, _, X1, _ in terms])
        self._left = np.hstack([4 * w * (self.V2.T @ X2 @ self.V2)
                                for w, _, _, X2 in terms])  # fmt: skip

    def to(self, P) -> np.ndarray:
        """Q of a P."""
        return self.V2.T @ P @ self.V1

    def back(self, Q) -> np.ndarray:
        """P of a Q."""
        return self.V2 @ Q @ self.V1.T

    def gradient(self, Q) -> np.ndarray:
        """The Euclidean gradient of E; linear in Q."""
        crossed = np.matmul(Q, self._right).reshape(-1, Q.shape[1])
        return self.diagonal * Q - self._left @ crossed


def minimise(
    objective: Objective,
    P,
    rotated: Rotated | None = None,
    *,
    tolerance: float = 1e-10,
    max_iterations: int = 1000,
    seconds: float = float("inf"),
) -> Minimum:
    """The local minimum that the trust region finds from P.

    Args:
        objective: E.
        P: Start `(n2, n1)`; brought to orthonormal columns.
        rotated: To share one between starts.
        tolerance: Of the gradient's norm, relative to the Hessian's scale.
        max_iterations: Of the trust region.
        seconds: Of time.
    """
    began = time.perf_counter()
    rotated = rotated or Rotated(objective)
    Q = polar(rotated.to(P))
    widest = np.sqrt(Q.shape[1])
    radius, reason, iteration = widest / 8, "iterations", 0
    enough = tolerance * rotated.scale * widest
    euclidean = rotated.gradient(Q)
    steepest = np.linalg.norm(tangent(Q, euclidean))
    for iteration in range(max_iterations + 1):
        gradient = tangent(Q, euclidean)
        norm = np.linalg.norm(gradient)
        if norm <= enough:
            reason = "gradient"
            break
        if iteration == max_iterations:
            break
        if time.perf_counter() - began > seconds:
            reason = "time"
            break
        exact = max(min(0.1, (norm / steepest) ** 0.25), 1e-4)  # the end is fast
        Z, promised = _steihaug(rotated, Q, euclidean, gradient, radius, exact * norm)
        trial = _retracted(Q + Z)
        # E is quadratic: this loses no digits where E(trial) - E(Q) would.
        step = trial - Q
        bend = rotated.gradient(step)
        gain = -float(np.vdot(euclidean, step) + np.vdot(bend, step) / 2)
        ratio = gain / promised if promised > 0 else -1.0
        if ratio < 0.25:
            radius /= 4
        elif ratio > 0.75:
            radius = min(2 * radius, widest)
        if ratio > 0.1:
            Q, euclidean = trial, euclidean + bend
        elif radius < 1e-12 * widest:
            reason = "precision"
            break
    P = polar(rotated.back(Q))
    return Minimum(P, objective(P), float(norm), iteration, reason)


def _retracted(X):
    """The polar factor of a matrix that is near orthonormal columns."""
    values, vectors = np.linalg.eigh(X.T @ X)
    return X @ ((vectors / np.sqrt(values)) @ vectors.T)


def _steihaug(rotated, Q, euclidean, gradient, radius, enough):
    """A step Z with |Z| about `radius` at most, and the decrease of the model.

    It ends where the model's gradient is no longer than `enough`.
    """
    curvature = symmetric(Q.T @ euclidean)
    Z = np.zeros_like(gradient)
    residual, solved = gradient, tangent(Q, gradient / rotated.preconditioner)
    product = np.vdot(residual, solved)
    direction = -solved
    # Lengths in the preconditioner's norm, in which the iterates only grow.
    length, along, square = 0.0, 0.0, product
    limit = radius**2 * product / max(np.vdot(solved, solved), 1e-300)
    for _ in range(gradient.size):
        Hd = tangent(Q, rotated.gradient(direction) - direction @ curvature)
        bent = np.vdot(direction, Hd)
        step = product / bent if bent > 0 else np.inf
        longer = length + 2 * step * along + step**2 * square
        if bent <= 0 or longer >= limit:
            root = np.sqrt(max(along**2 + square * (limit - length), 0.0))
            step = (root - along) / square
            Z = Z + step * direction
            residual = residual + step * Hd
            break
        Z, length = Z + step * direction, longer
        residual = residual + step * Hd
        if np.vdot(residual, residual) <= enough**2:
            break
        solved = tangent(Q, residual / rotated.preconditioner)
        before, product = product, np.vdot(residual, solved)
        ratio = product / before
        direction = ratio * direction - solved
        along = ratio * (along + step * square)
        square = product + ratio**2 * square
    # The residual is the gradient plus the Hessian times Z.
    return Z, -float(np.vdot(Z, gradient) + np.vdot(Z, residual)) / 2


def least_eigenvalue(rotated: Rotated, P, seed=0) -> tuple[float, np.ndarray | None]:
    """The least eigenvalue of the Riemannian Hessian at P, and its direction.

    Args:
        rotated: E.
        P: Point `(n2, n1)`.
        seed: For the first vector of the iteration.

    Returns:
        The eigenvalue and a unit tangent vector `(n2, n1)`. From so many unknowns on
        that it is sought by an iteration which does not converge: a negative bound
        from above, which is enough to know a saddle; else NaN and `None`.
    """
    Q = rotated.to(P)
    curvature = symmetric(Q.T @ rotated.gradient(Q))

    def apply(z):
        Z = z.reshape(Q.shape)
        inside = tangent(Q, Z)
        H = tangent(Q, rotated.gradient(inside) - inside @ curvature)
        # Normal directions are lifted out of the way.
        return (H + 2 * rotated.scale * (Z - inside)).ravel()

    if Q.size <= DENSE_HESSIAN:
        H = np.array([apply(z) for z in np.eye(Q.size)])
        values, vectors = eigh(symmetric(H), subset_by_index=[0, 0])
        return float(values[0]), rotated.back(vectors[:, 0].reshape(Q.shape))
    operator = LinearOperator((Q.size, Q.size), apply, dtype=float)
    inverse = LinearOperator(
        (Q.size, Q.size), lambda z: z.ravel() / rotated.preconditioner.ravel()
    )
    start = np.random.default_rng(seed).standard_normal((Q.size, 3))
    tolerance = 1e-6 * rotated.scale
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said by NaN
        values, vectors = lobpcg(
            operator, start, M=inverse, largest=False, tol=tolerance, maxiter=200
        )
    vector = vectors[:, 0]
    converged = np.linalg.norm(apply(vector) - values[0] * vector) < 10 * tolerance
    if not (converged or values[0] < -tolerance):
        return float("nan"), None
    return float(values[0]), rotated.back(vector.reshape(Q.shape))


def _array(X) -> np.ndarray:
    return X if isinstance(X, np.ndarray) else dense(X, "eigenvectors")
