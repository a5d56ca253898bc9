"""What came in as data: arrays in the model's order, checked.

Coarsened data leave Keras's own way of reading data, so what Keras would say of a wrong
array is said here, by the name of the argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from msann import checks
from msann_keras.engines.coarsened.network import Coarsening
from msann_keras.inputs import array_of

#: Inputs, targets and sample weights (none, or one), each in the model's order.
Parts = tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...], tuple[np.ndarray, ...]]


#: What the three are called in an error.
NAMES = ("x", "y", "sample_weight")


def parts_of(
    x: Any,
    y: Any,
    sample_weight: Any,
    coarsening: Coarsening,
    names: Sequence[str] = NAMES,
) -> Parts:
    """Inputs, targets and weights as arrays that fit the model and each other.

    Args:
        x: Array, or list, tuple or dict of arrays, as `fit` takes them.
        y: The same for the targets.
        sample_weight: Array `(samples,)`, or `None`.
        coarsening: The spaces of the model.
        names: Of the three arguments, for errors.

    Raises:
        ValueError: An array is missing or one too many, holds no real numbers, or does
            not fit; weights are negative or not finite; lengths differ.
    """
    graph = coarsening.seen.graph
    input_names = [tensor.name for tensor in graph.inputs]
    inputs = _in_order(names[0], x, graph.input, input_names)
    targets = _in_order(names[1], y, graph.output, graph.output_names)
    for array, tensor in zip(inputs, graph.inputs, strict=True):
        _check_shape(names[0], array, tensor.shape)
    ends = zip(targets, graph.outputs, coarsening.outputs, strict=True)
    for array, tensor, chain in ends:
        # Labels of classes, say, have a shape of their own; they are not averaged.
        if chain.sizes[-1] < chain.sizes[0]:
            _check_shape(names[1], array, tensor.shape)
    weights = () if sample_weight is None else (_weights(names[2], sample_weight),)
    result = (inputs, targets, weights)
    lengths = {len(array) for part in result for array in part}
    if len(lengths) != 1 or not min(lengths):
        raise ValueError(
            f"`{names[0]}`, `{names[1]}` and `{names[2]}` must have the same number of "
            f"samples, at least one. Received: {sorted(lengths)} samples"
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


def check_validation(data: Any, coarsening: Coarsening) -> None:
    """Refuse `validation_data` that Keras would stumble over after the first epoch.

    Raises:
        ValueError: Neither arrays `(x, y)` or `(x, y, sample_weight)` that fit the
            model, nor batches.
    """
    if isinstance(data, tuple | list) and len(data) in (2, 3):
        names = [f"validation_data[{i}]" for i in range(3)]
        parts_of(*(*data, None)[:3], coarsening, names)
    elif isinstance(data, tuple | list | str | bytes) or not (
        hasattr(data, "__iter__") or hasattr(data, "__getitem__")
    ):
        wanted = "(x, y), (x, y, sample_weight), or batches of these"
        checks.refuse("validation_data", data, wanted)


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
    return tuple(array_of(argument, part) for part in data)


def _is_nested_numbers(data) -> bool:
    """Whether a list is an array written out, and not a list of arrays."""
    return bool(data) and not any(hasattr(part, "shape") for part in data)


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


def _weights(name, sample_weight) -> np.ndarray:
    if isinstance(sample_weight, list | tuple | dict):
        raise ValueError(
            f"`{name}` must be one array on coarsened data, not one for each "
            f"output. Received: a {type(sample_weight).__name__}"
        )
    array = array_of(name, sample_weight)
    if array.ndim != 1 or not (np.isfinite(array).all() and (array >= 0).all()):
        raise ValueError(
            f"`{name}` must hold one finite number >= 0 for each sample. "
            f"Received: an array of shape {array.shape}, from {array.min(initial=0)} "
            f"to {array.max(initial=0)}"
        )
    return array
