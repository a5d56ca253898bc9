"""More of `fit` on coarsened data: what is counted, kept, and left as it was."""

import keras
import numpy as np
import pytest
from models import Interrupt

import msann_keras as ms
from msann import schedules
from msann_keras.engines.coarsened import program as program_module
from msann_keras.engines.coarsened.engine import prepared

EAGER = {"run_eagerly": True}
GRAPH = {"run_eagerly": False, "jit_compile": False}
RNG = np.random.default_rng(0)
X = RNG.uniform(size=(24, 8)).astype("float32")
Y = RNG.uniform(size=(24, 4)).astype("float32")


def network(depth=2, front=(), **options):
    inputs = outputs = keras.Input((8,))
    for layer in front:
        outputs = layer(outputs)
    hidden = ms.MultilevelDense(8, depth, activation="sigmoid")(outputs)
    return ms.MultilevelModel(inputs, ms.MultilevelDense(4, depth, **options)(hidden))


def compiled(optimizer="adam", model=None, **options):
    model = model or network()
    model.compile(optimizer, "mse", **(EAGER | options))
    return model


def coarsened(gamma=None, steps=None, **options):
    return ms.CycleSchedule(gamma, steps, coarsen_data=True, **options)


def fit(model, x=X, y=Y, schedule=None, **options):
    callbacks = [schedule or coarsened(), *options.pop("callbacks", [])]
    options = {"batch_size": 4, "steps_per_epoch": 1, "verbose": 0} | options
    return model.fit(x, y, callbacks=callbacks, **options).history


def assert_equal(actual, expected, **tolerance):
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, **{"rtol": 1e-6, "atol": 1e-7} | tolerance)


def finite(variables):
    return all(np.isfinite(v).all() for v in variables)


# ------------------------------------------------------------------ what is counted


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.gamma_cycle(2, variant="script"),
        schedules.full_multigrid(2, start_steps=[1, 2, 3]),
        schedules.plain(),
        schedules.gamma_cycle(1),
    ],
)
def test_the_cost_is_the_schedules(schedule):
    """With 72 + 36, 20 + 10 and 6 + 3 parameters."""
    history = fit(compiled(), schedule=coarsened(schedule=schedule), steps_per_epoch=2)
    visits = schedule.start + 2 * schedule.cycle
    batches = [sum(v.steps for v in visits if v.level == n) for n in range(3)]
    expected = 4 * np.dot(batches, [108, 30, 9]) / 108
    assert history["cost"] == [pytest.approx(expected)]
    assert history["level"] == [visits[-1].level]


def test_a_call_makes_as_many_cycles_as_it_is_told_to():
    """On batches of all the data, whose order means nothing."""
    found = []
    for cycles in (1, 3):
        keras.utils.set_random_seed(1)
        calls = []
        count = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda batch, logs, calls=calls: calls.append(batch)
        )
        model = compiled(keras.optimizers.SGD(0.1), steps_per_execution=cycles)
        schedule = coarsened(schedule=schedules.full_multigrid(2, smoothing_steps=2))
        history = fit(
            model,
            schedule=schedule,
            callbacks=[count],
            batch_size=24,
            epochs=2,
            steps_per_epoch=4,
        )
        assert calls == 2 * list(range(0, 4, cycles))
        found.append((history["cost"], model.progress, model.merge().get_weights()))
    assert found[0][:2] == found[1][:2]
    assert_equal(found[0][2], found[1][2], atol=1e-5)


def test_consistency_is_part_of_the_cost():
    with_tau = coarsened(consistency=3)
    costs = [fit(compiled(), schedule=s)["cost"][0] for s in (coarsened(), with_tau)]
    # Two descents: three batches at 0 and at 1, then at 1 and at 2.
    assert costs[1] - costs[0] == pytest.approx(4 * 3 * (108 + 2 * 30 + 9) / 108)


def test_a_large_cycle_is_an_epoch():
    model = compiled()
    fit(model, schedule=coarsened(1, 6), steps_per_epoch=None)
    assert model.progress.position == 6 * 5


def test_metrics_are_those_of_the_fine_network():
    model = compiled(keras.optimizers.SGD(0.0), metrics=["mae"])
    history = fit(model, batch_size=24, validation_data=(X, Y))
    values = model.evaluate(X, Y, verbose=0)
    for name, value in zip(("loss", "mae"), values, strict=True):
        assert history[name][-1] == pytest.approx(value, rel=1e-5)
        assert history[f"val_{name}"][-1] == pytest.approx(value, rel=1e-5)


def test_validation_split_holds_the_last_samples_out():
    x = X.copy()
    x[18:] = np.inf  # which would be refused in training
    model = compiled()
    fit(model, x, validation_split=0.25, steps_per_epoch=3)
    history = fit(model, validation_split=0.25)
    expected = model.evaluate(X[18:], Y[18:], verbose=0)
    assert history["val_loss"] == [pytest.approx(expected, rel=1e-5)]


def test_runs_follow_the_seed():
    results = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        model = compiled()
        fit(model)
        results.append(model.evaluate(X, Y, verbose=0))
    assert results[0] == results[1] != results[2]


def test_compiled_once_for_all_schedules_and_fits():
    model = compiled(**GRAPH)
    fit(model)
    seconds = model.compile_seconds
    assert seconds > 0
    for schedule in (coarsened(2, 3), coarsened(schedule=schedules.f_cycle(2))):
        fit(model, schedule=schedule, epochs=2)
    assert model.program()._program.experimental_get_tracing_count() == 1
    assert model.compile_seconds == seconds


