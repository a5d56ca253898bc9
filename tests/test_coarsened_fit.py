"""Fits on coarsened data from end to end: they learn, and leave all as it should be."""

import keras
import numpy as np
import pytest
from coarsened import X, Y, coarsened, compiled, fit, network
from models import EAGER, PROGRAM, Interrupt, assert_equal

import msann_keras as ms
from msann import schedules


def finite(variables):
    return all(np.isfinite(v).all() for v in variables)


def constant_weights(model):
    model.set_weights([np.full(w.shape, 0.1) for w in model.get_weights()])
    return model


# ------------------------------------------------------------------------- they learn


@pytest.mark.quick(1)
@pytest.mark.parametrize("topology", [None, ms.path(8, prolongation="band")])
def test_training_lowers_the_error_and_begins_from_the_same_predictions(topology):
    keras.utils.set_random_seed(22)
    layers = [keras.layers.Dense(4, "sigmoid"), keras.layers.Dense(8)]
    model = ms.multilevel(keras.Sequential([keras.Input((8,)), *layers]), 2, topology)
    compiled(keras.optimizers.Adam(0.02), model, **PROGRAM)
    before, errors = model.predict(X, verbose=0), []
    look = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: errors.append(np.abs(model(X) - before).max())
    )
    history = fit(model, y=X, epochs=30, steps_per_epoch=4, callbacks=[look])
    assert errors[0] < 1e-6
    assert history["loss"][-1] < history["loss"][0] / 2


def test_of_several_outputs_the_logs_have_the_whole_loss_alone():
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(4, "sigmoid")(inputs)
    outputs = [keras.layers.Dense(8, name=name)(hidden) for name in ("a", "b")]
    model = compiled(model=ms.multilevel(keras.Model(inputs, outputs), 2))
    history = fit(model, X, [X, X], steps_per_epoch=2)
    assert history["loss"][-1] > 0.0
    assert not {"a_loss", "b_loss"} & history.keys()


@pytest.mark.thorough
def test_classes_stay_whole_and_random_layers_and_images_train():
    keras.utils.set_random_seed(3)
    plain = keras.Sequential(
        [
            keras.Input((4, 4)),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.1, seed=1),
            keras.layers.Dense(8, "relu", kernel_regularizer="l2"),
            keras.layers.Dense(3, "softmax"),
        ]
    )
    model = ms.multilevel(plain, 2, ms.grid(4, 4))
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(0.02), loss, metrics=["accuracy"], **PROGRAM)
    images = np.zeros((30, 4, 4), "float32")
    labels = np.arange(30) % 3
    images[np.arange(30), labels] = 1
    history = fit(model, images, labels, coarsened(1, 2), epochs=20, steps_per_epoch=2)
    assert history["accuracy"][-1] > 0.9


@pytest.mark.thorough
@pytest.mark.parametrize("shape", [(24,), (24, 1)])
def test_classes_with_logits_on_an_identity_space(shape):
    model = ms.multilevel(
        keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)]), depth=2
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.1), loss, metrics=["accuracy"], **EAGER)
    classes = np.arange(24) % 3
    x = X + 2 * np.eye(3).repeat([3, 3, 2], axis=1)[classes]
    history = fit(model, x, classes.reshape(shape), epochs=2, steps_per_epoch=8)
    assert history["accuracy"][-1] > 0.9


@pytest.mark.thorough
@pytest.mark.parametrize("mode", [EAGER, PROGRAM])
def test_dropout_draws_anew_in_every_cycle(mode):
    """At a learning rate of zero, and full batches."""
    model = network(depth=1, front=[keras.layers.Dropout(0.5, seed=1)])
    for each, different in ((model, 3), (network(depth=1), 1)):
        compiled(keras.optimizers.SGD(0.0), each, **mode)
        losses = fit(each, epochs=3, batch_size=24)["loss"]
        assert len(set(np.round(losses, 5))) == different


def test_layers_of_float64_train_at_packed_levels():
    layers = [keras.layers.Dense(n, dtype="float64") for n in (4, 8)]
    plain = keras.Sequential([keras.Input((8,)), *layers])
    model = compiled(model=ms.multilevel(plain, 2), **PROGRAM)
    before = model.get_weights()[0]
    assert np.isfinite(fit(model, y=X, steps_per_epoch=2)["loss"]).all()
    assert not np.array_equal(model.get_weights()[0], before)


