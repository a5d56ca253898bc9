"""Topologies: one suite that every family passes, then what each one promises."""

import json
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from reference import composed, grid_matrix, pair_matrix
from test_operators import dense, orthonormal

import msann_keras as ms
from msann.prolongation.closed_forms import band, daubechies4, hat
from msann.prolongation.operators import Aggregation, Identity, Kronecker, Matrix
from msann.topology import Topology, chain
from msann.topology.others import Shuffled

close = np.testing.assert_allclose


@dataclass(frozen=True)
class Thirds(Topology):
    """A user's own topology: threes merge, with weights that are not equal."""

    size: int

    def coarsen(self):
        labels = np.arange(self.size)[::-1] // 3
        weights = 1.0 + np.arange(self.size)
        norms = np.sqrt(np.bincount(labels, weights**2))
        P = Aggregation(labels, weights / norms[labels])
        return P, Thirds(P.shape[1])


OWN_OPERATORS = [
    Aggregation([2, 0, 1, 3, 2, 0, 4, 5], [0.6, -0.8, 1, 1, 0.8, 0.6, -1, 1]),
    Kronecker(Matrix(orthonormal(3, 2)), Identity(2)),
    orthonormal(4, 3),
    Identity(3),
    Aggregation([1, 0, 1]),
]

SPACES = {
    "path": (ms.path(8), 3),
    "odd path": (ms.path(7), 3),
    "cycle": (ms.cycle(6), 3),
    "grid of 1 axis": (ms.grid(9), 2),
    "grid": (ms.grid(28, 28), 4),
    "square": (ms.grid(32, 32), 2),
    "grid of 3 axes": (ms.grid(7, 5, 3), 4),
    "odd path, band": (ms.path(7, prolongation="band"), 3),
    "odd path, box": (ms.path(7, prolongation="box"), 3),
    "path, fold": (ms.path(12, prolongation="fold"), 2),
    "path, decimation": (ms.path(9, prolongation="decimation"), 2),
    "cycle, daubechies4": (ms.cycle(8, prolongation="daubechies4"), 3),
    "cycle, cover": (ms.cycle(12, prolongation="cover"), 2),
    "cycle, hat": (ms.cycle(6, prolongation="hat"), 3),
    "grid, hat": (ms.grid(6, 5, prolongation="hat"), 3),
    "odd path, hat": (ms.path(13, prolongation="hat"), 4),
    "odd cycle, box": (ms.cycle(11, prolongation="box"), 4),
    "grid, fold": (ms.grid(4, 3, 2, prolongation="fold"), 3),
    "torus": (ms.torus(6, 5), 4),
    "torus, hat": (ms.torus(6, 5, prolongation="hat"), 5),
    "torus, cover": (ms.torus(4, 3, 2, prolongation="cover"), 3),
    "shuffled": (ms.shuffled(ms.path(9), seed=1), 2),
    "redraw": (ms.shuffled(ms.grid(4, 3), seed=2, redraw=True), 3),
    "shuffled dense": (ms.shuffled(ms.random_orthogonal(7, seed=3), seed=4), 2),
    "shuffled identity": (ms.shuffled(ms.identity(4), seed=5, redraw=True), 2),
    "random orthogonal": (ms.random_orthogonal(9, seed=6), 3),
    "identity": (ms.identity(5), 2),
    "given": (ms.given(*OWN_OPERATORS), 5),
    "shuffled given": (ms.shuffled(ms.given(*OWN_OPERATORS[1:]), seed=7), 2),
    "own": (Thirds(10), 2),
}


def operators(name):
    """Each step and composite of a space, once."""
    c = chain(*SPACES[name])
    return [*c.steps, *c.composites[2:]]


each_space = pytest.mark.parametrize("name", SPACES)
each_operator = pytest.mark.parametrize(
    "P",
    [
        pytest.param(P, id=f"{name}-{P!r}")
        for name in SPACES
        for P in dict.fromkeys(operators(name))
    ],
)

