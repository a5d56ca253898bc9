"""From one level to the next finer one: weights, what tells them apart, and moments.

Weights are as a network on averaged data has them: with c = P^T 1 the column sums of
the composite P to level 0, K = diag(c_in) V diag(c_out)^-1 of the paper's V. Prolonging
V by P V Q^T is then, on K, interpolation of averages along the units and its transpose
along the inputs, so that the finer network gives the interpolated outputs of the
coarser one on averaged data, whatever the activations are, if each aggregate of a
hidden space holds equal units (pairs do).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from keras import ops

from msann.prolongation.composition import nearest
from msann.topology import Chain
from msann_keras.coarse_networks import CoarseNetworks

#: Least sqrt(v) as a share of the largest one in a weight, and in all.
LEAST, TINY = 1e-4, 1e-12


def lifted(
    weight: np.ndarray,
    chains: Sequence[Chain],
    coarse: int,
    fine: int,
    units: int = -1,
) -> np.ndarray:
    """A weight of the network at one level from one of the network at a coarser one.

    Args:
        weight: A kernel `(.., rows, columns)` or a bias `(columns,)` at level
            `coarse`.
        chains: What its axes live on.
        coarse, fine: The two levels.
        units: The axis of the layer's units; the others are of its inputs.

    >>> from msann.topology import chain, path
    >>> pairs = chain(path(4), depth=1)
    >>> weight = np.array([[2.0, 4.0], [6.0, 8.0]])
    >>> lifted(weight, [pairs, pairs], coarse=1, fine=0).round(6)
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.],
           [3., 3., 4., 4.],
           [3., 3., 4., 4.]])
    """
    for axis, one in reversed([*enumerate(chains)]):  # smaller arrays come first
        P = one.between(coarse, fine)
        if P.shape[0] == P.shape[1]:
            continue
        before, after = one.column_sums(coarse), 1 / one.column_sums(fine)
        if axis != units % len(chains):  # inputs: what averages are multiplied by
            before, after = 1 / before, 1 / after
        if np.ptp(after) == 0:  # one pass less over the larger array
            before, after = before * after[0], np.ones(1)
        weight = _along(P.prolong(_along(weight, before, axis), axis), after, axis)
    return weight


def complement(
    kernel: np.ndarray, inputs: Chain, coarse: int, fine: int, axis: int = 0
) -> np.ndarray:
    """The part of a kernel that acts on nothing that the coarser level can tell apart.

    Added to the lifted kernel of a layer that reads hidden units it changes no output,
    since those units are equal on aggregates: h^T C (I - P P^T) C^-1 = 0. But it tells
    equal units apart by what they are used for, and so they become different: without
    it they stay equal for ever.

    Args:
        kernel: A draw `(rows, columns)` at level `fine`.
        inputs: The levels of the space that the layer reads.
        coarse, fine: The two levels.
        axis: Of the kernel that reads it.

    >>> from msann.topology import chain, path
    >>> draw = np.array([[1.0], [3.0], [5.0], [9.0]])
    >>> complement(draw, chain(path(4), depth=1), coarse=1, fine=0).round(6).T
    array([[-1.,  1., -2.,  2.]])
    """
    P, sums = inputs.between(coarse, fine), inputs.column_sums(fine)
    kernel = _along(kernel, 1 / sums, axis)
    kernel = kernel - P.prolong(P.restrict(kernel, axis), axis)
    return _along(kernel, sums, axis)


def prolonged_moments(
    moments: Sequence[np.ndarray],
    chains: Sequence[Chain],
    coarse: int,
    fine: int,
    power: int = 2,
    units: int = -1,
) -> list[np.ndarray]:
    """What an optimizer knows of the gradient at one level, from a coarser one.

    The step that it stands for, m / v^(1/2), becomes the prolonged one, so that the
    first fine step goes where the coarse level's next one would have gone. Fresh
    moments would send every weight a whole learning rate away, and undo the start.

    Args:
        moments: m and v, or v alone, of the shape of a weight at level `coarse`.
        chains: What the weight's axes live on.
        coarse, fine: The two levels.
        power: Of the gradient's size in v: 2 for Adam's, 1 for Adamax's.
        units: The axis of the layer's units.

    Returns:
        The same at level `fine`.

    >>> from msann.topology import chain, path
    >>> ends = [chain(path(2), depth=1)] * 2
    >>> m, v = prolonged_moments([np.array([[2.0]]), np.array([[16.0]])], ends, 1, 0)
    >>> m.round(6).tolist(), (m / np.sqrt(v)).round(6).tolist()
    ([[1.0, 1.0], [1.0, 1.0]], [[0.25, 0.25], [0.25, 0.25]])
    """
    *means, size = moments
    root = size ** (1 / power)
    # Where no gradient ever came, the step is 0, whatever stands in its place.
    root = np.maximum(root, max(float(root.max(initial=0)) * LEAST, TINY))
    steps = [lifted(mean / root, chains, coarse, fine, units) for mean in means]
    for axis, one in enumerate(chains):
        P = one.between(coarse, fine)
        if P.shape[0] == P.shape[1]:
            continue
        # The gradient of units is shared out among more of them. That of inputs is not,
        # but a weight there makes a step that is so many times smaller.
        ratio = P.shape[0] / P.shape[1]
        share = 1 / ratio if axis == units % len(chains) else ratio
        root = np.take(root * root.dtype.type(share), nearest(P), axis=axis)
    return [*(step * root for step in steps), root**power]


def finer_weights(
    values: Sequence[np.ndarray],
    coarsening: CoarseNetworks,
    coarse: int,
    fine: int,
    apart: bool = True,
) -> list[np.ndarray]:
    """The weights of the network at one level from those of one at a coarser level.

    Args:
        values: The weights of each layer, at level `coarse`.
        coarsening: The spaces of the model.
        coarse, fine: The two levels.
        apart: Whether units that were one are told apart; a network that does not
            train needs no such thing.
    """
    weights = zip(values, coarsening.weight_chains, coarsening.unit_axes, strict=True)
    result = [
        lifted(value, chains, coarse, fine, units) for value, chains, units in weights
    ]
    for at, hidden in enumerate(coarsening.hidden if apart else ()):
        if hidden is None or hidden.units.sizes[coarse] == hidden.units.sizes[fine]:
            continue
        draw = ops.convert_to_numpy(hidden.draw(result[at].shape))
        draw = draw.astype(result[at].dtype)
        rest = complement(draw, hidden.units, coarse, fine, hidden.axis)
        result[at] = result[at] + hidden.apart * rest
    return result


def _along(x, factors, axis):
    """`x` times one factor for each entry along an axis, or one for all."""
    if np.allclose(factors, 1, rtol=0, atol=1e-12):
        return x
    shape = [1] * x.ndim
    shape[axis] = -1
    return x * factors.reshape(shape).astype(x.dtype)
