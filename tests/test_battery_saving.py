"""What Keras expects of saving, loading and callbacks, of `MultilevelModel`."""

import csv
import pickle
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from batteries import X, Y, assert_as_keras, assert_equal, compiled, fit, network

import msann_keras as ms


def schedules():
    return {"callbacks": [ms.CycleSchedule(resume=True)]}


# ---------------------------------------------------------------------------- saving


@pytest.mark.quick(1)
@pytest.mark.parametrize("way", ["keras", "weights", "arrays", "clone", "pickle"])
def test_a_copy_predicts_the_same_and_trains_on_alike(way, tmp_path):
    model = compiled(1, "adam")
    fit(model, **schedules())
    if way == "keras":
        model.save(tmp_path / "model.keras")
        other = keras.saving.load_model(tmp_path / "model.keras")
    elif way == "pickle":
        other = pickle.loads(pickle.dumps(model))
    else:
        other = (
            keras.models.clone_model(model) if way == "clone" else network(1, seed=7)
        )
        other.compile("adam", "mse", jit_compile=False)
        if way == "weights":
            model.save_weights(tmp_path / "own.weights.h5")
            other.load_weights(tmp_path / "own.weights.h5")
        else:
            other.set_weights(model.get_weights())
    assert_equal(other(X), model(X), rtol=0)
    assert_equal(other.evaluate(X, Y, verbose=0), model.evaluate(X, Y, verbose=0))
    if way in ("arrays", "clone"):  # without the optimizer's state
        return
    assert other.progress == model.progress
    assert_equal(fit(other, **schedules())["loss"], fit(model, **schedules())["loss"])


@pytest.mark.parametrize("loads_weights", [True, False])
def test_weights_of_other_shapes_say_which_shapes_must_match(loads_weights, tmp_path):
    """As Keras does for a plain model."""
    path, messages = tmp_path / "wide.weights.h5", []
    for depth in (None, 0, 1):
        wide = keras.Sequential(
            [keras.Input((8,)), keras.layers.Dense(6, name="hidden")]
        )
        narrow = keras.Sequential(
            [keras.Input((8,)), keras.layers.Dense(4, name="hidden")]
        )
        if depth is not None:
            wide, narrow = (ms.multilevel(model, depth) for model in (wide, narrow))
            narrow.compile("adam", "mse")
        before = narrow.get_weights()
        wide.save_weights(path)
        with pytest.raises(ValueError) as error:
            if loads_weights:
                narrow.load_weights(path)
            else:
                narrow.set_weights(wide.get_weights())
        assert_equal(narrow.get_weights(), before, rtol=0)
        messages.append(str(error.value))
    for message in messages:
        assert "(8, 4)" in message and "(8, 6)" in message


@keras.saving.register_keras_serializable("batteries")
class Adversary(ms.MultilevelModel):
    """Compiles as GAN and VAE examples do."""

    def compile(self, gen_opt, loss_fn):
        super().compile(optimizer=gen_opt, run_eagerly=True)
        self.gen_opt, self.loss_fn = gen_opt, loss_fn

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.loss_fn(y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"generator": loss}


@pytest.mark.parametrize("trained", [False, True])
def test_a_subclass_with_a_compile_of_its_own_is_saved_and_loaded(trained, tmp_path):
    same = network(1)
    model = Adversary(same.inputs, same.outputs)
    if trained:
        model.compile(keras.optimizers.SGD(), keras.losses.MeanSquaredError())
        losses = fit(model, callbacks=[ms.CycleSchedule()])["generator"]
        assert losses[1] < losses[0]
    model.save(tmp_path / "model.keras")
    with warnings.catch_warnings():  # Keras says that it did not compile
        warnings.simplefilter("ignore", UserWarning)
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, Adversary)
    assert_equal(loaded(X), model(X), rtol=0)
    loaded.compile(keras.optimizers.SGD(), keras.losses.MeanSquaredError())
    assert np.isfinite(fit(loaded, **schedules())["generator"]).all()


