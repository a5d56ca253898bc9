"""What each level loses of the data, and how much of it a start can do without."""

from __future__ import annotations

from typing import NamedTuple

from msann.energy import beyond_noise, energy_lost
from msann.topology import Topology, chain
from msann_keras.looks import Fields

#: The coarsest level may lose this share of the targets' variance, which bounds its
#: error from below, and that share of the inputs', which it does not. If targets are
#: there to judge by, what inputs lose of white noise is no loss.
MOST_TARGETS, MOST_INPUTS = 0.02, 0.2


class Lost(NamedTuple):
    """What one level loses, in the worst space.

    Attributes:
        inputs: Share of the inputs' variance.
        targets: The same of the targets.
        structure: Of the inputs, without what may be white noise.
    """

    inputs: float
    targets: float
    structure: float

    @property
    def is_little(self) -> bool:
        """Whether a start may begin at the level."""
        return self.structure <= MOST_INPUTS and self.targets <= MOST_TARGETS


def lost_of(fields: Fields, data: dict[str, Topology], depth: int) -> list[Lost]:
    """What the levels 0 .. `depth` lose.

    Args:
        fields: Samples of inputs and targets, by the name of the space.
        data: The topology of each of these spaces.
        depth: Of the deepest level.
    """
    spaces = [*fields.inputs, *fields.targets]
    chains = {name: chain(data[name], depth) for name in spaces}
    inputs, targets = (
        {name: energy_lost(x, chains[name]) for name, x in part.items()}
        for part in (fields.inputs, fields.targets)
    )
    structure = inputs
    if targets:
        structure = {
            name: beyond_noise(one, chains[name].sizes) for name, one in inputs.items()
        }

    def worst(part):
        each = [*part.values()] or [[0.0] * (depth + 1)]
        return map(max, zip(*each, strict=True))

    columns = map(worst, (inputs, targets, structure))
    return [Lost(*one) for one in zip(*columns, strict=True)]
