"""What came in as data: arrays in the model's order, checked.

Coarsened data leave Keras's own way of reading data, so what Keras would say of a wrong
array is said here, by the name of the argument.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from msann_keras.engines.coarsened.network import Coarsening

#: Inputs, targets and sample weights (none, or one), each in the model's order.
Parts = tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...], tuple[np.ndarray, ...]]


def parts_of(x: Any, y: Any, sample_weight: Any, coarsening: Coarsening) -> Parts:
    """Inputs, targets and weights as arrays that fit the model and each other.

    Args:
        x: Array, or list, tuple or dict of arrays, as `fit` takes them.
        y: The same for the targets.
        sample_weight: Array `(samples,)`, or `None`.
        coarsening: The spaces of the model.

    Raises:
        ValueError: An array is missing or one too many, holds no real numbers, or does
            not fit; weights are negative or not finite; lengths differ.
    """
    graph = coarsening.seen.graph
    input_names = [tensor.name for tensor in graph.inputs]
    inputs = _in_order("x", x, graph.input, input_names)
    targets = _in_order("y", y, graph.output, graph.output_names)
    for array, tensor in zip(inputs, graph.inputs, strict=True):
        _check_shape("x", array, tensor.shape)
    ends = zip(targets, graph.outputs, coarsening.outputs, strict=True)
    for array, tensor, chain in ends:
        # Labels of classes, say, have a shape of their own; they are not averaged.
        if chain.sizes[-1] < chain.sizes[0]:
            _check_shape("y", array, tensor.shape)
    weights = () if sample_weight is None else (_weights(sample_weight),)
    result = (inputs, targets, weights)
    lengths = {len(array) for part in result for array in part}
    if len(lengths) != 1 or not min(lengths):
        raise ValueError(
            "`x`, `y` and `sample_weight` must have the same number of samples, at "
            f"least one. Received: {sorted(lengths)} samples"
        )
    return result


def split(x: Any, y: Any, sample_weight: Any, fraction: float) -> tuple:
    """The last samples apart, as Keras does with `validation_split`.

    Returns:
        `(x, y, sample_weight)` of the first samples, and the tuple of the last ones
        that `validation_data` takes.
    """
    count = len(keras.tree.flatten(x)[0])
    first = int(count * (1 - fraction))

    def cut(part):
        return tuple(
            None if each is None else keras.tree.map_structure(lambda a: a[part], each)
            for each in (x, y, sample_weight)
        )

    kept, held_out = cut(slice(first)), cut(slice(first, None))
    return kept, tuple(a for a in held_out if a is not None)


def _in_order(argument, data, structure, names) -> tuple[np.ndarray, ...]:
    """The arrays in the order of the model, by name if they come in a dict."""
    if isinstance(data, dict):
        if isinstance(structure, dict):
            names = sorted(structure)
        if missing := [name for name in names if name not in data]:
            raise ValueError(
                f"`{argument}` must have an array for each of {names}. "
                f"Received: a dict without {missing}"
            )
        data = [data[name] for name in names]
    elif not isinstance(data, list | tuple) or _is_nested_numbers(data):
        data = [data]
    if len(data) != len(names):
        raise ValueError(
            f"`{argument}` must have one array for each of {names}. "
            f"Received: {len(data)} arrays"
        )
    return tuple(_array(argument, part) for part in data)


def _is_nested_numbers(data) -> bool:
    """Whether a list is an array written out, and not a list of arrays."""
    return bool(data) and not any(hasattr(part, "shape") for part in data)


def _array(argument, data) -> np.ndarray:
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
    return array.astype(keras.config.floatx()) if array.dtype == np.float64 else array


def _check_shape(argument, array, shape):
    wanted = shape[1:]
    if array.ndim != len(shape) or any(
        size is not None and size != own
        for size, own in zip(wanted, array.shape[1:], strict=True)
    ):
        raise ValueError(
            f"`{argument}` must have samples of shape {wanted}, as the model has. "
            f"Received: {argument} of shape {array.shape}"
        )


def _weights(sample_weight) -> np.ndarray:
    if isinstance(sample_weight, list | tuple | dict):
        raise ValueError(
            "`sample_weight` must be one array on coarsened data, not one for each "
            f"output. Received: a {type(sample_weight).__name__}"
        )
    array = _array("sample_weight", sample_weight)
    if array.ndim != 1 or not (np.isfinite(array).all() and (array >= 0).all()):
        raise ValueError(
            "`sample_weight` must hold one finite number >= 0 for each sample. "
            f"Received: an array of shape {array.shape}, from {array.min(initial=0)} "
            f"to {array.max(initial=0)}"
        )
    return array
