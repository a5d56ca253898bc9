"""CycleSchedule: levels batch by batch, what it logs, and the callbacks beside it."""

import csv
import itertools

import keras
import numpy as np
import pytest
from models import (
    EAGER,
    EVERY,
    GRAPH,
    Interrupt,
    Recording,
    X,
    Y,
    assert_equal,
    compiled,
    fit,
    network,
)

import msann_keras as ms
from msann import schedules
from msann_keras.engines.fine_gradient import FineGradient
from msann_keras.optimizers import Progress


class Log(keras.callbacks.Callback):
    """The logs of every call of the train function."""

    def __init__(self):
        super().__init__()
        self.logs = []

    def on_train_batch_end(self, batch, logs):
        self.logs.append(dict(logs))


def levels_of(visits):
    return [level for level, steps in visits for _ in range(steps)]


# ----------------------------------------------------------------- where and at what


def test_levels_and_costs_by_hand():
    """Batches of 4, 4, 2; 20, 6 and 2 parameters: shares of 1, 0.3 and 0.1."""
    model, log = compiled(2), Log()
    history = fit(model, epochs=2, callbacks=[log])
    assert [entry["level"] for entry in log.logs] == [0, 1, 2, 1, 0, 0]
    costs = [4, 5.2, 5.4, 6.6, 10.6, 12.6]
    assert_equal([entry["cost"] for entry in log.logs], costs)
    assert history["level"] == [2, 0]
    assert_equal(history["cost"], [5.4, 12.6])
    assert model.cost == history["cost"][-1]


SCHEDULES = {
    "w": ms.CycleSchedule(gamma=2),
    "script": ms.CycleSchedule(2, 2, "script"),
    "by level": ms.CycleSchedule(smoothing_steps=[1, 2, 3]),
    "default": ms.CycleSchedule(),
    "f": schedules.f_cycle(2, 2),
    "full": schedules.full_multigrid(2, smoothing_steps=3),
    "plain": schedules.plain(),
    "every": schedules.simultaneous(),
    "shallow": schedules.gamma_cycle(1),
    "mixed": ms.Schedule(cycle=[(EVERY, 2), (2, 1)], start=[(1, 2)]),
}


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("name", "steps_per_execution"), [("w", 1), *((name, 4) for name in SCHEDULES)]
)
def test_levels_are_the_schedules_batch_by_batch(name, steps_per_execution):
    callback = SCHEDULES[name]
    if isinstance(callback, ms.Schedule):
        callback = ms.CycleSchedule(schedule=callback)
    options = {"steps_per_execution": steps_per_execution}
    model = compiled(2, "sgd", Recording, **EAGER, **options)
    history = fit(model, schedule=callback, batch_size=1, epochs=2)
    expected = levels_of(callback.schedule.take(0, 20))
    assert model.record == expected
    shares = [1, 0.3, 0.1]
    cost = sum(sum(shares) if at == EVERY else shares[at] for at in expected)
    assert history["cost"][-1] == pytest.approx(cost)
    assert history["level"] == [expected[9], expected[19]]


def test_the_default_is_a_v_cycle_of_the_models_depth():
    callback = ms.CycleSchedule()
    for depth in (2, 1, 0):  # also when the callback is used again
        fit(compiled(depth), schedule=callback)
        assert callback.schedule == schedules.gamma_cycle(depth)


def test_a_new_fit_begins_anew_and_resume_goes_on():
    model = compiled(1, "sgd", Recording)
    for resume in (False, True, False):
        fit(model, schedule=ms.CycleSchedule(resume=resume), steps_per_epoch=2)
    assert model.record == [0, 1, 0, 0, 0, 1]  # cycles of 0 1 0
    assert model.progress == Progress(2, 8, (4, 4))


