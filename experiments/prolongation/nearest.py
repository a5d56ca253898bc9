"""Which of the many optimal P to draw: the one nearest to a matrix that one knows.

E does not change where P is multiplied, on either side, by an orthogonal matrix that
commutes with what the active terms hold of that graph. With one term those are all
rotations within eigenspaces, found block by block (orthogonal Procrustes). With both
terms on a grid they are signs of what is even or odd along each axis.
"""

from __future__ import annotations

from functools import reduce
from itertools import product

import numpy as np

from msann.arrays import dense
from msann.optimal.objective import Objective, polar

#: Eigenvalues that differ by less, relative to the largest one, are equal.
EQUAL = 1e-9


def nearest(objective: Objective, P, reference, sweeps: int = 30) -> np.ndarray:
    """P' with E(P') = E(P), nearer to `reference` than P; a local optimum.

    Args:
        objective: E, whose active terms say what may be rotated.
        P: Array `(n2, n1)`.
        reference: Array `(n2, n1)` with orthonormal columns.
        sweeps: At most so many, of rotations on the fine side, then on the coarse one.
    """
    single = len(objective.active) == 1
    if single:
        (term,) = objective.active
        fine, coarse = _eigenspaces(term.X2), _eigenspaces(term.X1)
    else:
        fine, coarse = (
            [] if lattice is None or lattice[1] else _parities(lattice[0])
            for lattice in objective.lattices[::-1]
        )
    if not fine or not coarse:
        return P
    before = -np.inf
    for _ in range(sweeps):
        likeness = np.vdot(P, reference)
        if likeness < before + 1e-3:
            break
        before = likeness
        P = _towards(P, reference, fine, single)
        P = _towards(P.T, reference.T, coarse, single).T
    return P


def _towards(P, reference, spaces, rotations):
    """P with its part in every one of these spaces turned towards the reference's."""
    turned = np.zeros_like(P)
    for V in spaces:
        inside = V.T @ P
        overlap = (V.T @ reference) @ inside.T
        if rotations:
            turned += V @ (polar(overlap) @ inside)
        else:
            turned += V @ inside * (1 if np.trace(overlap) >= 0 else -1)
    return turned


def _eigenspaces(X):
    """Orthonormal bases of the eigenspaces of a symmetric operator."""
    X = X if isinstance(X, np.ndarray) else dense(X, "eigenvectors")
    values, vectors = np.linalg.eigh(X)
    new = np.diff(values) > EQUAL * np.abs(values).max()
    return np.split(vectors, np.flatnonzero(new) + 1, axis=1)


def _parities(shape):
    """Bases of what is even or odd along each axis of a grid, every combination."""
    halves = []
    for n in shape:
        flip = np.eye(n)[::-1]
        values, vectors = np.linalg.eigh(flip)  # -1 for odd, 1 for even
        halves.append([vectors[:, values > 0], vectors[:, values < 0]])
    spaces = (reduce(np.kron, choice) for choice in product(*halves))
    return [V for V in spaces if V.shape[1]]