# ---------------------------------------------------------------- every operator


@each_operator
def test_columns_are_orthonormal(P):
    close(dense(P).T @ dense(P), np.eye(P.shape[1]), rtol=0, atol=1e-12)


@each_operator
def test_restrict_undoes_prolong(P):
    v = np.random.default_rng(0).normal(size=(2, P.shape[1]))
    close(P.restrict(P.prolong(v)), v, atol=1e-12)


@each_operator
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_any_axis_is_a_matrix_product(P, axis):
    for apply, matrix in ((P.prolong, dense(P)), (P.restrict, dense(P).T)):
        shape = [2, 3]
        shape.insert(axis % 3, matrix.shape[1])
        x = np.random.default_rng(0).normal(size=shape)
        expected = np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)
        close(apply(x, axis), expected, atol=1e-12)
        close(apply(ops.array(x), axis, ops), expected, atol=1e-12)


@each_operator
def test_unknown_batch_in_a_graph(P):
    for apply, matrix in ((P.prolong, dense(P)), (P.restrict, dense(P).T)):
        size = matrix.shape[1]
        unknown = [tf.TensorSpec((None, size, None)), tf.TensorSpec((size, None))]

        @tf.function(input_signature=unknown)
        def graph(x, kernel, apply=apply):
            return apply(x, 1, ops), apply(kernel, 0, ops)

        rng = np.random.default_rng(0)
        for batch in (1, 3):
            x, kernel = (
                rng.normal(size=(batch, size, 2)),
                rng.normal(size=(size, batch)),
            )
            along_1, along_0 = graph(x.astype("float32"), kernel.astype("float32"))
            close(along_1, np.einsum("fc,bct->bft", matrix, x), atol=1e-5)
            close(along_0, matrix @ kernel, atol=1e-5)


@each_operator
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtype_stays(P, dtype):
    for apply, size in ((P.prolong, P.shape[1]), (P.restrict, P.shape[0])):
        x = np.linspace(-1, 1, size)
        single = x.astype(dtype)
        tolerance = {"float16": 2e-2, "float32": 1e-5, "float64": 1e-12}[dtype]
        assert apply(single).dtype == dtype
        assert ops.dtype(apply(ops.array(single), xp=ops)) == dtype
        close(apply(single), apply(x), atol=tolerance)


@each_operator
def test_whole_numbers_become_real(P):
    x = np.arange(P.shape[1])
    close(P.prolong(x), dense(P) @ x, atol=1e-11)
    close(P.prolong(ops.array(x), xp=ops), dense(P) @ x, rtol=1e-5, atol=1e-5)


# -------------------------------------------------------------------- every chain


@each_space
def test_composites_are_dense_products(name):
    topology, depth = SPACES[name]
    c = chain(topology, depth)
    assert c.topology is topology
    assert c.sizes == (topology.size, *(P.shape[1] for P in c.steps))
    close(dense(c.composites[0]), np.eye(topology.size))
    for level in range(1, depth + 1):
        slow = composed([dense(P) for P in c.steps], level)
        close(dense(c.composites[level]), slow, rtol=0, atol=1e-12)


@each_space
def test_config_survives_json(name):
    topology, depth = SPACES[name]
    config = topology.get_config()
    copy = Topology.from_config(json.loads(json.dumps(config)))
    assert type(copy) is type(topology)
    assert copy.get_config() == config
    for P, Q in zip(
        chain(copy, depth).steps, chain(topology, depth).steps, strict=True
    ):
        np.testing.assert_array_equal(dense(P), dense(Q))


sides = st.integers(1, 9)
plain_spaces = (
    st.builds(ms.path, st.integers(1, 70))
    | st.builds(ms.cycle, st.integers(1, 70))
    | st.builds(ms.random_orthogonal, st.integers(1, 20), seed=st.integers(0, 9))
    | st.lists(sides, min_size=1, max_size=3).map(lambda shape: ms.grid(*shape))
)
spaces = plain_spaces | st.builds(
    Shuffled, plain_spaces, seed=st.integers(0, 9), redraw=st.booleans()
)


