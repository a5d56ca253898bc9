"""Minimise E(P) on the Stiefel manifold: a Riemannian trust region, second order.

Steihaug's truncated conjugate gradients solve each trust-region problem with exact
Hessian-vector products, preconditioned, between eigenvectors (`SpectralForm`).
"""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np

from msann.checks import instance, integer, number
from msann.optimal.objective import point, polar, tangent
from msann.optimal.spectral import SpectralForm


class Minimum(NamedTuple):
    """Holds where a local search ended.

    Attributes:
        P: Array `(n2, n1)` with orthonormal columns.
        value: E(P).
        gradient_norm: Of the Riemannian gradient.
        iterations: Trust-region steps.
        reason: Why it stopped: "gradient", "decrease", "iterations", "time" or
            "precision".
    """

    P: np.ndarray
    value: float
    gradient_norm: float
    iterations: int
    reason: str


def minimise(
    form: SpectralForm,
    P,
    *,
    tolerance: float = 1e-10,
    decrease: float = 0.0,
    max_iterations: int = 1000,
    seconds: float = float("inf"),
) -> Minimum:
    """Descend from P to a local minimum by a trust region.

    Args:
        form: E.
        P: Start `(n2, n1)`; brought to orthonormal columns.
        tolerance: Gradient norm to stop at, relative to the Hessian's scale.
        decrease: Stop where a step inside the region promises to lower E by less than
            this part of it: E is known to about so many digits then.
        max_iterations: Most steps.
        seconds: Most time; the step under way is cut short.

    Returns:
        Where it stopped and why. A start with gradient 0 is returned as it is.
    """
    began, reason = time.perf_counter(), "iterations"
    instance("form", form, SpectralForm, "a `SpectralForm`")
    tolerance = number("tolerance", tolerance, least=0)
    decrease = number("decrease", decrease, least=0)
    max_iterations = integer("max_iterations", max_iterations, least=0)
    seconds = number("seconds", seconds, infinite=True)  # none may be left
    Q = polar(form.enter(point(P, form.shape)))
    euclidean = form.gradient(Q)
    slope = tangent(Q, euclidean)
    value = np.vdot(Q, euclidean) / 2
    widest = np.sqrt(Q.shape[1])
    radius, enough, iteration = widest / 4, tolerance * form.scale * widest, 0
    for iteration in range(max_iterations + 1):
        norm = _length(slope)
        if norm <= enough:
            reason = "gradient"
            break
        if iteration == max_iterations:
            break
        if time.perf_counter() - began > seconds:
            reason = "time"
            break
        exact = min(max(norm / (form.scale * widest), 1e-4), 0.1)  # the end is fast
        Z, promised, inside = _steihaug(
            form.hessian(Q, euclidean),
            form.preconditioner(Q, euclidean),
            slope,
            radius,
            max(exact * norm, enough / 2),
            began + seconds,
        )
        trial = _retract(Q, Z)
        ahead = form.gradient(trial)
        # E(trial) - E(Q), without the digits that a difference of values loses.
        moved = trial - Q
        gain = -np.vdot(moved, euclidean + ahead) / 2
        noise = 10 * np.finfo(float).eps * _length(moved) * form.scale * widest
        ratio = (gain + noise) / (promised + noise)
        if ratio < 0.25:
            radius /= 4
        elif ratio > 0.75:
            radius = min(2 * radius, widest)
        if ratio > 0.1:
            Q, value, euclidean = trial, value - gain, ahead
            slope = tangent(Q, euclidean)
            if inside and promised <= decrease * abs(value):
                reason, norm = "decrease", _length(slope)
                break
        elif radius < 1e-12 * widest:
            reason = "precision"
            break
    Q = polar(Q)
    value = np.vdot(Q, form.gradient(Q)) / 2
    return Minimum(form.leave(Q), float(value), float(norm), iteration, reason)


def _length(X):
    return math.sqrt(np.vdot(X, X))


def _retract(Q, Z):
    """The polar factor of Q + Z, for a tangent Z: (Q + Z) (I + Z^T Z)^(-1/2)."""
    Y = Q + Z
    squares, W = np.linalg.eigh(Y.T @ Y)
    return (Y @ (W / np.sqrt(squares))) @ W.T


def _steihaug(hessian, precondition, slope, radius, enough, stop):
    """A step Z with |Z| about `radius` at most.

    It ends where the model's gradient is as short as `enough`, or at the time `stop`.

    Returns:
        Z, the decrease that the model promises, and whether Z is inside the region.
    """
    Z, HZ, inside = np.zeros_like(slope), np.zeros_like(slope), True
    residual, solved = slope, precondition(slope)
    product = np.vdot(residual, solved)
    direction = -solved
    # Lengths in the preconditioner's norm, in which the iterates only grow.
    length, along, square = 0.0, 0.0, product
    limit = radius**2 * product / max(np.vdot(solved, solved), 1e-300)
    for _ in range(slope.size):
        Hd = hessian(direction)
        curvature = np.vdot(direction, Hd)
        step = product / curvature if curvature > 0 else np.inf
        longer = length + 2 * step * along + step**2 * square
        if curvature <= 0 or longer >= limit:
            root = np.sqrt(max(along**2 + square * (limit - length), 0.0))
            step = (root - along) / square
            Z, HZ, inside = Z + step * direction, HZ + step * Hd, False
            break
        Z, HZ, length = Z + step * direction, HZ + step * Hd, longer
        residual = residual + step * Hd
        if np.vdot(residual, residual) <= enough**2 or time.perf_counter() > stop:
            break
        solved = precondition(residual)
        before, product = product, np.vdot(residual, solved)
        ratio = product / before
        direction = ratio * direction - solved
        along = ratio * (along + step * square)
        square = product + ratio**2 * square
    return Z, -float(np.vdot(Z, slope) + np.vdot(Z, HZ) / 2), inside
