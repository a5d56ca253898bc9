"""From one level to the next finer one: weights, what tells them apart, and moments.

Weights are as a network on averaged data has them: with c = P^T 1 the column sums of
the composite P to level 0, K = diag(c_in) V diag(c_out)^-1 of the paper's V. Prolonging
V by P V Q^T is then, on K, interpolation of averages along the units and its transpose
along the inputs, so that the finer network gives the interpolated outputs of the
coarser one on averaged data, whatever the activations are, if each aggregate of a
hidden space holds equal units (pairs do).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from keras import ops

from msann.topology import Chain
from msann_keras.coarsening import Coarsening
from msann_keras.initializers import for_level

#: The share of a draw that tells apart prolonged units.
APART = 0.3
#: Least sqrt(v) as a share of the largest one in a weight, and in all.
LEAST, TINY = 1e-4, 1e-12


def lifted(weight: np.ndarray, chains: Sequence[Chain], level: int) -> np.ndarray:
    """A weight of the network at `level` from one of the network at `level` + 1.

    Args:
        weight: A kernel `(rows, columns)` or a bias `(columns,)` at `level` + 1.
        chains: What its axes live on; the last one is the layer's units.
        level: The finer level.

    >>> from msann.topology import chain, path
    >>> pairs = chain(path(4), depth=1)
    >>> lifted(np.array([[2.0, 4.0], [6.0, 8.0]]), [pairs, pairs], 0).round(6)
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.],
           [3., 3., 4., 4.],
           [3., 3., 4., 4.]])
    """
    for axis, one in enumerate(chains):
        P = one.steps[level]
        if P.shape[0] == P.shape[1]:
            continue
        coarse, fine = one.column_sums(level + 1), one.column_sums(level)
        if axis == len(chains) - 1:  # the units: averages are interpolated
            weight = _along(weight, coarse, axis)
            weight = _along(P.prolong(weight, axis=axis), 1 / fine, axis)
        else:  # the inputs: what averages were multiplied by is shared out
            weight = _along(weight, 1 / coarse, axis)
            weight = _along(P.prolong(weight, axis=axis), fine, axis)
    return weight


def complement(kernel: np.ndarray, inputs: Chain, level: int) -> np.ndarray:
    """The part of a kernel that acts on nothing that level `level` + 1 can tell apart.

    Added to the lifted kernel of a layer that reads hidden units it changes no output,
    since those units are equal on aggregates: h^T C (I - P P^T) C^-1 = 0. But it tells
    equal units apart by what they are used for, and so they become different: without
    it they stay equal for ever.

    Args:
        kernel: A draw `(rows, columns)` at `level`.
        inputs: The levels of the space that the layer reads.
        level: The finer level.

    >>> from msann.topology import chain, path
    >>> draw = np.array([[1.0], [3.0], [5.0], [9.0]])
    >>> complement(draw, chain(path(4), 1), level=0).round(6).T
    array([[-1.,  1., -2.,  2.]])
    """
    P, sums = inputs.steps[level], inputs.column_sums(level)
    if P.shape[0] == P.shape[1]:
        return np.zeros_like(kernel)
    kernel = _along(kernel, 1 / sums, axis=0)
    seen = P.prolong(P.restrict(kernel, axis=0), axis=0)
    return _along(kernel - seen, sums, axis=0)


def prolonged_moments(
    momentum: np.ndarray, velocity: np.ndarray, chains: Sequence[Chain], level: int
) -> tuple[np.ndarray, np.ndarray]:
    """Adam's moments at `level` from those at `level` + 1.

    The step that they stand for, m / sqrt(v), becomes the prolonged one, so that the
    first fine step goes where the coarse level's next one would have gone. Fresh
    moments would send every weight a whole learning rate away, and undo the start.

    Args:
        momentum: m, of the shape of a weight at `level` + 1.
        velocity: v, of the same shape.
        chains: What the weight's axes live on; the last one is the layer's units.
        level: The finer level.

    >>> from msann.topology import chain, path
    >>> pairs = chain(path(2), depth=1)
    >>> m, v = prolonged_moments(np.array([[2.0]]), np.array([[16.0]]), [pairs] * 2, 0)
    >>> m.round(6).tolist(), (m / np.sqrt(v)).round(6).tolist()
    ([[1.0, 1.0], [1.0, 1.0]], [[0.25, 0.25], [0.25, 0.25]])
    """
    root = np.sqrt(velocity)
    # Where no gradient ever came, the step is 0, whatever stands in its place.
    root = np.maximum(root, max(float(root.max(initial=0)) * LEAST, TINY))
    step, log = lifted(momentum / root, chains, level), np.log(root)
    for axis, one in enumerate(chains):
        P = one.steps[level]
        if P.shape[0] == P.shape[1]:
            continue
        log = _along(log, one.column_sums(level + 1), axis)
        log = _along(P.prolong(log, axis=axis), 1 / one.column_sums(level), axis)
        # The gradient of units is shared out among more of them. That of inputs is not,
        # but a weight there makes a step that is so many times smaller.
        is_units = axis == len(chains) - 1
        ratio = P.shape[0] / P.shape[1]
        log = log - np.log(ratio) if is_units else log + np.log(ratio)
    root = np.exp(log)
    return step * root, np.square(root)


def finer_weights(
    values: Sequence[np.ndarray],
    coarsening: Coarsening,
    level: int,
    apart: bool = True,
) -> list[np.ndarray]:
    """The weights of the network at `level` from those of the one at `level` + 1.

    Args:
        values: Kernel and bias (if any) of each layer.
        coarsening: The spaces of the model.
        level: The finer level.
        apart: Whether units that were one are told apart; a network that does not
            train needs no such thing.
    """
    pairs = zip(values, coarsening.weight_chains, strict=True)
    result = [lifted(value, chains, level) for value, chains in pairs]
    at = 0
    for step in coarsening.seen.dense if apart else ():
        source = step.sources[0]
        if source not in coarsening.seen.inputs:  # data are apart as they are
            draw = fresh(step.layer.kernel_initializer)(result[at].shape)
            draw = ops.convert_to_numpy(draw).astype(result[at].dtype)
            other = complement(draw, coarsening.chains[source], level)
            result[at] = result[at] + APART * other
        at += 2 if step.layer.use_bias else 1
    return result


def fresh(initializer: Callable) -> Callable:
    """An initializer that draws anew; Keras's own repeat themselves."""
    return for_level(initializer, 1)


def _along(x, factors, axis):
    shape = [1] * x.ndim
    shape[axis] = -1
    return x * factors.reshape(shape).astype(x.dtype)
