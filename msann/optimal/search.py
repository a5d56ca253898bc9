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
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from msann.graphs import Distances, check_dense, dense, laplacian_of
from msann.optimal import starts
from msann.optimal.curvature import least_eigenvalue
from msann.optimal.matching import minimal_matching
from msann.optimal.objective import Objective, polar, tangent
from msann.optimal.solvers import SOLVERS
from msann.optimal.spectral import SpectralForm
from msann.optimal.trust_region import Minimum, minimise

METHODS = ("auto", "assignment", "trust region", *SOLVERS)

#: Negative curvature that counts, relative to the Hessian's scale.
CURVATURE = 1e-7
#: Nodes of the fine graph up to which the least eigenvalue pays.
SMALL = 256
#: Most starts, by the nodes of the fine graph; one for larger ones.
MOST_STARTS = {32: 60, 64: 20, 128: 2}
#: So many starts that all end in one minimum are enough; two, if they agree to `AGAIN`.
AGREE = 3
#: Ends whose E differ by less, relatively, count as one minimum.
SAME = 1e-6
#: Ends whose E differ by less are the same in all that a descent settles.
AGAIN = 1e-9
#: Part of E by which a minimum must be lower to be another one.
DIFFERENT = 1e-10
#: Part of E that the first descents leave; the best is then finished.
ROUGH = 1e-8
#: Nodes of the fine graph up to which every sign is tried.
MANY_SIGNS = 64