@given(space=spaces, seed=st.integers(0, 99))
def test_any_space_at_any_depth(space, seed):
    c = chain(space, space.max_depth)
    assert c.sizes[-1] == 1
    assert all(fine > coarse for fine, coarse in pairwise(c.sizes))
    rng = np.random.default_rng(seed)
    for P in (*c.steps, *c.composites):
        v, x = rng.normal(size=P.shape[1]), rng.normal(size=P.shape[0])
        assert P.prolong(v) @ x == pytest.approx(v @ P.restrict(x), abs=1e-9)
        close(P.restrict(P.prolong(v)), v, atol=1e-9)
    with pytest.raises(ValueError, match=f"must be at most {space.max_depth} for the"):
        chain(space, space.max_depth + 1)


# -------------------------------------------------------------------- one by one


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


def test_random_orthogonal_halves():
    assert chain(ms.random_orthogonal(9, seed=0), 4).sizes == (9, 5, 3, 2, 1)


def test_random_orthogonal_prefers_no_sign():
    draws = [ms.random_orthogonal(4, seed=seed).coarsen()[0] for seed in range(20)]
    signs = np.sign([np.diag(P.matrix()) for P in draws])
    assert (np.abs(signs.sum(axis=0)) < 15).all()  # QR alone gives 20 of one sign


def test_identity_never_ends():
    c = chain(ms.identity(3), 9)
    assert c.sizes == 10 * (3,)
    assert all(isinstance(P, Identity) for P in c.steps + c.composites)


@pytest.mark.parametrize(
    "space",
    [
        ms.path(32),
        ms.cycle(32),
        ms.grid(8, 4),
        ms.shuffled(ms.path(32), seed=1),
        ms.shuffled(ms.grid(4, 8), seed=2, redraw=True),
        ms.identity(32),
    ],
)
def test_equal_blocks_keep_constants(space):
    for P in chain(space, 5).composites:
        close(P.prolong(P.restrict(np.ones(32))), np.ones(32), atol=1e-12)


def test_given_again_is_equal():
    one, again, other = (ms.given(np.eye(4)[:, [i, 3]]) for i in (0, 0, 1))
    assert one == again != other
    assert hash(one) == hash(again)
    assert Topology.from_config(json.loads(json.dumps(one.get_config()))) == one


def test_a_topology_that_is_no_dataclass_says_that_it_cannot_be_saved():
    class Bare(Topology):
        size = 4

        def coarsen(self):
            return Aggregation([0, 0, 1, 1]), ms.path(2)

    with pytest.raises(ValueError, match="A Bare cannot be saved with a model"):
        Bare().get_config()


def test_a_name_belongs_to_one_topology():
    with pytest.raises(ValueError, match="of the name Grid is there already, in msann"):
        type("Grid", (Topology,), {})
    assert type(ms.grid(2, 2)).from_config({"kind": "Grid", "shape": [2, 2]})


def test_given_keeps_its_operators():
    c = chain(ms.given(*OWN_OPERATORS), 5)
    assert c.sizes == (8, 6, 4, 3, 3, 2)
    for P, own in zip(c.steps, OWN_OPERATORS, strict=True):
        close(dense(P), own if isinstance(own, np.ndarray) else dense(own), atol=0)


# ----------------------------------------------------------- randomness and reuse

BASES = [ms.path(16), ms.path(15), ms.grid(4, 4), ms.random_orthogonal(16, seed=1)]


@pytest.mark.parametrize("base", BASES)
def test_one_shuffle_a_space(base):
    # Whatever the level, the finest nodes are in the one order that the seed means.
    order, _ = ms.shuffled(ms.identity(base.size), seed=3).coarsen()
    shuffled = chain(ms.shuffled(base, seed=3), 4)
    assert shuffled.sizes == chain(base, 4).sizes
    for P, Q in zip(
        shuffled.composites[1:], chain(base, 4).composites[1:], strict=True
    ):
        close(dense(P), dense(order) @ dense(Q), atol=1e-12)
    assert not np.array_equal(dense(order), np.eye(base.size))


