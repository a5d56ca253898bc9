"""Minimise E(P) on the Stiefel manifold: a Riemannian trust region, second order.

Steihaug's truncated conjugate gradients solve each trust-region problem with exact
Hessian-vector products. The preconditioner is the part of the Hessian without its
cross terms, Z -> Z A1 + A2 Z with A1 = 2 sum w X1^2 / c and A2 = 2 sum w c X2^2, which
is diagonal in the eigenbases of A1 and A2.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from msann_keras.prolongation.objective import Objective, polar, symmetric, tangent


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


class Preconditioner:
    """The inverse of Z -> Z A1 + A2 Z, and the Hessian's scale.

    Attributes:
        scale: The largest eigenvalue of that map.
    """

    def __init__(self, objective: Objective):
        parts = [], []
        for term in objective.active:
            for X, factor, side in (
                (term.X1, 2 * term.weight / term.scale, parts[0]),
                (term.X2, 2 * term.weight * term.scale, parts[1]),
            ):
                square = X @ (X if isinstance(X, np.ndarray) else X.toarray())
                side.append(factor * square)
        (d1, self.V1), (d2, self.V2) = (np.linalg.eigh(sum(side)) for side in parts)
        self.scale = float(d1[-1] + d2[-1])
        # The cross terms cancel most where this is small; no direction is favoured more
        # than a thousand times.
        self.diagonal = np.maximum(np.add.outer(d2, d1), 1e-3 * self.scale)

    def __call__(self, P, Z):
        """Z through the inverse, brought back to the tangent space at P."""
        solved = self.V2.T @ Z @ self.V1 / self.diagonal
        return tangent(P, self.V2 @ solved @ self.V1.T)


def minimise(
    objective: Objective,
    P,
    preconditioner: Preconditioner | None = None,
    *,
    tolerance: float = 1e-10,
    max_iterations: int = 1000,
    seconds: float = float("inf"),
) -> Minimum:
    """The local minimum that the trust region finds from P.

    Args:
        objective: E.
        P: Start `(n2, n1)`; brought to orthonormal columns.
        preconditioner: To share one between starts.
        tolerance: Of the gradient's norm, relative to the Hessian's scale.
        max_iterations: Of the trust region.
        seconds: Of time.
    """
    began = time.perf_counter()
    M = preconditioner or Preconditioner(objective)
    P = polar(P)
    widest = np.sqrt(P.shape[1])
    value, radius, reason = objective(P), widest / 8, "iterations"
    enough = tolerance * M.scale * widest
    iteration = 0
    euclidean = objective.gradient(P)
    gradient = tangent(P, euclidean)
    for iteration in range(max_iterations + 1):
        norm = np.linalg.norm(gradient)
        if norm <= enough:
            reason = "gradient"
            break
        if iteration == max_iterations:
            break
        if time.perf_counter() - began > seconds:
            reason = "time"
            break
        hessian = objective.riemannian_hessian(P, euclidean)
        exact = np.clip(norm / (M.scale * widest), 1e-4, 0.1)  # the end is fast
        Z, promised = _steihaug(
            hessian, lambda X, P=P: M(P, X), gradient, radius, exact * norm
        )
        trial = polar(P + Z)
        gain = value - objective(trial)
        # Near the minimum E's digits are used up before the gradient's.
        noise = 1e3 * np.finfo(float).eps * max(abs(value), 1e-300)
        ratio = (gain + noise) / (promised + noise)
        if ratio < 0.25:
            radius /= 4
        elif ratio > 0.75:
            radius = min(2 * radius, widest)
        if ratio > 0.1:
            P, value = trial, value - gain
            euclidean = objective.gradient(P)
            gradient = tangent(P, euclidean)
        elif radius < 1e-12 * widest:
            reason = "precision"
            break
    return Minimum(P, objective(P), float(norm), iteration, reason)


def _steihaug(hessian, precondition, gradient, radius, enough):
    """A step Z with |Z| about `radius` at most, and the decrease of the model.

    It ends where the model's gradient is no longer than `enough`.
    """
    Z, HZ = np.zeros_like(gradient), np.zeros_like(gradient)
    residual, solved = gradient, precondition(gradient)
    product = np.sum(residual * solved)
    direction = -solved
    # Lengths in the preconditioner's norm, in which the iterates only grow.
    length, along, square = 0.0, 0.0, product
    limit = radius**2 * product / max(np.sum(solved**2), 1e-300)
    for _ in range(gradient.size):
        Hd = hessian(direction)
        curvature = np.sum(direction * Hd)
        step = product / curvature if curvature > 0 else np.inf
        longer = length + 2 * step * along + step**2 * square
        if curvature <= 0 or longer >= limit:
            root = np.sqrt(max(along**2 + square * (limit - length), 0.0))
            step = (root - along) / square
            Z, HZ = Z + step * direction, HZ + step * Hd
            break
        Z, HZ, length = Z + step * direction, HZ + step * Hd, longer
        residual = residual + step * Hd
        if np.linalg.norm(residual) <= enough:
            break
        solved = precondition(residual)
        before, product = product, np.sum(residual * solved)
        ratio = product / before
        direction = ratio * direction - solved
        along = ratio * (along + step * square)
        square = product + ratio**2 * square
    return Z, -float(np.sum(Z * gradient) + np.sum(Z * HZ) / 2)


def least_eigenvalue(objective, P, scale, seed=0) -> tuple[float, np.ndarray | None]:
    """The least eigenvalue of the Riemannian Hessian at P, and its direction.

    Args:
        objective: E.
        P: Point `(n2, n1)`.
        scale: Of the Hessian, `Preconditioner.scale`.
        seed: For the first vector of the iteration.

    Returns:
        The eigenvalue and a unit tangent vector `(n2, n1)`; NaN and `None` if the
        iteration did not converge.
    """
    hessian = objective.riemannian_hessian(P)
    count = P.size

    def apply(z):
        Z = z.reshape(P.shape)
        inside = tangent(P, Z)
        # Normal directions are lifted out of the way.
        return (hessian(inside) + 2 * scale * (Z - inside)).ravel()

    if count <= 300:
        H = np.array([apply(z) for z in np.eye(count)])
        values, vectors = np.linalg.eigh(symmetric(H))
        return float(values[0]), vectors[:, 0].reshape(P.shape)
    operator = LinearOperator((count, count), apply, dtype=float)
    start = np.random.default_rng(seed).standard_normal(count)
    try:
        values, vectors = eigsh(
            operator, 1, which="SA", v0=start, tol=1e-3, ncv=40, maxiter=60
        )
    except ArpackNoConvergence:
        return float("nan"), None
    return float(values[0]), vectors[:, 0].reshape(P.shape)
