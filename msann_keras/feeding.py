"""Data for training at every level: chunks of averaged samples on the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain as chained
from itertools import repeat
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from msann_keras.coarse import Coarsening, averaging

#: Data of all levels that may be on the device, unless the user says otherwise.
MEMORY = 2**30
#: Bytes; TensorFlow takes over memory that begins at a multiple of this.
ALIGNMENT = 64


class Chunk(NamedTuple):
    """Samples on the device, averaged to every level.

    Attributes:
        levels: For each level its inputs, targets and sample weights (none, or one),
            as tuples of tensors.
        rows: How many samples.
    """

    levels: list[tuple[tuple, tuple, tuple]]
    rows: int


class Arrays:
    """Samples in memory: one chunk, or random parts of them in turn.

    Args:
        x: Array, or list, tuple or dict of arrays, as `fit` takes them.
        y: The same for the targets.
        sample_weight: Array `(samples,)`, or `None`.
        coarsening: The spaces of the model.
        memory: Bytes that the chunks of all levels may take.
        rng: For the parts.

    Raises:
        ValueError: No samples, or arrays of different lengths.
    """

    def __init__(self, x, y, sample_weight, coarsening, memory, rng):
        self.parts = _flat(x, y, sample_weight, coarsening)
        self.coarsening, self.rng = coarsening, rng
        lengths = {len(array) for part in self.parts for array in part}
        if len(lengths) != 1 or not min(lengths):
            raise ValueError(
                "`x`, `y` and `sample_weight` must have the same number of samples, at "
                f"least one. Received: {sorted(lengths)} samples"
            )
        self.samples = lengths.pop()
        self.rows = min(_rows_within(memory, self.parts, self.samples), self.samples)

    def chunks(self) -> Iterator[Chunk]:
        """Without end; the only chunk again and again, if all data fit into one."""
        if self.rows == self.samples:  # no second chunk is prepared
            yield from repeat(_chunk(self.parts, self.coarsening))
        yield from _prepared_ahead(self._parts_in_turn())

    def _parts_in_turn(self):
        while True:
            order = self.rng.permutation(self.samples)
            for begin in range(0, self.samples - self.rows + 1, self.rows):
                rows = np.sort(order[begin : begin + self.rows])
                yield _chunk(
                    [tuple(array[rows] for array in part) for part in self.parts],
                    self.coarsening,
                )


class Batches:
    """Samples that come in batches: a `tf.data.Dataset`, `PyDataset` or generator.

    Args:
        batches: Yields `(x, y)` or `(x, y, sample_weight)`.
        coarsening: The spaces of the model.
        memory: Bytes that the chunks of all levels may take.
        batches_per_call: Batches that a compiled call draws; a chunk has no more.

    Raises:
        ValueError: No batches, or batches without targets.
    """

    def __init__(self, batches, coarsening, memory, batches_per_call):
        self.coarsening, self.batches = coarsening, batches
        self.endless = not isinstance(batches, tf.data.Dataset | keras.utils.PyDataset)
        self.stream = self._again_and_again()
        first = next(self.stream, None)
        if first is None:
            raise ValueError("`x` must yield at least one batch. Received: none")
        self.stream = chained([first], self.stream)
        self.batch_size = len(first[0][0])
        drawn = batches_per_call * self.batch_size
        self.rows = min(_rows_within(memory, first, self.batch_size), drawn)
        self.samples = None
        if (known := _cardinality(batches)) is not None:
            self.samples = known * self.batch_size
            self.rows = min(self.rows, self.samples)

    def chunks(self) -> Iterator[Chunk]:
        """Without end, each with the samples that came next."""
        yield from _prepared_ahead(self._collected())

    def _again_and_again(self):
        while True:
            empty = True
            for batch in _iterate(self.batches):
                empty = False
                if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
                    raise ValueError(
                        "`x` must yield (inputs, targets) or (inputs, targets, "
                        f"sample weights). Received: {type(batch).__name__}"
                    )
                x, y, weight = (*batch, None)[:3]
                yield _flat(x, y, weight, self.coarsening)
            if empty or self.endless:
                return

    def _collected(self):
        left, made = [], 0
        for batch in self.stream:
            left.append(batch)
            while sum(len(b[0][0]) for b in left) >= self.rows:
                joined = _joined(left)
                yield _chunk(
                    [tuple(a[: self.rows] for a in part) for part in joined],
                    self.coarsening,
                )
                left = [[tuple(a[self.rows :] for a in part) for part in joined]]
                made += 1
        if not made:  # fewer samples in all than a call draws
            yield _chunk(_joined(left), self.coarsening)


def _joined(batches) -> list[tuple[np.ndarray, ...]]:
    """Batches one after another, part by part."""
    return [
        tuple(np.concatenate(arrays) for arrays in zip(*part, strict=True))
        for part in zip(*batches, strict=True)
    ]


def _iterate(batches) -> Iterable:
    if isinstance(batches, tf.data.Dataset):
        return batches.as_numpy_iterator()
    if isinstance(batches, keras.utils.PyDataset):
        return (batches[i] for i in range(batches.num_batches))
    return batches


def _cardinality(batches) -> int | None:
    """How many batches there are, if that is known."""
    if isinstance(batches, tf.data.Dataset):
        count = int(batches.cardinality())
        return count if count > 0 else None
    return batches.num_batches if isinstance(batches, keras.utils.PyDataset) else None


def _flat(x, y, sample_weight, coarsening) -> list[tuple[np.ndarray, ...]]:
    """Inputs, targets and weights, each as a tuple of arrays in the model's order."""
    graph = coarsening.graph
    inputs = _in_order("x", x, graph.input, [tensor.name for tensor in graph.inputs])
    targets = _in_order("y", y, graph.output, graph.output_names)
    weights = [] if sample_weight is None else [sample_weight]
    if isinstance(sample_weight, list | tuple | dict):
        raise ValueError(
            "`sample_weight` must be one array on coarsened data, not one for each "
            f"output. Received: a {type(sample_weight).__name__}"
        )
    return [
        tuple(_array(part) for part in parts) for parts in (inputs, targets, weights)
    ]


