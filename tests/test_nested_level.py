"""A level of a warm start: its data, its network, its rate."""

import keras
import numpy as np
import pytest
from keras import ops
from smooth import compiled, images, waves

import msann_keras as ms
from msann.topology import chain
from msann_keras.averages import averaged
from msann_keras.backends import here
from msann_keras.nested import data as nested_data
from msann_keras.nested.data import at_level, held_back, training_data
from msann_keras.nested.level import Level
from msann_keras.plan import planned
from msann_keras.samples import some_of
from msann_keras.spaces import functional

X, Y = waves(50, 64)


def made(level=2, model=None, x=X, y=Y, batch_sizes=(8, 8), **options):
    """A level, and the samples of level 0."""
    model = model or compiled(64, 32, 64)
    graph = functional(model)
    parts = some_of(x, y, None, graph, 10**9)
    _, coarsening = planned(graph, parts, options.pop("topology", None), 2, 8)
    samples = held_back(parts, np.random.default_rng(0))
    return Level(model, coarsening, level, samples, batch_sizes, 1e-3), samples


@pytest.mark.parametrize("at_once", [1, 10_000, 2**24])
def test_samples_are_averaged_some_at_a_time(at_once, monkeypatch):
    monkeypatch.setattr(nested_data, "AT_ONCE", at_once)
    level, samples = made()
    (x,), (y,), _ = at_level(samples.parts, level.coarsening, 2)
    ring = chain(ms.cycle(64, prolongation="hat"), 2)
    np.testing.assert_allclose(x, averaged(X, ring, 2, np), atol=1e-6)
    np.testing.assert_allclose(y, averaged(Y, ring, 2, np), atol=1e-6)


def test_images_are_flattened_first():
    model = keras.Sequential(
        [
            keras.Input((8, 8)),
            keras.layers.Flatten(),
            keras.layers.Dense(32, "gelu"),
            keras.layers.Dense(64),
        ]
    )
    model.compile("adam", "mse")
    x = images(30)
    level, samples = made(2, model, x, x.reshape(-1, 64))
    (coarse,), _, _ = at_level(samples.parts, level.coarsening, 2)
    grid = chain(ms.grid(8, 8, prolongation="hat"), 2)
    expected = averaged(x.reshape(-1, 64), grid, 2, np)
    np.testing.assert_allclose(coarse, expected, atol=1e-6)
    level.make_ready()


def test_what_is_held_back_is_not_trained_on():
    parts = ((np.arange(100.0)[:, None],), (np.arange(100.0)[:, None],), ())
    samples = held_back(parts, np.random.default_rng(0))
    held = set(samples.held_out[0][0][:, 0])
    assert len(held) == 10
    assert held.isdisjoint(samples.training)
    assert held | set(samples.training) == set(range(100))


def test_one_sample_is_for_both():
    parts = ((np.ones((1, 2)),), (np.ones((1, 2)),), ())
    samples = held_back(parts, np.random.default_rng(0))
    assert samples.training.tolist() == [0]
    assert len(samples.held_out[0][0]) == 1


def test_of_more_samples_than_fit_in_memory_some_are_trained_on(monkeypatch):
    level, samples = made()
    numbers = sum(chain.sizes[2] for chain in level.coarsening.inputs) * 2
    monkeypatch.setattr(nested_data, "MEMORY", 10 * 4 * numbers)
    rng = np.random.default_rng(0)
    (few, _, _), rows = training_data(samples, level.coarsening, 2, rng)
    (everything,), _, _ = at_level(samples.parts, level.coarsening, 2)
    assert len(few[0]) == 10
    assert rows.tolist() == list(range(10))
    found = {int(np.abs(everything - x).max(axis=1).argmin()) for x in few[0]}
    np.testing.assert_allclose(few[0], everything[sorted(found)], atol=1e-6)
    assert found <= set(samples.training)


@pytest.mark.parametrize("weighted", [False, True])
def test_batches_come_from_the_given_rows_without_end(weighted):
    rows = np.array([1, 3, 4, 6, 7])
    data = (np.arange(10.0), {"a": np.arange(10.0) * 2}, *[np.arange(10.0)] * weighted)
    seen = []
    for number, (x, y, *weights) in enumerate(here.batches(data, rows, 2, seed=1)()):
        x, twice = ops.convert_to_numpy(x), ops.convert_to_numpy(y["a"])
        assert len(x) == 2
        np.testing.assert_array_equal(twice, 2 * x)
        if weighted:
            np.testing.assert_array_equal(ops.convert_to_numpy(weights[0]), x)
        seen += x.tolist()
        if number == 20:
            break
    assert set(seen) == set(rows)


def test_making_ready_leaves_no_trace():
    level, _ = made()
    level.draw()
    before = level.state()
    level.make_ready()
    for one, other in zip(before, level.state(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_draw_is_the_layers_own():
    model = compiled(64, 32, 64)
    for layer in model.layers:
        layer.kernel_initializer = keras.initializers.RandomNormal(3.0, 0.01)
        layer.bias_initializer = keras.initializers.Constant(0.5)
    level, _ = made(2, model)
    level.draw()
    for layer in level.layers:
        kernel = ops.convert_to_numpy(layer.kernel)
        assert kernel.mean() == pytest.approx(3.0, abs=0.01)
        assert kernel.std() == pytest.approx(0.01, rel=0.5)
        np.testing.assert_array_equal(ops.convert_to_numpy(layer.bias), 0.5)


def test_its_rate_follows_glorots_scale():
    level, _ = made(2, compiled(64, 32, 64, optimizer=keras.optimizers.Adam(0.1)))
    ratio = level.coarsening.hierarchy.glorot_ratios[2]
    assert ratio > 1.2
    assert float(level.network.optimizer.learning_rate) == pytest.approx(0.1 * ratio)
    level, _ = made(2, compiled(64, 32, 64, optimizer=keras.optimizers.SGD(0.1)))
    assert float(level.network.optimizer.learning_rate) == pytest.approx(0.1)


@pytest.mark.parametrize(("optimizer", "times"), [("Adam", 2.0), ("SGD", 4.0)])
def test_its_rate_grows_with_its_batches(optimizer, times):
    def rate(*batch_sizes):
        some = getattr(keras.optimizers, optimizer)(0.1)
        level, _ = made(
            2, compiled(64, 32, 64, optimizer=some), batch_sizes=batch_sizes
        )
        x, *_ = next(iter(level.batches()))
        assert len(x) == batch_sizes[1]
        return float(level.network.optimizer.learning_rate)

    assert rate(4, 16) == pytest.approx(times * rate(16, 16))


def test_the_best_rate_is_kept_with_what_it_learned():
    keras.utils.set_random_seed(1)
    level, _ = made(2, compiled(64, 32, 64, optimizer=keras.optimizers.Adam(1e-5)))
    level.draw()
    before, rate = level.error(), float(level.network.optimizer.learning_rate)
    assert level.best_rate([1e-3, 100.0]) == 100.0
    assert float(level.network.optimizer.learning_rate) == pytest.approx(100 * rate)
    assert level.error() < before


def test_a_rate_that_diverges_is_not_the_best():
    keras.utils.set_random_seed(1)
    level, _ = made(2, compiled(64, 32, 64, optimizer=keras.optimizers.SGD(1e-2)))
    level.draw()
    assert level.best_rate([1.0, 1e6]) == 1.0
    assert np.isfinite(level.error())
