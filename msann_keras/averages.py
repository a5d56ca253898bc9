"""Averages over the aggregates of a space: what data are on a coarse level.

With P the prolongation from level l to level 0 and c = P^T 1 its column sums, the
average is x_l = (P^T x) / c. It asks of P that it reproduces constants, P P^T 1 = 1.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from msann import checks
from msann.topology import Chain
from msann_keras.inputs import array_of
from msann_keras.transfer import scaled

#: How far P P^T 1 may be from 1.
CONSTANTS_TOLERANCE = 1e-5


def coarse_data(data: Any, chain: Chain, level: int) -> Any:
    """Average data over a chain's aggregates: (P^T x) / c along the last axis.

    Args:
        data: Array or tensor `(..., n)` of numbers.
        chain: Of the space that the last axis lives on, as `chain(topology, depth)`
            makes it.
        level: l.

    Returns:
        A tensor `(..., n_l)`.

    Raises:
        ValueError: Data of another size, or no numbers; a level that the chain does
            not have; a prolongation that does not reproduce constants.

    >>> from msann.topology import chain, path
    >>> coarse_data([[1.0, 3.0, 5.0]], chain(path(3), 1), level=1).numpy().round(5)
    array([[2., 5.]], dtype=float32)
    """
    if not isinstance(chain, Chain):
        raise ValueError(
            "`chain` must be the chain of a topology, `chain(topology, depth)`. "
            f"Received: chain={chain!r}"
        )
    level = checks.integer("level", level, least=0, most=len(chain.steps))
    if not hasattr(data, "shape") or isinstance(data, np.ndarray):
        array = array_of("data", data)
        data = data if isinstance(data, np.ndarray) else array  # float64 stays
    shape = tuple(data.shape)
    if not shape or shape[-1] != chain.sizes[0]:
        raise ValueError(
            f"`data` must have {chain.sizes[0]} entries along its last axis, one for "
            f"each node of {chain.topology!r}. Received: data of shape {shape}"
        )
    check_constants("`chain`", chain)
    return averaged(ops.convert_to_tensor(data), chain, level)


def averaged(data: Any, chain: Chain, level: int, xp: Any = ops) -> Any:
    """Averages at a level, (P^T x) / c; the data themselves where none coarsen.

    Args:
        data: Array or tensor `(..., n)` of floating-point numbers, n as the chain has.
        chain: Of the last axis's space.
        level: l.
        xp: What computes: `keras.ops`, or NumPy.
    """
    if chain.sizes[level] == chain.sizes[0]:
        return data
    restricted = chain.composites[level].restrict(data, axis=-1, xp=xp)
    return scaled(restricted, 1 / chain.column_sums(level), xp)


def every_average(data: Any, chain: Chain) -> list:
    """Averages at the levels 1 .. L, each made from the one before.

    Where sizes halve, all of them together take twice what the first one takes.

    Args:
        data: Tensor `(..., n)` of floating-point numbers, n as the chain has.
        chain: Of the last axis's space.

    >>> from msann.topology import chain, path
    >>> fours = ops.convert_to_tensor([[1.0, 3.0, 5.0, 7.0]])
    >>> [x.numpy().round(5).tolist() for x in every_average(fours, chain(path(4), 2))]
    [[[2.0, 6.0]], [[4.0]]]
    """
    result = []
    for level, P in enumerate(chain.steps):
        if P.shape[0] != P.shape[1]:
            sums = scaled(data, chain.column_sums(level))
            restricted = P.restrict(sums, axis=-1, xp=ops)
            data = scaled(restricted, 1 / chain.column_sums(level + 1))
        result.append(data)
    return result


def check_constants(where: str, chain: Chain) -> None:
    """Refuse a chain whose prolongations do not reproduce constants.

    Args:
        where: What to say in the error of the place where the chain is used.
        chain: To check.

    Raises:
        ValueError: P P^T 1 is not 1 at some level.
    """
    for level, P in enumerate(chain.composites):
        ones = np.ones(P.shape[0])
        sums = P.restrict(ones)
        error = np.abs(P.prolong(sums) - ones).max()
        if error > CONSTANTS_TOLERANCE or np.abs(sums).min() < CONSTANTS_TOLERANCE:
            raise ValueError(
                f"Data cannot be coarsened on {where}: its "
                f"prolongation from level {level}, of {chain.topology!r}, must "
                f"reproduce constants, P P^T 1 = 1 (blocks of equal weights do). It "
                f"is off by {error:.2g}"
            )


def dtype_of_averages(tensor) -> str:
    """Averages of whole numbers are not whole."""
    whole = keras.backend.is_int_dtype(tensor.dtype)
    return keras.config.floatx() if whole else tensor.dtype
