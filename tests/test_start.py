"""How large a converted model begins: `multilevel(.., start=..)`."""

import keras
import numpy as np
import pytest

import msann_keras as ms

X = np.random.default_rng(0).uniform(size=(256, 64)).astype("float32")
SEEDS = range(12)


def plain():
    layers = [keras.layers.Dense(32, "relu"), keras.layers.Dense(10)]
    return keras.Sequential([keras.Input((64,)), *layers])


def loudness(make):
    """The median over seeds of the mean square output."""
    found = []
    for seed in SEEDS:
        keras.utils.set_random_seed(seed)
        found.append(float(np.mean(make()(X).numpy() ** 2)))
    return np.median(found)


@pytest.mark.quick(1)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_by_default_outputs_are_as_large_as_the_plain_models(depth):
    ours = loudness(lambda: ms.multilevel(plain(), depth))
    assert 0.5 < ours / loudness(plain) < 2


@pytest.mark.thorough
def test_the_papers_start_grows_with_the_depth():
    sizes = [
        loudness(lambda d=depth: ms.multilevel(plain(), d, start="paper"))
        for depth in range(4)
    ]
    assert sizes[0] == pytest.approx(loudness(plain), rel=0.5)
    assert sizes == sorted(sizes) and sizes[3] > 4 * sizes[0]


def test_every_level_draws_its_share():
    """Kernels are 1/sqrt(L + 1) of the paper's; biases are as they were."""
    kernels = []
    for start in ("balanced", "paper"):
        keras.utils.set_random_seed(1)
        model = ms.multilevel(plain(), 3, start=start)
        kernels.append([k for x in model.multilevel_layers for k in x.kernels])
    for balanced, paper in zip(*kernels, strict=True):
        np.testing.assert_allclose(balanced.numpy(), paper.numpy() / 2, rtol=1e-6)


def test_refuses_other_starts():
    with pytest.raises(ValueError, match="`start` must be one of .*'loud'"):
        ms.multilevel(plain(), 1, start="loud")