def test_an_ordinary_compile_is_restored_with_loss_metrics_and_weights(tmp_path):
    def run(depth):
        options = {"metrics": ["mae"], "loss_weights": [2.0], "steps_per_execution": 2}
        model = compiled(depth, keras.optimizers.Adam(0.01), **options)
        fit(model)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        logs = loaded.evaluate(X, Y, verbose=0, return_dict=True)
        steps = loaded.get_compile_config()["steps_per_execution"]
        rates = float(loaded.optimizer.learning_rate), int(loaded.optimizer.iterations)
        return logs, rates, fit(loaded), steps

    assert_as_keras(run)


def test_saving_without_its_optimizer(tmp_path):
    model = compiled(1, "adam")
    fit(model, **schedules())
    model.save(tmp_path / "model.keras", include_optimizer=False)
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert not loaded.compiled
    assert_equal(loaded(X), model(X), rtol=0)


# ------------------------------------------------------------------------- callbacks


class Hooks(keras.callbacks.Callback):
    """Notes each call with its number and the names of its logs."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __getattribute__(self, name):
        known = name.startswith("on_") and name.endswith(("_begin", "_end"))
        if not known:
            return super().__getattribute__(name)
        return lambda *args, **kwargs: self.calls.append((name, *map(str, args[:-1])))


@pytest.mark.quick(1)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_hooks_are_called_in_keras_order(steps):
    def run(depth):
        hooks, model = Hooks(), compiled(depth, steps_per_execution=steps)
        fit(model, callbacks=[hooks], validation_data=(X, Y))
        return hooks.calls

    assert run(0) == run(None)


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", ["plateau", "schedule", "stop", "nan", "lambda"])
def test_callbacks_without_levels_do_what_they_do_for_keras(name):
    seen = []
    make = {
        "plateau": lambda: keras.callbacks.ReduceLROnPlateau(
            "val_loss", patience=1, min_delta=9.0, factor=0.5
        ),
        "schedule": lambda: keras.callbacks.LearningRateScheduler(
            lambda epoch, rate: rate * 0.5
        ),
        "stop": lambda: keras.callbacks.EarlyStopping(
            "val_loss", min_delta=9.0, patience=1, restore_best_weights=True
        ),
        "nan": keras.callbacks.TerminateOnNaN,
        "lambda": lambda: keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: seen.append(sorted(logs))
        ),
    }[name]

    def run(depth):
        rate = 1e30 if name == "nan" else 0.1
        model = compiled(depth, keras.optimizers.SGD(rate))
        options = {"callbacks": [make()], "validation_data": (X, Y), "epochs": 5}
        history = fit(model, **options)
        return history, float(model.optimizer.learning_rate), model.get_weights()

    assert_as_keras(run)
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]
    assert len(seen) == (2 * 5 if name == "lambda" else 0)


@pytest.mark.thorough
@pytest.mark.parametrize("coarsen_data", [False, True])
def test_files_of_callbacks(coarsen_data, tmp_path):
    options = {"steps_per_epoch": 2} if coarsen_data else {}
    model, weights = compiled(1, "adam"), []
    best = str(tmp_path / "{epoch}.weights.h5")
    fit(
        model,
        shuffle=True,
        epochs=3,
        validation_data=(X, Y),
        callbacks=[
            ms.CycleSchedule(coarsen_data=coarsen_data),
            keras.callbacks.CSVLogger(tmp_path / "log.csv", separator=";"),
            keras.callbacks.ModelCheckpoint(best, save_weights_only=True),
            keras.callbacks.BackupAndRestore(tmp_path / "backup"),
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: weights.append(model.get_weights())
            ),
        ],
        **options,
    )
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    names = {"epoch", "loss", "val_loss", "level", "cost", "seconds"}
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert all(names <= row.keys() for row in rows)
    for epoch, expected in zip((1, 2, 3), weights, strict=True):
        other = compiled(1, "adam")
        other.load_weights(best.format(epoch=epoch))
        assert_equal(other.get_weights(), expected, rtol=0)
