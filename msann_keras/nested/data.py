"""Averaged samples for one level, as arrays: to train on and to judge by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from msann.topology import Chain
from msann_keras.averages import averaged
from msann_keras.coarsening import Coarsening
from msann_keras.looks import stemmed
from msann_keras.samples import Parts, rows_of

#: Bytes of samples that may be used: their averages at all levels take about as much.
MEMORY = 2**28
#: Bytes of samples that are averaged at a time.
AT_ONCE = 2**24
#: What is held back to judge by: a share of the samples, and the most of them.
HELD_BACK, MOST_HELD = 0.1, 1024


class Samples(NamedTuple):
    """Samples of level 0, and which of them are for what.

    Attributes:
        parts: Inputs, targets and sample weights.
        training: Rows of `parts` to train on.
        held_out: Other samples, to judge by.
    """

    parts: Parts
    training: np.ndarray
    held_out: Parts


def held_back(parts: Parts, rng: np.random.Generator) -> Samples:
    """Hold back random samples to judge by; a single sample is for both."""
    samples = len(parts[0][0])
    order = rng.permutation(samples)
    held = min(MOST_HELD, max(1, int(HELD_BACK * samples)))
    training = order[held:] if samples > 1 else order
    return Samples(parts, np.sort(training), rows_of(parts, np.sort(order[:held])))


def that_fit(parts: Parts, rng: np.random.Generator) -> Parts:
    """All samples, or so many random ones that their averages fit in memory."""
    samples = len(parts[0][0])
    size = sum(array.nbytes for part in parts for array in part) / samples
    most = max(1, int(MEMORY / size))
    if samples <= most:
        return parts
    return rows_of(parts, np.sort(rng.permutation(samples)[:most]))


def at_level(parts: Parts, coarsening: Coarsening, level: int) -> Parts:
    """Samples behind the model's reshaping layers, averaged to a level.

    They are averaged some at a time, so that little memory is needed beside them.
    """
    inputs, targets, weights = parts
    chains = (*coarsening.inputs, *coarsening.outputs)
    samples = len(inputs[0])
    rows = max(1, AT_ONCE * samples // max(1, sum(x.nbytes for x in inputs)))
    made: list[list] = []
    for begin in range(0, samples, rows):
        few = slice(begin, begin + rows)
        x = stemmed(coarsening.seen, [array[few] for array in inputs])
        y = [array[few] for array in targets]
        made.append([*_averages(x + y, chains, level)])
    arrays = [np.concatenate(chunks) for chunks in zip(*made, strict=True)]
    count = len(coarsening.inputs)
    return tuple(arrays[:count]), tuple(arrays[count:]), weights


def _averages(arrays: Sequence, chains: Sequence[Chain], level: int):
    for array, chain in zip(arrays, chains, strict=True):
        if chain.sizes[level] < chain.sizes[0] and array.dtype.kind != "f":
            array = array.astype("float32")
        yield averaged(array, chain, level, np)
