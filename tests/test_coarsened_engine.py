"""What drives a fit on coarsened data: cycles, costs, epochs, chunks and options."""

import keras
import numpy as np
import pytest
from coarsened import (
    X,
    Y,
    coarsened,
    compiled,
    fit,
    network,
    traces_counted,
)
from models import EAGER, PROGRAM, assert_equal

import msann_keras as ms
from msann import schedules
from msann_keras.engines.coarsened import program as program_module
from msann_keras.engines.coarsened.engine import prepared

# ------------------------------------------------------------------ what is counted


@pytest.mark.quick(1)
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


@pytest.mark.thorough
def test_history_and_cost_are_those_of_whole_cycles():
    model = compiled(metrics=["mae"])
    options = {"epochs": 2, "steps_per_epoch": 3, "validation_data": (X, Y)}
    history = fit(model, schedule=coarsened(1, 2), **options)
    names = {"loss", "mae", "val_loss", "val_mae", "level", "cost", "seconds"}
    assert names <= {*history}
    cycle = 4 * np.dot([4, 4, 2], [108, 30, 9]) / 108
    np.testing.assert_allclose(history["cost"], [3 * cycle, 6 * cycle])
    assert history["level"] == [0, 0]
    assert history["seconds"][1] > history["seconds"][0] > 0
    assert model.progress.position == 6 * 10


def test_consistency_is_part_of_the_cost():
    with_tau = coarsened(consistency=3)
    costs = [fit(compiled(), schedule=s)["cost"][0] for s in (coarsened(), with_tau)]
    # Two descents: three batches at 0 and at 1, then at 1 and at 2.
    assert costs[1] - costs[0] == pytest.approx(4 * 3 * (108 + 2 * 30 + 9) / 108)


@pytest.mark.thorough
def test_an_epoch_costs_about_a_pass_over_the_data():
    history = fit(compiled(), epochs=4, batch_size=2, steps_per_epoch=None)
    costs = np.diff([0.0, *history["cost"]])
    assert np.allclose(costs, costs[0]) and 18 < costs[0] < 30  # of 24 samples


def test_a_large_cycle_is_an_epoch():
    model = compiled()
    fit(model, schedule=coarsened(1, 6), steps_per_epoch=None)
    assert model.progress.position == 6 * 5


@pytest.mark.thorough
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
        options = {"batch_size": 24, "epochs": 2, "steps_per_epoch": 4}
        history = fit(model, schedule=schedule, callbacks=[count], **options)
        assert calls == 2 * list(range(0, 4, cycles))
        found.append((history["cost"], model.progress, model.merge().get_weights()))
    assert found[0][:2] == found[1][:2]
    assert_equal(found[0][2], found[1][2], atol=1e-5)


def test_metrics_are_those_of_the_fine_network():
    model = compiled(keras.optimizers.SGD(0.0), metrics=["mae"])
    history = fit(model, batch_size=24, validation_data=(X, Y))
    values = model.evaluate(X, Y, verbose=0)
    for name, value in zip(("loss", "mae"), values, strict=True):
        assert history[name][-1] == pytest.approx(value, rel=1e-5)
        assert history[f"val_{name}"][-1] == pytest.approx(value, rel=1e-5)


def test_runs_follow_the_seed():
    results = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        model = compiled()
        fit(model)
        results.append(model.evaluate(X, Y, verbose=0))
    assert results[0] == results[1] != results[2]


def test_compiled_once_for_all_schedules_and_fits():
    model = compiled(**PROGRAM)
    with traces_counted() as traces:
        fit(model)
        seconds = model.compile_seconds
        assert seconds > 0
        for schedule in (coarsened(2, 3), coarsened(schedule=schedules.f_cycle(2))):
            fit(model, schedule=schedule, epochs=2)
    assert len(traces) == 1
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
    model = compiled(**EAGER)
    assert fit(model, steps_per_epoch=3)["seconds"] == [3]
    assert model.compile_seconds == 100


# ------------------------------------------------------------------------------ data


@pytest.mark.thorough
@pytest.mark.parametrize(("rows", "chunks"), [(6, 4), (24, 1)])
def test_the_next_chunk_comes_when_one_has_cost_a_pass_over_it(rows, chunks):
    """A cycle costs 10.6 samples, more than six."""
    model, seen = compiled(), []

    def note(batch, logs):
        inputs, _, _ = model.session.engine._chunk.levels[0]
        seen.append(sorted(np.asarray(inputs[0])[:, 0]))

    callbacks = [keras.callbacks.LambdaCallback(on_train_batch_end=note)]
    # Floats of a sample are 12; at all levels twice that, and chunks come in twos.
    schedule = coarsened(memory=rows * 2 * 2 * 12 * 4)
    fit(model, schedule=schedule, callbacks=callbacks, steps_per_epoch=8)
    assert [len(chunk) for chunk in seen] == [rows] * 8
    for one_pass in (seen[:chunks], seen[chunks : 2 * chunks]):
        assert sorted(np.concatenate(one_pass)) == sorted(X[:, 0])