@pytest.mark.parametrize("base", BASES)
def test_redraw_shuffles_every_level(base):
    redrawn = chain(ms.shuffled(base, seed=3, redraw=True), 3)
    for P, Q in zip(redrawn.steps, chain(base, 3).steps, strict=True):
        assert sorted(dense(P).tolist()) == sorted(dense(Q).tolist())
        assert not np.array_equal(dense(P), dense(Q))


def test_redrawn_levels_disagree():
    orders = chain(ms.shuffled(ms.identity(8), seed=3, redraw=True), 4).steps
    assert len({P.matrix().tobytes() for P in orders}) == 4
    once = chain(ms.shuffled(ms.identity(8), seed=3), 4).steps
    assert all(isinstance(P, Identity) for P in once[1:])


def test_drawn_for_a_key():
    space = ms.shuffled(ms.path(8), seed=3, redraw=True)
    keys = [(), (1,), (2,), (1, 1), (1, 2)]
    drawn = [space.drawn_for(*key) for key in keys]
    assert drawn == [space.drawn_for(*key) for key in keys]
    assert len({(d.base, d.redraw) for d in drawn}) == 1
    assert len({d.seed for d in [space, *drawn]}) == 6


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: ms.random_orthogonal(12, seed=seed),
        lambda seed: ms.shuffled(ms.path(12), seed=seed),
        lambda seed: ms.shuffled(ms.grid(3, 4), seed=seed, redraw=True),
    ],
)
def test_seeds_decide(make):
    def steps(seed):
        chain.cache_clear()
        return [dense(P).tobytes() for P in chain(make(seed), 3).steps]

    assert steps(seed=1) == steps(seed=1)
    assert steps(seed=1) != steps(seed=2)


@each_space
def test_equal_topologies_share_a_chain(name):
    topology, depth = SPACES[name]
    assert chain(topology, depth) is chain(topology, depth)
    if "given" not in name:  # matrices are not compared
        copy = Topology.from_config(topology.get_config())
        assert copy is not topology
        assert chain(copy, depth) is chain(topology, depth)


def test_like_is_not_equal():
    chains = [chain(space(8), 1) for space in (ms.path, ms.cycle, ms.grid)]
    assert len(set(map(id, chains))) == 3


class Blocks(Topology):
    """A user's own topology that is no dataclass."""

    def __init__(self, sizes):
        self.sizes, self.size = sizes, sum(sizes)

    def coarsen(self):
        labels = np.repeat(np.arange(len(self.sizes)), self.sizes)
        return Aggregation(labels), Blocks([1] * len(self.sizes))

    def get_config(self):
        return {"kind": "Blocks", "sizes": self.sizes}

    @classmethod
    def from_fields(cls, sizes):
        return cls(sizes)


def test_a_topology_without_fields():
    config = ms.shuffled(Blocks([3, 1, 2]), seed=0).get_config()
    copy = Topology.from_config(json.loads(json.dumps(config)))
    assert copy.get_config() == config
    P, coarser = copy.base.coarsen()
    assert P.labels.tolist() == [0, 0, 0, 1, 2, 2]
    assert coarser.sizes == [1, 1, 1]


# ----------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("space", "deepest"),
    [
        (ms.path(1), 0),
        (ms.path(4), 2),
        (ms.cycle(5), 3),
        (ms.grid(4, 4), 4),
        (ms.grid(3, 5, 1), 5),
        (ms.shuffled(ms.grid(3, 5), seed=0), 5),
        (ms.random_orthogonal(9, seed=0), 4),
        (ms.given(np.eye(4)[:, :2]), 1),
    ],
)
def test_refuses_a_depth_too_deep(space, deepest):
    assert len(chain(space, deepest).steps) == deepest
    message = f"`depth` must be at most {deepest} for the space.*depth={deepest + 1}"
    with pytest.raises(ValueError, match=message):
        chain(space, deepest + 1)


