"""Averages of data at every level, compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from msann.topology import Chain
from msann_keras.averages import every_average
from msann_keras.engines.coarsened.compiled import here


@lru_cache(maxsize=64)
def averaging(chain: Chain) -> Callable:
    """A compiled function from data to their averages at levels 1 .. L.

    >>> import keras
    >>> from msann.topology import chain, path
    >>> fours = keras.ops.array([[1.0, 3.0, 5.0, 7.0]])
    >>> [x.numpy().round(5).tolist() for x in averaging(chain(path(4), 2))(fours)]
    [[[2.0, 6.0]], [[4.0]]]
    """
    if chain.sizes[-1] == chain.sizes[0]:  # nothing to compute, and nothing to copy
        return lambda data: [data for _ in chain.steps]

    return here.compiled(lambda data: every_average(data, chain))
