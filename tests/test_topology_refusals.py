"""What topologies refuse, by message, and whose integers they take."""

import json
import time

import numpy as np
import pytest

import msann_keras as ms
from msann.topology import Topology, chain, resolve


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
    with pytest.raises(ValueError, match=r"`s\w+(\[.\])?` must be an integer") as error:
        make(size)
    assert str(error.value).endswith(f"={size!r}")


def test_refuses_a_grid_without_axes():
    with pytest.raises(ValueError, match=r"`shape` must be sides.*shape=\(\)"):
        ms.grid()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ms.path(10**9), "`size` must be an integer in 1 .. 2,097,152"),
        (lambda: ms.cycle(10**30), "`size` must be an integer in 1 .. 2,097,152"),
        (lambda: ms.square_grid(10**9), "`size` must be an integer in 1 .. 2,097,152"),
        (lambda: ms.grid(10**6, 10**6), "a grid of at most 2,097,152 nodes"),
        (lambda: ms.random_orthogonal(10**5, seed=0), "at most 4,096: the matrix is d"),
        (lambda: chain(ms.path(10**5, prolongation="hat"), 1), "8,388,608 entries"),
        (lambda: chain(ms.identity(3), 10**9), "at most 64 for the space"),
        (lambda: chain(ms.path(8), 10**9), "at most 3 for the space"),
    ],
)
def test_absurd_sizes_are_refused_at_once(make, message):
    began = time.perf_counter()
    with pytest.raises(ValueError, match=message):
        make()
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("depth", [-1, 1.0, True, None, "1", np.nan])
def test_refuses_depths(depth):
    with pytest.raises(ValueError, match="`depth` must be an integer >= 0"):
        chain(ms.path(8), depth)


@pytest.mark.parametrize("topology", [None, "path", 8, [], ms.path])
def test_refuses_a_chain_of_what_is_no_topology(topology):
    with pytest.raises(ValueError, match="`topology` must be a topology such as"):
        chain(topology, 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"end": -1.0}, {"end": np.nan}, {"end": "1"}, {"finest": 3}, {"finest": 8.0},
        {"prolongation": []}, {"prolongation": "pairs"}, {"size": [8]},
    ],
)  # fmt: skip
def test_refuses_a_path_with_other_fields(fields):
    (name,) = fields
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        Topology.from_config({"kind": "Path", "size": 8} | fields)


@pytest.mark.parametrize(
    "fields",
    [{"ends": [1.0]}, {"ends": [1, -1]}, {"finest": [4]}, {"finest": [1, 1]},
     {"shape": 4}, {"shape": "44"}, {"shape": [4, 4.0]}],
)  # fmt: skip
def test_refuses_a_grid_with_other_fields(fields):
    (name,) = fields
    with pytest.raises(ValueError, match=rf"`{name}(\[.\])?` must be"):
        Topology.from_config({"kind": "Grid", "shape": [4, 4]} | fields)


@pytest.mark.parametrize("size", [0, 4.0, True, None, "4", 10**9])
def test_refuses_a_space_of_no_size(size):
    with pytest.raises(ValueError, match="`size` must be an integer in 1 .."):
        resolve("path", size, "topology")


@pytest.mark.parametrize("seed", [-1, True, 1.0, None, np.nan, "1"])
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


def test_numpys_seeds_are_as_good():
    for make in (
        lambda seed: ms.random_orthogonal(8, seed=seed),
        lambda seed: ms.shuffled(ms.path(8), seed=seed),
    ):
        space = make(np.uint32(3))
        assert space == make(3)
        assert json.dumps(space.get_config()) == json.dumps(make(3).get_config())


@pytest.mark.parametrize("redraw", ["no", 1, None])
def test_refuses_redraw(redraw):
    with pytest.raises(ValueError, match="`redraw` must be True or False"):
        ms.shuffled(ms.path(4), seed=0, redraw=redraw)


@pytest.mark.parametrize("base", ["path", 4, np.eye(4)])
def test_refuses_to_shuffle_what_is_no_topology(base):
    with pytest.raises(ValueError, match="`base` must be a topology such as"):
        ms.shuffled(base, seed=0)


@pytest.mark.parametrize(
    "config", [{"kind": "Klein", "size": 4}, {"size": 4}, {"kind": []}]
)
def test_refuses_an_unknown_kind(config):
    with pytest.raises(
        ValueError, match="`kind` in `config` must be one of .*'Path'"
    ) as error:
        Topology.from_config(config)
    assert str(error.value).endswith(f"kind={config.get('kind')!r}")


@pytest.mark.parametrize("config", [None, 3, "Path", ["kind"]])
def test_refuses_what_is_no_config(config):
    with pytest.raises(ValueError, match="`config` must be a mapping with a `kind`"):
        Topology.from_config(config)


@pytest.mark.parametrize(
    ("operators", "message"),
    [
        ([], "`operators` must be at least one prolongation"),
        (3, "`config` does not describe a Given: .*'int' object is not iterable"),
        ([{}], "`config` does not describe a Given: .*'matrix'"),
        (["no"], "`config` does not describe a Given: .*mapping"),
        ([{"labels": [0, 0], "weights": [1, 1]}], "squares of `weights`.*off by 1"),
    ],
)
def test_refuses_operators_that_are_none(operators, message):
    with pytest.raises(ValueError, match=message):
        Topology.from_config({"kind": "Given", "operators": operators})


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
        ([], "`prolongations` must be at least one prolongation"),
        (["no"], "`matrix` must be an array of real numbers"),
        ([None], "`matrix` must be an array of real numbers"),
        ([np.ones((4, 2))], "orthonormal columns.*off by 4"),
        ([np.full((4, 2), np.nan)], "finite numbers.*8 entries"),
        ([np.eye(2, 4)], r"as many rows.*shape \(2, 4\)"),
        ([np.eye(4, 2), np.eye(3, 1)], r"must fit.*\(4 x 2\) followed by .*\(3 x 1\)"),
    ],
)
def test_refuses_given(matrices, message):
    with pytest.raises(ValueError, match=message):
        ms.given(*matrices)
