"""Energy lost: what a projection leaves out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import msann_keras as ms
from msann.energy import beyond_noise, energy_lost
from msann.topology import chain

RNG = np.random.default_rng(3)
SPACES = {
    "pairs": ms.path(16),
    "odd pairs": ms.path(13),
    "grid": ms.grid(4, 6),
    "hat": ms.path(16, prolongation="hat"),
    "torus": ms.torus(4, 4, prolongation="hat"),
    "slower": ms.slower(ms.path(16)),
}


@pytest.mark.parametrize("name", SPACES)
def test_it_is_one_less_the_energy_of_the_projection(name):
    levels = chain(SPACES[name], 3)
    data = RNG.normal(size=(5, levels.sizes[0])) + 7
    centred = data - data.mean()
    for level, lost in enumerate(energy_lost(data, levels)):
        P = levels.composites[level].matrix()
        kept = np.square(centred @ P @ P.T).sum() / np.square(centred).sum()
        assert lost == pytest.approx(1 - kept, abs=1e-12)


@pytest.mark.parametrize("name", SPACES)
def test_deeper_levels_lose_more(name):
    data = RNG.normal(size=(5, SPACES[name].size))
    lost = energy_lost(data, chain(SPACES[name], 3))
    assert lost[0] == 0
    assert list(lost) == sorted(lost)


@given(st.integers(0, 2), st.floats(-5, 5), st.floats(0.1, 5))
def test_shift_and_scale_change_nothing(level, shift, scale):
    data = np.random.default_rng(level).normal(size=(4, 8))
    levels = chain(ms.path(8), 2)
    np.testing.assert_allclose(
        energy_lost(scale * data + shift, levels), energy_lost(data, levels), atol=1e-9
    )


def test_hand_counted():
    """Of 3, 1, -1, -3 the averages 2, 2, -2, -2 keep 16 of 20."""
    lost = energy_lost([[3.0, 1.0, -1.0, -3.0]], chain(ms.path(4), 2))
    assert lost == pytest.approx((0, 0.2, 1))


def test_constant_data_lose_nothing():
    assert energy_lost(np.full((3, 8), 4.0), chain(ms.path(8), 3)) == (0, 0, 0, 0)


def test_noise_is_lost_as_nodes_are():
    lost = (0, 0.25, 0.4, 0.5)  # noise of share .5 loses .25, .375 and .4375
    assert beyond_noise(lost, (16, 8, 4, 2)) == pytest.approx((0, 0, 0.025, 0.0625))


@pytest.mark.parametrize("name", SPACES)
def test_white_noise_alone_leaves_what_is_lost_as_it_is(name):
    levels = chain(SPACES[name], 2)
    lost = energy_lost(RNG.normal(size=(5000, levels.sizes[0])), levels)
    kept = np.divide(levels.sizes, levels.sizes[0])
    assert lost == pytest.approx(1 - kept, abs=0.02)
    assert beyond_noise(lost, levels.sizes) == lost


def test_a_space_that_does_not_coarsen_has_no_noise():
    assert beyond_noise((0, 0), (8, 8)) == (0, 0)
    assert beyond_noise((0,), (8,)) == (0,)


@pytest.mark.parametrize(
    ("lost", "sizes", "message"),
    [
        ((0, 0.5), (8,), "`lost` must be one share for each of the 1 sizes"),
        ((0, 1.5), (8, 4), "`lost\\[1\\]`.*1.5"),
        ((0, 0.5), (8, 0), "`sizes\\[1\\]`.*0"),
    ],
)
def test_refuses_shares_that_do_not_fit(lost, sizes, message):
    with pytest.raises(ValueError, match=message):
        beyond_noise(lost, sizes)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.ones(8), "`data` must be an array of 2 axes"),
        (np.ones((2, 7)), "`data` must have 8 columns.*shape \\(2, 7\\)"),
        (np.full((2, 8), np.nan), "`data` must hold finite numbers"),
    ],
)
def test_refuses_data(data, message):
    with pytest.raises(ValueError, match=message):
        energy_lost(data, chain(ms.path(8), 1))


def test_refuses_what_is_no_chain():
    with pytest.raises(ValueError, match="`chain` must be the chain of a topology"):
        energy_lost(np.ones((2, 8)), ms.path(8))