def test_compiling_is_not_part_of_seconds(monkeypatch):
    now, program = [0.0], program_module.Program._cycles
    monkeypatch.setattr(
        "msann_keras.engines.coarsened.program.time.perf_counter", lambda: now[0]
    )

    def slow(self, plan, *args):
        now[0] += 1 if plan[0, 0] >= 0 else 100  # no visits: it is only compiled
        return program(self, plan, *args)

    monkeypatch.setattr(program_module.Program, "_cycles", slow)
    model = compiled()
    assert fit(model, steps_per_epoch=3)["seconds"] == [3]
    assert model.compile_seconds == 100


# ------------------------------------------------------------------ callbacks


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


def test_scheduled_rates_reach_every_level_with_its_factor():
    model, seen = compiled(keras.optimizers.SGD(1.0)), []

    def note(epoch, logs):
        levels = model.program().levels
        seen.append([float(x.optimizer.learning_rate) for x in levels])

    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2),
        keras.callbacks.LambdaCallback(on_epoch_end=note),
    ]
    schedule = coarsened(rate_factors=[1, 2, 3])
    fit(model, schedule=schedule, epochs=2, callbacks=callbacks)
    assert seen == [[0.5, 1, 1.5], [0.25, 0.5, 0.75]]


# ------------------------------------------------------------------ data


def test_inputs_by_name():
    one, two = keras.Input((8,), name="one"), keras.Input((4,), name="two")
    a, b = ms.MultilevelDense(4, 1)(one), ms.MultilevelDense(4, 1)(two)
    outputs, results = keras.layers.Add(name="sum")([a, b]), []
    for x, y in (({"two": Y, "one": X}, {"sum": Y}), ([X, Y], Y)):
        keras.utils.set_random_seed(0)
        model = compiled("sgd", ms.MultilevelModel([one, two], outputs))
        model.set_weights([np.full(w.shape, 0.1) for w in model.get_weights()])
        fit(model, x, y)
        results.append(model.get_weights())
    assert_equal(*results)


def test_samples_of_weight_zero_have_no_influence():
    half, results = np.repeat([1.0, 0.0], 12), []
    for y in (Y, np.where(half[:, None], Y, 100.0)):
        keras.utils.set_random_seed(0)
        model = compiled("sgd")
        model.set_weights([np.full(w.shape, 0.1) for w in model.get_weights()])
        fit(model, y=y, sample_weight=half)
        results.append(model.get_weights())
    assert_equal(*results)


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


@pytest.mark.parametrize("mode", [EAGER, GRAPH])
def test_dropout_draws_anew_in_every_cycle(mode):
    """At a learning rate of zero, and full batches."""
    model = network(depth=1, front=[keras.layers.Dropout(0.5, seed=1)])
    for each, different in ((model, 3), (network(depth=1), 1)):
        compiled(keras.optimizers.SGD(0.0), each, **mode)
        losses = fit(each, epochs=3, batch_size=24)["loss"]
        assert len(set(np.round(losses, 5))) == different


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


def test_refused_options_leave_the_rate_factors():
    model = compiled()
    with pytest.raises(ValueError, match="`class_weight`"):
        fit(model, class_weight={0: 1.0})
    assert model.optimizer.rate_factors == (1, 1, 1)
    assert model.steps_per_execution == 1


def test_fine_data_after_coarsened_ones_and_back():
    model = compiled(keras.optimizers.Adam(0.01))
    losses = [model.evaluate(X, Y, verbose=0)]
    for callback in (coarsened(), ms.CycleSchedule(), coarsened()):
        fit(model, schedule=callback, steps_per_epoch=4)
        losses.append(model.evaluate(X, Y, verbose=0))
    assert max(losses[1:]) < losses[0]


def test_saved_in_the_middle_of_a_schedule(tmp_path):
    """The start is not made again, and slots of packed levels go on."""
    schedule = schedules.full_multigrid(1, start_steps=[1, 3])
    model = compiled(keras.optimizers.Adam(0.02), network(depth=1))
    fit(model, schedule=coarsened(schedule=schedule))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    states = []
    for each in (model, loaded):
        keras.utils.set_random_seed(3)
        fit(each, schedule=coarsened(schedule=schedule, resume=True))
        values = [v.numpy() for v in each.optimizer.variables]
        states.append([each.predict(X, verbose=0), *values])
    assert_equal(*states)
    assert loaded.progress.position == 3 + 2 * 3


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


# ------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_weight": np.ones(5)}, r"same number of samples.*\[5, 24\]"),
        ({"x": np.full_like(X, np.nan)}, "`x` must not contain NaN"),
        (
            {"schedule": coarsened(schedule=schedules.gamma_cycle(3))},
            "down to level 3.*`depth` is 2",
        ),
    ],
)
def test_refusals_train_nothing(options, message):
    model = compiled()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        fit(model, **options)
    assert_equal(model.get_weights(), before, rtol=0, atol=0)
    assert model.progress.position == 0


def test_refuses_spaces_that_cannot_be_coarsened():
    random = ms.random_orthogonal(4, seed=1)
    model = compiled(model=network(output_topology=random))
    with pytest.raises(ValueError, match="output of the layer.*reproduce constants"):
        fit(model)
    assert model.progress.position == 0


def test_refuses_a_model_that_is_not_compiled():
    with pytest.raises(ValueError, match="compile"):
        fit(network())


def test_what_concerns_the_training_data_is_taken_out_of_the_options():
    model = compiled()
    model.make_train_function()
    options = {"x": X, "y": Y, "batch_size": 4, "epochs": 3, "validation_split": 0.5}
    before, schedule = dict(options), schedules.gamma_cycle(2)
    engine, rest = prepared(model.program(), schedule, options)
    assert len(rest["x"]) == round(12 / engine.cost(schedule.cycle))
    assert_equal(rest["validation_data"], [X[12:], Y[12:]])
    assert {"y", "batch_size", "validation_split"}.isdisjoint(rest)
    assert options == before
