"""Paths, rings, grids and tori: pairs by hand, families of P along their axes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrices import dense
from reference import grid_matrix, pair_matrix

import msann_keras as ms
from msann.prolongation.closed_forms import band, daubechies4, hat
from msann.topology import Topology, chain

close = np.testing.assert_allclose


@pytest.mark.parametrize("family", [ms.path, ms.cycle, ms.grid])
@pytest.mark.parametrize("size", [2, 3, 8, 9, 1024])
def test_paths_pair_neighbours(family, size):
    P, coarser = family(size).coarsen()
    np.testing.assert_array_equal(P.matrix(), pair_matrix(size))
    assert type(coarser) is type(family(size))
    assert coarser.size == (size + 1) // 2


def test_an_odd_path_halves_by_hand():
    c = chain(ms.path(7), 3)
    assert c.sizes == (7, 4, 2, 1)
    # Nodes stand for 2, 2, 2, 1 of level 0's, then for 4, 3, then for all 7.
    np.testing.assert_array_equal(c.steps[0].matrix(), pair_matrix(7))
    half, third, seventh = np.sqrt([1 / 2, 1 / 3, 1 / 7])
    second = [[half, 0], [half, 0], [0, np.sqrt(2) * third], [0, third]]
    np.testing.assert_allclose(c.steps[1].matrix(), second, rtol=1e-15)
    last = [[2 * seventh], [np.sqrt(3) * seventh]]
    np.testing.assert_allclose(c.steps[2].matrix(), last, rtol=1e-15)


@given(st.integers(2, 40), st.integers(1, 9), st.data())
def test_blocks_of_any_size_have_equal_weights(rows, columns, data):
    """So P P^T 1 = 1, which coarsened data need."""
    topology = data.draw(
        st.sampled_from([ms.path(rows), ms.cycle(rows), ms.grid(rows, columns)])
    )
    for P in chain(topology, topology.max_depth).composites:
        ones = np.ones(topology.size)
        np.testing.assert_allclose(P.prolong(P.restrict(ones)), ones, rtol=1e-13)


def test_a_coarser_odd_topology_is_described_whole():
    for topology in (ms.path(7), ms.grid(3, 7), ms.cycle(5)):
        _, coarser = topology.coarsen()
        assert Topology.from_config(coarser.get_config()) == coarser
        assert coarser != type(coarser).from_fields(
            **{k: v for k, v in coarser.get_config().items() if k in ("size", "shape")}
        )


@pytest.mark.parametrize(
    ("shape", "axis", "coarser"),
    [
        ((8, 8), 0, (4, 8)),
        ((4, 8), 1, (4, 4)),
        ((7, 5), 0, (4, 5)),
        ((4, 5), 1, (4, 3)),
    ],
)
def test_grids_halve_their_longest_axis(shape, axis, coarser):
    P, topology = ms.grid(*shape).coarsen()
    np.testing.assert_array_equal(P.matrix(), grid_matrix(*shape, axis))
    assert topology.shape == coarser


def test_three_axes_by_hand():
    topology, shapes = ms.grid(7, 5, 3), []
    while topology.size > 1:
        shapes.append(topology.shape)
        _, topology = topology.coarsen()
    assert shapes == [
        (7, 5, 3),
        (4, 5, 3),
        (4, 3, 3),
        (2, 3, 3),
        (2, 2, 3),
        (2, 2, 2),
        (1, 2, 2),
        (1, 1, 2),
    ]
    assert ms.grid(7, 5, 3).max_depth == len(shapes)


@pytest.mark.parametrize("side", [2, 4, 7, 32])
def test_two_steps_on_a_square_are_p1_by_p1(side):
    two = chain(ms.grid(side, side), 2).composites[2]
    expected = np.kron(pair_matrix(side), pair_matrix(side))
    np.testing.assert_array_equal(two.matrix(), expected)


def z_order(rows, columns, row_first):
    """The Morton code of every node of a row-major grid: bits of its axes in turn."""
    row, column = np.divmod(np.arange(rows * columns), columns)
    first, second = (row, column) if row_first else (column, row)
    bits = range(max(rows, columns).bit_length())
    return sum(
        ((first >> b & 1) << 2 * b) + ((second >> b & 1) << 2 * b + 1) for b in bits
    )


@pytest.mark.parametrize("shape", [(2, 2), (4, 4), (4, 8), (16, 16)])
def test_grid_is_the_path_in_z_order(shape):
    c = chain(ms.grid(*shape), ms.grid(*shape).max_depth)
    fine = z_order(*shape, row_first=shape[0] == shape[1])
    assert sorted(fine) == list(range(c.sizes[0]))
    for level, P in enumerate(c.steps):
        rows, columns = shape
        shape = (rows // 2, columns) if rows == columns else (rows, columns // 2)
        coarse = z_order(*shape, row_first=shape[0] == shape[1])
        expected = pair_matrix(c.sizes[level])[fine][:, coarse]
        np.testing.assert_array_equal(P.matrix(), expected)
        fine = coarse


@pytest.mark.parametrize(
    ("size", "shape"), [(1024, (32, 32)), (128, (8, 16)), (12, (3, 4)), (7, (1, 7))]
)
def test_square_grid(size, shape):
    assert ms.square_grid(size) == ms.grid(*shape)


def test_a_family_passes_on_to_every_level():
    c = chain(ms.grid(8, 6, prolongation="hat"), 3)
    assert c.sizes == (48, 24, 12, 6)
    close(dense(c.steps[0]), np.kron(hat(4, 8).matrix(), np.eye(6)), atol=1e-12)
    close(dense(c.steps[1]), np.kron(np.eye(4), hat(3, 6).matrix()), atol=1e-12)
    close(dense(c.steps[2]), np.kron(hat(2, 4).matrix(), np.eye(3)), atol=1e-12)


def test_band_composites_are_bands():
    c = chain(ms.path(28, prolongation="band"), 2)
    close(c.composites[2].matrix(), band(7, 28).matrix(), atol=1e-12)
    c = chain(ms.cycle(28, prolongation="band"), 2)
    close(c.composites[2].matrix(), band(7, 28, periodic=True).matrix(), atol=1e-12)


@pytest.mark.thorough
@given(
    st.lists(st.integers(2, 24), min_size=1, max_size=2),
    st.sampled_from(["pair", "box", "hat", "band"]),
    st.booleans(),
)
def test_smooth_families_keep_constants_through_odd_sizes(shape, family, periodic):
    """On every level P P^T 1 = 1 for the composite: what coarsened data need."""
    make = ms.torus if periodic else ms.grid
    c = chain(make(*shape, prolongation=family), min(4, make(*shape).max_depth))
    ones = np.ones(c.sizes[0])
    for P in c.composites:
        matrix = dense(P)
        close(matrix.T @ matrix, np.eye(matrix.shape[1]), atol=1e-12)
        close(matrix @ (matrix.T @ ones), ones, atol=1e-10)


@pytest.mark.parametrize("make", [ms.path, ms.cycle])
@pytest.mark.parametrize("family", ["box", "hat"])
def test_even_sizes_need_no_masses(make, family):
    """A level is the same topology as a new one of its size, until one was odd."""
    level, size = make(20, prolongation=family), 20
    for _ in range(2):
        _, level = level.coarsen()
        size //= 2
        assert level == make(size, prolongation=family)
    _, level = level.coarsen()
    assert level.size == 3
    assert level != make(3, prolongation=family)
    assert Topology.from_config(level.get_config()) == level


def test_a_torus_is_rings_along_each_axis():
    c = chain(ms.torus(4, 8, prolongation="daubechies4"), 2)
    expected = daubechies4(4, 8).matrix()
    close(dense(c.steps[0]), np.kron(np.eye(4), expected), atol=1e-12)
    close(dense(c.steps[1]), np.kron(daubechies4(2, 4).matrix(), np.eye(4)), atol=1e-12)
    assert c.topology != ms.grid(4, 8)
    assert repr(ms.torus(4, 8)) == "Torus(shape=(4, 8))"


@pytest.mark.parametrize(
    ("space", "text", "config"),
    [
        (ms.path(8), "Path(size=8)", {"kind": "Path", "size": 8}),
        (
            ms.cycle(8, prolongation="cover"),
            "Cycle(size=8, prolongation='cover')",
            {"kind": "Cycle", "size": 8, "prolongation": "cover"},
        ),
        (
            ms.grid(4, 6, prolongation="hat"),
            "Grid(shape=(4, 6), prolongation='hat')",
            {"kind": "Grid", "shape": [4, 6], "prolongation": "hat"},
        ),
    ],
)
def test_a_family_is_described_where_it_is_not_pairs(space, text, config):
    assert repr(space) == text
    assert space.get_config() == config
    assert Topology.from_config(config) == space
    assert space != ms.path(8, prolongation="box")


@pytest.mark.parametrize(
    ("space", "deepest"),
    [
        (ms.cycle(12, prolongation="cover"), 2),
        (ms.path(7, prolongation="fold"), 0),
        (ms.path(7, prolongation="hat"), 3),
        # 8 x 6, 4 x 6, 4 x 3, 2 x 3, 1 x 3: the other axis does not halve.
        (ms.grid(8, 6, prolongation="fold"), 4),
        (ms.grid(9, 8, prolongation="fold"), 3),
        (ms.grid(9, 7, prolongation="fold"), 0),
        (ms.torus(6, 10, prolongation="cover"), 2),
    ],
)
def test_a_family_that_needs_even_sizes_ends_with_them(space, deepest):
    assert space.max_depth == deepest
    assert len(chain(space, deepest).steps) == deepest
    with pytest.raises(ValueError, match=f"at most {deepest} .* not coarsen further"):
        chain(space, deepest + 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ms.path(8, prolongation="cover"), "'fold', .*'pair'.*'cover'"),
        (lambda: ms.cycle(8, prolongation="fold"), "'cover', .*'pair'.*'fold'"),
        (lambda: ms.torus(8, 8, prolongation="fold"), "'cover', .*'pair'.*'fold'"),
        (lambda: ms.torus(8, 0), r"`shape\[1\]` must be an integer >= 1.*=0"),
        (lambda: ms.grid(8, 8, prolongation=None), "`prolongation` must be.*None"),
        (lambda: ms.path(8, prolongation=[]), r"`prolongation` must be.*=\[\]"),
    ],
)
def test_refuses_a_family_of_other_graphs(make, message):
    with pytest.raises(ValueError, match=message):
        make()
