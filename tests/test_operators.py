"""Operators that users build, against dense matrices; composition; refusals.

The suite that every topology passes, on NumPy and on the backend, is in
test_topology_operators.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matrices import dense, orthonormal
from reference import pair_matrix

from msann.prolongation.composition import as_aggregation, compose, permuted
from msann.prolongation.operators import (
    Aggregation,
    Identity,
    Kronecker,
    Matrix,
    Prolongation,
)

close = np.testing.assert_allclose


# -------------------------------------------------------------------- strategies


WEIGHTS = st.floats(0.1, 3) | st.floats(-3, -0.1)


@st.composite
def aggregations(draw):
    """Blocks of any sizes in any order, with equal weights or any others."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    labels = draw(st.permutations(np.repeat(np.arange(len(sizes)), sizes).tolist()))
    if draw(st.booleans()):
        return Aggregation(labels)
    weights = np.array(
        draw(st.lists(WEIGHTS, min_size=sum(sizes), max_size=sum(sizes)))
    )
    norms = np.sqrt(np.bincount(labels, weights**2))
    return Aggregation(labels, weights / norms[labels])


matrices = st.builds(
    lambda columns, extra, seed: Matrix(orthonormal(columns + extra, columns, seed)),
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(0, 99),
)
simple = aggregations() | matrices | st.builds(Identity, st.integers(1, 4))
operators = simple | st.builds(Kronecker, simple, simple)


def numbers(*shape):
    return arrays(float, shape, elements=st.floats(-9, 9))


# -------------------------------------------------------------------- identities


@given(operators)
def test_columns_are_orthonormal(P):
    close(dense(P).T @ dense(P), np.eye(P.shape[1]), atol=1e-12)
    close(P.matrix(), dense(P), atol=1e-12)


@given(data=st.data(), P=operators)
def test_restrict_is_the_adjoint(data, P):
    v, x = (data.draw(numbers(P.shape[side])) for side in (1, 0))
    assert np.dot(P.prolong(v), x) == pytest.approx(np.dot(v, P.restrict(x)), abs=1e-9)


@given(data=st.data(), P=operators)
def test_restrict_undoes_prolong(data, P):
    v = data.draw(numbers(2, P.shape[1]))
    close(P.restrict(P.prolong(v)), v, atol=1e-9)


@given(data=st.data(), P=operators, axis=st.sampled_from([-3, -2, -1, 0, 1, 2]))
def test_any_axis_is_a_matrix_product(data, P, axis):
    for apply, matrix in ((P.prolong, dense(P)), (P.restrict, dense(P).T)):
        shape = [2, 3]
        shape.insert(axis % 3, matrix.shape[1])
        x = data.draw(numbers(*shape))
        expected = np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)
        close(apply(x, axis), expected, atol=1e-9)


@given(data=st.data(), P=operators)
def test_whole_numbers_are_numbers(data, P):
    whole = data.draw(arrays(int, P.shape[0], elements=st.integers(-9, 9)))
    close(P.restrict(whole), P.restrict(whole.astype(float)), atol=1e-12)
    whole = whole[: P.shape[1]].tolist()
    close(P.prolong(whole), dense(P) @ whole, atol=1e-9)


# ----------------------------------------------------------------------- by hand


