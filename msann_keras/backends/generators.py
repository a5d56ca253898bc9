"""How samples come to a level where programs read NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import numpy as np


def batches(
    data: tuple,
    rows: np.ndarray,
    batch_size: int,
    seed: int,
    any_sides: bool = False,
) -> Callable[[], Iterator]:
    """A source of shuffled batches of one size, for any number of calls of `fit`.

    Args:
        data: Inputs, targets and perhaps weights: arrays in the model's structures.
        rows: The samples to use.
        batch_size: At most their number.
        seed: Of the order.
        any_sides: Has no meaning here: a program is of one size.

    Returns:
        A function that gives what `fit` takes for `x`, with `steps_per_epoch`.
    """
    rng = np.random.default_rng(seed)
    return lambda: _generator(data, rows, batch_size, rng)


def _generator(data, rows, batch_size, rng) -> Iterator:
    while True:
        order = rng.permutation(rows)
        for begin in range(0, len(rows) - batch_size + 1, batch_size):
            some = order[begin : begin + batch_size]
            yield keras.tree.map_structure(lambda one, some=some: one[some], data)
