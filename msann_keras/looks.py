"""What the spaces of a model look like, from what its data show and its user says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from msann.choice import best_family, best_lattice, levels_of
from msann.topology import Topology, identity, path, slower
from msann_keras.kinds import POINTWISE
from msann_keras.samples import Parts, rows_of
from msann_keras.spaces import Walk
from msann_keras.topologies import TopologyLike, sources_of, topologies_of

#: Samples that are looked at, spread over all of them: so many, or fewer of large ones.
SAMPLE, LEAST_SAMPLE, NUMBERS = 256, 64, 2**20


class Fields(NamedTuple):
    """Some samples of what lives on the spaces of a model, by the space's name.

    Attributes:
        inputs: Arrays `(samples, n)`, behind the model's reshaping layers.
        targets: The same of the outputs that are as their targets are; labels, one
            number for a sample, live on no space.
    """

    inputs: dict[str, np.ndarray]
    targets: dict[str, np.ndarray]

    def on(self, spaces: Sequence[str]) -> list[np.ndarray]:
        """All fields on some spaces."""
        both = (self.inputs, self.targets)
        return [part[name] for part in both for name in spaces if name in part]


def fields_of(seen: Walk, parts: Parts) -> Fields:
    """Some samples of the inputs and targets, one row for each vector on a space.

    Raises:
        ValueError: They are not finite.
    """
    samples, largest = len(parts[0][0]), max(seen.sizes.values())
    count = max(LEAST_SAMPLE, min(SAMPLE, NUMBERS // largest))
    every = max(1, samples // count)
    rows = slice(0, count * every, every)
    arrays, targets, _ = rows_of(parts, rows)
    inputs = seen.stemmed(arrays)

    def flat(array, name, argument):
        result = np.asarray(array, "float32").reshape(-1, seen.sizes[name])
        if not np.isfinite(result).all():
            raise ValueError(
                f"`{argument}` must hold finite numbers. Received: an array of shape "
                f"{array.shape}, {np.count_nonzero(~np.isfinite(result))} entries of "
                "whose first samples are infinite or too large"
            )
        return result

    graph = seen.graph
    spatial = {
        name: flat(y, name, "y")
        for name, y, tensor in zip(seen.outputs, targets, graph.outputs, strict=True)
        if y.shape[1:] == tuple(tensor.shape[1:]) and seen.sizes[name] > 1
    }
    return Fields(
        {name: flat(x, name, "x") for name, x in zip(seen.inputs, inputs, strict=True)},
        spatial,
    )


def data_topologies(
    seen: Walk, fields: Fields, topology: TopologyLike
) -> dict[str, Topology]:
    """The topology of the inputs' and outputs' spaces.

    What the user names stays, but for lattices without a family of their own, which
    interpolate linearly where that loses less. What nobody names is the lattice that
    loses least, or stays whole.

    Args:
        seen: The model as spaces and layers.
        fields: Samples of its data.
        topology: As `multilevel` takes it; `None` for a choice by the data.

    Raises:
        ValueError: As `topologies_of`.
    """
    wished = topologies_of(seen, topology)
    spaces = [*dict.fromkeys((*seen.inputs, *seen.outputs))]
    named = topology if isinstance(topology, dict) else dict.fromkeys(spaces)
    alike: dict[tuple, list[str]] = {}
    for name in spaces:
        is_wished = topology is not None and name in named
        key = wished[name] if is_wished and name in wished else None
        alike.setdefault((key, seen.sizes[name]), []).append(name)
    result = {}
    for (wish, size), names in alike.items():
        found = fields.on(names)
        if wish is not None:
            one = best_family(wish, found) if found else wish
        else:
            one = best_lattice(found, _shape(seen, names)) if found else None
            one = one or identity(size)
        for name in names:
            labels = name not in fields.inputs and name not in fields.targets
            whole = wish is None and (labels or name in seen.added_up)
            result[name] = identity(size) if whole else one
    return result


def all_topologies(
    seen: Walk, data: dict[str, Topology], topology: TopologyLike, depth: int
) -> dict[str, Topology]:
    """The topology of every space, for a start at level `depth`.

    A hidden space is a path of pairs, whose units hold the same numbers after a
    prolongation. It coarsens at every second level, and never below the nodes that the
    data have at the coarsest level: hidden layers must hold what the data say, so that
    a bottleneck stays as it is. What is added to another space is as that space is.
    """
    wished = topologies_of(seen, topology)
    named = topology if isinstance(topology, dict) else {}
    chains = [levels_of(one, depth) for one in data.values() if coarsens(one)]
    least = max((one.sizes[-1] for one in chains), default=1)
    result = dict(data)
    for step in seen.steps:
        for name in (*step.sources, step.target):
            if name in named:
                result.setdefault(name, wished[name])
        if step.kind is POINTWISE and len(step.sources) > 1:
            known = [result[name] for name in step.sources if name in result]
            for name in step.sources if known else ():
                result.setdefault(name, known[0])
    for name in {*sources_of(seen).values(), *(s.target for s in seen.dense)}:
        result.setdefault(name, slower(path(seen.sizes[name]), least=least))
    return result


def coarsens(topology: Topology) -> bool:
    """Whether a topology's first coarse level is smaller than itself."""
    return levels_of(topology, 1).sizes[-1] < topology.size


def _shape(seen, names) -> tuple[int, ...] | None:
    """The axes of a sample that the model flattens to the space, or folds it into."""
    for name, tensor in zip(seen.inputs, seen.graph.inputs, strict=True):
        if name in names and len(tensor.shape) > 2 and seen.stem is not None:
            return tuple(tensor.shape[1:])
    return next((seen.folded[name] for name in names if name in seen.folded), None)
