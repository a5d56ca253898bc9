"""Families in closed form: identities, costs counted elsewhere, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrices import dense
from reference import pair_matrix
from scipy.sparse import csgraph

from msann.prolongation.closed_forms import (
    CYCLES,
    DIVIDING,
    PATHS,
    band,
    box,
    closed_form,
    cover,
    daubechies4,
    decimation,
    fold,
    hat,
)
from msann.prolongation.operators import Aggregation, Kronecker

close = np.testing.assert_allclose

ALL = [(name, False) for name in PATHS] + [(name, True) for name in CYCLES]
each_family = pytest.mark.parametrize(("name", "periodic"), ALL)


# ------------------------------------------------- E(P) of (3.3), written out densely


def ring(n, periodic):
    """A of a path or a cycle; C_2 is a single edge."""
    A = np.eye(n, k=1) + np.eye(n, k=-1)
    if periodic and n > 2:
        A[0, -1] = A[-1, 0] = 1
    return A


def box_product(A, B):
    return np.kron(A, np.eye(len(B))) + np.kron(np.eye(len(A)), B)


def cost(P, A1, A2, s, b=None):
    """E at alpha = 1, by its definition; beta is n1/n2 by default."""
    P = P.matrix()
    b = len(A1) / len(A2) if b is None else b
    L1, L2 = (A - np.diag(A.sum(axis=0)) for A in (A1, A2))
    T1, T2 = (csgraph.shortest_path(A, unweighted=True) for A in (A1, A2))
    diffusion = np.sum((P @ L1 - L2 @ P) ** 2)
    locality = np.sum((P @ T1 / np.sqrt(b) - np.sqrt(b) * T2 @ P) ** 2)
    return (1 - s) * diffusion + s * locality


def lines(n1, n2, periodic=False):
    return ring(n1, periodic), ring(n2, periodic)


# ------------------------------------------------------------------------ identities


@each_family
@given(coarse=st.integers(1, 9), extra=st.integers(0, 12))
def test_columns_are_orthonormal(name, periodic, coarse, extra):
    fine = coarse + extra
    if name == "daubechies4":
        fine = 2 * coarse
    elif name in DIVIDING:
        fine = coarse * (1 + extra % 4)
    P = closed_form(name, coarse, fine, periodic=periodic)
    assert P.shape == (fine, coarse)
    close(dense(P).T @ dense(P), np.eye(coarse), atol=1e-12)


@pytest.mark.parametrize("name", ["box", "hat", "band"])
@pytest.mark.parametrize("periodic", [False, True])
@given(coarse=st.integers(1, 9), extra=st.integers(0, 12))
def test_constants_are_reproduced(name, periodic, coarse, extra):
    P = closed_form(name, coarse, coarse + extra, periodic=periodic)
    ones = np.ones(P.shape[0])
    close(P.prolong(P.restrict(ones)), ones, atol=1e-12)


@pytest.mark.parametrize("periodic", [False, True])
@given(coarse=st.integers(1, 9), extra=st.integers(0, 12))
def test_band_keeps_constants_constant(periodic, coarse, extra):
    P = band(coarse, coarse + extra, periodic=periodic)
    close(P.prolong(np.ones(coarse)), np.sqrt(coarse / (coarse + extra)), atol=1e-12)


@pytest.mark.parametrize("family", [box, hat])
@given(coarse=st.integers(1, 9), m=st.integers(1, 4))
def test_constants_stay_constant_where_sizes_divide(family, coarse, m):
    P = family(coarse, m * coarse)
    close(P.prolong(np.ones(coarse)), np.sqrt(1 / m), atol=1e-12)


@pytest.mark.parametrize("periodic", [False, True])
@given(coarse=st.integers(1, 20), m=st.integers(2, 5))
def test_hat_by_waves_is_the_polar_factor(periodic, coarse, m):
    """With masses that are all one it goes by the singular value decomposition."""
    by_waves = dense(hat(coarse, m * coarse, periodic=periodic))
    ones = np.ones(m * coarse)
    by_svd = dense(hat(coarse, m * coarse, periodic=periodic, masses=ones))
    np.testing.assert_allclose(by_waves, by_svd, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_box_is_pairs(n):
    close(box(n, 2 * n).matrix(), pair_matrix(2 * n))
    assert isinstance(box(n, 3 * n), Aggregation)


def test_box_between_sizes_that_do_not_divide():
    # Cells of 1/3 and 1/2: the middle one lies half in each. W^T W = [[5, 1], [1, 5]]
    # in units of the half overlap, so its inverse root is (a, b; b, a) with
    # a + b = 1/sqrt 6 and a - b = 1/sqrt 4.
    total, difference = 1 / np.sqrt(6), 1 / 2
    a, b = (total + difference) / 2, (total - difference) / 2
    middle = a + b
    expected = [[2 * a, 2 * b], [middle, middle], [2 * b, 2 * a]]
    close(box(2, 3).matrix(), expected, atol=1e-12)


@pytest.mark.parametrize("periodic", [False, True])
@given(a=st.integers(1, 7), b=st.integers(0, 7), c=st.integers(0, 7))
def test_band_nests_exactly(periodic, a, b, c):
    first = band(a + b, a + b + c, periodic=periodic).matrix()
    second = band(a, a + b, periodic=periodic).matrix()
    direct = band(a, a + b + c, periodic=periodic).matrix()
    close(first @ second, direct, atol=1e-12)


def test_band_nests_as_documented():
    close(
        band(14, 28).matrix() @ band(7, 14).matrix(), band(7, 28).matrix(), atol=1e-12
    )


def test_band_on_cycles_is_the_dirichlet_kernel():
    n1, n2 = 5, 15
    x = 2 * np.pi * ((np.arange(n2)[:, None] + 0.5) / n2 - (np.arange(n1) + 0.5) / n1)
    with np.errstate(invalid="ignore"):
        kernel = np.where(
            np.abs(np.sin(x / 2)) < 1e-12, n1, np.sin(n1 * x / 2) / np.sin(x / 2)
        )
    expected = kernel / np.sqrt(n1 * n2)
    close(band(n1, n2, periodic=True).matrix(), expected, atol=1e-12)


@pytest.mark.parametrize("n", [2, 5, 8])
def test_fold_is_every_second_cosine(n):
    k = np.arange(n)
    C1 = np.cos(np.pi * np.outer(np.arange(n) + 0.5, k) / n)
    C2 = np.cos(np.pi * np.outer(np.arange(2 * n) + 0.5, 2 * k) / (2 * n))
    C1, C2 = (C / np.linalg.norm(C, axis=0) for C in (C1, C2))
    close(fold(n, 2 * n).matrix(), C2 @ C1.T, atol=1e-12)


@pytest.mark.parametrize("n", [4, 8])
def test_daubechies4_reproduces_lines(n):
    # Away from where the cycle closes, a linear function is in the span.
    ramp = np.arange(2.0 * n)
    P = daubechies4(n, 2 * n)
    close(P.prolong(P.restrict(ramp))[2 : 2 * n - 2], ramp[2:-2], atol=1e-9)
    close(P.prolong(P.restrict(np.ones(2 * n))), 1, atol=1e-12)


def test_same_size_is_the_identity():
    for name, periodic in ALL:
        if name != "daubechies4":
            close(
                closed_form(name, 5, 5, periodic=periodic).matrix(),
                np.eye(5),
                atol=1e-12,
            )


# ----------------------------------------------------------------------------- costs


@pytest.mark.parametrize(
    ("family", "n", "s", "b", "value"),
    [
        (box, 4, 0, None, 6),
        (box, 4, 1, 1 / 2, 88),
        (box, 4, 1, 1 / 4, 4),
        (hat, 4, 0, None, 6.585366),
        (hat, 4, 1, 1 / 2, 88.091245),
        (hat, 4, 1, 1 / 4, 1.035148),
        (band, 4, 0, None, 6.938533),
        (band, 4, 1, 1 / 2, 88.106207),
        (band, 4, 1, 1 / 4, 0.915430),
        (box, 8, 0, None, 14),
        (box, 8, 1, 1 / 2, 1376),
        (box, 8, 1, 1 / 4, 16),
        (hat, 8, 0, None, 15.185),
        (hat, 8, 1, 1 / 2, 1376.240),
        (hat, 8, 1, 1 / 4, 2.00084),
        (band, 8, 0, None, 16.287),
        (band, 8, 1, 1 / 2, 1376.380),
        (band, 8, 1, 1 / 4, 1.69208),
    ],
)
def test_costs_between_paths(family, n, s, b, value):
    digits = len(str(value).partition(".")[2])
    found = cost(family(n, 2 * n), *lines(n, 2 * n), s, b)
    assert found == pytest.approx(value, abs=0.6 * 10.0**-digits if digits else 1e-9)


@pytest.mark.parametrize(
    ("s", "b", "value"), [(0, None, 16), (1, 0.5, 672), (1, 0.25, 16)]
)
def test_costs_of_pairs_between_cycles(s, b, value):
    found = cost(box(8, 16), *lines(8, 16, True), s, b)
    assert found == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(("s", "value"), [(0, 66), (1, 9504)])
def test_costs_of_pairs_between_grids(s, value):
    A1, A2 = (box_product(ring(n, False), ring(n, False)) for n in (4, 8))
    P = closed_form("box", (4, 4), (8, 8))
    assert cost(P, A1, A2, s, 1 / 4) == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize(("n", "m"), [(3, 2), (4, 2), (5, 3), (6, 4)])
def test_cover_and_fold_cost_nothing_to_diffuse(n, m):
    for family, periodic in ((cover, True), (fold, False)):
        A1, A2 = lines(n, m * n, periodic)
        assert cost(family(n, m * n), A1, A2, 0) == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize(("name", "periodic"), [("cover", True), ("fold", False)])
def test_their_products_cost_nothing_either(name, periodic):
    (A1, A2), (B1, B2) = lines(3, 6, periodic), lines(4, 12, periodic)
    P = closed_form(name, (3, 4), (6, 12), periodic=periodic)
    A, B = box_product(A1, B1), box_product(A2, B2)
    assert cost(P, A, B, 0) == pytest.approx(0, abs=1e-20)


def test_a_cycle_of_two_is_the_exception():
    # An edge between two nodes, where the covering map would need two edges.
    assert cost(cover(2, 4), *lines(2, 4, True), 0) == pytest.approx(4, abs=1e-12)


@pytest.mark.parametrize("n", [3, 4, 8])
def test_families_tie_between_cycles_at_half(n):
    A1, A2 = lines(n, 2 * n, True)
    names = ["box", "decimation", "daubechies4", "band", "hat"]
    ties = [
        cost(closed_form(x, n, 2 * n, periodic=True), A1, A2, 1, 1 / 2) for x in names
    ]
    close(ties, ties[0], rtol=1e-10)


def test_at_a_quarter_the_band_beats_the_pairs():
    A1, A2 = lines(8, 16, True)
    values = [
        cost(closed_form(x, 8, 16, periodic=True), A1, A2, 1, 1 / 4)
        for x in ("decimation", "box", "hat", "band")
    ]
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(1.586476, abs=6e-7)  # the global optimum


# ------------------------------------------------------------------- products, refusals


def test_products_are_kronecker_products():
    P = closed_form("hat", (2, 3, 5), (4, 3, 9))
    assert isinstance(P, Kronecker)
    slow = np.kron(np.kron(hat(2, 4).matrix(), np.eye(3)), hat(5, 9).matrix())
    close(P.matrix(), slow, atol=1e-12)


def test_decimation_takes_the_first_node_of_a_cell():
    rows, columns = np.nonzero(decimation(3, 7).matrix())
    assert rows.tolist() == [0, 3, 5]
    assert columns.tolist() == [0, 1, 2]


def test_numpys_integers_are_sizes():
    two, four = np.int64(2), np.uint8(4)
    for name, periodic in ALL:
        P = closed_form(name, two, four, periodic=np.bool_(periodic))
        close(dense(P), dense(closed_form(name, 2, 4, periodic=periodic)))
        assert {type(n) for n in P.shape} == {int}
    assert closed_form("hat", np.array([2, 3]), np.array([4, 3])).shape == (12, 6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: box(0, 4), "`coarse` must be an integer in 1 .*coarse=0"),
        (lambda: hat(2, 4.0), r"`fine` must be an integer in 1 .*fine=4\.0"),
        (lambda: hat(2, 4, periodic="no"), "`periodic` must be True or False.*'no'"),
        (lambda: hat(2, 4, masses=[1, 2]), "`masses` must hold 4 positive.*2 numbers"),
        (lambda: box(2, 4, masses=-np.ones(4)), "`masses` must hold 4 positive.*-1"),
        (lambda: box(2, 4, masses="1234"), "`masses` must be an array of 1 axis"),
        (lambda: decimation(1, 10**9), "`fine` must be an integer in 1 .. 2,097,152"),
        (lambda: hat(10**4, 10**4), "at most 8,388,608 entries.*100,000,000"),
        (lambda: closed_form([], 2, 4), r"`name` must be one of.*name=\[\]"),
        (lambda: closed_form("box", (), ()), "as many axes, at least one"),
        (lambda: closed_form("box", (2, 2.0), (4, 4)), r"`coarse\[1\]` must be"),
        (lambda: closed_form("box", "22", (4, 4)), "`coarse` must be a sequence"),
        (lambda: band(True, 4), "`coarse` must be .*coarse=True"),
        (lambda: hat(5, 4), "`fine` must be at least `coarse`.*coarse=5, fine=4"),
        (lambda: cover(4, 6), "`cover` needs .* divides .*coarse=4, fine=6"),
        (lambda: fold(4, 6), "`fold` needs .* divides .*coarse=4, fine=6"),
        (lambda: daubechies4(4, 12), "from n to 2n nodes.*coarse=4, fine=12"),
        (lambda: closed_form("sinc", 2, 4), "must be one of .*'band'.*'sinc'"),
        (lambda: closed_form("cover", 2, 4), "must be one of .*'fold'.*'cover'"),
        (lambda: closed_form("box", (2, 2), 4), r"as many axes.*coarse=\(2, 2\)"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
