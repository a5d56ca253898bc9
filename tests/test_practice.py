"""The rules of benchmarks/practice: its data and its clock."""

import math
from functools import partial

import keras
import numpy as np
import pytest

from benchmarks.practice import data, levels
from benchmarks.practice.run import Clock, multilevel_initializers
from benchmarks.practice.tasks import TASKS, Network

SMALL = {
    "poisson": (partial(data.poisson, sides=(8, 6), train=5, validation=3), 48, 48),
    "field": (partial(data.poisson, sides=(4, 5, 6), train=5, validation=3), 120, 120),
    "burgers": (partial(data.burgers, size=64, train=5, validation=3), 64, 64),
    "ecg": (partial(data.ecg, size=300, train=5, validation=3), 300, 300),
    "one object": (
        partial(data.objects, count=1, size=64, train=5, validation=3),
        64,
        64,
    ),
    "two objects": (
        partial(data.objects, count=2, size=64, train=5, validation=3),
        64,
        64,
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_data_have_their_shapes_and_depend_on_the_seed_alone(name):
    make, inputs, outputs = SMALL[name]
    one, same, other = make(1), make(1), make(2)
    assert [a.shape for a in one[:2]] == [(5, inputs), (5, outputs)]
    assert [a.shape for a in one[2:]] == [(3, inputs), (3, outputs)]
    assert {a.dtype for a in one} == {np.dtype("float32")}
    assert all(np.isfinite(a).all() for a in one)
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_mnist1d_is_the_same_again():
    pytest.importorskip("mnist1d")
    one, same = data.mnist1d(3, samples=50), data.mnist1d(3, samples=50)
    shuffled = data.mnist1d(3, samples=50, shuffled=True)
    assert [a.shape for a in one] == [(40, 40), (40,), (10, 40), (10,)]
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert np.array_equal(np.sort(one.x), np.sort(shuffled.x))
    assert not np.array_equal(one.x, shuffled.x)


def idx_files(folder):
    """Three images for training and two for validation, 2 x 2, with labels."""
    for prefix, count in (("train", 3), ("t10k", 2)):
        images = np.arange(count * 4, dtype=np.uint8).reshape(count, 2, 2)
        for kind, array in (("images-idx3", images), ("labels-idx1", images[:, 0, 1])):
            sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
            head = bytes([0, 0, 8, array.ndim]) + sizes
            path = folder / f"{prefix}-{kind}-ubyte"
            path.write_bytes(head + array.tobytes())
    return folder


@pytest.mark.parametrize("labels", [False, True])
def test_fashion_reads_idx_files(tmp_path, labels):
    made = data.fashion(1, labels, idx_files(tmp_path))
    assert made.x.shape == (3, 4) and made.x_validation.shape == (2, 4)
    assert made.x[2, 3] == np.float32(11 / 255)
    assert made.y.tolist() == ([1, 5, 9] if labels else made.x.tolist())


def test_collages_are_of_the_images_and_of_noise(tmp_path):
    options = {"side": 8, "train": 40, "validation": 3, "folder": idx_files(tmp_path)}
    one, same, other = (data.collages(seed, **options) for seed in (1, 1, 2))
    assert [a.shape for a in one] == [(40, 8, 8, 1)] * 2 + [(3, 8, 8, 1)] * 2
    assert {a.dtype for a in one} == {np.dtype("float32")}
    assert np.isin(one.y, np.arange(12, dtype=np.float32) / 255).all()
    assert 0.4 < np.std(one.x - one.y) < 0.6
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one.y, other.y)


def test_poisson_solves_its_equation():
    made = data.poisson(4, sides=(7, 9), train=2, validation=1, screening=30.0)
    x, y = (a.reshape(-1, 7, 9).astype(float) for a in (made.x, made.y))
    padded = np.pad(y, ((0, 0), (1, 1), (1, 1)))
    got = 30.0 * y
    for axis, side in ((1, 7), (2, 9)):
        around = np.roll(padded, 1, axis) + np.roll(padded, -1, axis)
        got += (2 * y - around[:, 1:-1, 1:-1]) * (side + 1) ** 2
    assert np.corrcoef(got.ravel(), x.ravel())[0, 1] > 1 - 1e-6


def test_allen_cahn_is_solved():
    """Against explicit steps of Euler's, thousands of them, on the same points."""
    made = data.allen_cahn(4, side=16, train=1, validation=1, steps=300)
    y = made.x[0, ..., 0].astype(float)
    for _ in range(6000):
        padded = np.pad(y, 1)
        around = sum(np.roll(padded, s, a) for s in (1, -1) for a in (0, 1))[1:-1, 1:-1]
        y = y + 1.5 / 6000 * (0.03**2 * (around - 4 * y) * 17**2 + y - y**3)
    got = made.y[0, ..., 0]
    assert np.abs(y / np.std(y) * np.std(got) - got).max() < 2e-3


def test_burgers_needs_no_more_points_than_it_is_solved_on():
    coarse = data.burgers(4, size=512, train=3, validation=1)
    state = np.fft.rfft(coarse.x.astype(float))
    waves = np.arange(257.0)
    speeds = 2 * np.pi * waves
    for _ in range(150):
        flux = -0.5j * 2e-3 * speeds * np.fft.rfft(np.fft.irfft(state) ** 2)
        state = np.exp(-0.02 * 2e-3 * speeds**2) * (state + flux * (waves < 170))
    assert np.abs(np.fft.irfft(state) - coarse.y).max() < 1e-4


def test_the_shuffled_points_are_in_the_same_order_on_both_sides():
    options = {"size": 64, "train": 4, "validation": 2}
    plain, mixed = data.burgers(5, **options), data.burgers(5, **options, shuffled=True)
    order = [np.flatnonzero(plain.x[0] == value)[0] for value in mixed.x[0]]
    assert sorted(order) == list(range(64)) and order != sorted(order)
    assert np.array_equal(plain.x[:, order], mixed.x)
    assert np.array_equal(plain.y[:, order], mixed.y)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_tasks_fit_together(task):
    topology = task.topology()
    assert (task.kind, task.loss) in (("error", "mse"), ("rate", "cross-entropy"))
    if "start" not in task.methods:
        assert topology is None
        assert len(task.network(None).inputs[0].shape) > 2
        return
    assert topology is None or topology.size == task.network.sizes[0]
    starts = multilevel_initializers(task)
    assert len(starts) == len(task.network.sizes) - 1
    assert ("glorot_uniform" in starts) == (task.network.sizes[-1] == 10)


def test_a_network_has_its_sizes_and_a_linear_end():
    model = Network((6, 4, 2), "relu")(["ones", "zeros"])
    assert [layer.kernel.shape for layer in model.layers] == [(6, 4), (4, 2)]
    assert [layer.activation.__name__ for layer in model.layers] == ["relu", "linear"]
    assert np.all(model.layers[0].kernel.numpy() == 1)


# ------------------------------------------------------------------- the clock


class Time:
    """Seconds that pass when told to, and while the model is evaluated."""

    def __init__(self):
        self.seconds, self.errors = 100.0, iter(range(10, 0, -1))

    def __call__(self):
        return self.seconds

    def error(self):
        self.seconds += 50.0
        return float(next(self.errors))


class Model:
    """What the clock touches of a model."""

    class Optimizer:
        learning_rate = 1.0

    def __init__(self):
        self.optimizer, self.stop_training = self.Optimizer(), False


def started(limit, rate=None):
    time, model = Time(), Model()
    clock = Clock(time.error, limit, rate, now=time)
    clock.set_model(model)
    clock.begin()
    return time, model, clock


def test_evaluations_cost_nothing_and_grow_apart():
    time, model, clock = started(limit=100.0)
    for _ in range(9):
        time.seconds += 0.25
        clock.on_train_batch_end(0)
    moments = [seconds for seconds, _ in clock.trace]
    assert moments == [0, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25]
    time.seconds += 0.2  # less than 12 % of 2.25
    clock.on_epoch_end(0)
    assert len(clock.trace) == 9
    time.seconds += 0.2
    clock.on_epoch_end(0)
    assert clock.trace[-1] == [pytest.approx(2.65), 1.0]
    assert not model.stop_training


def test_there_is_an_evaluation_at_each_share_of_the_limit():
    time, _, clock = started(limit=20.0)
    for step in (4.9, 0.15):  # 5.05 is less than 12 % after 4.9
        time.seconds += step
        clock.on_train_batch_end(0)
    assert [seconds for seconds, _ in clock.trace] == pytest.approx([0, 4.9, 5.05])


def test_the_run_ends_at_the_limit_with_an_evaluation():
    time, model, clock = started(limit=1.0)
    for step in (0.95, 0.06):
        assert not model.stop_training
        time.seconds += step
        clock.on_train_batch_end(0)
    assert model.stop_training
    clock.on_epoch_end(0)
    clock.on_train_end()
    assert [seconds for seconds, _ in clock.trace] == pytest.approx([0, 0.95, 1.01])


def test_the_time_goes_on_from_one_call_to_the_next():
    time, _, clock = started(limit=9.0)
    for _ in range(2):
        clock.on_train_begin()
        time.seconds += 1.0
        clock.on_train_end()
    assert [seconds for seconds, _ in clock.trace] == [0, 1, 2]


def test_a_run_that_diverges_ends():
    time, model, clock = started(limit=9.0)
    clock.error = lambda: math.inf
    time.seconds += 1.0
    clock.on_train_batch_end(0)
    assert model.stop_training and clock.trace[-1] == [1.0, None]


def test_the_rate_decays_by_the_time():
    time, model, clock = started(limit=10.0, rate=2.0)
    rates = []
    for _ in range(3):
        time.seconds += 5.0
        clock.on_train_batch_end(0)
        rates.append(model.optimizer.learning_rate)
    assert rates == pytest.approx([2 * 0.525, 0.1, 0.1])


def test_the_clock_watches_fit():
    keras.utils.set_random_seed(1)
    x = np.random.default_rng(1).normal(size=(64, 4)).astype("float32")
    model = Network((4, 3, 4), "relu")()
    clock = Clock(lambda: float(np.mean((np.asarray(model(x)) - x) ** 2)), 1e-3, 1e-3)
    clock.set_model(model)
    clock.begin()
    model.compile(keras.optimizers.Adam(1e-3), "mse", jit_compile=False)
    model.fit(x, x, epochs=1000, callbacks=[clock], verbose=0)
    assert clock.trace[0][0] == 0 and clock.trace[-1][0] >= 1e-3
    assert clock.trace[-1][1] < clock.trace[0][1]
    assert model.optimizer.iterations.numpy() == 1
    assert float(model.optimizer.learning_rate.numpy()) == pytest.approx(5e-5)


@pytest.mark.thorough
def test_what_xla_makes_of_each_level_is_measured(capsys):
    levels.main(["--task", "one-object-1024", "--repeats", "1", "--steps", "2"])
    *_, coarse, whole = capsys.readouterr().out.splitlines()
    for line, level in ((coarse, 1), (whole, 0)):
        number, parameters, *times, _ = line.strip("| ").split(" | ")
        assert int(number) == level
        assert int(parameters.replace(",", "")) > 0
        assert all(float(one) > 0 for one in times)
