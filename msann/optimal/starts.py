"""Where a search for P begins (section 3.3.2): starts by name, and several for `auto`.

All have orthonormal columns. For s between 0 and 1 those from spectra are often exact
saddles, which `pushed` leaves.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.optimize import linear_sum_assignment

from msann.arrays import dense, real_array
from msann.checks import instance, integer, refuse
from msann.optimal.matching import minimal_matching
from msann.optimal.objective import Objective, Term, polar, tangent
from msann.prolongation.closed_forms import box, closed_form
from msann.prolongation.operators import ORTHONORMAL_TOLERANCE

#: Nodes of the fine graph up to which the diffusion term has a greedy start.
SMALL = 64
#: Starts that need nothing but the objective and a seed.
STARTS = ("matching", "spectral", "greedy", "joint", "identity", "random", "pair")


def start(
    name: str, objective: Objective, *, seed: int = 0, smaller=None
) -> np.ndarray:
    """Make a start by its name.

    Args:
        name: "matching", m* of (3.2) for the Laplacians as a 0/1 matrix; "spectral",
            the same between eigenvectors, U2 m* U1^T; "greedy", between eigenvectors
            of T, with signs that suit L (`greedy`); "joint", matched for both terms
            (`joint`); "identity", [I; 0]; "random";
            "pair", each coarse node a stretch of fine ones; "interpolated", from the
            optimum between `smaller` graphs of the same kind.
        objective: E.
        seed: Of "random".
        smaller: For "interpolated": an array `(m2, m1)`.

    Returns:
        P `(n2, n1)`, P^T P = I.

    Raises:
        ValueError: An unknown name; "interpolated" without `smaller`, or where the
            graphs are no lattices whose sides shrink alike to the sizes of `smaller`.

    Example:

    >>> import networkx as nx
    >>> E = Objective(nx.path_graph(2), nx.path_graph(4), s=0.5)
    >>> start("matching", E)
    array([[0., 0.],
           [1., 0.],
           [0., 0.],
           [0., 1.]])
    """
    instance("objective", objective, Objective, "an `Objective`")
    seed = integer("seed", seed, least=0)
    known = ("interpolated", *STARTS)
    if not isinstance(name, str) or name not in known:
        refuse("start", name, f"an array or one of {', '.join(map(repr, known))}")
    if name == "interpolated":
        return interpolated(objective, smaller)
    if name == "matching":
        return _matched(objective.diffusion)[0]
    if name == "spectral":
        m, U1, U2 = _matched(objective.diffusion)
        return U2 @ m @ U1.T
    if name == "greedy":
        return greedy(objective, objective.active[-1])
    if name == "joint":
        return joint(objective, objective.active[-1])
    if name == "identity":
        return np.eye(*objective.shape)
    if name == "random":
        rng = np.random.default_rng(seed)
        draw = rng.standard_normal(objective.shape)
        return polar(draw)
    return box(objective.shape[1], objective.shape[0]).matrix()


def several(objective: Objective, seed: int) -> Iterator[np.ndarray]:
    """Yield good and varied starts without end: from spectra, then random ones.

    On small graphs, where L counts for much, there is one that suits L first too.
    """
    instance("objective", objective, Objective, "an `Objective`")
    rng = np.random.default_rng(integer("seed", seed, least=0))
    small = objective.shape[0] <= SMALL
    # On large graphs E would take long to fall to where a push began.
    yield pushed(joint(objective, objective.active[-1]), rng, 1e-3 if small else 1e-7)
    if small:
        yield pushed(greedy(objective, objective.active[0]), rng)
    while True:
        yield polar(rng.standard_normal(objective.shape))


def pushed(P, rng: np.random.Generator, size: float = 1e-3) -> np.ndarray:
    """Move P at random, by `size` in every column: off a saddle, or a symmetry."""
    step = tangent(P, rng.standard_normal(P.shape))
    return polar(P + size * step / np.sqrt(P.shape[0]))


def greedy(objective: Objective, term: Term) -> np.ndarray:
    """Match one term's spectra, U2 M diag(sigma) U1^T, its signs chosen for the other.

    For the one term every choice of signs is optimal; the other one is a quadratic
    form in them, which is lowered one sign at a time.
    """
    _check_term(objective, term)
    (x1, U1), (x2, U2) = (
        np.linalg.eigh(dense(X, "eigenvectors")) for X in (term.X1, term.X2)
    )
    root = np.sqrt(term.scale)
    return _signed(objective, term, U1, U2[:, minimal_matching(x1 / root, x2 * root)])


def joint(objective: Objective, term: Term) -> np.ndarray:
    """Do as `greedy`, but between eigenvectors that are matched for all terms.

    Between one term's eigenvectors E has a part for each pair of them, which an
    assignment minimises, and a part that couples pairs, for which signs are chosen. On
    paths, where L and T nearly commute, the first is nearly all.
    """
    _check_term(objective, term)
    U1, U2 = (np.linalg.eigh(dense(X, "eigenvectors"))[1] for X in (term.X1, term.X2))
    cost = np.zeros(objective.shape)
    for x in objective.active:
        X1, X2 = U1.T @ (x.X1 @ U1), U2.T @ (x.X2 @ U2)
        squares = np.add.outer(
            x.scale * np.sum(X2**2, axis=1), np.sum(X1**2, axis=0) / x.scale
        )
        cost += x.weight * (squares - 2 * np.outer(np.diag(X2), np.diag(X1)))
    rows, columns = linear_sum_assignment(cost)
    return _signed(objective, term, U1[:, columns], U2[:, rows])


def _check_term(objective, term):
    instance("objective", objective, Objective, "an `Objective`")
    instance("term", term, Term, "one of its terms")


def _signed(objective, term, U1, U2):
    """U2 diag(sigma) U1^T, its signs chosen for the other terms."""
    others = [x for x in objective.active if x is not term]
    if not others:
        return U2 @ U1.T
    coupling = sum(
        other.weight * (U2.T @ (other.X2 @ U2)) * (U1.T @ (other.X1 @ U1))
        for other in others
    )
    np.fill_diagonal(coupling, 0)
    signs = np.ones(U1.shape[1])
    for j in reversed(range(len(signs))):  # the smoothest, largest ones first
        signs[j] = 1 if coupling[j, j + 1 :] @ signs[j + 1 :] >= 0 else -1
    for _ in range(100):
        wrong = np.flatnonzero(signs * (coupling @ signs) < 0)
        if not len(wrong):
            break
        for i in wrong:
            signs[i] *= -1 if signs[i] * (coupling[i] @ signs) < 0 else 1
    return U2 * signs @ U1.T


def interpolated(objective: Objective, smaller) -> np.ndarray:
    """Refine a smaller P: H2 P H1^T, H linear interpolation (`closed_forms.hat`).

    What `smaller` says nothing about, the fine vibrations, is as in the pair matrix.

    Args:
        objective: E, between two paths, rings, grids or tori.
        smaller: Array `(m2, m1)`, for example the optimum between graphs of half the
            sides.

    Raises:
        ValueError: As for `start`; columns of `smaller` that are not orthonormal.
    """
    if smaller is None:
        raise ValueError(
            "start='interpolated' needs `smaller`, the optimum between two smaller "
            "graphs of the same kind. Received: smaller=None"
        )
    instance("objective", objective, Objective, "an `Objective`")
    smaller = real_array("smaller", smaller)
    hats = []
    shape = (*smaller.shape, 0, 0)[:2]
    for known, size in zip(objective.lattices[::-1], shape, strict=True):
        sides, periodic = known or ((1,), False)
        ratio = (size / np.prod(sides)) ** (1 / len(sides))
        less = tuple(max(1, round(side * ratio)) for side in sides)
        if smaller.ndim != 2 or np.prod(less) != size or size > np.prod(sides):
            raise ValueError(
                "start='interpolated' needs paths, rings, grids or tori whose sides "
                "shrink alike to the nodes of `smaller`. Received: `smaller` of shape "
                f"{smaller.shape} for n2, n1 = {objective.shape}"
            )
        hats.append(closed_form("hat", less, sides, periodic=periodic).matrix())
    gap = np.abs(smaller.T @ smaller - np.eye(smaller.shape[1])).max()
    if gap > ORTHONORMAL_TOLERANCE:
        raise ValueError(
            "`smaller` must have orthonormal columns, as an optimum has. Received: a "
            f"matrix of shape {smaller.shape} that is off by {gap:.2g}"
        )
    fine, coarse = hats
    pairs = box(objective.shape[1], objective.shape[0]).matrix()
    return polar(fine @ smaller @ coarse.T + 1e-3 * pairs)


def _matched(term):
    """m* of a term's spectra as a matrix, and both eigenbases."""
    (x1, U1), (x2, U2) = (
        np.linalg.eigh(dense(X, "eigenvectors")) for X in (term.X1, term.X2)
    )
    m = np.zeros((len(x2), len(x1)))
    m[minimal_matching(x1, x2), np.arange(len(x1))] = 1
    return m, U1, U2
