"""What came in as data: arrays in the model's order, checked.

Coarsened data leave Keras's own way of reading data, so what Keras would say of a wrong
array is said here, by the name of the argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from msann import checks
from msann_keras.coarse_networks import CoarseNetworks
from msann_keras.inputs import array_of

#: Inputs, targets and sample weights (none, or one), each in the model's order.
Parts = tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...], tuple[np.ndarray, ...]]


#: What the three are called in an error.
NAMES = ("x", "y", "sample_weight")


def parts_of(
    x: Any,
    y: Any,
    sample_weight: Any,
    coarsening: CoarseNetworks,
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
    parts = arrays_of(x, y, sample_weight, coarsening.graph, names)
    check_targets(names[1], parts[1], coarsening)
    return parts


def arrays_of(
    x: Any,
    y: Any,
    sample_weight: Any,
    graph: keras.Model,
    names: Sequence[str] = NAMES,
) -> Parts:
    """Inputs, targets and weights as arrays that fit the model's inputs and each other.

    Args:
        x, y, sample_weight, names: As `parts_of` has them.
        graph: The functional model.

    Raises:
        ValueError: As `parts_of`, but for the shapes of targets, which may be labels.
    """
    input_names = [tensor.name for tensor in graph.inputs]
    inputs = _in_order(names[0], x, graph.input, input_names)
    targets = _in_order(names[1], y, graph.output, graph.output_names)
    for array, tensor in zip(inputs, graph.inputs, strict=True):
        _check_shape(names[0], array, tensor.shape)
    weights = () if sample_weight is None else (_weights(names[2], sample_weight),)
    result = (inputs, targets, weights)
    lengths = {len(array) for part in result for array in part}
    if len(lengths) != 1 or not min(lengths):
        raise ValueError(
            f"`{names[0]}`, `{names[1]}` and `{names[2]}` must have the same number of "
            f"samples, at least one. Received: {sorted(lengths)} samples"
        )
    return result


def check_targets(name: str, targets: Sequence, coarsening: CoarseNetworks) -> None:
    """Refuse targets of another shape than the outputs, where they are averaged.

    Labels of classes, say, have a shape of their own, and are not averaged.
    """
    ends = zip(targets, coarsening.graph.outputs, coarsening.outputs, strict=True)
    for array, tensor, chain in ends:
        if chain.sizes[-1] < chain.sizes[0]:
            _check_shape(name, array, tensor.shape)


def rows_of(parts: Parts, rows: Any) -> Parts:
    """Some rows of every array; a slice copies nothing."""
    inputs, targets, weights = (tuple(array[rows] for array in part) for part in parts)
    return inputs, targets, weights


def joined(batches: Sequence[Parts]) -> Parts:
    """Batches one after another, part by part."""
    inputs, targets, weights = (
        tuple(np.concatenate(arrays) for arrays in zip(*part, strict=True))
        for part in zip(*batches, strict=True)
    )
    return inputs, targets, weights


def batches_of(batches: Any) -> Iterator[tuple[Any, Any, Any]]:
    """One pass over a dataset, `PyDataset`, loader or generator: `(x, y, weights)`.

    Raises:
        ValueError: No batches, or batches of something else than inputs, targets and
            perhaps sample weights.
    """
    if hasattr(batches, "as_numpy_iterator"):  # a `tf.data.Dataset`
        batches = batches.as_numpy_iterator()
    elif isinstance(batches, keras.utils.PyDataset):
        batches = map(batches.__getitem__, range(batches.num_batches))
    elif not isinstance(batches, Iterable) or isinstance(
        batches, str | dict | np.ndarray
    ):
        raise ValueError(
            "`x` without `y` must be a dataset or generator of (inputs, targets). "
            f"Received: x={checks.shown(batches)}"
        )
    for batch in batches:
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            raise ValueError(
                "`x` must yield (inputs, targets) or (inputs, targets, sample "
                f"weights). Received: {type(batch).__name__}"
            )
        x, y, weights = keras.utils.unpack_x_y_sample_weight(batch)
        yield x, y, weights


def some_of(
    x: Any, y: Any, sample_weight: Any, graph: keras.Model, memory: int
) -> Parts:
    """Arrays as they are, or the first batches of anything else, joined.

    Args:
        x, y, sample_weight: As `fit` takes them; `x` alone for batches.
        graph: The functional model.
        memory: Bytes of batches after which no more are read. A generator has moved on
            by what was read.

    Raises:
        ValueError: What `arrays_of` or `batches_of` refuses, or no batches.
    """
    if y is not None or not _yields(x):
        return arrays_of(x, y, sample_weight, graph)
    if sample_weight is not None:
        raise ValueError(
            "`sample_weight` is for arrays; batches bring their own. Received: "
            f"sample_weight of {type(sample_weight).__name__}"
        )
    read: list[Parts] = []
    size = 0
    for batch in batches_of(x):
        read.append(arrays_of(*batch, graph))
        size += sum(array.nbytes for part in read[-1] for array in part)
        if size >= memory:
            break
    if not read:
        raise ValueError("`x` must yield at least one batch. Received: none")
    return joined(read)


def _yields(x) -> bool:
    """Whether `x` may be batches rather than one array."""
    arrays = np.ndarray | str | bytes | dict | list | tuple
    return not isinstance(x, arrays) and not hasattr(x, "shape")


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


def check_validation(data: Any, coarsening: CoarseNetworks) -> None:
    """Refuse `validation_data` that Keras would stumble over after the first epoch.

    Raises:
        ValueError: Neither arrays `(x, y)` or `(x, y, sample_weight)` that fit the
            model, nor batches.
    """
    if isinstance(data, tuple | list) and len(data) in (2, 3):
        names = [f"validation_data[{i}]" for i in range(3)]
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        parts_of(x, y, weights, coarsening, names)
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
