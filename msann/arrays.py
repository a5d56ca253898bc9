"""What an array may be, and how large a dense matrix: `checks` with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from msann.checks import refuse

#: Most nodes of a space, and most nodes and edges of a product of graphs.
MAX_NODES, MAX_ENTRIES = 2**21, 2**25
#: Most entries of a dense prolongation in closed form, whose factors take a while.
MAX_DENSE = 2**23
#: Largest dense matrix that is made from a graph, in bytes.
DENSE_LIMIT = 4 * 2**30


def real_array(name: str, value: Any, ndim: int | None = None) -> np.ndarray:
    """An array of finite real numbers.

    Args:
        name: Of the argument, for the error.
        value: A number, an array, or nested sequences of one length.
        ndim: How many axes it must have, if that is known.

    Returns:
        A float64 array; `value` itself if it is one.

    Raises:
        ValueError: Strings, complex numbers, ragged lists, NaN, infinities, or another
            number of axes.

    >>> real_array("start", [[1, 2], [3]])
    Traceback (most recent call last):
    ValueError: `start` must be an array of real numbers. Received: start=[[1, 2], [3]]
    """
    try:
        result = np.asarray(value)
    except (ValueError, TypeError):  # ragged, or what will not be an array
        result = np.empty((), dtype=object)
    if result.dtype.kind not in "biuf" or ndim not in (None, result.ndim):
        axes = "" if ndim is None else f" of {ndim} {'axis' if ndim == 1 else 'axes'}"
        refuse(name, value, f"an array{axes} of real numbers")
    result = result.astype(float, copy=False)
    if not np.isfinite(result).all():
        wrong = np.count_nonzero(~np.isfinite(result))
        raise ValueError(
            f"`{name}` must hold finite numbers. Received: {wrong} entries of NaN or "
            "infinity"
        )
    return result


def integer_array(name: str, value: Any) -> np.ndarray:
    """A non-empty array of integers with one axis, as int64.

    Raises:
        ValueError: Anything else, bools and floats among it.

    >>> integer_array("labels", [0.0, 1.0])
    Traceback (most recent call last):
    ValueError: `labels` must be a non-empty one-dimensional integer array.
    Received: labels=[0.0, 1.0]
    """
    try:
        result = np.asarray(value)
    except (ValueError, TypeError):  # ragged, or what will not be an array
        result = np.empty(())
    if result.dtype.kind not in "iu" or result.ndim != 1 or not len(result):
        refuse(name, value, "a non-empty one-dimensional integer array")
    return result.astype(np.int64, copy=False)


def dense(matrix: Any, what: str) -> np.ndarray:
    """A sparse matrix, or what has `toarray`, as an array, if it is not too large."""
    if isinstance(matrix, np.ndarray):
        return matrix
    check_dense(what, *matrix.shape)
    return matrix.toarray()


def check_dense(what: str, rows: int, columns: int) -> None:
    """Refuse a dense matrix that is larger than `DENSE_LIMIT`.

    Raises:
        ValueError: With the size that it would need.
    """
    if (size := 8 * rows * columns) > DENSE_LIMIT:
        raise ValueError(
            f"A dense matrix is at most {DENSE_LIMIT / 2**30:.3g} GiB. Received: "
            f"{rows:,} nodes, whose {what} would take {size / 2**30:,.1f} GiB"
        )