def test_seconds_count_training_steps_alone(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("msann_keras.session.time.perf_counter", lambda: now[0])
    run = FineGradient.run

    def timed(*args):
        now[0] += 1
        return run(*args)

    monkeypatch.setattr(FineGradient, "run", timed)

    class Clock(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            now[0] += 1000

        def on_train_batch_end(self, batch, logs=None):
            now[0] += 10

        def on_test_batch_end(self, batch, logs=None):
            now[0] += 100

    validation = {"validation_data": (X, Y)}
    history = fit(compiled(), epochs=2, callbacks=[Clock()], **validation)
    assert history["seconds"] == [3, 6]


def test_works_with_evaluation_alone():
    model, callback = compiled(), ms.CycleSchedule()
    plain = model.evaluate(X, Y, verbose=0)
    assert model.evaluate(X, Y, verbose=0, callbacks=[callback]) == plain
    assert model.progress.position == 0


# ----------------------------------------------------------- leaves things as found


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("error", "mode"),
    [
        (None, EAGER),
        (RuntimeError("mine"), EAGER),
        (RuntimeError("mine"), GRAPH),
        (KeyboardInterrupt(), EAGER),
    ],
)
def test_leaves_the_model_as_it_was(error, mode):
    model = compiled(1, **mode)
    model.level = 1
    if error is None:
        fit(model)
    else:
        with pytest.raises(type(error)):
            fit(model, callbacks=[Interrupt(error)])
    assert model.level == 1
    assert len(model.trainable_weights) == 4
    before = model.get_weights()
    model.fit(X, Y, verbose=0)  # without a schedule: the level that was set
    changed = [
        not np.array_equal(a, b)
        for a, b in zip(before, model.get_weights(), strict=True)
    ]
    assert changed == [v.level == 1 for v in model.weights]


# ---------------------------------------------------------------- refusals


COARSENED = {"coarsen_data": True}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": 0}, "`gamma` must be an integer >= 1.*gamma=0"),
        ({"gamma": 0, "smoothing_steps": [1, 1, 1]}, "`gamma`.*gamma=0"),
        ({"gamma": True}, "`gamma`.*gamma=True"),
        ({"smoothing_steps": 0}, "`smoothing_steps` must be.*smoothing_steps=0"),
        ({"smoothing_steps": [1, 0]}, r"`smoothing_steps`.*\[1, 0\]"),
        ({"smoothing_steps": []}, r"`smoothing_steps`.*\[\]"),
        ({"variant": "mine"}, "`variant` must be one of 'paper', 'script'.*'mine'"),
        ({"schedule": "v"}, "`schedule` must be a Schedule.*Received: 'v'"),
        (
            {"schedule": schedules.plain(), "gamma": 2},
            "either `schedule` or the parameters.*'gamma': 2",
        ),
        ({"smoothing_steps": schedules.Growing(1, 2), "gamma": 0}, "`gamma` must be"),
        (COARSENED | {"consistency": -1}, r"`consistency`.* in 0 .. 1,000.*=-1"),
        (COARSENED | {"memory": 0}, "`memory` must be an integer >= 1.*memory=0"),
        ({"memory": 9}, "`memory` is for `coarsen_data=True`.*memory=9"),
        ({"consistency": 9}, "`consistency` is for `coarsen_data=True`.*=9"),
    ],
)
def test_refuses_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        ms.CycleSchedule(**options)


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (
            ms.CycleSchedule(schedule=schedules.gamma_cycle(2)),
            "down to level 2.*model's `depth` is 1",
        ),
        (ms.CycleSchedule(smoothing_steps=[1, 2, 3]), "each of the 2 levels"),
    ],
)
def test_refuses_schedules_that_do_not_fit_the_model(callback, message):
    model = compiled(1)
    fit(model)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        fit(model, schedule=callback)
    assert_equal(model.get_weights(), before, rtol=0, atol=0)
    assert model.progress.position == 3


def test_refuses_other_models():
    model = network(None)
    model.compile("sgd", "mse", **EAGER)
    before = model.get_weights()
    with pytest.raises(TypeError, match="needs a MultilevelModel.*Functional"):
        fit(model)
    assert_equal(model.get_weights(), before, rtol=0, atol=0)


