"""The method is exact: outputs and gradients of layers against the paper's formulas.

The output of a multilevel layer is that of Theta, and each level's gradient is the
plain layer's, restricted. Dense matrices come from `reference`.
"""

from functools import partial

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from stacks import (
    SPACES,
    TOLERANCE,
    assert_close,
    dense_chains,
    levels_of,
    multilevel_layers,
)

import msann_keras as ms
from msann_keras.focus import training


def plain_layers(layers, prolongations, **options):
    """Dense layers with the Theta of (3.7) and (3.8)."""
    result = []
    theta = reference.theta(levels_of(layers), prolongations)
    for layer, weights in zip(layers, theta, strict=True):
        plain = keras.layers.Dense(layer.units, activation="sigmoid", **options)
        plain.build((None, layer.kernels[0].shape[0]))
        plain.set_weights(weights if layer.use_bias else weights[:1])
        result.append(plain)
    return result


def evaluated(layers, variables, x, y):
    """Output, loss with all regularisers, its gradients for x and `variables`."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = x
        for layer in layers:
            output = layer(output)
        added = sum(loss for layer in layers for loss in layer.losses)
        loss = tf.reduce_mean((output - y) ** 2) + added
    gradients = tape.gradient(loss, [x, *(v.value for v in variables)])
    return output, loss, gradients[0], gradients[1:]


def weights_at(layers, level):
    return [w for x in layers for w in (x.kernels[level], *x.biases[level:][:1])]


def training_at(layers, level, precomputed):
    frozen = [layer.theta(without=level) for layer in layers] if precomputed else None
    return training(level, layers, frozen)


def test_dense_chains_are_the_papers():
    path, grid = dense_chains([ms.path(8), ms.grid(3, 4)], depth=2)
    assert_close(path, [reference.pair_matrix(8), reference.pair_matrix(4)], 1e-15)
    expected = [reference.grid_matrix(3, 4, axis=1), reference.grid_matrix(3, 2, 0)]
    assert_close(grid, expected, 1e-15)


networks = st.fixed_dictionaries(
    {
        "others": st.lists(st.sampled_from([*SPACES]), min_size=1, max_size=2),
        "depth": st.integers(0, 3),
        "use_bias": st.booleans(),
        "regularised": st.booleans(),
        "rows": st.sampled_from([(4,), (2, 3)]),
        "seed": st.integers(0, 999),
    }
)


@pytest.mark.quick(3)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("space", SPACES)
@settings(max_examples=5)
@given(network=networks)
def test_output_and_gradients(space, dtype, network):
    """Each level's in three ways, for one layer and for a stack of two."""
    rng = np.random.default_rng(network["seed"])
    spaces = [SPACES[name] for name in (space, *network["others"])]
    depth, tolerance = network["depth"], TOLERANCE[dtype]
    options = {"use_bias": network["use_bias"], "dtype": dtype}
    if network["regularised"]:
        options |= {
            "kernel_regularizer": keras.regularizers.L1L2(0.01, 0.02),
            "bias_regularizer": "l2",
            "activity_regularizer": keras.regularizers.L2(0.03),
        }
    prolongations = dense_chains(spaces, depth)
    layers = multilevel_layers(spaces, depth, rng, **options)
    plain = plain_layers(layers, prolongations, **options)
    x, y = (
        tf.constant(rng.normal(size=(*network["rows"], s.size)), dtype)
        for s in (spaces[0], spaces[-1])
    )

    fine = [v for layer in plain for v in layer.weights]
    *expected, fine_gradient = evaluated(plain, fine, x, y)  # output, loss, dE/dx
    if not options["use_bias"]:
        fine_gradient = [part for g in fine_gradient for part in (g, 0 * g[0])]
    pairs = list(zip(fine_gradient[::2], fine_gradient[1::2], strict=True))

    every = [w for level in range(depth + 1) for w in weights_at(layers, level)]
    *actual, gradients = evaluated(layers, every, x, y)
    assert_close(actual, expected, tolerance)
    gradient_of = dict(zip(map(id, every), gradients, strict=True))

    for level in range(depth + 1):
        restricted = reference.restrict(np_pairs(pairs), prolongations, level)
        if not options["use_bias"]:
            restricted = [kernel for kernel, _ in restricted]
        own = weights_at(layers, level)
        assert_close([gradient_of[id(w)] for w in own], restricted, tolerance)
        for precomputed in (False, True):
            with training_at(layers, level, precomputed):
                *actual, gradients = evaluated(layers, own, x, y)
            assert_close(actual, expected, tolerance)
            assert_close(gradients, restricted, tolerance)


def np_pairs(pairs):
    return [(np.asarray(kernel), np.asarray(bias)) for kernel, bias in pairs]


@pytest.mark.thorough
@pytest.mark.parametrize("jit_compile", [True, False])
def test_compiled_as_eager(jit_compile):
    """Also where the compiler does not know the size of a batch."""
    spaces = [SPACES[name] for name in ("odd path", "shuffled", "random")]
    rng = np.random.default_rng(0)
    layers = multilevel_layers(spaces, 2, rng, dtype="float64")
    x, y = (
        tf.constant(rng.normal(size=(2, 3, s.size))) for s in (spaces[0], spaces[2])
    )
    unknown = [tf.TensorSpec([None, None, n], x.dtype) for n in (7, 8)]
    for level in (ms.EVERY_LEVEL, 2):
        eager = partial(evaluated, layers, weights_at(layers, max(level, 1)))
        compiled = tf.function(eager, unknown, jit_compile=jit_compile)
        with training_at(layers, level, precomputed=False):
            assert_close(compiled(x, y), eager(x, y), 1e-12)