@pytest.mark.parametrize("structure", [list, dict])
def test_inputs_by_name(structure):
    one, two = keras.Input((8,), name="one"), keras.Input((4,), name="two")
    a, b = ms.MultilevelDense(4, 1)(one), ms.MultilevelDense(4, 1)(two)
    inputs = {"two": two, "one": one} if structure is dict else [one, two]
    outputs, results = keras.layers.Add(name="sum")([a, b]), []
    for x, y in (({"two": Y, "one": X}, {"sum": Y}), ([X, Y], Y)):
        keras.utils.set_random_seed(0)
        model = constant_weights(compiled("sgd", ms.MultilevelModel(inputs, outputs)))
        fit(model, x, y)
        results.append(model.get_weights())
    assert_equal(*results)


def test_samples_of_weight_zero_have_no_influence():
    half, results = np.repeat([1.0, 0.0], 12), []
    for y in (Y, np.where(half[:, None], Y, 100.0)):
        keras.utils.set_random_seed(0)
        model = constant_weights(compiled("sgd"))
        fit(model, y=y, sample_weight=half)
        results.append(model.get_weights())
    assert_equal(*results)


def test_without_any_weight_nothing_moves():
    model = compiled(keras.optimizers.SGD(0.1))
    before = model.predict(X, verbose=0)
    fit(model, sample_weight=np.zeros(24))
    np.testing.assert_allclose(model.predict(X, verbose=0), before, atol=1e-6)
    fit(model, sample_weight=np.ones(24))
    assert np.abs(model.predict(X, verbose=0) - before).max() > 1e-3


# ------------------------------------------------------------------ rates, callbacks


def rates_seen(model, schedule, **options):
    """The learning rate of each level after each epoch."""
    seen = []

    def note(epoch, logs):
        packed = [level.optimizer for level in model.program().levels]
        for copies in (packed, model.optimizer.levels):
            rates = [float(copy.learning_rate) for copy in copies]
            assert rates == (seen[epoch:] or [rates])[0]
            seen[epoch:] = [rates]

    look = keras.callbacks.LambdaCallback(on_epoch_end=note)
    callbacks = [*options.pop("callbacks", []), look]
    fit(model, schedule=schedule, callbacks=callbacks, **options)
    return seen


def test_rates_follow_glorot_unless_told_otherwise():
    model = compiled(keras.optimizers.Adam(0.5))
    # Every size halves, so that Glorot's deviation grows by sqrt 2 a level.
    (rates,) = rates_seen(model, coarsened())
    np.testing.assert_allclose(rates, 0.5 * np.sqrt([1, 2, 4]), rtol=1e-6)
    (rates,) = rates_seen(model, coarsened(rate_factors=(1, 3, 9)))
    np.testing.assert_allclose(rates, [0.5, 1.5, 4.5], rtol=1e-6)


def test_scheduled_rates_reach_every_level_with_its_factor():
    model = compiled(keras.optimizers.SGD(1.0))
    halving = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    schedule = coarsened(rate_factors=[1, 2, 3])
    seen = rates_seen(model, schedule, epochs=2, callbacks=[halving])
    assert seen == [[0.5, 1, 1.5], [0.25, 0.5, 0.75]]


def test_early_stopping_restores_the_best_weights():
    model, weights = compiled(), []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(model.get_weights())
    )
    stop = keras.callbacks.EarlyStopping(
        "val_loss", patience=1, restore_best_weights=True, min_delta=1e9
    )
    fit(model, epochs=9, callbacks=[note, stop], validation_data=(X, Y))
    assert len(weights) == 2  # nothing gains so much
    assert_equal(model.get_weights(), weights[0], rtol=0, atol=0)
    assert not np.array_equal(weights[0][0], weights[1][0])


def test_a_model_saved_while_it_trains_is_the_trained_one(tmp_path):
    path, model = tmp_path / "model.keras", compiled()
    fit(model, epochs=2, callbacks=[keras.callbacks.ModelCheckpoint(path)])
    loaded = keras.models.load_model(path)
    np.testing.assert_allclose(loaded(X), model(X), atol=1e-6)
    assert loaded.progress == model.progress


# -------------------------------------------------------------------- nothing is lost


def test_a_fit_that_diverges_leaves_finite_weights():
    model = compiled(keras.optimizers.SGD(1e30))
    before = model.predict(X, verbose=0)
    with pytest.raises(FloatingPointError, match="Lower the learning rate"):
        fit(model)
    assert_equal(model.predict(X, verbose=0), before, atol=1e-5)
    assert finite(model.get_weights())
    model.optimizer.learning_rate = 0.05
    loss = model.evaluate(X, Y, verbose=0)
    fit(model, steps_per_epoch=8)
    assert model.evaluate(X, Y, verbose=0) < loss