# ------------------------------------------------------------- Keras's own callbacks


@pytest.mark.thorough
@pytest.mark.parametrize(("first", "mode"), [(True, EAGER), (False, GRAPH)])
def test_backup_and_restore(first, mode, tmp_path):
    """Interrupted in epoch 2 of 3, with the backup before the schedule or after it."""
    x, y = X[:8], Y[:8]  # 4 batches an epoch, cycles of 00 11 00

    def run(model, *extra):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        callbacks = [ms.CycleSchedule(smoothing_steps=2, resume=True)]
        callbacks.insert(0 if first else 1, backup)
        options = {"batch_size": 2, "epochs": 3, "shuffle": False, "verbose": 0}
        model.fit(x, y, callbacks=[*callbacks, *extra], **options)
        return model

    unbroken = run(compiled(1, "adam", **mode))
    counter = itertools.count(1)

    def stop(batch, logs):
        if next(counter) == 6:
            raise RuntimeError("killed")

    killer = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
    with pytest.raises(RuntimeError, match="killed"):
        run(compiled(1, "adam", **mode), killer)
    restored = run(compiled(1, "adam", **mode))
    assert restored.progress == unbroken.progress == Progress(12, 24, (16, 8))
    assert_equal(restored.get_weights(), unbroken.get_weights(), rtol=0)


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    history = fit(compiled(), epochs=2, callbacks=[keras.callbacks.CSVLogger(path)])
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["cost"]) for row in rows] == history["cost"]
    assert [int(row["level"]) for row in rows] == history["level"]
    assert {"epoch", "loss", "seconds"} <= rows[0].keys()


def test_model_checkpoint(tmp_path):
    path = str(tmp_path / "{epoch}.keras")
    model = compiled(1, "adam")
    fit(model, epochs=2, callbacks=[keras.callbacks.ModelCheckpoint(path)])
    loaded = keras.models.load_model(path.format(epoch=2))
    assert_equal(loaded.get_weights(), model.get_weights(), rtol=0, atol=0)
    assert loaded.progress == model.progress
    assert keras.models.load_model(path.format(epoch=1)).progress.position == 3


def test_early_stopping_restores_the_best_weights():
    model, weights = compiled(1, keras.optimizers.SGD(30.0)), []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(model.get_weights())
    )
    stop = keras.callbacks.EarlyStopping(
        "val_loss", patience=2, restore_best_weights=True
    )
    data = {"validation_data": (X, Y)}
    history = fit(model, epochs=9, callbacks=[note, stop], **data)
    assert np.argmin(history["val_loss"]) == 0
    assert len(weights) == 3
    assert_equal(model.get_weights(), weights[0], rtol=0, atol=0)
    assert not np.array_equal(weights[0][0], weights[2][0])


def test_terminate_on_nan():
    model = compiled(1, keras.optimizers.SGD(1e30), **GRAPH)
    stop = keras.callbacks.TerminateOnNaN()
    fit(model, epochs=9, callbacks=[stop])
    assert model.progress.position < 27
    assert model.level == EVERY


def rates(model):
    return [float(copy.learning_rate) for copy in model.optimizer.levels]


def test_learning_rates_reach_every_level():
    model = compiled(2, keras.optimizers.SGD(1.0))
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 4)
    history = fit(model, epochs=2, callbacks=[schedule])
    assert rates(model) == [1 / 16] * 3
    assert history["learning_rate"] == [1 / 4, 1 / 16]
    plateau = keras.callbacks.ReduceLROnPlateau(
        "loss", factor=0.5, patience=1, min_delta=1e9
    )
    fit(model, epochs=3, callbacks=[plateau])
    assert rates(model) == [1 / 64] * 3


def test_tensorboard(tmp_path):
    for package in ("tensorboard", "tensorflow"):  # Keras takes its writer from there
        pytest.importorskip(package, reason=f"the package {package} is not here")
    fit(compiled(), callbacks=[keras.callbacks.TensorBoard(tmp_path)])
    assert list(tmp_path.rglob("events*"))
