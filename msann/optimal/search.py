"""The optimal prolongation between two graphs (section 3.2), with a certificate.

Where one assignment of eigenvalues is the global optimum over the whole Stiefel
manifold, it is found directly (`assignment`). Elsewhere a trust region goes down from
several starts, and leaves saddles along negative curvature (`descents`).
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from msann.arrays import check_dense, real_array
from msann.checks import integer, number, one_of
from msann.optimal import starts
from msann.optimal.assignment import assignment
from msann.optimal.descents import lowest, most_starts_for, off_saddles
from msann.optimal.objective import Objective, polar, tangent
from msann.optimal.spectral import SpectralForm
from msann.optimal.trust_region import Minimum

METHODS = ("auto", "assignment", "trust region")


class OptimalProlongation(NamedTuple):
    """Holds what `optimal_prolongation` found: P, its energy, and how sure that is.

    Attributes:
        P: Array `(n2, n1)` with orthonormal columns.
        value: E(P).
        diffusion: The first term of (3.3), without its weight 1 - s.
        locality: The second, without its weight s.
        method: "assignment" or "trust region".
        certified: Whether P is known to be a global optimum.
        gradient_norm: The norm of the Riemannian gradient at P, about 0 at a minimum.
        least_hessian_eigenvalue: Negative at a saddle; NaN where it was not computed.
        iterations: How many steps the trust region made from all starts; 0 for an
            assignment.
        seconds: How many seconds the whole call took.
        reason: Why the search stopped: "exact" for an assignment, else one of the
            values of `Minimum.reason`.
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
    """Look for the P that minimises E(P) of (3.3), with P^T P = I.

    E(P) says how badly P carries diffusion and distances from one graph to the other
    (`Objective`). The P that is found is the global minimum where `certified` is true;
    elsewhere it is the best that descents from several starts (or from `start`) have
    reached. Minimisers are never unique (signs, rotations within eigenspaces): compare
    E, not entries.

    Args:
        coarse: G_1, a networkx graph or matrix of n1 nodes.
        fine: G_2, of n2 >= n1 nodes.
        s: 0 is fully diffuse, 1 fully local.
        alpha: Scale of the diffusion term.
        beta: Scale of the locality term; n1/n2 by default.
        method: "auto"; "assignment" to be refused where it is not exact; or "trust
            region".
        start: An array `(n2, n1)`, or a name of `starts.start`, in the place of
            several starts; pushed a little if it is a saddle.
        smaller: For start="interpolated": the optimum between two smaller graphs.
        most_starts: How many starts the trust region tries at the most; by default 60,
            20 or 2 for up to 32, 64 or 128 fine nodes, and one for more. It tries fewer
            when two or three have ended in one minimum and none in another, or when the
            number of minima seen makes further ones unlikely.
        seed: Integer >= 0, for the random starts and for what leaves saddles.
        seconds: How many seconds the search may take; one start is tried in any case.

    Returns:
        An `OptimalProlongation`.

    Raises:
        TypeError: A graph is neither a networkx graph nor a matrix.
        ValueError: What `Objective` refuses; an unknown method or start; a start of
            another shape, or whose columns are not independent; "assignment" where it
            is not exact; graphs too large for dense matrices; numbers that are none.

    Example:

    >>> import networkx as nx
    >>> found = optimal_prolongation(nx.path_graph(4), nx.path_graph(8), s=1)
    >>> round(found.value, 6), found.certified
    (62.474817, True)
    """
    began = time.perf_counter()
    one_of("method", method, METHODS)
    if most_starts is not None:
        most_starts = integer("most_starts", most_starts, least=1)
    seed = integer("seed", seed, least=0)
    stop = began + number("seconds", seconds, least=0, infinite=True)
    objective = Objective(coarse, fine, s=s, alpha=alpha, beta=beta)
    check_dense("eigenvectors", objective.shape[0], objective.shape[0])
    first = given_start(objective, start, smaller, seed)
    P = None if method == "trust region" else assignment(objective)
    if P is not None:
        found = Minimum(P, float("nan"), float("nan"), 0, "exact")
        # A global minimum has no negative curvature.
        return described(objective, found, "assignment", 0.0, began, certified=True)
    if method == "assignment":
        raise ValueError(
            "An assignment is exact for s = 0, s = 1, and graphs on which L and T "
            f"commute. Received: s={s} and other graphs; use method='auto'"
        )
    form = SpectralForm(objective)
    several = starts.several(objective, seed) if first is None else [first]
    most = most_starts or most_starts_for(objective.shape[0])
    found = lowest(form, several, most, stop)
    found, least = off_saddles(form, found, seed, stop)
    return described(objective, found, "trust region", least, began)


def described(
    objective: Objective,
    found: Minimum,
    method: str,
    least: float,
    began: float,
    certified: bool = False,
) -> OptimalProlongation:
    """The record of what a method found.

    Args:
        objective: E.
        found: Where it ended.
        method: Its name.
        least: Least eigenvalue of the Hessian there, or NaN.
        began: `time.perf_counter()` when it did.
        certified: Whether it is known to be a global optimum.
    """
    (diffusion, locality), gradient = objective.terms_and_gradient(found.P)
    return OptimalProlongation(
        found.P,
        (1 - objective.s) * diffusion + objective.s * locality,
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


def given_start(
    objective: Objective, start: Any, smaller: Any, seed: int
) -> np.ndarray | None:
    """The one start that was asked for, with orthonormal columns; `None` for several.

    Raises:
        ValueError: As `optimal_prolongation`.
    """
    if smaller is not None and not (isinstance(start, str) and start == "interpolated"):
        raise ValueError("`smaller` is for start='interpolated' alone.")
    if start is None:
        return None
    if isinstance(start, str):
        return starts.start(start, objective, seed=seed, smaller=smaller)
    P = real_array("start", start)
    if P.shape != objective.shape:
        raise ValueError(
            f"`start` must have shape {objective.shape}, fine by coarse nodes. "
            f"Received: shape {P.shape}"
        )
    if (rank := np.linalg.matrix_rank(P)) < P.shape[1]:
        raise ValueError(
            f"`start` must have {P.shape[1]} independent columns. Received: rank {rank}"
        )
    return polar(P)
