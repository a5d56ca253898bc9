"""What a warm start asks of coarse networks, of whatever layers they are made.

`Coarsening` (dense layers) and `Images` (convolutions, and any other graph of layers)
answer; a third kind of network would be a third class with these members.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np

from msann.topology import Chain


class Hidden(NamedTuple):
    """Hidden units, which are alike when they are prolonged.

    Attributes:
        units: The levels of their space.
        draw: Makes a kernel of a given shape that reads them.
        axis: Of that kernel.
        apart: The share of a draw that tells prolonged units apart. Smooth fields come
            out sooner with less of it.
    """

    units: Chain
    draw: Callable[[tuple[int, ...]], Any]
    axis: int = 0
    apart: float = 0.3


class CoarseNetworks(Protocol):
    """The coarse networks of a model, level 0 being the model's own."""

    @property
    def graph(self) -> keras.Model:
        """The functional model."""

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """Its layers with weights, in order; the networks' have the same names."""

    @property
    def inputs(self) -> list[Chain]:
        """The levels of what each input lives on."""

    @property
    def outputs(self) -> list[Chain]:
        """The same for each output; labels stay whole."""

    @property
    def weight_chains(self) -> list[tuple[Chain, ...]]:
        """What the axes of each weight live on, layer by layer."""

    @property
    def unit_axes(self) -> list[int]:
        """Which axis of each weight is that of its layer's units."""

    @property
    def hidden(self) -> list[Hidden | None]:
        """For each weight the hidden units that it reads; `None` if it reads none."""

    @property
    def rates(self) -> tuple[float, ...]:
        """Learning rates by level, as multiples of level 0's."""

    @property
    def is_shared(self) -> bool:
        """Whether one network takes the data of all coarse levels."""

    def keeps_outputs(self, level: int) -> bool:
        """Whether weights of a level do on finer data what they do on its own."""

    def network(self, level: int) -> keras.Model:
        """The network of a level, not compiled, with weights of its own."""

    def first_weights(self, level: int) -> Sequence:
        """What weights begin with at a level; `None` for one that stays as made."""

    def data(self, inputs: Sequence, targets: Sequence, level: int) -> list[np.ndarray]:
        """Inputs and targets as the network of a level takes them."""

    def numbers(self, level: int) -> int:
        """How many numbers a sample has at a level."""

    def structured(self, inputs: Sequence) -> Any:
        """Inputs, one after another, in the structure that the model takes them in."""