def test_an_odd_path_by_hand():
    # 7 -> 4 -> 2 -> 1: pairs, and one node left alone with weight 1.
    first, second, third = (Aggregation(np.arange(n) // 2) for n in (7, 4, 2))
    r = 1 / np.sqrt(2)
    by_hand = [
        [r, 0, 0, 0],
        [r, 0, 0, 0],
        [0, r, 0, 0],
        [0, r, 0, 0],
        [0, 0, r, 0],
        [0, 0, r, 0],
        [0, 0, 0, 1],
    ]
    close(first.matrix(), by_hand, atol=1e-15)
    two = compose(first, second)
    close(two.matrix()[:, 0], [1 / 2, 1 / 2, 1 / 2, 1 / 2, 0, 0, 0], atol=1e-15)
    close(two.matrix()[:, 1], [0, 0, 0, 0, 1 / 2, 1 / 2, r], atol=1e-15)
    a, b = 1 / np.sqrt(8), 1 / 2
    three = compose(first, second, third).matrix().ravel()
    close(three, [a, a, a, a, a, a, b], atol=1e-15)


def test_scattered_blocks_by_hand():
    P = Aggregation([1, 0, 1], [0.6, -1, 0.8])
    close(P.matrix(), [[0, 0.6], [-1, 0], [0, 0.8]])
    close(P.restrict([[10, 1, 5]]), [[-1, 10]])
    close(P.prolong([2, 5]), [3, -2, 4])


def test_kronecker_is_numpys():
    P, Q = Aggregation(np.arange(5) // 2), Matrix(orthonormal(4, 2))
    expected = np.kron(np.kron(pair_matrix(5), Q.matrix()), np.eye(3))
    close(Kronecker(P, Q, Identity(3)).matrix(), expected, atol=1e-15)


def test_repr_tells_kind_and_size():
    assert repr(Kronecker(Identity(3), Aggregation([0, 0]))) == "Kronecker(6 x 3)"


# ------------------------------------------------------------------- composition


class Averages(Prolongation):
    """A user's own operator: everything in one node."""

    def __init__(self, size):
        self.shape = (size, 1)

    def _prolong(self, x, axis, xp):
        return xp.repeat(x, self.shape[0], axis=axis) / self.shape[0] ** 0.5

    def _restrict(self, x, axis, xp):
        return xp.sum(x, axis=axis, keepdims=True) / self.shape[0] ** 0.5


FITTING = [
    Aggregation([3, 0, 1, 1, 2, 3, 4, 5]),
    Kronecker(Aggregation([0, 0, 1]), Identity(2)),
    Kronecker(Identity(2), Matrix(orthonormal(3, 2))),
    Matrix(orthonormal(6, 4)),
    Identity(6),
    Identity(4),
    Aggregation([0, 1, 1, 1]),
    Kronecker(Aggregation([0, 0]), Identity(2)),
    Averages(4),
    Averages(6),
    Averages(2),
]
NEIGHBOURS = [(P, Q) for P in FITTING for Q in FITTING if P.shape[1] == Q.shape[0]]


@pytest.mark.parametrize(("P", "Q"), NEIGHBOURS, ids=str)
def test_composite_is_the_dense_product(P, Q):
    composite = compose(P, Q)
    assert composite.shape == (P.shape[0], Q.shape[1])
    close(dense(composite), dense(P) @ dense(Q), atol=1e-12)


@given(data=st.data(), P=operators)
def test_chains_compose(data, P):
    Q = Matrix(orthonormal(P.shape[1], data.draw(st.integers(1, P.shape[1]))))
    R = Aggregation(np.zeros(Q.shape[1], dtype=int))
    close(compose(P, Q, R).matrix(), dense(P) @ dense(Q) @ dense(R), atol=1e-12)
    assert compose(P) is P


def test_composites_stay_matrix_free():
    pairs, halves = Aggregation(np.arange(4) // 2), Aggregation([0, 0])
    assert isinstance(compose(pairs, halves), Aggregation)
    square = compose(Kronecker(pairs, Identity(4)), Kronecker(Identity(2), pairs))
    assert isinstance(square, Kronecker)
    assert isinstance(compose(Kronecker(halves, pairs), halves), Aggregation)
    assert compose(Identity(4), pairs) is compose(pairs, Identity(2)) is pairs


@given(data=st.data(), P=operators)
def test_permuted_takes_rows(data, P):
    order = data.draw(st.permutations(range(P.shape[0])))
    close(permuted(P, order).matrix(), dense(P)[order], atol=1e-15)


@given(P=aggregations(), Q=aggregations())
def test_as_aggregation_keeps_the_matrix(P, Q):
    grid = Kronecker(P, Identity(2), Q)
    close(as_aggregation(grid).matrix(), dense(grid), atol=1e-15)
    assert as_aggregation(P) is P
    close(as_aggregation(Identity(3)).matrix(), np.eye(3))


# ----------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], r"non-empty one-dimensional integer array.*labels=\[\]"),
        ([[0, 1]], r"non-empty one-dimensional integer array.*\[\[0, 1\]\]"),
        ([0.0, 1.0], "one-dimensional integer array.*0.0, 1.0"),
        ([True, False], "one-dimensional integer array.*True, False"),
        ([[0], [0, 1]], "`labels` must be a non-empty one-dimensional integer array"),
        ("01", "`labels` must be a non-empty one-dimensional integer array"),
        (None, "`labels` must be a non-empty one-dimensional integer array"),
        ([0, 10**9], "every coarse node .* a fine node"),
        ([0, 2], r"every coarse node .* a fine node.*\[0, 2\]"),
        ([1, 1], r"every coarse node .* a fine node.*\[1, 1\]"),
        ([0, -1], r"every coarse node .* a fine node.*\[0, -1\]"),
    ],
)
def test_refuses_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        Aggregation(labels)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 1, 1], "squares of `weights` must add up to one.*off by 1"),
        ([0.6, 0.8, 0.9], "squares of `weights` must add up to one.*off by 0.19"),
        ([0.6, 0.8, np.nan], "`weights` must hold finite numbers. Received: 1 entries"),
        (["a", "b", "c"], "`weights` must be an array of real numbers"),
        ([0.6, 0.8], r"one number for each fine node.*shape \(2,\) for 3"),
        ([[0.6], [0.8], [1]], r"one number for each fine node.*shape \(3, 1\) for 3"),
        (1, r"one number for each fine node.*shape \(\) for 3"),
    ],
)
def test_refuses_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        Aggregation([0, 0, 1], weights)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(2, 4), r"as many rows .* as columns.*shape \(2, 4\)"),
        (np.ones(4), r"must be a matrix.*shape \(4,\)"),
        (np.ones((2, 2, 2)), r"must be a matrix.*shape \(2, 2, 2\)"),
        (np.ones((4, 0)), r"must be a matrix.*shape \(4, 0\)"),
        ([[np.nan], [np.inf], [1]], "finite numbers.*2 entries of NaN or infinity"),
        ("no", "`matrix` must be an array of real numbers. Received: matrix='no'"),
        (None, "`matrix` must be an array of real numbers"),
        (1j * np.eye(2), "`matrix` must be an array of real numbers"),
        ([[1], [0, 1]], "`matrix` must be an array of real numbers"),
        (np.ones((4, 2)), r"orthonormal columns.*\(4, 2\) that is off by 4"),
        (np.eye(3) * (1 + 1e-6), "orthonormal columns.*off by 2e-06"),
    ],
)
def test_refuses_matrix(matrix, message):
    with pytest.raises(ValueError, match=message):
        Matrix(matrix)