@pytest.mark.parametrize(
    "made",
    [
        ms.path,
        ms.cycle,
        ms.identity,
        lambda n: ms.grid(n, n),
        lambda n: ms.torus(n, n),
        lambda n: ms.random_orthogonal(n, seed=1),
    ],
)
def test_sizes_may_be_numpys_integers(made):
    topology = made(np.prod((4, 2)))
    assert topology == made(8)
    assert json.dumps(topology.get_config())


@pytest.mark.parametrize("size", [0, -4, True, 4.0, "4", None])
@pytest.mark.parametrize(
    "make",
    [
        ms.path,
        ms.cycle,
        ms.grid,
        ms.square_grid,
        ms.identity,
        lambda size: ms.grid(4, size),
        lambda size: ms.random_orthogonal(size, seed=0),
    ],
)
def test_refuses_sizes(make, size):
    with pytest.raises(ValueError, match="needs positive integers. Received: .*=") as e:
        make(size)
    assert repr(size) in str(e.value)


def test_refuses_a_grid_without_axes():
    with pytest.raises(ValueError, match=r"needs positive integers.*shape=\(\)"):
        ms.grid()


@pytest.mark.parametrize("seed", [-1, True, 1.0, None])
@pytest.mark.parametrize(
    "make",
    [
        lambda seed: ms.random_orthogonal(4, seed=seed),
        lambda seed: ms.shuffled(ms.path(4), seed=seed),
    ],
)
def test_refuses_seeds(make, seed):
    with pytest.raises(ValueError, match=f"`seed` must be an integer >= 0.*={seed!r}"):
        make(seed)


@pytest.mark.parametrize("base", ["path", 4, np.eye(4)])
def test_refuses_to_shuffle_what_is_no_topology(base):
    with pytest.raises(ValueError, match="`base` must be a topology such as"):
        ms.shuffled(base, seed=0)


@pytest.mark.parametrize("config", [{"kind": "Klein", "size": 4}, {"size": 4}])
def test_refuses_an_unknown_kind(config):
    message = f"`kind` must be one of .*'Path'.*kind={config.get('kind')!r}"
    with pytest.raises(ValueError, match=message):
        Topology.from_config(config)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({}, "missing.*'size'"), ({"size": 4, "length": 4}, "unexpected.*'length'")],
)
def test_refuses_fields_that_the_kind_does_not_have(fields, reason):
    with pytest.raises(ValueError, match=f"not describe a Path: .*{reason}.*Received"):
        Topology.from_config({"kind": "Path", **fields})


def test_a_config_outlives_its_reading():
    config = {"kind": "Path", "size": 4}
    assert Topology.from_config(config) == Topology.from_config(config) == ms.path(4)


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        ([], "`given` needs at least one prolongation"),
        ([np.ones((4, 2))], "orthonormal columns.*off by 4"),
        ([np.full((4, 2), np.nan)], "finite numbers.*8 entries"),
        ([np.eye(2, 4)], r"as many rows.*shape \(2, 4\)"),
        ([np.eye(4, 2), np.eye(3, 1)], r"must fit.*\(4 x 2\) followed by .*\(3 x 1\)"),
    ],
)
def test_refuses_given(matrices, message):
    with pytest.raises(ValueError, match=message):
        ms.given(*matrices)


# ------------------------------------------------------------ families in closed form


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
        (lambda: ms.torus(8, 0), r"positive integers.*shape=\(8, 0\)"),
        (lambda: ms.grid(8, 8, prolongation=None), "`prolongation` must be.*None"),
    ],
)
def test_refuses_a_family_of_other_graphs(make, message):
    with pytest.raises(ValueError, match=message):
        make()
