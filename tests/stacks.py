"""Stacks of layers through spaces of every kind, and the same for `reference`."""

from itertools import pairwise

import keras
import numpy as np
from matrices import dense, orthonormal

import msann_keras as ms
from msann.prolongation.operators import Aggregation
from msann.topology import chain

TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
#: Of every kind, and some with an odd number of nodes.
SPACES = {
    "path": ms.path(8),
    "odd path": ms.path(7),
    "cycle": ms.cycle(6),
    "grid": ms.grid(3, 4),
    "shuffled": ms.shuffled(ms.path(9), seed=1),
    "redraw": ms.shuffled(ms.grid(4, 3), seed=2, redraw=True),
    "random": ms.random_orthogonal(8, seed=3),
    "identity": ms.identity(3),
    "given": ms.given(
        orthonormal(9, 5, 4), Aggregation([2, 0, 1, 0, 2]), orthonormal(3, 2, 5)
    ),
}


def dense_chains(spaces, depth):
    return [[dense(P) for P in chain(space, depth).steps] for space in spaces]


def multilevel_layers(spaces, depth, rng, **options):
    """A stack of layers through `spaces`, random on every level."""
    layers = []
    for source, target in pairwise(spaces):
        layer = ms.MultilevelDense(
            target.size,
            depth,
            activation="sigmoid",
            input_topology=source,
            output_topology=target,
            **options,
        )
        layer.build((None, source.size))
        layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
        layers.append(layer)
    return layers


def levels_of(layers):
    """The weights as `reference` has them; an absent bias is zero."""
    return [
        [
            (
                layer.kernels[level].numpy(),
                layer.biases[level].numpy()
                if layer.use_bias
                else np.zeros(layer.kernels[level].shape[1]),
            )
            for layer in layers
        ]
        for level in range(layers[0].depth + 1)
    ]


def assert_close(actual, expected, tolerance):
    for a, b in zip(
        keras.tree.flatten(actual), keras.tree.flatten(expected), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
