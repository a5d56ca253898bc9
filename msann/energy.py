"""How much of the data a coarse level cannot hold: the energy that coarsening loses.

A coarse network knows its data as averages only, so it can answer with nothing finer.
The share of the data's variance that is finer than level l is therefore a floor of the
relative error that level l reaches, and it is known before anything is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from msann import checks
from msann.arrays import real_array
from msann.topology import Chain

#: More of the variance than this is not taken for noise.
MOST_NOISE = 0.5


def energy_lost(data: Any, chain: Chain) -> tuple[float, ...]:
    """Return the share of variance that each level loses: 1 - |P^T d|^2 / |d|^2.

    P is the prolongation from the level to level 0, and d the data less their mean.

    Args:
        data: Array `(samples, n)`.
        chain: The levels of the space of n nodes, as `chain(topology, depth)` makes it.

    Returns:
        A number from 0 to 1 for each level, 0 for level 0; all are 0 if the data are
        constant.

    Raises:
        ValueError: No finite numbers, or another number of nodes.

    Example: pairs of equal entries lose nothing, and pairs of opposite ones everything.

    >>> from msann.topology import chain, path
    >>> lost = energy_lost([[1.0, 1.0, -1.0, -1.0]], chain(path(4), depth=2))
    >>> [round(x, 6) for x in lost]
    [0.0, 0.0, 1.0]
    """
    wanted = "the chain of a topology, `chain(topology, depth)`"
    checks.instance("chain", chain, Chain, wanted)
    data = real_array("data", data, ndim=2)
    if data.shape[1] != chain.sizes[0]:
        raise ValueError(
            f"`data` must have {chain.sizes[0]} columns, one for each node of "
            f"{chain.topology!r}. Received: data of shape {data.shape}"
        )
    data = data - (data.mean() if data.size else 0.0)
    total = np.vdot(data, data)
    lost = [0.0]
    for P in chain.steps:
        if P.shape[0] != P.shape[1]:
            data = P.restrict(data)
        left = np.vdot(data, data) / total if total else 1.0
        lost.append(min(1.0, max(0.0, float(1 - left))))
    return tuple(lost)


def beyond_noise(lost: Sequence[float], sizes: Sequence[int]) -> tuple[float, ...]:
    """Return what each level loses beyond white noise: structure that gets lost.

    Of white noise a level of n_l nodes loses all but n_l / n, whatever P is. Here all
    that the first coarse level loses is taken for noise, so nothing is left of it at
    level 1. What a deeper level loses beyond its share of that noise is structure.

    Args:
        lost: As `energy_lost` gives it.
        sizes: Nodes at each level, finest first, as `chain.sizes` has them.

    Returns:
        A share of the variance for each level, 0 or more; `lost` itself if more than
        half of the variance would be noise.

    Raises:
        ValueError: Shares outside 0 .. 1, or not one for each size.

    Example: waves of 256 points, and the same in noise.

    >>> from msann.topology import chain, path
    >>> rng, levels = np.random.default_rng(1), chain(path(256), depth=3)
    >>> waves = np.sin(np.linspace(0, 9, 256) + np.linspace(0, 6, 500)[:, None])
    >>> noisy = waves + 0.5 * rng.standard_normal(waves.shape)
    >>> lost = energy_lost(noisy, levels)
    >>> [round(x, 2) for x in lost]
    [0.0, 0.17, 0.25, 0.29]
    >>> [round(x, 2) for x in beyond_noise(lost, levels.sizes)]
    [0.0, 0.0, 0.0, 0.0]
    """
    lost = checks.reals("lost", lost, least=0, most=1)
    sizes = checks.integers("sizes", sizes, least=1)
    if len(lost) != len(sizes):
        checks.refuse("lost", lost, f"one share for each of the {len(sizes)} sizes")
    of_noise = [1 - size / sizes[0] for size in sizes]  # lost, of each level
    if len(lost) < 2 or not of_noise[1]:
        return lost
    noise = lost[1] / of_noise[1]
    if noise > MOST_NOISE:
        return lost
    pairs = zip(lost, of_noise, strict=True)
    return tuple(max(0.0, one - noise * share) for one, share in pairs)
