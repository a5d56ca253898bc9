"""The rules of benchmarks/practice: its data, its clock, and what its report says."""

import json
import math
from functools import partial

import keras
import numpy as np
import pytest

from benchmarks.practice import data, report, tuning
from benchmarks.practice.run import Clock, multilevel_initializers, write_whole
from benchmarks.practice.tasks import TASKS, Network
from benchmarks.practice.tuning import Run, Setting, error_at, seconds_to

NEVER = math.inf
A, B = (Setting("fit", rate, "cosine", 32) for rate in (1e-3, 2e-3))

SMALL = {
    "poisson": (partial(data.poisson, sides=(8, 6), train=5, validation=3), 48, 48),
    "field": (partial(data.poisson, sides=(4, 5, 6), train=5, validation=3), 120, 120),
    "burgers": (partial(data.burgers, size=64, train=5, validation=3), 64, 64),
    "ecg": (partial(data.ecg, size=300, train=5, validation=3), 300, 300),
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


@pytest.mark.parametrize("labels", [False, True])
def test_fashion_reads_idx_files(tmp_path, labels):
    for prefix, count in (("train", 3), ("t10k", 2)):
        images = np.arange(count * 4, dtype=np.uint8).reshape(count, 2, 2)
        for kind, array in (("images-idx3", images), ("labels-idx1", images[:, 0, 1])):
            sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
            head = bytes([0, 0, 8, array.ndim]) + sizes
            path = tmp_path / f"{prefix}-{kind}-ubyte"
            path.write_bytes(head + array.tobytes())
    made = data.fashion(1, labels, tmp_path)
    assert made.x.shape == (3, 4) and made.x_validation.shape == (2, 4)
    assert made.x[2, 3] == np.float32(11 / 255)
    assert made.y.tolist() == ([1, 5, 9] if labels else made.x.tolist())


def test_poisson_solves_its_equation():
    made = data.poisson(4, sides=(7, 9), train=2, validation=1, screening=30.0)
    x, y = (a.reshape(-1, 7, 9).astype(float) for a in (made.x, made.y))
    padded = np.pad(y, ((0, 0), (1, 1), (1, 1)))
    got = 30.0 * y
    for axis, side in ((1, 7), (2, 9)):
        around = np.roll(padded, 1, axis) + np.roll(padded, -1, axis)
        got += (2 * y - around[:, 1:-1, 1:-1]) * (side + 1) ** 2
    assert np.corrcoef(got.ravel(), x.ravel())[0, 1] > 1 - 1e-6


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
    assert topology is None or topology.size == task.network.sizes[0]
    assert (task.kind, task.loss) in (("error", "mse"), ("rate", "cross-entropy"))
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
    clock.error = lambda: NEVER
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


# ------------------------------------------------------------------ the report


def test_errors_and_seconds_go_by_the_lowest_so_far():
    trace = [(0, 3.0), (1, 0.5), (2, 0.9), (3, 0.2), (4, 0.4)]
    assert error_at(trace, 2) == 0.5
    assert error_at(trace, 2.99) == 0.2  # within the slack
    assert error_at(trace, 2.9) == 0.5
    assert error_at([(5, 1.0)], 1) == NEVER
    assert [seconds_to(trace, e) for e in (0.9, 0.5, 0.4, 0.1)] == [1, 1, 3, NEVER]
    assert tuning.lowest(trace) == [(0, 3), (1, 0.5), (2, 0.5), (3, 0.2), (4, 0.2)]


def test_an_untrained_network_is_no_target():
    late = runs_of(A, {seed: [(0, 9.0), (6, 0.5), (20, 0.3)] for seed in (0, 1)})
    assert error_at(late[0].trace, 5) == NEVER
    assert tuning.best_plain(late) == {0.25: None, 0.6: late[0], 1.0: late[0]}
    assert {row.share for row in report.rows(late)} == {0.6, 1.0}
    assert "25%" not in report.table({("t", 20.0): late})


def test_ratios_know_who_got_there():
    assert report.ratio(6, 2) == 3
    assert report.ratio(6, NEVER) == 0
    assert report.ratio(NEVER, 2) == NEVER
    assert math.isnan(report.ratio(NEVER, NEVER))
    assert report.middle([1, math.nan, 3, 8]) == 3
    assert math.isnan(report.middle([math.nan]))


def runs_of(setting, traces):
    """A run for each seed of a task with a budget of 20 s."""
    return [Run("t", setting, seed, 20.0, trace) for seed, trace in traces.items()]


def soon(early, late):
    """The errors that a run has at 5 s and at 20 s."""
    return [(0, 9.0), (5, early), (12, early), (20, late)]


WARM = tuning.WARM_DEFAULT
RUNS = [
    *runs_of(A, {0: soon(0.5, 0.3), 1: soon(0.6, 0.3), 2: soon(0.4, 0.2)}),
    *runs_of(A, {3: soon(0.5, 0.4)}),
    *runs_of(B, {0: soon(0.7, 0.1), 1: soon(0.9, 0.2), 2: soon(0.9, 0.1)}),
    *runs_of(B, {3: soon(0.9, 0.3)}),
    *runs_of(WARM, {0: [(0, 9.0), (1, 0.05)], 1: [(0, 9.0), (1, 0.5), (4, 0.2)]}),
    *runs_of(WARM, {2: [(0, 9.0), (2, 0.4)], 3: [(0, 9.0), (2.5, 0.45)]}),
]


def test_plain_training_has_its_best_setting_for_each_target():
    assert [run.setting for run in tuning.best_plain(RUNS).values()] == [A, A, B]
    settings = tuning.settings_of(RUNS)
    assert list(settings[report.PLAIN].values()) == [A, A, B]
    assert list(settings["multilevel start"].values()) == [
        setting._replace(method="start") for setting in (A, A, B)
    ]


def test_the_summary_has_medians_and_how_many_times_sooner():
    head, _, quarter, *_ = report.summary({("task", 20.0): RUNS}).splitlines()
    columns = [cell.strip() for cell in head.strip("|").split("|")]
    cells = dict(
        zip(columns, map(str.strip, quarter.strip("|").split("|")), strict=True)
    )
    assert cells[report.PLAIN] == "5.00"
    assert cells["warm start, 1e-3"] == "2.00 (2.5)"
    assert cells["of the budget"] == "25% of 20 s"
    assert "multilevel start" not in columns


def test_the_warm_start_is_tuned_by_seconds_to_the_target():
    slower = WARM._replace(rate=2e-3)
    runs = [*RUNS, *runs_of(slower, {0: [(0, 9.0), (0.5, 0.4), (9, 0.04)]})]
    chosen = [run.setting for run in tuning.best_warm(runs).values()]
    assert chosen == [slower, slower, WARM]


def test_rows_pair_the_seeds():
    rows = {(row.share, row.method): row for row in report.rows(RUNS)}
    plain, warm = rows[0.25, report.PLAIN], rows[0.25, "warm start, 1e-3"]
    assert plain.error == 0.5
    assert plain.seconds == [20, 5, 5] and plain.ratios == [1, 1, 1]
    assert warm.seconds == [1, 2, 2.5] and warm.ratios == [20, 2.5, 2]
    last = rows[1.0, "warm start, 1e-3"]
    assert last.error == 0.2
    assert last.seconds == [4, NEVER, NEVER]
    assert last.ratios[:2] == [5, 0] and math.isnan(last.ratios[2])
    assert rows[1.0, "fit, as written"].seconds == []


def test_the_table_says_what_was_not_reached():
    lines = report.table({("t", 20.0): RUNS}).splitlines()
    assert (
        "| t | 100% of 20 s | 0.2000 | warm start, 1e-3 | 0.001, cosine, 32 a call "
        "| 4.00, not reached, not reached | not reached | 2.5 |"
    ) in lines
    assert sum("| no run |" in line for line in lines) == 4 * 3


def test_a_curve_is_the_median_of_the_lowest():
    traces = [[(0, 9), (1, e), (2, 2 * e), (4, e / 2)] for e in (1.0, 3.0, 2.0)]
    moments, errors = report.middle_curve(traces, points=3)
    assert moments == pytest.approx([1, 2, 4])
    assert errors == pytest.approx([2, 2, 1])
    assert len(report.middle_curve([[(0, 9)]])[0]) == 0


def test_files_are_read_as_they_were_written(tmp_path):
    options = {"rate": 1e-3, "decay": "cosine", "steps_per_execution": 32, "jit": 1}
    record = {"task": "t", "method": "fit", "seed": 3, "trace": [[0, 2.0], [1, None]]}
    path = tmp_path / "t" / "run.json"
    write_whole(path, record | {"options": options | {"limit": 20.0}})
    assert [file.name for file in path.parent.iterdir()] == ["run.json"]
    assert report.load(tmp_path) == {
        ("t", 20.0): [Run("t", A, 3, 20.0, [(0, 2.0), (1, NEVER)])]
    }
    with pytest.raises(ValueError):
        write_whole(path, {"error": math.nan})
    assert json.loads(path.read_text())["seed"] == 3
    assert [file.name for file in path.parent.iterdir()] == ["run.json"]


def test_the_picture_is_drawn(tmp_path):
    path = tmp_path / "new" / "practice.png"
    report.picture({("t", 20.0): RUNS}, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert set(report.STYLES) == set(tuning.settings_of(RUNS))
