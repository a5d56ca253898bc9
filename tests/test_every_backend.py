"""What the paper's method does is the same on every backend: layers, steps, cycles."""

from functools import partial

import keras
import numpy as np
import pytest
from autodiff import gradients
from keras import ops
from matrices import dense

import msann_keras as ms
from msann.topology import chain
from msann_keras.focus import training
from msann_keras.nested import multilevel as warm

BACKEND = keras.backend.backend()
trains = pytest.mark.skipif(BACKEND == "torch", reason="there are no steps at levels")
RNG = np.random.default_rng(2)
X = RNG.normal(size=(24, 8)).astype("float32")
Y = RNG.normal(size=(24, 8)).astype("float32")
DEPTH, RATE = 2, 0.05
#: P between level 0 and level l, of eight units on a path.
P = [dense(one) for one in chain(ms.path(8), DEPTH).composites]


def model(**options):
    inputs = keras.Input((8,))
    made = ms.MultilevelModel(inputs, ms.MultilevelDense(8, depth=DEPTH)(inputs))
    made.compile(keras.optimizers.SGD(RATE), "mse", **options)
    return made


def theta(kernels, biases):
    """(3.7) and (3.8)."""
    kernel = sum(p @ k @ p.T for p, k in zip(P, kernels, strict=True))
    return kernel, sum(p @ b for p, b in zip(P, biases, strict=True))


def arrays(variables):
    return [ops.convert_to_numpy(x).astype("float64") for x in variables]


@pytest.mark.parametrize("level", range(DEPTH + 1))
def test_autodiff_restricts_the_fine_gradient(level):
    """(3.13), with the other levels constant."""
    layer = model().multilevel_layers[0]
    own = layer.level_weights(level)

    def loss():
        with training(level, [layer]):
            return ops.mean(ops.square(ops.subtract(layer(X), Y)))

    found = gradients(loss, own)
    kernel, bias = theta(arrays(layer.kernels), arrays(layer.biases))
    error = 2 * (X @ kernel + bias - Y) / Y.size
    np.testing.assert_allclose(found[0], P[level].T @ X.T @ error @ P[level], atol=1e-6)
    np.testing.assert_allclose(found[1], P[level].T @ error.sum(axis=0), atol=1e-6)


def descended(kernels, biases, levels, batch, factors=(1, 1, 1)):
    """Gradient steps by hand, one a level of `levels`, on batches in their order."""
    for step, level in enumerate(levels):
        rows = slice(step * batch % len(X), step * batch % len(X) + batch)
        x, y = X[rows], Y[rows]
        kernel, bias = theta(kernels, biases)
        error = 2 * (x @ kernel + bias - y) / y.size
        rate = RATE * factors[level]
        kernels[level] -= rate * P[level].T @ x.T @ error @ P[level]
        biases[level] -= rate * P[level].T @ error.sum(axis=0)
    return kernels, biases


@pytest.mark.quick(1)
@trains
@pytest.mark.parametrize(
    "options", [{}, {"steps_per_execution": 4}, {"run_eagerly": True}]
)
def test_cycles_are_gradient_descent_by_hand(options):
    """Each epoch is one V-cycle of two batches a visit: levels 0, 1, 2, 1, 0."""
    made = model(**options)
    layer = made.multilevel_layers[0]
    kernels, biases = arrays(layer.kernels), arrays(layer.biases)
    visits = [visit.level for visit in ms.schedules.gamma_cycle(2, 1, 1).cycle]
    levels = [level for level in visits for _ in range(2)] * 4
    cycles = ms.CycleSchedule(gamma=1, smoothing_steps=2)
    fit = {"batch_size": 4, "shuffle": False, "verbose": 0}
    made.fit(X, Y, epochs=3, callbacks=[cycles], **fit)
    expected = descended(kernels, biases, levels[:18], 4)
    for ours, by_hand in zip((layer.kernels, layer.biases), expected, strict=True):
        for one, other in zip(arrays(ours), by_hand, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)
    counts = [4 * levels[:18].count(level) for level in range(DEPTH + 1)]
    assert made.progress == (18, 72, tuple(counts))
    shares = made.hierarchy.shares
    assert made.cost == pytest.approx(np.dot(shares, counts))


