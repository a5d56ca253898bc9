"""Products of prolongations, and what else makes one from others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise

import numpy as np

from msann.arrays import integer_array
from msann.checks import each, instance, refuse, shown
from msann.prolongation.operators import (
    Aggregation,
    Identity,
    Kronecker,
    Matrix,
    Prolongation,
)


def as_aggregation(P: Prolongation) -> Aggregation:
    """Turn `P` into an `Aggregation` if it is one.

    Raises:
        ValueError: `P` is a dense matrix, which has no aggregates.
    """
    if isinstance(P, Aggregation):
        return P
    if isinstance(P, Identity):
        return Aggregation(np.arange(P.shape[0]))
    if isinstance(P, Kronecker):
        return _of_factors(map(as_aggregation, P.factors))
    raise ValueError(f"An aggregation is needed here. Received: P={shown(P)}")


def nearest(P: Prolongation) -> np.ndarray:
    """Find the coarse node that weighs most for each fine node: labels `(fine,)`.

    >>> nearest(Kronecker(Aggregation([0, 0]), Matrix(np.eye(3)[:, [2, 0]])))
    array([1, 0, 0, 1, 0, 0])
    """
    instance("P", P, Prolongation, "a `Prolongation`")
    if isinstance(P, Kronecker):
        labels = np.zeros(1, dtype=int)
        for factor in P.factors:
            labels = np.add.outer(labels * factor.shape[1], nearest(factor)).ravel()
        return labels
    if _aggregates(P):
        return as_aggregation(P).labels
    return np.abs(P.matrix()).argmax(axis=1)


def permuted(P: Prolongation, order) -> Prolongation:
    """Reorder the rows of P: row i of the result is row `order[i]` of P.

    Raises:
        ValueError: `order` does not hold each of P's rows once.

    >>> permuted(Aggregation([0, 0, 1]), [2, 0, 1]).labels
    array([1, 0, 0])
    """
    instance("P", P, Prolongation, "a `Prolongation`")
    order = integer_array("order", order)
    if not np.array_equal(np.sort(order), np.arange(P.shape[0])):
        refuse("order", order, f"each of 0 .. {P.shape[0] - 1} once")
    if not _aggregates(P):
        return Matrix(P.matrix()[order])
    P = as_aggregation(P)
    return Aggregation(P.labels[order], P.weights[order])


def compose(*chain: Prolongation) -> Prolongation:
    """Multiply a chain of prolongations, finest first, into one: P^(0) P^(1) ..

    Aggregations, grids and identities stay what they are; a dense factor makes the
    product dense.

    Raises:
        ValueError: No prolongations, or neighbours that do not fit.

    Example:

    >>> pairs, next_pairs = Aggregation([0, 0, 1, 1]), Aggregation([0, 0])
    >>> compose(pairs, next_pairs).matrix().T
    array([[0.5, 0.5, 0.5, 0.5]])
    """
    return reduce(_product, fitting(chain))


def fitting(
    chain: Sequence[Prolongation], argument: str = "chain"
) -> tuple[Prolongation, ...]:
    """Check that neighbours in a chain of prolongations fit, and return the chain.

    Args:
        chain: The prolongations.
        argument: What to call them in an error.

    Raises:
        ValueError: No prolongations, or neighbours that do not fit.

    >>> fitting([Aggregation([0, 0, 1]), Aggregation([0, 0, 0])])
    Traceback (most recent call last):
    ValueError: Neighbours in `chain` must fit: the coarse size of one is the fine size
    of the next. Received: Aggregation(3 x 2) followed by Aggregation(3 x 1)
    """
    chain = tuple(each(argument, chain, "prolongations"))
    if not chain:
        refuse(argument, chain, "at least one prolongation")
    for i, P in enumerate(chain):
        instance(f"{argument}[{i}]", P, Prolongation, "a `Prolongation`")
    for P, Q in pairwise(chain):
        if P.shape[1] != Q.shape[0]:
            raise ValueError(
                f"Neighbours in `{argument}` must fit: the coarse size of one is the "
                f"fine size of the next. Received: {P!r} followed by {Q!r}"
            )
    return chain


def _product(P: Prolongation, Q: Prolongation) -> Prolongation:
    if isinstance(P, Identity):
        return Q
    if isinstance(Q, Identity):
        return P
    if isinstance(P, Kronecker) and isinstance(Q, Kronecker):
        pairs = list(zip(P.factors, Q.factors, strict=False))
        if len(P.factors) == len(Q.factors) and all(
            p.shape[1] == q.shape[0] for p, q in pairs
        ):
            return Kronecker(*(_product(p, q) for p, q in pairs))
    if not (_aggregates(P) and _aggregates(Q)):
        return Matrix.orthonormal(P.prolong(Q.matrix(), axis=0))
    P, Q = as_aggregation(P), as_aggregation(Q)
    return Aggregation(Q.labels[P.labels], P.weights * Q.weights[P.labels])


def _aggregates(P: Prolongation) -> bool:
    if isinstance(P, Kronecker):
        return all(map(_aggregates, P.factors))
    return isinstance(P, Aggregation | Identity)


def _of_factors(factors):
    """The aggregation that a Kronecker product of some is."""
    labels, weights = np.zeros(1, dtype=int), np.ones(1)
    for factor in factors:
        labels = np.add.outer(labels * factor.shape[1], factor.labels).ravel()
        weights = np.multiply.outer(weights, factor.weights).ravel()
    return Aggregation(labels, weights)