class OptimalProlongation(NamedTuple):
    """What `optimal_prolongation` found.

    Attributes:
        P: Array `(n2, n1)` with orthonormal columns.
        value: E(P).
        diffusion: The first term of (3.3), without its weight 1 - s.
        locality: The second, without its weight s.
        method: "assignment", "trust region", or the name that was asked for.
        certified: Whether P is known to be a global optimum.
        gradient_norm: Of the Riemannian gradient at P.
        least_hessian_eigenvalue: Negative at a saddle; NaN where it was not computed.
        iterations: Of the method, from all starts.
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
    smaller: Any = None,
    most_starts: int | None = None,
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
        method: "auto"; "assignment" to be refused where it is not exact; "trust
            region"; or, for comparison, one of `solvers.SOLVERS`, which runs once, from
            "random" unless told otherwise, and stays where it ends, on a saddle too.
        start: An array `(n2, n1)`, or a name of `starts.start`, in the place of
            several starts; pushed a little if it is a saddle.
        smaller: For start="interpolated": the optimum between two smaller graphs.
        most_starts: Of the trust region. It ends before when two or three have ended
            in one minimum and none in another, or when the number of minima seen makes
            further ones unlikely. 60, 20 or 2 for up to 32, 64 or 128 fine nodes, one
            beyond, by default.
        seed: Of the random starts and of what leaves saddles.
        seconds: After which a search stops.

    Raises:
        ImportError: A method of pymanopt's, which is not installed.
        ValueError: What `Objective` refuses; an unknown method or start; a start of
            another shape; "assignment" where it is not exact; graphs too large for
            dense matrices.

    Example:

    >>> import networkx as nx
    >>> found = optimal_prolongation(nx.path_graph(4), nx.path_graph(8), s=1)
    >>> round(found.value, 6), found.certified
    (62.474817, True)
    """
    began = time.perf_counter()
    if method not in METHODS:
        raise ValueError(
            f"`method` must be one of {METHODS}. Received: method={method!r}"
        )
    objective = Objective(coarse, fine, s=s, alpha=alpha, beta=beta)
    check_dense("eigenvectors", objective.shape[0], objective.shape[0])
    P = assignment(objective) if method in ("auto", "assignment") else None
    certified = P is not None
    if method == "assignment" and not certified:
        raise ValueError(
            "An assignment is exact for s = 0, s = 1, and graphs on which L and T "
            f"commute. Received: s={s} and other graphs; use method='auto'"
        )
    if certified:
        method = "assignment"
        found = Minimum(P, float("nan"), float("nan"), 0, "exact")
        least = 0.0  # a global minimum has no negative curvature
    else:
        first = _given(objective, start, smaller, seed)
        form = SpectralForm(objective)
        if method in SOLVERS:
            if first is None:
                first = starts.start("random", objective, seed=seed)
            small = 1e-10 * form.scale * np.sqrt(objective.shape[1])
            found = SOLVERS[method](objective, first, small, 100_000, seconds)
            least = float("nan")
            if objective.shape[0] <= SMALL:
                least, _ = least_eigenvalue(form, found.P, seed=seed)
        else:
            method = "trust region"
            several = starts.several(objective, seed) if first is None else [first]
            if most_starts is None:
                sizes = MOST_STARTS.items()
                fits = (most for n2, most in sizes if objective.shape[0] <= n2)
                most_starts = next(fits, 1)
            found = _from_starts(form, several, most_starts, began + seconds)
            found, least = _off_saddles(form, found, seed, began + seconds)
    (diffusion, locality), gradient = objective.terms_and_gradient(found.P)
    return OptimalProlongation(
        found.P,
        (1 - s) * diffusion + s * locality,
        diffusion,
        locality,
        method,
        certified,
        float(np.linalg.norm(tangent(found.P, gradient))),
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
    graphs = (objective.coarse, objective.fine)
    bases = [
        _joint_basis(graph, *(shape or ((), False)))
        for graph, shape in zip(graphs, objective.lattices, strict=True)
    ]
    if None in bases:
        if objective.s not in (0, 1):
            return None
        (term,) = objective.active
        (x1, U1), (x2, U2) = (
            np.linalg.eigh(dense(X, "eigenvectors")) for X in (term.X1, term.X2)
        )
        root = np.sqrt(term.scale)
        rows = minimal_matching(x1 / root, x2 * root)
        return U2[:, rows] @ U1.T
    (U1, *values1), (U2, *values2) = bases
    terms = (objective.diffusion, objective.locality)
    cost = sum(
        term.weight
        * np.subtract.outer(x2 * np.sqrt(term.scale), x1 / np.sqrt(term.scale)) ** 2
        for term, x1, x2 in zip(terms, values1, values2, strict=True)
    )
    rows, columns = linear_sum_assignment(cost)
    return U2[:, rows] @ U1[:, columns].T


def _given(objective, start, smaller, seed):
    """The one start that was asked for; `None` for several."""
    if start is None:
        return None
    if isinstance(start, str):
        return starts.start(start, objective, seed=seed, smaller=smaller)
    P = np.asarray(start, dtype=float)
    if P.shape != objective.shape:
        raise ValueError(
            f"`start` must have shape {objective.shape}, fine by coarse nodes. "
            f"Received: shape {P.shape}"
        )
    return polar(P)


def _from_starts(form, several, most, stop) -> Minimum:
    """The best local minimum of up to `most` starts, and of other signs there."""
    ends, iterations = [], 0
    for P in several:
        left = stop - time.perf_counter()
        if ends and (left <= 0 or len(ends) >= most or _settled(ends)):
            break
        ends.append(minimise(form, P, decrease=ROUGH, seconds=left))
        iterations += ends[-1].iterations
    best = min(ends, key=lambda end: end.value)._replace(iterations=iterations)
    spread = max(end.value for end in ends) - best.value
    # Independent starts that agree to so many digits leave no doubt about signs.
    doubt = spread > AGAIN * abs(best.value)
    return _other_signs(form, best, stop) if doubt else best


def _settled(ends):
    """Whether more starts are unlikely to find a minimum that was not seen yet.

    After N starts that ended in W > 1 minima, W (N - 1) / (N - W - 2) are expected in
    all (Boender and Rinnooy Kan, 1987): enough is within half of W.
    """
    values = np.sort([end.value for end in ends])
    seen = 1 + int(np.sum(np.diff(values) > SAME * np.abs(values[1:])))
    if seen == 1:
        again = len(ends) > 1 and np.ptp(values) <= AGAIN * abs(values[0])
        return again or len(ends) >= AGREE
    left = len(ends) - seen - 2
    return left > 0 and seen * (len(ends) - 1) < (seen + 0.5) * left


def _other_signs(form, best, stop) -> Minimum:
    """`best`, or a lower minimum with another sign of some vibration of G_1.

    Many minima are apart by such signs, and a descent from one changed sign is short.
    """
    if form.shape[0] > MANY_SIGNS:
        return best
    iterations, improved = best.iterations, True
    while improved:
        improved, Q = False, form.enter(best.P)
        flips = []
        for j in range(Q.shape[1]):
            flipped = Q.copy()
            flipped[:, j] *= -1
            flips.append(form.leave(flipped))
        rise = np.array([form.value(P) for P in flips]) - best.value
        # Without a rise it is a symmetry, or the same column.
        for j in np.argsort(rise):
            if not rise[j] / abs(best.value) > 1e-12 or time.perf_counter() > stop:
                continue
            end = minimise(form, flips[j], decrease=ROUGH)
            iterations += end.iterations
            if end.value < best.value - DIFFERENT * abs(best.value):
                best, improved = end, True
                break
    return best._replace(iterations=iterations)


def _off_saddles(form, found, seed, stop):
    """`found` to all digits, off any saddle, and the least eigenvalue there."""
    iterations, least = found.iterations, float("nan")
    if found.reason != "time":
        found = minimise(form, found.P, seconds=stop - time.perf_counter())
        iterations += found.iterations
    while form.shape[0] <= SMALL and time.perf_counter() < stop:
        least, direction = least_eigenvalue(form, found.P, seed=seed)
        if not least < -CURVATURE * form.scale:
            break
        steps = (0.3, 0.1, 0.03, 0.01, -0.01, -0.03, -0.1, -0.3)
        trials = [polar(found.P + t * direction) for t in steps]
        lower = min(trials, key=form.value)
        if form.value(lower) >= found.value:
            break
        found = minimise(form, lower, seconds=stop - time.perf_counter())
        iterations += found.iterations
    return found._replace(iterations=iterations), least


def _joint_basis(graph, shape, periodic):
    """Eigenvectors of L and T at once, and both eigenvalues; `None` if there are none.

    Known for rings and tori, where they are Fourier's, real and along each axis.
    """
    if not (periodic or (shape and max(shape) <= 2)):
        return None
    first = np.zeros((graph.shape[0], 1))
    first[0] = 1
    columns = [laplacian_of(graph), Distances.of(graph)]
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
    k = np.arange(n, dtype=np.int32)
    frequency, odd = (k + 1) // 2, (k % 2 == 1) | (k == 0)
    # n angles are enough: sines of even columns, then cosines of odd ones.
    angle = 2 * np.pi * k / n
    table = np.concatenate([np.sin(angle), np.cos(angle)])
    basis = table[np.multiply.outer(k, frequency) % n + n * odd]
    single = (k == 0) | (2 * frequency == n)
    basis *= np.where(single, 1, np.sqrt(2)) / np.sqrt(n)
    return basis