@trains
def test_rates_of_levels_may_change_from_fit_to_fit():
    """They are constants of what was compiled before."""
    made = model()
    layer = made.multilevel_layers[0]
    fit = {"batch_size": 4, "shuffle": False, "verbose": 0}
    levels = [0, 1, 2, 2, 1, 0]
    schedule = ms.Schedule([(0, 1), (1, 1), (2, 2), (1, 1), (0, 1)])
    for factors in ((1, 1, 1), (1, 2, 4), (1, 1, 1)):
        before = arrays(layer.kernels), arrays(layer.biases)
        cycles = ms.CycleSchedule(schedule=schedule, rate_factors=factors)
        made.fit(X, Y, callbacks=cycles, **fit)  # one callback, no list
        kernels, _ = descended(*before, levels, 4, factors)
        for one, other in zip(arrays(layer.kernels), kernels, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


@trains
def test_frozen_layers_stay_as_they_are():
    inputs = keras.Input((8,))
    first = ms.MultilevelDense(8, depth=1, name="first")
    last = ms.MultilevelDense(8, depth=1)
    made = ms.MultilevelModel(inputs, last(first(inputs)))
    first.trainable = False
    made.compile(keras.optimizers.SGD(RATE), "mse")
    frozen, learning = arrays(first.weights), arrays(last.weights)
    made.fit(X, Y, batch_size=4, verbose=0, callbacks=[ms.CycleSchedule()])
    for one, other in zip(arrays(first.weights), frozen, strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(
        (a != b).any() for a, b in zip(arrays(last.weights), learning, strict=True)
    )


@pytest.mark.thorough
@trains
def test_loss_scaling_counts_and_trains():
    made = model()
    optimizer = ms.MultilevelOptimizer(keras.optimizers.SGD(RATE), DEPTH)
    made.compile(keras.optimizers.LossScaleOptimizer(optimizer, 8.0), "mse")
    before = arrays(made.trainable_variables)
    made.fit(X, Y, batch_size=4, verbose=0, callbacks=[ms.CycleSchedule()])
    assert made.progress.position == 6
    after = arrays(made.trainable_variables)
    assert any((a != b).any() for a, b in zip(after, before, strict=True))


@trains
def test_progress_can_be_read_in_the_midst_of_an_epoch():
    seen = []

    class Reads(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(self.model.progress.position)

    made = model()
    made.level = 1
    made.fit(X, Y, batch_size=4, verbose=0, callbacks=[Reads()])
    assert seen == [1, 2, 3, 4, 5, 6]


@pytest.mark.thorough
@trains
def test_a_schedule_goes_on_after_loading(tmp_path):
    """Slots, step counts and the place in the schedule are saved with the model."""
    options = {"batch_size": 4, "shuffle": False, "verbose": 0}

    def cycles():
        return [ms.CycleSchedule(gamma=2, smoothing_steps=3, resume=True)]

    whole, half = model(), model()
    half.set_weights(whole.get_weights())
    whole.fit(X, Y, epochs=4, callbacks=cycles(), **options)
    half.fit(X, Y, epochs=2, callbacks=cycles(), **options)
    half.save(tmp_path / "half.keras")
    again = keras.saving.load_model(tmp_path / "half.keras")
    again.fit(X, Y, epochs=2, callbacks=cycles(), **options)
    assert again.progress == whole.progress
    for one, other in zip(again.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.thorough
@trains
def test_callbacks_see_the_weights_between_epochs():
    seen = []

    class Looks(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((self.model.progress.position, logs["cost"], self.model.cost))

    options = {"batch_size": 4, "epochs": 3, "verbose": 0, "validation_data": (X, Y)}
    history = model().fit(X, Y, callbacks=[ms.CycleSchedule(), Looks()], **options)
    assert [position for position, *_ in seen] == [6, 12, 18]
    assert all(logged == pytest.approx(cost) for _, logged, cost in seen)
    assert len(history.history["val_loss"]) == 3


@pytest.mark.thorough
@trains
def test_auto_begins_with_a_warm_start(monkeypatch):
    start = partial(warm.warm_start, depth=3, seconds=0.6)  # the plan would say: none
    monkeypatch.setattr(warm, "warm_start", start)
    waves = np.sin(np.linspace(0, 6, 64) + RNG.uniform(0, 6, (200, 1)))
    layers = [keras.layers.Dense(64, "tanh"), keras.layers.Dense(64)]
    made = ms.multilevel(keras.Sequential([keras.Input((64,)), *layers]), depth=3)
    made.compile("adam", "mse")
    cycles = ms.CycleSchedule(gamma="auto")
    losses = made.fit(waves, -waves, epochs=2, verbose=0, callbacks=[cycles])
    assert losses.history["loss"][-1] < 0.05 * np.var(waves)


def test_conversion_and_merging_keep_the_outputs():
    layers = [keras.layers.Dense(12, "gelu"), keras.layers.Dense(8)]
    plain = keras.Sequential([keras.Input((8,)), *layers])
    made = ms.multilevel(plain, depth=1, keep_weights=True)
    for other in (made, made.merge()):
        np.testing.assert_allclose(
            ops.convert_to_numpy(other(X)), ops.convert_to_numpy(plain(X)), atol=1e-5
        )


@pytest.mark.skipif(BACKEND != "torch", reason="others train by levels")
@pytest.mark.parametrize("coarsen_data", [False, True])
def test_torch_says_how_to_go_on(coarsen_data):
    cycles = ms.CycleSchedule(coarsen_data=coarsen_data)
    with pytest.raises(ValueError, match=r"trains on TensorFlow and JAX.*merge\(\)"):
        model().fit(X, Y, verbose=0, callbacks=[cycles])
    with pytest.raises(AttributeError, match="`coarse_network` and cycles need"):
        ms.coarse_network(model(), level=1)


def cycled(kernel, bias, level, steps):
    """A V-cycle on averages by hand: the change at a coarse level is prolonged."""
    x, y, c = (at_level(level) for at_level in (inputs_at, targets_at, sums_at))
    scale = c[:, None] / c

    def train(kernel, bias):
        for _ in range(steps):
            error = 2 * (x @ (kernel * scale) + bias / c - y) / y.size
            kernel = kernel - RATE * (x.T @ error) * scale
            bias = bias - RATE * error.sum(axis=0) / c
        return kernel, bias

    kernel, bias = train(kernel, bias)
    if level == DEPTH:
        return kernel, bias
    p = dense(chain(ms.path(8), DEPTH).steps[level])
    coarse = p.T @ kernel @ p, p.T @ bias
    after = cycled(*coarse, level + 1, steps)
    kernel = kernel + p @ (after[0] - coarse[0]) @ p.T
    return train(kernel, bias + p @ (after[1] - coarse[1]))


def sums_at(level):
    return P[level].sum(axis=0)


def inputs_at(level):
    return X @ P[level] / sums_at(level)


def targets_at(level):
    return Y @ P[level] / sums_at(level)


@pytest.mark.quick(1)
@trains
@pytest.mark.parametrize(
    "options", [{}, {"steps_per_execution": 3}, {"run_eagerly": True}]
)
def test_cycles_on_coarsened_data_are_those_by_hand(options):
    """On batches of all samples, whose order means nothing; in float32."""
    made = model(**options)
    (layer,) = made.multilevel_layers
    kernel, bias = theta(arrays(layer.kernels), arrays(layer.biases))
    for _ in range(8):
        kernel, bias = cycled(kernel, bias, 0, steps=2)
    cycles = ms.CycleSchedule(1, 2, coarsen_data=True, rate_factors=(1, 1, 1))
    fit = {"batch_size": 24, "steps_per_epoch": 4, "verbose": 0}
    history = made.fit(X, Y, epochs=2, callbacks=[cycles], **fit).history
    for actual, expected in zip(arrays(layer.theta()), (kernel, bias), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-5)
    assert made.progress == (80, 80 * 24, (32 * 24, 32 * 24, 16 * 24))
    assert history["cost"][-1] == made.cost
    assert history["loss"][1] < history["loss"][0]
