"""How much of the data a coarse level cannot hold: the energy that coarsening loses.

A coarse network knows its data as averages only, so it can answer with nothing finer.
The share of the data's variance that is finer than level l is therefore a floor of the
relative error that level l reaches, and it is known before anything is trained.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from msann.arrays import real_array
from msann.checks import instance
from msann.topology import Chain


def energy_lost(data: Any, chain: Chain) -> tuple[float, ...]:
    """The share of the data's variance that each level loses: 1 - |P^T d|^2 / |d|^2.

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
    instance("chain", chain, Chain, "the chain of a topology, `chain(topology, depth)`")
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
