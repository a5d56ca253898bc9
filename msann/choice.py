"""Which lattice a space of numbers looks like, and which P loses least of it.

The paper leaves the choice of graph and P to the user. Here the data choose: among the
lattices that a space's size allows, the one whose coarse levels lose least energy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from msann import checks
from msann.arrays import MAX_NODES
from msann.energy import energy_lost
from msann.topology import Chain, Topology, chain, cycle, grid, path, shuffled
from msann.topology.lattices import Grid, Path

#: Linear interpolation is a dense matrix along each side; longer sides keep pairs.
LONGEST_SIDE = 2048
#: A lattice must lose less than this share of what its nodes in random order lose.
CORRELATED = 0.5
#: Neighbours that are told from random nodes: pairs and fours.
NEAR = 2
#: Samples, spread over all, that choices are made by.
GLANCE = 64
#: Lattices that lose with pairs at most so many times as much as the best one does are
#: compared by both families.
SHORTLIST = 1.5
#: Sides of a grid that is looked for differ by at most this factor.
OBLONG = 4


def lattices(size: int, shape: Sequence[int] | None = None) -> list[Topology]:
    """List the lattices that a space of `size` nodes may be.

    Args:
        size: n.
        shape: The axes of a sample, if it is known to be an image or a volume; then
            there is no choice.

    >>> lattices(64)
    [Path(size=64), Cycle(size=64), Grid(shape=(4, 16)), Grid(shape=(8, 8)),
     Grid(shape=(16, 4)), Grid(shape=(4, 4, 4))]
    >>> lattices(64, (8, 8, 1))
    [Grid(shape=(8, 8))]
    """
    size = checks.integer("size", size, least=1, most=MAX_NODES)
    sides = () if shape is None else checks.integers("shape", shape, least=1)
    sides = tuple(side for side in sides if side > 1)
    if len(sides) > 1 and math.prod(sides) == size:
        return [grid(*sides)]
    rows = [r for r in range(2, size) if size % r == 0]
    pairs = [
        (r, size // r) for r in rows if max(r * r, size) <= OBLONG * min(r * r, size)
    ]
    result = [path(size), cycle(size), *(grid(*pair) for pair in pairs)]
    edge = round(size ** (1 / 3))
    return result + ([grid(edge, edge, edge)] if edge > 1 and edge**3 == size else [])


def smoothed(topology: Topology) -> Topology:
    """Put linear interpolation, `hat`, in the place of a lattice's pairs.

    Another topology, another family, or a side too long for a dense matrix stays.

    >>> smoothed(path(8)), smoothed(path(8, prolongation="box"))
    (Path(size=8, prolongation='hat'), Path(size=8, prolongation='box'))
    """
    if not isinstance(topology, Path | Grid) or topology.prolongation != "pair":
        return topology
    sides = topology.shape if isinstance(topology, Grid) else (topology.size,)
    fits = max(sides) <= LONGEST_SIDE and topology.max_depth > 0
    return replace(topology, prolongation="hat") if fits else topology


def best_family(topology: Topology, fields: Sequence[np.ndarray]) -> Topology:
    """Choose pairs or `hat` for a lattice, whichever loses less of the fields.

    Args:
        topology: Of the space that the fields live on; no lattice stays as it is.
        fields: Arrays `(samples, n)`.
    """
    smooth = smoothed(topology)
    if smooth == topology:
        return topology
    return min((smooth, topology), key=lambda one: total_lost(one, fields))


def best_lattice(
    fields: Sequence[np.ndarray], shape: Sequence[int] | None = None
) -> Topology | None:
    """Choose the lattice whose coarse levels lose least of some fields.

    Args:
        fields: Arrays `(samples, n)` on one space.
        shape: As for `lattices`.

    Returns:
        It, or `None` where no lattice loses clearly less than the same nodes in random
        order: such data have no neighbours.

    >>> waves = np.sin(np.linspace(0, 4, 64) + np.linspace(0, 6, 50)[:, None])
    >>> best_lattice([waves])
    Path(size=64, prolongation='hat')
    >>> best_lattice([np.random.default_rng(5).permuted(waves, axis=1)]) is None
    True
    """
    size = fields[0].shape[1]
    candidates = [one for one in lattices(size, shape) if one.max_depth >= 1]
    if not candidates:
        return None
    control = total_lost(shuffled(path(size), seed=0), fields, NEAR)
    if min(total_lost(one, fields, NEAR) for one in candidates) > CORRELATED * control:
        return None
    lost = {one: total_lost(one, fields) for one in candidates}  # pairs are cheap
    good = [one for one in lost if lost[one] <= SHORTLIST * min(lost.values())]
    lost |= {(fine := smoothed(one)): total_lost(fine, fields) for one in good}
    return min(lost, key=lost.__getitem__)


def total_lost(
    topology: Topology, fields: Sequence[np.ndarray], depth: int | None = None
) -> float:
    """Add up what the levels 1 .. `depth` of a topology lose of all fields.

    Of many samples, some that are spread over all are looked at.

    Args:
        topology: Of the space that the fields live on.
        fields: Arrays `(samples, n)`.
        depth: By default half as many levels as there are: a lattice that is right on
            the first ones alone is a wrong one.
    """
    if depth is None:
        depth = max(NEAR, round(math.log2(topology.size) / 2))
    levels = levels_of(topology, depth)
    few = (field[:: max(1, len(field) // GLANCE)][:GLANCE] for field in fields)
    return sum(sum(energy_lost(field, levels)) for field in few)


def levels_of(topology: Topology, depth: int) -> Chain:
    """Make the chain of a topology, `depth` levels or as many as it has."""
    return chain(topology, int(min(depth, topology.max_depth)))
