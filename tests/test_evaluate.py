"""Evaluate: at its own pace, outside the clock of training, leaving all as it was."""

import keras
import numpy as np
import pytest
from models import EAGER, GRAPH, X, Y, compiled, network

import msann_keras as ms
from msann_keras.engines.fine_gradient import FineGradient


def position(model):
    return model.progress.position


def trained(*callbacks, coarsen_data=False, **options):
    """The history of ten batches of two, or of eight cycles."""
    keras.utils.set_random_seed(5)
    model = compiled(1, "adam", metrics=["mae"], **GRAPH)
    callbacks = callbacks or [ms.CycleSchedule(coarsen_data=coarsen_data)]
    steps = {"steps_per_epoch": 4, "shuffle": True} if coarsen_data else {}
    options = {"batch_size": 2, "epochs": 2, "verbose": 0} | steps | options
    return model.fit(X, Y, callbacks=callbacks, **options).history


# ------------------------------------------------------------------------------- when


@pytest.mark.thorough
@pytest.mark.parametrize("first", [True, False])
def test_costs_and_places_by_hand(first):
    """Levels 0 1 0 0 1 0 0 1 0 0 in batches of two, at shares of 1 and 0.3."""
    evaluate = ms.Evaluate(position, cost=1.9)
    callbacks = [ms.CycleSchedule(), evaluate]
    trained(*(callbacks[::-1] if first else callbacks))
    rows = evaluate.history
    assert [row.result for row in rows] == [0, 1, 3, 4, 6, 7, 9, 10]
    costs = [0, 2, 4.6, 6.6, 9.2, 11.2, 13.8, 15.8]
    np.testing.assert_allclose([row.cost for row in rows], costs)
    assert [row.examples for row in rows] == [2 * row.result for row in rows]


@pytest.mark.thorough
def test_seconds_are_of_training_alone(monkeypatch):
    now, run = [0.0], FineGradient.run
    monkeypatch.setattr("msann_keras.session.time.perf_counter", lambda: now[0])

    def timed(*args):
        now[0] += 1
        return run(*args)

    def slow(model):
        now[0] += 100
        return position(model)

    monkeypatch.setattr(FineGradient, "run", timed)
    evaluate = ms.Evaluate(slow, seconds=3)
    history = trained(ms.CycleSchedule(), evaluate)
    assert [row.seconds for row in evaluate.history] == [0, 3, 6, 9]
    assert [row.result for row in evaluate.history] == [0, 3, 6, 9]
    assert evaluate.seconds == 400
    assert history["seconds"] == [5, 10]


def test_on_coarsened_data_it_evaluates_after_whole_cycles():
    """Of levels 0 1 0, two samples a batch: 4.6 of C(t)."""
    evaluate = ms.Evaluate(position, cost=9)
    trained(ms.CycleSchedule(coarsen_data=True), evaluate, steps_per_epoch=4)
    rows = evaluate.history
    assert [row.result for row in rows] == [0, 6, 12, 18, 24]
    np.testing.assert_allclose([row.cost for row in rows], 9.2 * np.arange(5))
    assert [row.examples for row in rows] == [2 * row.result for row in rows]
    assert 0 < rows[1].seconds < rows[2].seconds
    assert evaluate.seconds > 0


@pytest.mark.quick(1)
@pytest.mark.parametrize("coarsen_data", [True, False])
def test_it_goes_on_where_the_schedule_does(coarsen_data):
    def schedule(resume):
        return ms.CycleSchedule(coarsen_data=coarsen_data, resume=resume)

    options = {"batch_size": 2, "verbose": 0, "steps_per_epoch": 3}
    model, evaluate = compiled(), ms.Evaluate(position, cost=1)
    model.fit(X, Y, callbacks=[schedule(False)], **options)
    before, cost = model.progress, model.cost
    model.fit(X, Y, callbacks=[schedule(True), evaluate], **options)
    first, *_, last = evaluate.history
    assert (first.cost, first.examples) == (cost, before.examples)
    assert (last.cost, last.examples) == (model.cost, model.progress.examples)
    assert first.cost < last.cost
    model.fit(X, Y, callbacks=[schedule(False), evaluate], **options)
    assert evaluate.history[0].cost == 0  # a fit has a history of its own


# ----------------------------------------------------------- leaves things as found


@pytest.mark.thorough
@pytest.mark.parametrize("coarsen_data", [True, False])
def test_it_leaves_the_history_alone(coarsen_data):
    spoiling = ms.Evaluate(lambda m: m.evaluate(X, 9 + X, verbose=0), cost=1)
    schedule = ms.CycleSchedule(coarsen_data=coarsen_data)
    options = {"steps_per_epoch": 4, "shuffle": True} if coarsen_data else {}
    history = trained(schedule, spoiling, **options)
    expected = trained(coarsen_data=coarsen_data)
    for name in ("loss", "mae", "level", "cost"):
        assert history[name] == expected[name]
    assert len(spoiling.history) > 2


# ------------------------------------------------------------------------- refusals


def test_refuses_a_fit_without_a_schedule():
    model, evaluate = compiled(), ms.Evaluate(position, cost=1)
    with pytest.raises(ValueError, match="must hold a `CycleSchedule`"):
        model.fit(X, Y, verbose=0, callbacks=[evaluate])
    assert model.progress.position == 0


def test_refuses_other_models():
    model = network(None)
    model.compile("sgd", "mse", **EAGER)
    with pytest.raises(TypeError, match="needs a MultilevelModel.*Functional"):
        model.fit(X, Y, verbose=0, callbacks=[ms.Evaluate(position, cost=1)])


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (None, {"cost": 1}, "`function` must be callable.*function=None"),
        (position, {}, "Give one of `cost` and `seconds`.*cost=None, seconds=None"),
        (position, {"cost": 1, "seconds": 1}, "Give one of `cost` and `seconds`"),
        (position, {"cost": 0}, "`cost` must be a finite number > 0.*cost=0"),
        (position, {"seconds": np.nan}, "`seconds` must be a finite number > 0.*nan"),
        (position, {"cost": True}, "`cost` must be.*cost=True"),
    ],
)
def test_refuses_at_once(function, options, message):
    with pytest.raises(ValueError, match=message):
        ms.Evaluate(function, **options)