def test_fewer_samples_than_a_batch_make_a_smaller_batch():
    model = compiled()
    fit(model, X[:3], Y[:3], batch_size=32)
    assert model.progress.examples == 3 * 5


def test_a_generator_shorter_than_a_cycle_trains_on_what_it_has():
    history = fit(compiled(), iter([(X[:5], Y[:5])]), None, batch_size=None)
    assert np.isfinite(history["loss"]).all()


def test_validation_split_holds_the_last_samples_out():
    x = X.copy()
    x[18:] = np.inf  # which would be refused in training
    model = compiled()
    fit(model, x, validation_split=0.25, steps_per_epoch=3)
    history = fit(model, validation_split=0.25)
    expected = model.evaluate(X[18:], Y[18:], verbose=0)
    assert history["val_loss"] == [pytest.approx(expected, rel=1e-5)]


@pytest.mark.parametrize(
    ("held_out", "samples", "batches"), [(None, 18, 2), ((X, Y), 24, 6)]
)
def test_validation_data_and_batches_are_as_keras_has_them(held_out, samples, batches):
    model, trained, validated = compiled(), [], []
    note = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: trained.append(model.session.engine.source.samples),
        on_test_batch_end=lambda batch, logs: validated.append(batch),
    )
    options = {"validation_split": 0.25, "validation_data": held_out}
    assert "val_loss" in fit(model, callbacks=[note], **options)
    assert trained == [samples]  # with data to validate on, all samples train
    assert len(validated) == batches  # of four, as in training


def test_what_concerns_the_training_data_is_taken_out_of_the_options():
    model = compiled()
    model.make_train_function()
    options = {"x": X, "y": Y, "batch_size": 4, "epochs": 3, "validation_split": 0.5}
    before, schedule = dict(options), schedules.gamma_cycle(2)
    engine, rest = prepared(model.program(), schedule, options)
    assert len([*rest["x"]]) == round(12 / engine.cost(schedule.cycle))
    assert_equal(rest["validation_data"], [X[12:], Y[12:]])
    assert {"y", "batch_size", "validation_split"}.isdisjoint(rest)
    assert options == before


# ------------------------------------------------------------------------- refusals


def batches():
    return {"x": iter([(X, Y)]), "y": None, "batch_size": None}


SIMULTANEOUS = ms.schedules.simultaneous()
REFUSED = {
    "class weight": ({"class_weight": {0: 1.0}}, {}, "`class_weight` has no effect"),
    "no shuffling": ({"shuffle": False}, {}, "`shuffle=False` is not for"),
    "no samples": ({"x": X[:0], "y": Y[:0]}, {}, r"at least one. Received: \[0\]"),
    "lengths": ({"y": Y[:3]}, {}, r"same number of samples.*Received: \[3, 24\]"),
    "weights": ({"sample_weight": np.ones(5)}, {}, r"same number of.*\[5, 24\]"),
    "NaN": ({"x": np.full_like(X, np.nan)}, {}, "`x` must not contain NaN"),
    "batch size of batches": (batches() | {"batch_size": 5}, {}, "batch_size=5"),
    "weights by output": (
        {"sample_weight": [np.ones(24), np.ones(24)]},
        {},
        "`sample_weight` must be one array",
    ),
    "split of batches": (
        batches() | {"validation_split": 0.5},
        {},
        "`validation_split` is for arrays",
    ),
    "batch size": ({"batch_size": 4.0}, {}, "`batch_size` must be an integer >= 1"),
    "coarse levels alone": (
        {},
        {"schedule": ms.Schedule((ms.Visit(1, 3),))},
        "must train level 0 too",
    ),
    "every level": ({}, {"schedule": SIMULTANEOUS}, "EVERY_L"),
    "too deep": (
        {},
        {"schedule": schedules.gamma_cycle(3)},
        "down to level 3.*`depth` is 2",
    ),
    "rate factors": ({}, {"rate_factors": (1, 2)}, "`rate_factors` must be 3 positive"),
}


@pytest.mark.parametrize(
    ("options", "of_schedule", "message"), REFUSED.values(), ids=REFUSED
)
def test_refusals_train_nothing(options, of_schedule, message):
    model = compiled()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        fit(model, schedule=coarsened(**of_schedule), **options)
    assert_equal(model.get_weights(), before, rtol=0, atol=0)
    assert model.progress.position == 0
    assert model.optimizer.rate_factors == (1, 1, 1)
    assert model.steps_per_execution == 1


@pytest.mark.parametrize(
    "space",
    [ms.random_orthogonal(4, seed=1), ms.path(4, prolongation="decimation")],
)
def test_refuses_spaces_that_cannot_be_coarsened(space):
    model = compiled(model=network(output_topology=space))
    with pytest.raises(ValueError, match="output of the layer.*reproduce constants"):
        fit(model)
    assert model.progress.position == 0


def test_refuses_a_model_that_is_not_compiled():
    with pytest.raises(ValueError, match="compile"):
        fit(network())
