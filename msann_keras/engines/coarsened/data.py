"""Data for training at every level: chunks of averaged samples on the device."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain as chained
from itertools import repeat
from typing import NamedTuple

import keras
import numpy as np

from msann_keras.coarsening import Coarsening
from msann_keras.engines.coarsened.averages import averaging
from msann_keras.engines.coarsened.compiled import here
from msann_keras.samples import batches_of, joined, parts_of, rows_of

#: Data of all levels that may be on the device, unless the user says otherwise.
MEMORY = 2**30


class Chunk(NamedTuple):
    """Samples on the device, averaged to every level.

    Attributes:
        levels: For each level its inputs, targets and sample weights (none, or one),
            as tuples of tensors.
        rows: How many samples.
        samples: Of a pass over all data; `None` where the pass that this chunk is of
            may be longer than what has been read.
    """

    levels: list[tuple[tuple, tuple, tuple]]
    rows: int
    samples: int | None = None


class Arrays:
    """Samples in memory: one chunk, or random parts of them in turn.

    Args:
        x, y, sample_weight: As `samples.parts_of` takes them.
        coarsening: The spaces of the model.
        memory: Bytes that the chunks of all levels may take.
        rng: For the parts.

    Attributes:
        samples: How many there are.
        rows: Of a chunk.

    Raises:
        ValueError: What `samples.parts_of` refuses.
    """

    def __init__(self, x, y, sample_weight, coarsening, memory, rng):
        self.parts = parts_of(x, y, sample_weight, coarsening)
        self.coarsening, self.rng = coarsening, rng
        self.samples = len(self.parts[0][0])
        self.rows = min(_rows_within(memory, self.parts), self.samples)

    def chunks(self) -> Iterator[Chunk]:
        """Without end; the only chunk again and again, if all data fit into one."""
        if self.rows == self.samples:  # no second chunk is prepared
            yield from repeat(_chunk(self.parts, self.coarsening, self.samples))
        yield from _prepared_ahead(self._parts_in_turn())

    def _parts_in_turn(self):
        while True:
            order = self.rng.permutation(self.samples)
            for begin in range(0, self.samples - self.rows + 1, self.rows):
                rows = np.sort(order[begin : begin + self.rows])
                yield _chunk(rows_of(self.parts, rows), self.coarsening, self.samples)


class Batches:
    """Samples that come in batches: a `tf.data.Dataset`, `PyDataset` or generator.

    Args:
        batches: Yields `(x, y)` or `(x, y, sample_weight)`.
        coarsening: The spaces of the model.
        memory: Bytes that the chunks of all levels may take.
        batches_per_call: Batches that a compiled call draws; a chunk has no more.

    Attributes:
        samples: How many a pass over the data has; `None` until that is known.
        rows: Of a chunk: no more than a call draws, or than there are.

    Raises:
        ValueError: No batches, batches without targets, or what `samples.parts_of`
            refuses.
    """

    def __init__(self, batches, coarsening, memory, batches_per_call):
        self.coarsening, self.batches = coarsening, batches
        # A generator is read once, and may have no end.
        self.once = not _is_dataset(batches) and not _is_py_dataset(batches)
        self.samples: int | None = None
        self.stream = self._again_and_again()
        first = next(self.stream, None)
        if first is None:
            raise ValueError("`x` must yield at least one batch. Received: none")
        self.stream = chained([first], self.stream)
        self.batch_size = len(first[0][0])
        drawn = batches_per_call * self.batch_size
        self.rows = min(_rows_within(memory, first), drawn)
        if (known := _cardinality(batches)) is not None:
            self.samples = known * self.batch_size
            self.rows = min(self.rows, self.samples)

    def chunks(self) -> Iterator[Chunk]:
        """Without end, each with the samples that came next."""
        yield from _prepared_ahead(self._collected())

    def _again_and_again(self):
        """The batches as parts; how many samples a pass has is known at its last."""
        while True:
            count, last = 0, None
            for batch in batches_of(self.batches):
                if last is not None:
                    yield last
                last = parts_of(*batch, self.coarsening)
                count += len(last[0][0])
            if last is None:
                return
            if self.samples is None:
                self.samples = count
            yield last
            if self.once:
                return

    def _collected(self):
        left, made = [], 0
        for parts in self.stream:
            left.append(parts)
            if self.samples is not None and not made:
                # There may be fewer samples in all than a call draws.
                self.rows = min(self.rows, self.samples)
            while sum(len(p[0][0]) for p in left) >= self.rows:
                whole = joined(left)
                first = rows_of(whole, slice(self.rows))
                yield _chunk(first, self.coarsening, self.samples)
                left = [rows_of(whole, slice(self.rows, None))]
                made += 1
        if not made:
            yield _chunk(joined(left), self.coarsening, self.samples)


def _is_dataset(batches) -> bool:
    """Whether these are a `tf.data.Dataset`, which any backend may read."""
    return hasattr(batches, "as_numpy_iterator")


def _is_py_dataset(batches) -> bool:
    return isinstance(batches, keras.utils.PyDataset)


def _cardinality(batches) -> int | None:
    """How many batches there are, if that is known."""
    if _is_dataset(batches):
        count = int(batches.cardinality())
        return count if count > 0 else None
    return batches.num_batches if _is_py_dataset(batches) else None


def _rows_within(memory, parts) -> int:
    """Samples of a chunk, so that it and the one that is being prepared fit."""
    # All levels of a path or grid together take twice the finest one's memory.
    samples = len(parts[0][0])
    per_sample = 2 * sum(array.nbytes for part in parts for array in part) / samples
    return max(1, int(memory / 2 / per_sample))


def _chunk(parts, coarsening: Coarsening, samples: int | None) -> Chunk:
    inputs, targets, weights = parts
    rows, targets = len(inputs[0]), coarsening.flat(targets)
    if (stem := coarsening.seen.stem) is not None:
        inputs = inputs[0] if len(inputs) == 1 else list(inputs)
        inputs = keras.tree.flatten(stem(inputs, training=False))
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

    weights = repeat(tuple(map(here.on_device, weights)))
    inputs = by_level(inputs, coarsening.inputs)
    targets = by_level(targets, coarsening.outputs)
    return Chunk(list(zip(inputs, targets, weights, strict=False)), rows, samples)


def _averages(wanted) -> list:
    """An array on the device, and its averages on the other levels of a chain."""
    array, chain = wanted
    fine = here.on_device(array)
    return [fine, *averaging(chain)(fine)]


def _prepared_ahead(items: Iterator) -> Iterator:
    """The same, the next one made in a thread while the caller uses the present one."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
