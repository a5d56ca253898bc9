"""The lattice that the data choose."""

import numpy as np
import pytest
from smooth import images, waves

import msann_keras as ms
from msann.choice import (
    best_family,
    best_lattice,
    lattices,
    smoothed,
    total_lost,
)

X, _ = waves(100, 64)
ORDER = np.random.default_rng(0).permutation(64)


def test_lattices_of_a_size():
    assert lattices(12) == [
        ms.path(12),
        ms.cycle(12),
        ms.grid(2, 6),
        ms.grid(3, 4),
        ms.grid(4, 3),
        ms.grid(6, 2),
    ]
    assert lattices(27)[-1] == ms.grid(3, 3, 3)
    assert lattices(7) == [ms.path(7), ms.cycle(7)]


def test_an_image_leaves_no_choice():
    assert lattices(64, (8, 8, 1)) == [ms.grid(8, 8)]
    assert lattices(64, (4, 4, 4)) == [ms.grid(4, 4, 4)]
    assert len(lattices(64, (64,))) > 1


def test_waves_live_on_a_ring():
    assert best_lattice([X]) == ms.cycle(64, prolongation="hat")


def test_waves_with_ends_live_on_a_path():
    assert best_lattice([X + np.linspace(0, 4, 64)]) == ms.path(64, prolongation="hat")


def test_images_live_on_their_grid():
    fields = images().reshape(-1, 64)
    assert best_lattice([fields]) == ms.grid(8, 8, prolongation="hat")


def test_shuffled_data_live_nowhere():
    assert best_lattice([X[:, ORDER]]) is None


def test_noise_lives_nowhere():
    noise = np.random.default_rng(1).normal(size=(100, 64))
    assert best_lattice([noise]) is None


def test_one_node_lives_nowhere():
    assert best_lattice([np.ones((5, 1))]) is None


def test_every_field_counts():
    """A smooth field and a shuffled one: what the second loses decides."""
    assert best_lattice([X, 10 * X[:, ORDER]]) is None


def test_the_best_lattice_is_the_best_of_a_search():
    fields = [images().reshape(-1, 64)]
    every = [best_family(one, fields) for one in lattices(64)]
    least = min(total_lost(one, fields) for one in every)
    assert total_lost(best_lattice(fields), fields) == pytest.approx(least)


def test_blocks_prefer_pairs():
    blocks = np.repeat(np.random.default_rng(2).normal(size=(50, 16)), 4, axis=1)
    assert best_family(ms.path(64), [blocks]) == ms.path(64)
    assert best_family(ms.path(64), [X]) == ms.path(64, prolongation="hat")


@pytest.mark.parametrize(
    "topology",
    [
        ms.path(8, prolongation="box"),
        ms.identity(8),
        ms.shuffled(ms.path(8), seed=1),
        ms.path(4096),
        ms.grid(1, 1),
    ],
)
def test_what_is_not_smoothed(topology):
    assert smoothed(topology) == topology


def test_both_sides_of_a_grid_are_smoothed():
    assert smoothed(ms.grid(4, 6)) == ms.grid(4, 6, prolongation="hat")