def test_a_later_call_that_diverges_keeps_what_the_others_have_learned():
    """A chunk serves two cycles; the second chunk is infinite."""
    model = compiled(keras.optimizers.Adam(0.01))
    before = model.predict(X, verbose=0)
    batches = 5 * [(X, Y)] + 5 * [(np.full_like(X, np.inf), Y)]
    with pytest.raises(FloatingPointError, match="begin anew"):
        fit(model, iter(batches), None, batch_size=None, steps_per_epoch=4)
    assert model.progress.position == 2 * 5
    assert finite(model.get_weights())
    assert np.abs(model.predict(X, verbose=0) - before).max() > 1e-3
    copies = [*model.optimizer.levels, *model.optimizer.packed.values()]
    assert [int(copy.iterations) for copy in copies] == [0] * len(copies)


def test_infinite_data_leave_finite_weights_and_slots():
    x, model = X.copy(), compiled()
    x[5, 2] = np.inf
    fit(model)
    with pytest.raises(FloatingPointError, match="extreme values in the data"):
        fit(model, x, batch_size=24)
    assert finite(model.get_weights())
    assert finite(model.optimizer.variables)
    fit(model)
    assert finite(model.get_weights())


@pytest.mark.thorough
@pytest.mark.parametrize(
    "error", [None, RuntimeError("mine"), KeyboardInterrupt(), FloatingPointError()]
)
def test_leaves_the_model_as_it_was(error):
    model = compiled(keras.optimizers.SGD(0.1), steps_per_execution=7)
    model.level = 1
    model.optimizer.rate_factors = (1, 3, 4)
    if error is None:
        fit(model)
    else:
        y = np.full_like(Y, np.inf) if isinstance(error, FloatingPointError) else Y
        with pytest.raises(type(error)):
            interrupt = Interrupt(error, batch=6)  # the seventh cycle ends a call
            fit(model, y=y, callbacks=[interrupt], steps_per_epoch=9)
    assert (model.level, model.session) == (1, None)
    assert model.optimizer.rate_factors == (1, 3, 4)
    assert model.steps_per_execution == 7
    before = model.get_weights()
    model.fit(X, Y, verbose=0)  # on fine data: the level that was set
    pairs = zip(before, model.get_weights(), strict=True)
    changed = [not np.array_equal(a, b) for a, b in pairs]
    assert changed == [v.level == 1 for v in model.weights]


@pytest.mark.thorough
def test_fine_data_after_coarsened_ones_and_back():
    model = compiled(keras.optimizers.Adam(0.01))
    losses = [model.evaluate(X, Y, verbose=0)]
    for callback in (coarsened(), ms.CycleSchedule(), coarsened()):
        fit(model, schedule=callback, steps_per_epoch=4)
        losses.append(model.evaluate(X, Y, verbose=0))
    assert max(losses[1:]) < losses[0]


# ------------------------------------------------------------------- saved, gone on


def test_saved_in_the_middle_of_a_schedule(tmp_path):
    """The start is not made again, and slots of packed levels go on."""
    schedule = schedules.full_multigrid(2, start_steps=[1, 1, 3])
    model = compiled(keras.optimizers.Adam(0.02))
    fit(model, schedule=coarsened(schedule=schedule))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [*loaded.optimizer.packed] == ["1", "2"]
    slots = [[v.numpy() for v in m.optimizer.variables] for m in (model, loaded)]
    assert_equal(*slots, rtol=0, atol=0)
    states = []
    for each in (model, loaded):
        keras.utils.set_random_seed(3)
        fit(each, schedule=coarsened(schedule=schedule, resume=True))
        values = [v.numpy() for v in each.optimizer.variables]
        states.append([each.predict(X, verbose=0), *values])
    assert_equal(*states)
    assert loaded.progress.position == schedule.start_batches + 2 * 5


def test_given_prolongations_train_after_loading(tmp_path):
    pairs = ms.given(np.repeat(np.eye(4), 2, axis=0) / np.sqrt(2))
    layers = [keras.layers.Dense(8), keras.layers.Dense(8)]
    plain = keras.Sequential([keras.Input((8,)), *layers])
    model = ms.multilevel(plain, 1, pairs)
    compiled(model=model).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for each in (loaded, compiled(model=keras.models.clone_model(model))):
        assert np.isfinite(fit(each, y=X)["loss"]).all()


def test_a_new_fit_begins_anew_and_resume_goes_on():
    model, schedule = compiled(), schedules.full_multigrid(2, start_steps=[1, 1, 3])
    for resume, position in ((False, 9), (True, 14), (False, 9)):
        fit(model, schedule=coarsened(schedule=schedule, resume=resume))
        assert model.progress.position == position


def test_backup_and_restore(tmp_path):
    def run(*extra):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        model = compiled(model=network(depth=1))
        resumed = coarsened(resume=True)
        fit(model, schedule=resumed, callbacks=[backup, *extra], epochs=3)
        return model

    def stop(epoch, logs):
        if epoch == 1:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        run(keras.callbacks.LambdaCallback(on_epoch_begin=stop))
    assert run().progress.position == 3 * 3
