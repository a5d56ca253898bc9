"""Dense matrices for tests."""

from functools import reduce

import numpy as np

from msann.graphs import laplacian
from msann.optimal.objective import symmetric, tangent
from msann.prolongation.operators import Aggregation, Identity, Kronecker


def dense(P):
    """P as a matrix, by its definition rather than by applying it."""
    if isinstance(P, Identity):
        return np.eye(P.shape[0])
    if isinstance(P, Aggregation):
        matrix = np.zeros(P.shape)
        matrix[np.arange(P.shape[0]), P.labels] = P.weights
        return matrix
    if isinstance(P, Kronecker):
        return reduce(np.kron, map(dense, P.factors))
    return P.matrix()


def orthonormal(rows, columns, seed=0):
    """A random matrix with orthonormal columns."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(rows, columns)))[0]


def spectrum(graph):
    """Eigenvalues of a graph's Laplacian, ascending, so that 0 comes last."""
    return np.linalg.eigvalsh(laplacian(graph).toarray())


def riemannian_hessian(objective, P):
    """The Hessian of E on the manifold at P, as a function of tangent vectors."""
    curvature = symmetric(P.T @ objective.gradient(P))
    return lambda Z: tangent(P, objective.gradient(Z) - Z @ curvature)


def assert_orthonormal(P, tolerance=1e-12):
    """P^T P = I."""
    np.testing.assert_allclose(P.T @ P, np.eye(P.shape[1]), atol=tolerance)
