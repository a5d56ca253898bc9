"""Samples as one level has them, as arrays: to train on and to judge by."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from msann_keras.coarse_networks import CoarseNetworks
from msann_keras.nested.statistics import is_of_images
from msann_keras.samples import Parts, rows_of

#: Bytes that the data of a level may take; of more samples, some are used.
MEMORY = 2**28
#: Bytes of samples that are made coarser at a time.
AT_ONCE = 2**24
#: What is held back to judge by: a share of the samples, and the most of them; fewer
#: images, each of which takes a network of convolutions as long as a step's.
HELD_BACK, MOST_HELD, MOST_IMAGES = 0.1, 1024, 64


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
    held = min(most_held(parts), max(1, int(HELD_BACK * samples)))
    training = order[held:] if samples > 1 else order
    return Samples(parts, np.sort(training), rows_of(parts, np.sort(order[:held])))


def most_held(parts: Parts) -> int:
    """How many samples judge, at the most."""
    return MOST_IMAGES if is_of_images(parts[0]) else MOST_HELD


def training_data(
    samples: Samples, coarsening: CoarseNetworks, level: int, rng: np.random.Generator
) -> tuple[Parts, np.ndarray]:
    """What a level trains on, and the rows of it that are for training.

    All of it where that fits in memory; otherwise so many random samples as do.
    """
    numbers = coarsening.numbers(level)
    most = max(1, MEMORY // (np.dtype("float32").itemsize * numbers))
    if len(samples.parts[0][0]) <= most:
        return at_level(samples.parts, coarsening, level), samples.training
    some = np.sort(rng.permutation(samples.training)[:most])
    return at_level(samples.parts, coarsening, level, some), np.arange(len(some))


def at_level(
    parts: Parts, coarsening: CoarseNetworks, level: int, rows: np.ndarray | None = None
) -> Parts:
    """Samples as the network of a level takes them.

    They are made coarser some at a time, so that little memory is needed beside them.

    Args:
        parts: Samples of level 0.
        coarsening: Their spaces.
        level: l.
        rows: The samples that are wanted; all, which copies nothing, by default.
    """
    inputs, _, weights = parts
    samples = len(inputs[0])
    at_once = max(1, AT_ONCE * samples // max(1, sum(x.nbytes for x in inputs)))
    made: list[list] = []
    for begin in range(0, samples if rows is None else len(rows), at_once):
        few = slice(begin, begin + at_once)
        x, y, _ = rows_of(parts, few if rows is None else rows[few])
        made.append(coarsening.data(x, y, level))
    arrays = [np.concatenate(chunks) for chunks in zip(*made, strict=True)]
    count = len(coarsening.inputs)
    weights = weights if rows is None else tuple(each[rows] for each in weights)
    return tuple(arrays[:count]), tuple(arrays[count:]), weights
