"""Weights between levels, along whichever of their axes live on a space.

Each function takes the chains of a weight's axes: those of a kernel are the input's and
the units', that of a bias is the units'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from msann.topology import Chain


def sum_of_levels(parts: Sequence[Any], chains: Sequence[Chain]) -> Any:
    """Theta from its levels, (3.7) and (3.8).

    Args:
        parts: A tensor for each level, finest first, or `None` for a level to leave
            out. Those of a kernel have the shapes `(rows_l, columns_l)`, those of a
            bias `(columns_l,)`.
        chains: What each axis of the tensors lives on.

    Returns:
        A tensor of level 0's shape; `None` for a sum without terms.

    Example:

    >>> from msann.topology import chain, path
    >>> pairs = chain(path(4), depth=1)
    >>> kernels = [np.zeros((4, 4)), 2 * np.eye(2)]
    >>> sum_of_levels(kernels, [pairs, pairs]).numpy().round(3)
    array([[1., 1., 0., 0.],
           [1., 1., 0., 0.],
           [0., 0., 1., 1.],
           [0., 0., 1., 1.]])
    """
    total = None
    # Horner's rule, coarsest first: theta_l + P^(l) (..) P^(l)^T.
    for level in reversed(range(len(parts))):
        if total is not None:
            for axis in reversed(range(len(chains))):
                total = chains[axis].steps[level].prolong(total, axis=axis, xp=ops)
        if parts[level] is not None:
            own = ops.convert_to_tensor(parts[level])
            total = own if total is None else total + own
    return total


def restricted(weight: Any, chains: Sequence[Chain], level: int) -> Any:
    """A weight at `level` + 1 from one at `level`: P^T V Q of a kernel (Galerkin).

    >>> from msann.topology import chain, path
    >>> pairs = chain(path(4), depth=1)
    >>> restricted(np.ones((4, 4)), [pairs, pairs], level=0).numpy().round(3)
    array([[2., 2.],
           [2., 2.]])
    """
    for axis, one in enumerate(chains):
        weight = one.steps[level].restrict(weight, axis=axis, xp=ops)
    return weight


def prolonged(weight: Any, chains: Sequence[Chain], level: int) -> Any:
    """A weight at `level` from one at `level` + 1: P V Q^T of a kernel."""
    for axis, one in reversed([*enumerate(chains)]):  # smaller arrays come first
        weight = one.steps[level].prolong(weight, axis=axis, xp=ops)
    return weight


def on_averages(weight: Any, chains: Sequence[Chain], level: int) -> Any:
    """A level's weight as a layer on averaged data has it.

    With c = P^T 1 that is diag(c_in) V diag(c_out)^-1 of a kernel V, v / c_out of a
    bias v: the last axis is the layer's output, the others are its inputs.
    """
    factors = np.ones(())
    for one in chains[:-1]:
        factors = np.multiply.outer(factors, one.column_sums(level))
    factors = np.divide.outer(factors, chains[-1].column_sums(level))
    return scaled(weight, factors)


def scaled(x: Any, factors: np.ndarray, xp: Any = ops) -> Any:
    """`x` times constants; `x` itself where they are all one."""
    if np.allclose(factors, 1, rtol=0, atol=1e-12):
        return x
    if np.all(factors == factors.flat[0]):
        return x * float(factors.flat[0])
    return x * xp.array(factors, dtype=x.dtype)
