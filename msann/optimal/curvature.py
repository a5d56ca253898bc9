"""The least eigenvalue of the Riemannian Hessian: is it a minimum or a saddle?"""

from __future__ import annotations

import warnings

import numpy as np
from scipy.linalg import eigh
from scipy.sparse.linalg import LinearOperator, lobpcg

from msann.checks import instance, integer
from msann.optimal.objective import point, symmetric, tangent
from msann.optimal.spectral import SpectralForm

#: Entries of P up to which the Hessian is a dense matrix.
DENSE = 512
#: Residual of an eigenpair, relative to the Hessian's scale, that is small enough.
RESIDUAL = 1e-8


def least_eigenvalue(
    form: SpectralForm, P, *, seed: int = 0, iterations: int = 60
) -> tuple[float, np.ndarray]:
    """The least eigenvalue of the Riemannian Hessian at P, and its direction.

    Where P has many entries it is looked for from above (LOBPCG), twice: plainly, which
    finds what is far below zero, and preconditioned, which finds what is near zero.
    What is returned then is the Hessian along the lower direction: at least the least
    eigenvalue, and close to it.

    Args:
        form: E.
        P: Point `(n2, n1)`.
        seed: For the first vectors of the iterations.
        iterations: Most of each.

    Returns:
        The eigenvalue and a unit tangent vector `(n2, n1)`.
    """
    instance("form", form, SpectralForm, "a `SpectralForm`")
    seed = integer("seed", seed, least=0)
    iterations = integer("iterations", iterations, least=1)
    Q = form.enter(point(P, form.shape))
    euclidean = form.gradient(Q)
    hessian = form.hessian(Q, euclidean)
    if Q.size <= DENSE:
        values, vectors = eigh(_dense(form, Q, euclidean), subset_by_index=[0, 0])
        return float(values[0]), form.leave(vectors[:, 0].reshape(Q.shape))
    rng = np.random.default_rng(seed)
    start = [tangent(Q, rng.standard_normal(Q.shape)).ravel() for _ in range(4)]
    solve = _on_columns(form.preconditioner(Q, euclidean), Q.shape)
    found = []
    for M in (None, solve):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that few digits are asked for
            values, vectors = lobpcg(
                _on_columns(hessian, Q.shape), np.stack(start, axis=1), M=M,
                largest=False, tol=RESIDUAL * form.scale, maxiter=iterations,
            )  # fmt: skip
        found.append((float(values[0]), vectors[:, 0].reshape(Q.shape)))
    least, direction = min(found, key=lambda pair: pair[0])
    return least, form.leave(direction)


def _dense(form, Q, euclidean):
    """The Riemannian Hessian on `Q.ravel()`; 2 `form.scale` on normal directions."""
    (n2, n1), every = Q.shape, np.eye(Q.size)
    curvature = np.kron(np.eye(n2), symmetric(Q.T @ euclidean))
    # Half of Q (Q^T Z) and of Q (Q^T Z)^T, as matrices on Z.ravel().
    straight = np.kron(Q @ Q.T, np.eye(n1))
    crossed = np.einsum("il,kj->ijkl", Q, Q).reshape(Q.size, Q.size)
    normal = (straight + crossed) / 2
    inside = every - normal
    H = inside @ (form.matrix() - curvature) @ inside + 2 * form.scale * normal
    return symmetric(H)


def _on_columns(function, shape):
    """A map of matrices of this shape as an operator on columns."""

    def apply(columns):
        stack = columns.T.reshape(-1, *shape)
        return np.stack([function(Z).ravel() for Z in stack], axis=1)

    size = shape[0] * shape[1]
    return LinearOperator(
        (size, size), lambda z: apply(z[:, None])[:, 0], matmat=apply, dtype=float
    )
