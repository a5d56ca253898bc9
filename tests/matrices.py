"""Dense matrices for tests."""

from functools import reduce

import numpy as np

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
