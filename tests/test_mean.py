"""The mean of a level's weights over the last part of its steps."""

import keras
import numpy as np
import pytest

from msann_keras.nested.mean import GROWN, Mean


class Stub:
    """What the callback sees of a model: its trainable variables."""

    def __init__(self, *values):
        self.trainable_variables = [keras.Variable(np.float32(x)) for x in values]

    @property
    def values(self):
        return [np.asarray(keras.ops.convert_to_numpy(x)).tolist() for x in self]

    def __iter__(self):
        return iter(self.trainable_variables)


def trained(window, walk):
    """A mean that has seen a number take these values, one after each step."""
    mean, model = Mean(window), Stub(0.0)
    mean.set_model(model)
    mean.on_train_begin()
    for step, value in enumerate(walk):
        model.trainable_variables[0].assign(np.float32(value))
        mean.on_train_batch_end(step)
    return mean, model


def seen(mean, model):
    """What the network is, with the mean in its place."""
    with mean.in_place():
        return model.values[0]


def test_it_is_counted_by_hand():
    # At step 3 the window is 1.5 steps, of which the last one is two thirds.
    mean, model = trained(0.5, [8.0, 2.0, 5.0])
    assert seen(mean, model) == pytest.approx(2 / 3 + 2 * 5 / 3)
    assert model.values == [5.0]
    mean.on_train_end()
    assert model.values[0] == pytest.approx(4.0)


@pytest.mark.parametrize("window", [0.05, 0.3])
def test_of_what_stands_still_it_is_the_same(window):
    mean, model = trained(window, [3.0] * 500)
    assert seen(mean, model) == pytest.approx(3.0)


@pytest.mark.parametrize("window", [0.05, 0.2])
def test_what_moves_evenly_is_followed_at_a_distance_of_the_window(window):
    mean, model = trained(window, np.arange(1, 3001))
    lag = 1 - seen(mean, model) / 3000
    assert lag == pytest.approx(window / (1 + window), abs=GROWN)


def test_it_has_less_of_the_noise():
    walk = np.random.default_rng(0).normal(size=(40, 1000))
    ends = [seen(*trained(0.05, one)) for one in walk]
    # Of the last 50 steps one in ten is taken, with a fifth of the weight.
    assert np.std(ends) == pytest.approx(1 / 3, rel=0.3)


def test_without_a_window_it_is_the_weights_themselves():
    mean, model = trained(0.0, [8.0, 2.0])
    assert seen(mean, model) == 2.0
    mean.on_train_end()
    assert model.values == [2.0]


def test_weights_come_back_when_something_fails():
    mean, model = trained(0.5, [8.0, 2.0, 5.0])
    with pytest.raises(RuntimeError), mean.in_place():
        raise RuntimeError
    assert model.values == [5.0]


def test_before_and_after_a_fit_there_is_nothing_in_their_place():
    mean, model = trained(0.5, [8.0, 2.0, 5.0])
    mean.on_train_end()
    model.trainable_variables[0].assign(1.0)
    assert seen(mean, model) == 1.0
    mean.on_train_begin()
    assert seen(mean, model) == 1.0


class Path(keras.callbacks.Callback):
    """The kernel after each step."""

    def __init__(self):
        super().__init__()
        self.kernels = []

    def on_train_batch_end(self, batch, logs=None):
        self.kernels.append(self.model.get_weights()[0])


def test_a_fit_ends_with_the_mean_and_trains_as_without_it():
    x = np.random.default_rng(1).normal(size=(64, 3)).astype("float32")
    ends = {}
    for window in (0.0, 0.3):
        keras.utils.set_random_seed(2)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        path = Path()
        callbacks = [Mean(window), path]
        model.fit(x, x[:, :1], 4, callbacks=callbacks, verbose=0, shuffle=False)
        ends[window] = path.kernels, model.get_weights()[0]
    (path, last), (same, averaged) = ends.values()
    np.testing.assert_allclose(path, same, rtol=1e-6)
    np.testing.assert_array_equal(last, path[-1])
    assert np.abs(averaged - last).max() > 1e-4
    least, most = np.min(path[-8:], 0), np.max(path[-8:], 0)
    assert (least <= averaged).all() and (averaged <= most).all()
