"""Topologies: what every chain obeys, configs, equality, a user's own."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrices import dense
from reference import composed
from topologies import OWN_OPERATORS, SPACES, each_space

import msann_keras as ms
from msann.prolongation.operators import Aggregation, Identity
from msann.topology import Topology, chain
from msann.topology.others import Shuffled

close = np.testing.assert_allclose


@each_space
def test_composites_are_dense_products(name):
    topology, depth = SPACES[name]
    c = chain(topology, depth)
    assert c.topology == topology
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