def _in_order(argument, data, structure, names) -> list:
    """The arrays in the order of the model, by name if they come in a dict."""
    if not isinstance(data, dict):
        return list(data) if isinstance(data, list | tuple) else [data]
    if isinstance(structure, dict):
        names = sorted(structure)
    if missing := [name for name in names if name not in data]:
        raise ValueError(
            f"`{argument}` must have an array for each of {names}. "
            f"Received: a dict without {missing}"
        )
    return [data[name] for name in names]


def _array(data) -> np.ndarray:
    data = np.asarray(data)
    return data.astype(keras.config.floatx()) if data.dtype == np.float64 else data


def _rows_within(memory, parts, samples) -> int:
    """Samples of a chunk, so that it and the one that is being prepared fit."""
    # All levels of a path or grid together take twice the finest one's memory.
    per_sample = 2 * sum(array.nbytes for part in parts for array in part) / samples
    return max(1, int(memory / 2 / per_sample))


def _chunk(parts, coarsening: Coarsening) -> Chunk:
    inputs, targets, weights = parts
    rows = len(inputs[0])
    if coarsening.stem is not None:
        inputs = inputs[0] if len(inputs) == 1 else list(inputs)
        inputs = keras.tree.flatten(coarsening.stem(inputs, training=False))
    spaces = (*coarsening.inputs, *coarsening.outputs)
    # By what it is made of: an autoencoder's inputs and targets are made once.
    wanted = {
        (id(array), chain.topology): (array, chain)
        for array, chain in zip((*inputs, *targets), spaces, strict=True)
    }
    with ThreadPoolExecutor() as pool:
        made = dict(zip(wanted, pool.map(_averages, wanted.values()), strict=True))

    def by_level(arrays, chains):
        pairs = zip(arrays, chains, strict=True)
        return zip(*(made[id(x), chain.topology] for x, chain in pairs), strict=True)

    weights = repeat(tuple(tf.convert_to_tensor(x) for x in weights))
    inputs = by_level(inputs, coarsening.inputs)
    targets = by_level(targets, coarsening.outputs)
    return Chunk(list(zip(inputs, targets, weights, strict=False)), rows)


def _averages(wanted) -> list[tf.Tensor]:
    """An array on the device, and its averages on the other levels of a chain."""
    array, chain = wanted
    fine = _on_device(array)
    return [fine, *averaging(chain)(fine)]


def _on_device(array) -> tf.Tensor:
    """A copy of an array as a tensor.

    NumPy asks for huge pages, so its copy takes .6 of the time of TensorFlow's, which
    is spent in page faults; TensorFlow can take over memory that is aligned.
    """
    floats = isinstance(array, np.ndarray) and array.dtype.kind == "f"
    if not floats or tf.config.list_logical_devices("GPU"):
        return tf.convert_to_tensor(array)
    memory = np.empty(array.nbytes + ALIGNMENT, dtype="uint8")
    begin = -memory.ctypes.data % ALIGNMENT
    copy = memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    np.copyto(copy, array)
    return tf.experimental.dlpack.from_dlpack(copy.__dlpack__())


def _prepared_ahead(items: Iterator) -> Iterator:
    """The same, the next one made in a thread while the caller uses the present one."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
