"""The optimum as a matching of eigenvectors, where that is one.

For s = 0 and s = 1 always: E is linear in the squared entries of Q = U2^T P U1, and the
vertices of that polytope are matchings, so the paper's remark that other orthogonal P
may do better is not so. For every s where L and T commute on both graphs, as on rings
and tori.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from msann.arrays import dense
from msann.checks import instance
from msann.graphs import Distances
from msann.graphs.adjacency import laplacian_of
from msann.optimal.matching import minimal_matching
from msann.optimal.objective import Objective


def assignment(objective: Objective) -> np.ndarray | None:
    """Find the global optimum as a matching of eigenvectors, where it is one.

    Returns:
        P = U2 M U1^T, or `None` where no assignment is known to be optimal.
    """
    instance("objective", objective, Objective, "an `Objective`")
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
