"""Every operator of every topology, on NumPy and on the backend."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from matrices import assert_orthonormal, dense
from topologies import each_space, operators

close = np.testing.assert_allclose


def both_ways(P):
    """P and P^T, each as a function and as a matrix."""
    return (P.prolong, dense(P)), (P.restrict, dense(P).T)


@each_space
def test_columns_are_orthonormal(name):
    for P in operators(name):
        assert_orthonormal(dense(P))


@each_space
def test_restrict_undoes_prolong(name):
    for P in operators(name):
        v = np.random.default_rng(0).normal(size=(2, P.shape[1]))
        close(P.restrict(P.prolong(v)), v, atol=1e-12)


@each_space
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_any_axis_is_a_matrix_product(name, axis):
    for P in operators(name):
        for apply, matrix in both_ways(P):
            shape = [2, 3]
            shape.insert(axis % 3, matrix.shape[1])
            x = np.random.default_rng(0).normal(size=shape)
            expected = np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)
            close(apply(x, axis), expected, atol=1e-12)
            close(apply(ops.array(x), axis, ops), expected, atol=1e-12)


@pytest.mark.quick(4)
@each_space
def test_unknown_batch_in_a_graph(name):
    every = [*operators(name)]  # the identity's levels share one
    first, deepest = every[0], every[-1]
    for apply, matrix in (*both_ways(first), *both_ways(deepest)):
        size = matrix.shape[1]
        unknown = [tf.TensorSpec((None, size, None)), tf.TensorSpec((size, None))]

        @tf.function(input_signature=unknown)
        def graph(x, kernel, apply=apply):
            return apply(x, 1, ops), apply(kernel, 0, ops)

        rng = np.random.default_rng(0)
        for batch in (1, 3):
            x = rng.normal(size=(batch, size, 2))
            kernel = rng.normal(size=(size, batch))
            along_1, along_0 = graph(x.astype("float32"), kernel.astype("float32"))
            close(along_1, np.einsum("fc,bct->bft", matrix, x), atol=1e-5)
            close(along_0, matrix @ kernel, atol=1e-5)


@each_space
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtype_stays(name, dtype):
    tolerance = {"float16": 2e-2, "float32": 1e-5, "float64": 1e-12}[dtype]
    for P in operators(name):
        for apply, matrix in both_ways(P):
            x = np.linspace(-1, 1, matrix.shape[1])
            single = x.astype(dtype)
            assert apply(single).dtype == dtype
            assert ops.dtype(apply(ops.array(single), xp=ops)) == dtype
            close(apply(single), apply(x), atol=tolerance)


@each_space
def test_whole_numbers_become_real(name):
    for P in operators(name):
        x = np.arange(P.shape[1])
        close(P.prolong(x), dense(P) @ x, atol=1e-11)
        close(P.prolong(ops.array(x), xp=ops), dense(P) @ x, rtol=1e-5, atol=1e-5)
