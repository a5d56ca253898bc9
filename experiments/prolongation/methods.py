"""Methods and starts that look for an optimal P, by name, each bounded in time."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np
import pymanopt
from pymanopt import optimizers
from pymanopt.manifolds import Stiefel

from msann_keras.prolongation.closed_forms import box
from msann_keras.prolongation.matching import minimal_matching
from msann_keras.prolongation.objective import Objective, polar
from msann_keras.prolongation.optimize import greedy_start
from msann_keras.prolongation.trust_region import minimise


def trust_region(objective: Objective, start, seconds: float) -> np.ndarray:
    """This project's: exact Hessian products, preconditioned."""
    return minimise(objective, start, seconds=seconds).P


def projected_gradient(objective: Objective, start, seconds: float) -> np.ndarray:
    """Gradient steps of Barzilai and Borwein's length, then the polar factor.

    A step must lower the largest of the last ten values, or is halved.
    """
    ends = time.perf_counter() + seconds
    P, slope = start, objective.riemannian_gradient(start)
    values, best = [objective(P)], P
    length = 1e-3 / max(np.linalg.norm(slope), 1e-30)
    while time.perf_counter() < ends and np.linalg.norm(slope) > 1e-9 * values[0]:
        while True:
            new = polar(P - length * slope)
            value = objective(new)
            enough = max(values[-10:]) - 1e-4 * length * np.sum(slope**2)
            if value <= enough or length < 1e-20:
                break
            length /= 2
        new_slope = objective.riemannian_gradient(new)
        moved, turned = new - P, new_slope - slope
        length = np.sum(moved**2) / max(abs(np.sum(moved * turned)), 1e-300)
        if value < min(values):
            best = new
        if not np.any(moved):
            break
        P, slope = new, new_slope
        values.append(value)
    return best


def _of_pymanopt(optimizer) -> Callable:
    def run(objective, start, seconds):
        manifold = Stiefel(*objective.shape)

        @pymanopt.function.numpy(manifold)
        def cost(P):
            return objective(P)

        @pymanopt.function.numpy(manifold)
        def gradient(P):
            return objective.gradient(P)

        @pymanopt.function.numpy(manifold)
        def hessian(P, direction):
            return objective.gradient(direction)

        problem = pymanopt.Problem(
            manifold, cost, euclidean_gradient=gradient, euclidean_hessian=hessian
        )
        method = optimizer(max_time=seconds, max_iterations=100_000, verbosity=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return method.run(problem, initial_point=start).point

    return run


#: `method(objective, start, seconds)` gives P; pymanopt's with written-out derivatives.
METHODS: dict[str, Callable] = {
    "trust region": trust_region,
    "projected gradient": projected_gradient,
    "pymanopt trust regions": _of_pymanopt(optimizers.TrustRegions),
    "pymanopt conjugate gradient": _of_pymanopt(optimizers.ConjugateGradient),
    "pymanopt steepest descent": _of_pymanopt(optimizers.SteepestDescent),
}


def starts(objective: Objective, seed: int = 0) -> dict[str, np.ndarray]:
    """Starts by name, without the perturbation that leaves saddles."""
    n2, n1 = objective.shape
    rng = np.random.default_rng(seed)
    return {
        "matching": _matching(objective),
        "greedy signs": greedy_start(objective, objective.locality),
        "[I; 0]": np.eye(n2, n1),
        "random": polar(rng.standard_normal((n2, n1))),
        "box": box(n1, n2).matrix(),
    }


def _matching(objective):
    """U2 M U1^T of the Laplacians' spectra, the paper's start."""
    term = objective.diffusion
    bases = [
        np.linalg.eigh(X if isinstance(X, np.ndarray) else X.toarray())
        for X in (term.X1, term.X2)
    ]
    (coarse, left), (fine, right) = bases
    root = np.sqrt(term.scale)
    return right[:, minimal_matching(coarse / root, fine * root)] @ left.T
