"""The optimal prolongation between two graphs (section 3.2), with a certificate.

Where one assignment of eigenvalues is the global optimum over the whole Stiefel
manifold, it is found directly: for s = 0 and s = 1 always (E is linear in the squared
entries of Q = U2^T P U1, and the vertices of that polytope are matchings, so the
paper's remark that other orthogonal P may do better is not so), and for every s where L
and T commute on both graphs, as on rings and tori. Elsewhere a trust region goes down
from several starts, and leaves saddles along negative curvature.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from msann_keras.graphs import Distances, check_dense, dense, laplacian, lattice
from msann_keras.prolongation.matching import minimal_matching
from msann_keras.prolongation.objective import Objective, polar
from msann_keras.prolongation.trust_region import (
    Minimum,
    Rotated,
    least_eigenvalue,
    minimise,
)

#: Negative curvature that counts, relative to the Hessian's scale.
CURVATURE = 1e-7
#: Local searches that must end at the same lowest E, relative to it, before no more
#: are begun.
AGREE, EQUAL = 2, 1e-9
#: Nodes of the fine graph up to which several starts pay, and the last digits.
SMALL = 64
#: Unknowns up to which the least eigenvalue of the Hessian is looked for.
MANY = 40_000


class OptimalProlongation(NamedTuple):
    """What `optimal_prolongation` found.

    Attributes:
        P: Array `(n2, n1)` with orthonormal columns.
        value: E(P).
        diffusion: The first term of (3.3), without its weight 1 - s.
        locality: The second, without its weight s.
        method: "assignment" or "trust region".
        certified: Whether P is known to be a global optimum.
        gradient_norm: Of the Riemannian gradient at P.
        least_hessian_eigenvalue: Negative at a saddle; NaN where it was not computed.
        iterations: Of the trust region, from all starts.
        seconds: In all.
        reason: Why it stopped.
    """

    P: np.ndarray
    value: float
    diffusion: float
    locality: float
    method: str
    certified: bool
    gradient_norm: float
    least_hessian_eigenvalue: float
    iterations: int
    seconds: float
    reason: str


def optimal_prolongation(
    coarse: Any,
    fine: Any,
    *,
    s: float,
    alpha: float = 1.0,
    beta: float | None = None,
    method: str = "auto",
    start: Any = None,
    random_starts: int = 4,
    seed: int = 0,
    seconds: float = float("inf"),
) -> OptimalProlongation:
    """The P that minimises E(P) of (3.3), P^T P = I.

    Minimisers are never unique (signs, rotations within eigenspaces): compare E, not
    entries.

    Args:
        coarse: G_1, a networkx graph or matrix of n1 nodes.
        fine: G_2, of n2 >= n1 nodes.
        s: 0 is fully diffuse, 1 fully local.
        alpha: Scale of the diffusion term.
        beta: Scale of the locality term; n1/n2 by default.
        method: "auto"; "assignment" to be refused where it is not exact; or "trust
            region".
        start: For the trust region: an array `(n2, n1)` in the place of the starts.
        random_starts: After the three from spectra, on small graphs, as long as no
            two of all agree.
        seed: Of the random starts and of what leaves saddles.
        seconds: After which the trust region stops.

    Raises:
        ValueError: What `Objective` refuses; an unknown method; "assignment" where it
            is not exact; graphs too large for dense matrices.

    Example:

    >>> import networkx as nx
    >>> found = optimal_prolongation(nx.path_graph(4), nx.path_graph(8), s=1)
    >>> round(found.value, 6), found.certified
    (62.474817, True)
    """
    began = time.perf_counter()
    if method not in ("auto", "assignment", "trust region"):
        raise ValueError(
            "`method` must be 'auto', 'assignment' or 'trust region'. "
            f"Received: method={method!r}"
        )
    objective = Objective(coarse, fine, s=s, alpha=alpha, beta=beta)
    check_dense("eigenvectors", objective.shape[0], objective.shape[0])
    P = assignment(objective) if method != "trust region" else None
    certified = P is not None
    if method == "assignment" and not certified:
        raise ValueError(
            "An assignment is exact for s = 0, s = 1, and graphs on which L and T "
            f"commute. Received: s={s} and other graphs; use method='auto'"
        )
    if certified:
        gradient = float(np.linalg.norm(objective.riemannian_gradient(P)))
        found = Minimum(P, float("nan"), gradient, 0, "exact")
        least = 0.0  # a global minimum has no negative curvature
    else:
        M = Rotated(objective)
        starts = [polar(np.asarray(start, dtype=float))] if start is not None else None
        found, least = _from_starts(
            objective,
            starts or default_starts(objective, random_starts, seed),
            M,
            seed,
            seconds,
        )
    terms = objective.terms(found.P)
    return OptimalProlongation(
        found.P,
        float(np.dot((1 - objective.s, objective.s), terms)),
        *terms,
        "assignment" if certified else "trust region",
        certified,
        found.gradient_norm,
        least,
        found.iterations,
        time.perf_counter() - began,
        found.reason,
    )


def assignment(objective: Objective) -> np.ndarray | None:
    """The global optimum as a matching of eigenvectors, where that is one.

    Returns:
        P = U2 M U1^T, or `None` where no assignment is known to be optimal.
    """
    if objective.s in (0, 1):
        (term,) = objective.active
        (x1, U1), (x2, U2) = (np.linalg.eigh(_array(X)) for X in (term.X1, term.X2))
        root = np.sqrt(term.scale)
        rows = minimal_matching(x1 / root, x2 * root)
        return U2[:, rows] @ U1.T
    bases = [_joint_basis(graph) for graph in (objective.coarse, objective.fine)]
    if None in bases:
        return None
    (U1, *values1), (U2, *values2) = bases
    terms = (objective.diffusion, objective.locality)
    cost = sum(
        term.weight
        * np.subtract.outer(x2 * np.sqrt(term.scale), x1 / np.sqrt(term.scale)) ** 2
        for term, x1, x2 in zip(terms, values1, values2, strict=True)
    )
    rows, columns = linear_sum_assignment(cost)
    return U2[:, rows] @ U1[:, columns].T


def default_starts(objective, random_starts, seed) -> Iterator[np.ndarray]:
    """Greedy starts of both terms; on small graphs also m* and random ones."""
    if objective.shape[0] > SMALL:
        yield greedy_start(objective, objective.active[-1])
        return
    for term in objective.active:
        yield greedy_start(objective, term)
    yield matching_start(objective)
    rng = np.random.default_rng(seed)
    for _ in range(random_starts):
        yield polar(rng.standard_normal(objective.shape))


def matching_start(objective) -> np.ndarray:
    """m*(L1, L2) itself, the binary matrix that the paper starts from (3.3.2)."""
    term = objective.diffusion
    spectra = (np.linalg.eigvalsh(_array(X)) for X in (term.X1, term.X2))
    start = np.zeros(objective.shape)
    start[minimal_matching(*spectra), np.arange(objective.shape[1])] = 1
    return start


def greedy_start(objective, term) -> np.ndarray:
    """U2 M diag(sigma) U1^T of one term's spectra, its signs chosen for the other.

    For the one term every choice of signs is optimal; the other one is a quadratic
    form in them, which is lowered one sign at a time.
    """
    (x1, U1), (x2, U2) = (np.linalg.eigh(_array(X)) for X in (term.X1, term.X2))
    root = np.sqrt(term.scale)
    U2 = U2[:, minimal_matching(x1 / root, x2 * root)]
    others = [x for x in objective.active if x is not term]
    coupling = sum(
        other.weight * (U2.T @ (other.X2 @ U2)) * (U1.T @ (other.X1 @ U1))
        for other in others
    )
    signs = np.ones(U1.shape[1])
    if others:
        np.fill_diagonal(coupling, 0)
        for j in reversed(range(len(signs))):  # the smoothest, largest ones first
            signs[j] = 1 if coupling[j, j + 1 :] @ signs[j + 1 :] >= 0 else -1
        for _ in range(100):
            wrong = np.flatnonzero(signs * (coupling @ signs) < 0)
            if not len(wrong):
                break
            for j in wrong:
                signs[j] *= -1 if signs[j] * (coupling[j] @ signs) < 0 else 1
    return U2 * signs @ U1.T


def _from_starts(objective, starts, M, seed, seconds):
    """The best local minimum, and the least eigenvalue of the Hessian there.

    Starts end when `AGREE` of them ended at the same, lowest E.
    """
    began, best, least, iterations = time.perf_counter(), None, float("nan"), 0
    ends: list[float] = []
    # Long paths have directions so flat that E's first nine digits are long settled.
    tolerance = 1e-10 if objective.shape[0] <= SMALL else 1e-8
    rng = np.random.default_rng(seed)
    for P in starts:
        left = seconds - (time.perf_counter() - began)
        if best is not None and left <= 0:
            break
        # The matching itself is often an exact saddle.
        P = polar(P + 1e-3 * rng.standard_normal(P.shape) / np.sqrt(P.shape[0]))
        found = minimise(objective, P, M, tolerance=tolerance, seconds=left)
        iterations += found.iterations
        if best is None or found.value < best.value:
            best = found
        ends.append(found.value)
        close = EQUAL * max(abs(best.value), 1e-9 * M.scale)
        if sum(value - best.value <= close for value in ends) >= AGREE:
            break
    while best.P.size <= MANY and seconds > time.perf_counter() - began:
        least, direction = least_eigenvalue(M, best.P, seed)
        if not least < -CURVATURE * M.scale:
            break
        steps = [polar(best.P + t * direction) for t in (0.3, 0.1, 0.03, -0.1, -0.3)]
        P = min(steps, key=objective)
        if objective(P) >= best.value:
            break
        best = minimise(objective, P, M, tolerance=tolerance)
        iterations += best.iterations
    return best._replace(iterations=iterations), least


def _array(X) -> np.ndarray:
    return X if isinstance(X, np.ndarray) else dense(X, "eigenvectors")


def _joint_basis(graph):
    """Eigenvectors of L and T at once, and both eigenvalues; `None` if there are none.

    Known for rings and tori, where they are Fourier's, real and along each axis.
    """
    shape, periodic = lattice(graph) or ((), False)
    if not (periodic or (shape and max(shape) <= 2)):
        return None
    first = np.zeros((graph.shape[0], 1))
    first[0] = 1
    columns = [laplacian(graph), Distances(graph)]
    basis = np.ones((1, 1))
    for side in shape:
        basis = np.kron(basis, _fourier(side))
    # A circulant's eigenvalues are the transform of its first column; on real basis
    # vectors, that of cosines.
    values = []
    for X in columns:
        column = (X @ first).reshape(shape)
        spectrum = np.fft.fftn(column).real
        places = np.ix_(*[(np.arange(side) + 1) // 2 for side in shape])
        values.append(spectrum[places].ravel())
    return basis, *values


def _fourier(n):
    """The real orthonormal Fourier basis of a ring: column k has frequency (k+1)//2."""
    frequency = (np.arange(n) + 1) // 2
    angle = 2 * np.pi * np.arange(n) / n
    # A cosine for each of the n angles, not for each of the n^2 entries.
    table = np.stack([np.sin(angle), np.cos(angle)])
    basis = table[np.arange(n) % 2, np.outer(np.arange(n), frequency) % n]
    basis[:, 0] = 1
    return basis / np.linalg.norm(basis, axis=0)
