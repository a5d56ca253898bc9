"""What `fit` is given, looked at before anything trains."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def refuse_nan(argument: str, data: Any) -> None:
    """Refuse NumPy arrays with NaN in them.

    >>> refuse_nan("y", [np.ones(2), np.array([1, np.nan])])
    Traceback (most recent call last):
    ValueError: `y` must not contain NaN. Received: an array of shape (2,) with 1 NaN
    """
    for array in keras.tree.flatten(data):
        # The minimum is NaN if any entry is, and needs no copy.
        if (
            isinstance(array, np.ndarray)
            and array.dtype.kind == "f"
            and array.size
            and np.isnan(array.min())
        ):
            raise ValueError(
                f"`{argument}` must not contain NaN. Received: an array of shape "
                f"{array.shape} with {np.count_nonzero(np.isnan(array))} NaN"
            )


def array_of(argument: str, data: Any) -> np.ndarray:
    """Data as an array of real numbers, samples along its first axis.

    Numbers of float64 become Keras's `floatx`, as they do in `keras.Model.fit`.

    Raises:
        ValueError: Anything else: ragged lists, strings, complex numbers, one number.
            NaN in what was no array, which `fit` has looked through already.

    >>> array_of("x", [[1, 2], [3]])
    Traceback (most recent call last):
    ValueError: `x` must be an array of real numbers, samples along its first axis.
    Received: x of list, shape () and dtype object
    """
    try:
        array = np.asarray(data)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    real = array.dtype.kind in "buif" or array.dtype.name == "bfloat16"
    if not real or not array.ndim:
        raise ValueError(
            f"`{argument}` must be an array of real numbers, samples along its first "
            f"axis. Received: {argument} of {type(data).__name__}, shape {array.shape} "
            f"and dtype {array.dtype}"
        )
    if array is not data:
        refuse_nan(argument, array)
    return array.astype(keras.config.floatx()) if array.dtype == np.float64 else array


def symbolic(x: Any) -> Any:
    """Symbolic inputs like the data `x`, to build a model with.

    Args:
        x: What `fit` takes: arrays, or a `tf.data.Dataset` of batches.

    Returns:
        `keras.KerasTensor`s in the structure of the inputs; `None` where a look would
        use the data up (generators) or read them (`PyDataset`).

    >>> symbolic([np.ones((5, 8), "float32")])[0].shape
    (None, 8)
    """
    if hasattr(x, "element_spec"):  # a `tf.data.Dataset`
        x, _, _ = keras.utils.unpack_x_y_sample_weight(x.element_spec)
    leaves = keras.tree.flatten(x)
    if not all(hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in leaves):
        return None
    return keras.tree.map_structure(
        lambda leaf: keras.KerasTensor(
            (None, *leaf.shape[1:]), keras.backend.standardize_dtype(leaf.dtype)
        ),
        x,
    )
