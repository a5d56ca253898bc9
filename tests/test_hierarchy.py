"""The hierarchy's numbers, hand-counted, and how it prints."""

from itertools import pairwise

import numpy as np
import pytest

import msann_keras as ms
from msann.hierarchy import Hierarchy, Weight
from msann.schedules import f_cycle, gamma_cycle, plain, simultaneous
from msann.topology import chain


def dense(*topologies, depth):
    """A stack of dense layers between the topologies."""
    chains = [chain(topology, depth) for topology in topologies]
    return Hierarchy([Weight("dense", *ends) for ends in pairwise(chains)])


@pytest.fixture(scope="module")
def paper():
    return dense(*map(ms.path, (1024, 256, 128, 256, 1024)), depth=6)


PAPER_TABLE = """
level  sizes                  parameters  share
    0  1024-256-128-256-1024     591,488  1
    1  512-128-64-128-512        148,288  0.2507
    2  256-64-32-64-256           37,280  0.06303
    3  128-32-16-32-128            9,424  0.01593
    4  64-16-8-16-64               2,408  0.004071
    5  32-8-4-8-32                   628  0.001062
    6  16-4-2-4-16                   170  0.0002874
grid complexity 1.34: parameters of all levels / those of level 0
"""

# One space of each kind: an odd path, a grid, and classes that do not coarsen.
MIXED_TABLE = """
level  sizes   parameters  share
    0  12-7-3         115  1
    1  6-4-3           43  0.3739
    2  4-2-3           19  0.1652
grid complexity 1.54: parameters of all levels / those of level 0
"""


def test_the_papers_network_as_a_table(paper):
    assert str(paper) == PAPER_TABLE.strip()
    assert repr(paper) == "<Hierarchy of depth 6: 1024-256-128-256-1024>"


def test_shares_of_the_papers_network(paper):
    published = [1, 0.2507, 0.0630, 0.0159, 0.0041, 0.0011, 0.00029]
    np.testing.assert_allclose(paper.shares, published, atol=5e-5)
    assert paper.shares[6] == pytest.approx(0.00029, abs=5e-6)
    assert paper.grid_complexity() == sum(paper.shares)


def test_the_grid_has_the_papers_sizes_too(paper):
    grid = dense(*map(ms.square_grid, (1024, 256, 128, 256, 1024)), depth=6)
    assert str(grid) == str(paper)


def test_mixed_spaces_by_hand():
    hierarchy = dense(ms.grid(3, 4), ms.path(7), ms.identity(3), depth=2)
    # (12 + 1) 7 + (7 + 1) 3, (6 + 1) 4 + (4 + 1) 3, (4 + 1) 2 + (2 + 1) 3
    assert hierarchy.parameters == (115, 43, 19)
    assert str(hierarchy) == MIXED_TABLE.strip()


def test_bias_and_other_parameters_count():
    path = chain(ms.path(4), 1)
    bare = Hierarchy([Weight("bare", path, path, use_bias=False)], other_parameters=5)
    # 4 * 4 + 5, 2 * 2 + 5
    assert bare.parameters == (21, 9)
    assert bare.shares == (1, 9 / 21)


def test_sizes_where_layers_do_not_meet():
    wide, narrow = chain(ms.path(8), 1), chain(ms.path(4), 1)
    split = Hierarchy([Weight("a", wide, narrow), Weight("b", wide, narrow)])
    assert [split.sizes(level) for level in (0, 1)] == ["8-4-8-4", "4-2-4-2"]


@pytest.mark.parametrize(
    ("schedule", "batches"),
    [
        (plain(), (1, 0, 0)),
        (simultaneous(), (1, 1, 1)),
        (gamma_cycle(2, 1, 4), (8, 8, 4)),
        (gamma_cycle(2, 2), (3, 6, 4)),
        (gamma_cycle(2, 2, variant="script"), (4, 8, 8)),
        (f_cycle(2), (3, 5, 3)),
        (gamma_cycle(1, 3), (4, 3, 0)),
    ],
)
def test_cycle_complexity_by_hand(schedule, batches):
    hierarchy = dense(ms.grid(3, 4), ms.path(7), ms.identity(3), depth=2)
    expected = np.dot(batches, [115, 43, 19]) / 115
    assert hierarchy.cycle_complexity(schedule) == pytest.approx(expected)


def test_depth_0_is_one_level():
    hierarchy = dense(ms.path(4), ms.path(2), depth=0)
    assert hierarchy.parameters == (10,)
    assert hierarchy.grid_complexity() == 1


# ----------------------------------------------------------------------- refusals


def test_refuses_no_layers():
    with pytest.raises(ValueError, match=r"at least one multilevel layer.*depths \[\]"):
        Hierarchy([])


PATH = chain(ms.path(4), 1)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1], r"`weights\[0\]` must be a `Weight`. Received: weights\[0\]=1"),
        (3, "`weights` must be a sequence of `Weight`s"),
        (None, "`weights` must be a sequence of `Weight`s"),
        ("ab", "`weights` must be a sequence of `Weight`s"),
        ([Weight("a", PATH, 3)], r"`weights\[0\].output` must be a `Chain`"),
        ([Weight("a", PATH, PATH, "no")], r"`weights\[0\].use_bias` must be True or"),
    ],
)
def test_refuses_what_are_no_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        Hierarchy(weights)


@pytest.mark.parametrize("count", [-1, 1.5, True, np.nan, None])
def test_refuses_other_parameters(count):
    with pytest.raises(ValueError, match="`other_parameters` must be an integer >= 0"):
        Hierarchy([Weight("a", PATH, PATH)], count)


def test_refuses_levels_and_schedules():
    hierarchy = Hierarchy([Weight("a", PATH, PATH)], np.int64(2))
    assert type(hierarchy.parameters[0]) is int
    for level in (-1, 2, 0.0, True, None):
        with pytest.raises(ValueError, match=r"`level` must be an integer in 0 \.\. 1"):
            hierarchy.sizes(level)
    for schedule in (None, "V", [(0, 1)]):
        with pytest.raises(ValueError, match="`schedule` must be a `Schedule`"):
            hierarchy.cycle_complexity(schedule)


def test_refuses_two_depths():
    weight = Weight("odd", chain(ms.path(8), 1), chain(ms.path(8), 2))
    with pytest.raises(ValueError, match=r"one depth for all.*\[1, 2\].*\['odd'\]"):
        Hierarchy([weight])


def test_refuses_a_cycle_deeper_than_itself():
    hierarchy = dense(ms.path(4), ms.path(4), depth=1)
    message = "`schedule` must go no deeper .* is 1.*of depth 2"
    with pytest.raises(ValueError, match=message):
        hierarchy.cycle_complexity(gamma_cycle(2))


# -------------------------------------------------------------------- rates by level


def test_glorot_ratios_by_hand():
    halving = dense(*map(ms.path, (16, 4, 8)), depth=2)
    np.testing.assert_allclose(halving.glorot_ratios, [1, 2**0.5, 2])
    # 8 -> 8 -> 3 classes: sums of 16, 8 and of 11, 7; the geometric mean of both.
    classes = dense(ms.path(8), ms.path(8), ms.identity(3), depth=1)
    expected = [1, (16 / 8 * 11 / 7) ** (1 / 4)]
    np.testing.assert_allclose(classes.glorot_ratios, expected)
    still = dense(ms.identity(3), ms.identity(2), depth=2)
    assert still.glorot_ratios == (1, 1, 1)
