"""Other methods for min E(P), P^T P = I, by name, for comparison (section 3.3.1).

They are those that the paper names and their relatives: projected gradients, the
feasible method of Wen and Yin, pymanopt's, and SciPy's. None is needed to find an
optimum: `msann.optimal.search` has the fast ones.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.optimize

from msann.arrays import DENSE_LIMIT, check_dense
from msann.checks import one_of
from msann.optimal.curvature import least_eigenvalue
from msann.optimal.descents import SMALL
from msann.optimal.objective import Objective, polar
from msann.optimal.search import OptimalProlongation, described, given_start
from msann.optimal.spectral import SpectralForm
from msann.optimal.trust_region import Minimum

#: Weight of ||P^T P - I||^2 in the Nelder-Mead penalty, relative to E at the start.
PENALTY = 100.0


def qr(X) -> np.ndarray:
    """The Q factor of X, with a positive diagonal in R.

    >>> qr(np.diag([2.0, -3.0])) + 0
    array([[ 1.,  0.],
           [ 0., -1.]])
    """
    Q, R = np.linalg.qr(X)
    return Q * np.where(np.diag(R) < 0, -1.0, 1.0)


def projected_gradient(
    objective: Objective, P, tolerance, iterations, seconds, *, project: Callable
) -> Minimum:
    """Gradient steps of Barzilai and Borwein's length, projected to the manifold.

    A step must lower the largest of the last ten values, or is halved.
    """
    stop = time.perf_counter() + seconds
    slope = objective.riemannian_gradient(P)
    values, best = [objective(P)], P
    length = 1e-3 / max(np.linalg.norm(slope), 1e-300)
    for iteration in range(iterations):
        if reason := _end(slope, tolerance, stop):
            return _minimum(objective, best, iteration, reason)
        fall = np.vdot(slope, slope)
        while True:
            new = project(P - length * slope)
            value = objective(new)
            if value <= max(values[-10:]) - 1e-4 * length * fall:
                break
            length /= 2
            if length * np.sqrt(fall) < 1e-16:
                return _minimum(objective, best, iteration, "precision")
        new_slope = objective.riemannian_gradient(new)
        moved, turned = new - P, new_slope - slope
        across = max(abs(np.vdot(moved, turned)), 1e-300)
        length = np.vdot(moved, moved) / across
        if value < min(values):
            best = new
        P, slope = new, new_slope
        values.append(value)
    return _minimum(objective, best, iterations, "iterations")


def wen_yin(objective: Objective, P, tolerance, iterations, seconds) -> Minimum:
    """Curves of Cayley transforms with Barzilai-Borwein steps (Wen and Yin, 2013).

    The line search is theirs too: E need only fall below a running average. Cayley
    transforms keep P^T P = I only to rounding, which adds up: the end is projected.
    """
    stop = time.perf_counter() + seconds
    value, G = objective(P), objective.gradient(P)
    slope = G - P @ (G.T @ P)
    step = 1e-3 / max(np.linalg.norm(slope), 1e-300) * np.sqrt(P.shape[1])
    average, weight, best = value, 1.0, (value, P)
    for iteration in range(iterations):
        if reason := _end(slope, tolerance, stop):
            return _minimum(objective, polar(P), iteration, reason)
        fall = np.vdot(slope, slope)
        for _ in range(40):
            try:
                trial = _cayley(P, G, step)
            except np.linalg.LinAlgError:  # at a minimum steps become very long
                value = np.inf
            else:
                value = objective(trial)
            if value <= average - 1e-4 * step * fall / 2:
                break
            step /= 5
        else:
            return _minimum(objective, polar(best[1]), iteration, "precision")
        pull = objective.gradient(trial)
        new_slope = pull - trial @ (pull.T @ trial)
        moved, turned = trial - P, new_slope - slope
        across = abs(np.vdot(moved, turned)) or 1e-300
        long = np.vdot(moved, moved) / across
        short = across / max(np.vdot(turned, turned), 1e-300)
        step = float(np.clip(long if iteration % 2 else short, 1e-15, 1e15))
        P, G, slope = trial, pull, new_slope
        average = (0.85 * weight * average + value) / (0.85 * weight + 1)
        weight = 0.85 * weight + 1
        if value < best[0]:
            best = value, P
    return _minimum(objective, polar(best[1]), iterations, "iterations")


def with_scipy(
    objective: Objective, P, tolerance, iterations, seconds, *, name: str
) -> Minimum:
    """SciPy's "SLSQP" and "trust-constr", constrained; "Nelder-Mead" with a penalty.

    What they return is projected to the manifold (`polar`).

    Raises:
        ValueError: More unknowns than a dense matrix of them could be made for.
    """
    shape, upper = P.shape, np.triu_indices(P.shape[1])
    if (size := 8 * P.size**2) > DENSE_LIMIT:
        raise ValueError(
            f"{name} needs dense matrices between all unknowns, at most "
            f"{DENSE_LIMIT / 2**30:.3g} GiB. Received: {P.size:,} unknowns, whose "
            f"matrix would take {size / 2**30:,.1f} GiB"
        )
    stop = time.perf_counter() + seconds
    reached, count = P, 0

    def value(p):
        nonlocal reached, count
        if time.perf_counter() > stop:
            raise TimeoutError
        reached, count = p.reshape(shape).copy(), count + 1
        return objective(reached)

    def gap(p):
        Z = p.reshape(shape)
        return (Z.T @ Z - np.eye(shape[1]))[upper]

    def gap_jacobian(p):
        Z = p.reshape(shape)
        rows = np.zeros((len(upper[0]), *shape))
        for row, i, j in zip(rows, *upper, strict=True):
            row[:, i] += Z[:, j]
            row[:, j] += Z[:, i]
        return rows.reshape(len(upper[0]), -1)

    options = {"maxiter": iterations}
    if name == "Nelder-Mead":
        weight = PENALTY * max(objective(P), 1.0)
        problem = {
            "fun": lambda p: value(p) + weight * np.sum(gap(p) ** 2),
            "options": options | {"maxfev": 100 * iterations},
        }
    else:
        closed = scipy.optimize.NonlinearConstraint(gap, 0, 0, jac=gap_jacobian)
        problem = {
            "fun": value,
            "jac": lambda p: objective.gradient(p.reshape(shape)).ravel(),
            "constraints": closed,
            "options": options,
            "tol": max(tolerance, 1e-12),
        }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of trust-constr, on what it approximates
            result = scipy.optimize.minimize(x0=P.ravel(), method=name, **problem)
    except TimeoutError:
        return _minimum(objective, polar(reached), count, "time")
    end = polar(result.x.reshape(shape))
    return _minimum(objective, end, int(result.nit), result.message)


def with_pymanopt(
    objective: Objective, P, tolerance, iterations, seconds, *, name: str
) -> Minimum:
    """pymanopt's "SteepestDescent", "ConjugateGradient" or "TrustRegions".

    They get the gradient and Hessian of E, not automatic derivatives.

    Raises:
        ImportError: pymanopt is not installed.
    """
    try:
        import pymanopt
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{name} is pymanopt's: pip install 'msann-keras[benchmarks]'"
        ) from error
    manifold = pymanopt.manifolds.Stiefel(*objective.shape)
    in_numpy = pymanopt.function.numpy(manifold)
    problem = pymanopt.Problem(
        manifold,
        in_numpy(lambda P: objective(P)),
        euclidean_gradient=in_numpy(lambda P: objective.gradient(P)),
        euclidean_hessian=in_numpy(lambda P, Z: objective.gradient(Z)),
    )
    method = getattr(pymanopt.optimizers, name)(
        verbosity=0,
        max_iterations=iterations,
        max_time=min(seconds, 1e9),
        min_gradient_norm=tolerance,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = method.run(problem, initial_point=P)
    return _minimum(
        objective, polar(result.point), result.iterations, result.stopping_criterion
    )


#: Each method by name, a function of E, P, gradient norm to stop at, most iterations
#: and seconds.
SOLVERS: dict[str, Callable[..., Minimum]] = {
    "projected gradient (polar)": partial(projected_gradient, project=polar),
    "projected gradient (qr)": partial(projected_gradient, project=qr),
    "wen-yin": wen_yin,
    "slsqp": partial(with_scipy, name="SLSQP"),
    "trust-constr": partial(with_scipy, name="trust-constr"),
    "nelder-mead": partial(with_scipy, name="Nelder-Mead"),
    "pymanopt steepest descent": partial(with_pymanopt, name="SteepestDescent"),
    "pymanopt conjugate gradient": partial(with_pymanopt, name="ConjugateGradient"),
    "pymanopt trust regions": partial(with_pymanopt, name="TrustRegions"),
}


def compared(
    coarse: Any,
    fine: Any,
    *,
    s: float,
    method: str,
    start: Any = "random",
    seconds: float = float("inf"),
) -> OptimalProlongation:
    """What a method of `SOLVERS` finds from one start, with what `auto` would tell.

    It stays where it ends, on a saddle too.

    Args:
        coarse: As for `optimal_prolongation`.
        fine: As for `optimal_prolongation`.
        s: As for `optimal_prolongation`.
        method: A name of `SOLVERS`.
        start: An array `(n2, n1)`, or a name of `starts.start`.
        seconds: After which it stops.

    Raises:
        ImportError: A method of pymanopt's, which is not installed.
        ValueError: An unknown method, or as `optimal_prolongation`.
    """
    began = time.perf_counter()
    solve = SOLVERS[one_of("method", method, SOLVERS)]
    objective = Objective(coarse, fine, s=s)
    check_dense("eigenvectors", objective.shape[0], objective.shape[0])
    first = given_start(objective, start, None, seed=0)
    form = SpectralForm(objective)
    small = 1e-10 * form.scale * np.sqrt(objective.shape[1])
    found = solve(objective, first, small, 100_000, seconds)
    least = float("nan")
    if objective.shape[0] <= SMALL:
        least, _ = least_eigenvalue(form, found.P)
    return described(objective, found, method, least, began)


def _cayley(P, G, step):
    """(I + t/2 A)^-1 (I - t/2 A) P for t = `step`, A = G P^T - P G^T."""
    U, V = np.hstack([G, P]), np.hstack([P, -G])
    small = np.eye(U.shape[1]) + step / 2 * (V.T @ U)
    return P - step * U @ np.linalg.solve(small, V.T @ P)


def _end(slope, tolerance, stop):
    if np.linalg.norm(slope) <= tolerance:
        return "gradient"
    return "time" if time.perf_counter() > stop else None


def _minimum(objective, P, iterations, reason):
    norm = np.linalg.norm(objective.riemannian_gradient(P))
    return Minimum(P, objective(P), float(norm), iterations, reason)
