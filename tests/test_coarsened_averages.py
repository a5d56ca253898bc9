"""Averages over aggregates: what data are on a coarse level."""

import keras
import numpy as np
import pytest
from coarsened import SPACES, averages

import msann_keras as ms
from msann.topology import chain
from msann_keras.engines.coarsened.averages import averaging

RNG = np.random.default_rng(0)
each_space = pytest.mark.parametrize(
    ("topology", "depth"),
    [(space, depth) for spaces, depth in SPACES.values() for space in spaces],
)


@each_space
def test_coarse_data_are_averages_over_aggregates(topology, depth):
    x = RNG.normal(size=(2, 3, topology.size))
    for level in range(depth + 1):
        actual = ms.coarse_data(x, chain(topology, depth), level)
        expected = averages(x, topology, level)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-13)
        ones = ms.coarse_data(
            np.full((1, topology.size), 7.0), chain(topology, depth), level
        )
        np.testing.assert_allclose(ones, np.full(ones.shape, 7), rtol=1e-13)


@each_space
def test_averages_of_averages_are_averages(topology, depth):
    x = RNG.normal(size=(2, topology.size))
    levels = averaging(chain(topology, depth))(x)
    assert len(levels) == depth
    for level, actual in enumerate(levels, start=1):
        expected = ms.coarse_data(x, chain(topology, depth), level)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


def test_coarse_data_by_hand():
    x = np.array([[1.0, 3.0, 5.0, 9.0, 4.0]])
    odd = chain(ms.path(5), 2)
    assert np.asarray(ms.coarse_data(x, odd, 1)).tolist() == [pytest.approx([2, 7, 4])]
    assert np.asarray(ms.coarse_data(x, odd, 2)).tolist() == [pytest.approx([4.5, 4])]


def test_integers_are_averaged_as_real_numbers():
    x = np.array([[0, 255, 3, 4]], "uint8")
    actual = ms.coarse_data(x, chain(ms.path(4), 1), 1)
    np.testing.assert_allclose(actual, [[127.5, 3.5]], rtol=1e-6)


def test_labels_on_an_identity_space_stay_labels():
    labels = ms.coarse_data(np.array([2, 0, 1]), chain(ms.identity(3), 2), 2)
    assert np.asarray(labels).tolist() == [2, 0, 1]
    assert keras.backend.is_int_dtype(labels.dtype)


@pytest.mark.parametrize("level", [-1, 2, True, 1.0])
def test_refuses_other_levels(level):
    message = rf"must be an integer in 0 .. 1.*level={level}"
    with pytest.raises(ValueError, match=message):
        ms.coarse_data(np.ones((1, 4)), chain(ms.path(4), 1), level)


@pytest.mark.parametrize(
    ("data", "of", "message"),
    [
        (np.ones((2, 5)), chain(ms.path(4), 1), r"must have 4 entries.*\(2, 5\)"),
        (np.float64(3), chain(ms.path(4), 1), r"must have 4 entries.*shape \(\)"),
        (np.ones((2, 4)), ms.path(4), r"must be the chain of a topology.*Path"),
        (
            np.ones((2, 8)),
            chain(ms.path(8, prolongation="decimation"), 1),
            r"on `chain`.*level 1.*must reproduce constants",
        ),
    ],
)
def test_refuses_what_has_no_averages(data, of, message):
    with pytest.raises(ValueError, match=message):
        ms.coarse_data(data, of, 1)