def test_single_precision_is_orthonormal_enough():
    matrix = orthonormal(64, 32).astype("float32")
    close(Matrix(matrix).matrix(), matrix)


@pytest.mark.parametrize("P", [Aggregation([0, 0, 1]), Matrix(np.eye(3, 2))], ids=str)
@pytest.mark.parametrize(
    ("x", "axis"),
    [
        ("no", -1), (None, 0), (1.0, -1), ([[1], [1, 2]], 0), (np.ones(5), 0),
        (np.ones(3), 1), (np.ones(3), -2), (np.ones(3), 0.0), (np.ones(3), True),
        (np.array(["a", "b", "c"]), 0),
    ],
)  # fmt: skip
def test_refuses_what_it_cannot_apply_to(P, x, axis):
    for apply in (P.restrict, P.prolong):
        with pytest.raises(
            ValueError, match="applies along|`x` must be|`axis` must be"
        ):
            apply(x, axis)


@pytest.mark.parametrize("size", [0, -1, 2.0, True, None, np.nan])
def test_refuses_an_identity(size):
    with pytest.raises(ValueError, match="`size` must be an integer >= 1"):
        Identity(size)


def test_refuses_what_is_no_prolongation():
    P = Aggregation([0, 0])
    for make in (Kronecker, compose):
        with pytest.raises(ValueError, match="at least one prolongation"):
            make()
        with pytest.raises(ValueError, match=r"\[1\]` must be a `Prolongation`.*'P'"):
            make(P, "P")
    with pytest.raises(ValueError, match="`P` must be a `Prolongation`"):
        permuted(np.eye(2), [0, 1])


@pytest.mark.parametrize("order", [[0], [0, 0], [0, 2], [0.0, 1.0], "01", None, []])
def test_refuses_an_order(order):
    with pytest.raises(ValueError, match="`order` must be"):
        permuted(Aggregation([0, 0]), order)


def test_refuses_neighbours_that_do_not_fit():
    with pytest.raises(
        ValueError, match=r"must fit.*\(4 x 2\) followed by .*\(4 x 2\)"
    ):
        compose(*2 * [Aggregation([0, 0, 1, 1])])


@pytest.mark.parametrize("P", [Matrix(np.eye(4, 2)), Averages(3)], ids=str)
def test_refuses_aggregates_of_others(P):
    for operator in (P, Kronecker(P, Identity(2))):
        with pytest.raises(ValueError, match="An aggregation is needed.*" + str(P)[:6]):
            as_aggregation(operator)
