"""What each level loses of the data, and how much of it a start can do without."""

from __future__ import annotations

from typing import NamedTuple

from msann.energy import beyond_noise, energy_lost
from msann.topology import Topology, chain
from msann_keras.looks import Fields

#: The coarsest level may lose this share of the targets' variance, which bounds its
#: error from below, and that share of the inputs', which it does not.
MOST_TARGETS, MOST_INPUTS = 0.02, 0.2


class Lost(NamedTuple):
    """What one level loses, in the worst space.

    Attributes:
        inputs: Share of the inputs' variance.
        targets: The same of the targets.
        is_little: Whether a start may begin at the level.
    """

    inputs: float
    targets: float
    is_little: bool


def lost_of(fields: Fields, data: dict[str, Topology], depth: int) -> list[Lost]:
    """What the levels 0 .. `depth` lose, and whether it is little.

    White noise in the inputs is no loss where targets are there to judge by. Labels do
    not say what of the inputs they hang on, so that these then count as targets do: a
    classifier that began on coarser images ended with more errors.

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
    judged, most = inputs, MOST_TARGETS
    if targets:
        judged, most = {}, MOST_INPUTS
        for name, one in inputs.items():
            judged[name] = beyond_noise(one, chains[name].sizes)

    def worst(part):
        each = [*part.values()] or [[0.0] * (depth + 1)]
        return map(max, zip(*each, strict=True))

    columns = map(worst, (inputs, targets, judged))
    return [
        Lost(of_inputs, of_targets, of_targets <= MOST_TARGETS and of_judged <= most)
        for of_inputs, of_targets, of_judged in zip(*columns, strict=True)
    ]
