"""Cycles that begin by nested iteration."""

import itertools
import sys
import threading
import time

import keras
import numpy as np
import pytest
from smooth import X_NEW, Y_NEW, X, Y, kick, loss, network
from smooth import same as same_weights

import msann_keras as ms
from msann.schedules import plain
from msann_keras.engines.coarsened.program import Program
from msann_keras.nested import multilevel as warm
from msann_keras.nested.optimizer import moments
from msann_keras.optimizers.multilevel import unwrapped

BATCH = {"batch_size": 16, "epochs": 1, "verbose": 0}


@pytest.fixture(autouse=True)
def worth_it(monkeypatch):
    """Small networks are not worth it; here they begin at level 3 all the same."""
    real = warm.warm_start
    monkeypatch.setattr(
        warm, "warm_start", lambda *a, **k: real(*a, **k, depth=3, seconds=0.6)
    )


def made(optimizer="adam", **options):
    keras.utils.set_random_seed(2)
    model = ms.multilevel(network(64, 64, 64), depth=2, topology="path")
    model.compile(optimizer, "mse", **options)
    return model


def fitted(callback, model=None, **options):
    model = model or made()
    history = model.fit(X, Y, callbacks=[callback], **BATCH | options).history
    return model, history


def test_auto_begins_where_the_coarse_networks_have_come_to():
    cold, _ = fitted(ms.CycleSchedule(schedule=plain()))
    model, history = fitted(ms.CycleSchedule("auto"))
    assert loss(model) < 0.3 * loss(cold)
    assert history["level"] == [0]


@pytest.mark.thorough
def test_its_time_and_cost_are_counted():
    _, cold = fitted(ms.CycleSchedule(schedule=plain()))
    _, history = fitted(ms.CycleSchedule("auto"))
    assert history["cost"][0] > cold["cost"][0] + 16
    assert history["seconds"][0] > cold["seconds"][0] + 0.3


@pytest.mark.thorough
@pytest.mark.parametrize("coarsen_data", [False, True])
def test_any_cycle_may_begin_so(coarsen_data):
    options = {"gamma": 1, "smoothing_steps": 2, "coarsen_data": coarsen_data}
    cold, _ = fitted(ms.CycleSchedule(**options))
    model, _ = fitted(ms.CycleSchedule(**options, warm_start=True))
    assert loss(model) < 0.5 * loss(cold)


@pytest.mark.thorough
def test_cycles_compile_beside_it_and_before_the_weights_change(monkeypatch):
    done = []
    real, take = Program.prepare, warm._take

    def slow(*args):
        assert threading.current_thread() is not threading.main_thread()
        real(*args)
        time.sleep(1.0)  # longer than the start
        done.append("compiling")

    monkeypatch.setattr(Program, "prepare", slow)
    monkeypatch.setattr(warm, "_take", lambda *a: take(*a) or done.append("weights"))
    fitted(ms.CycleSchedule(coarsen_data=True, warm_start=True))
    assert done == ["compiling", "weights"]


@pytest.mark.thorough
def test_a_generator_is_read_by_one_at_a_time(monkeypatch):
    module = sys.modules["msann_keras.nested.warm_start"]
    monkeypatch.setattr(module, "MEMORY", 20 * (X[:32].nbytes + Y[:32].nbytes))

    batches = ((X[i : i + 32], Y[i : i + 32]) for i in itertools.cycle((0, 32, 64)))
    model = made()
    options = {"steps_per_epoch": 1, "epochs": 1, "verbose": 0}
    callback = ms.CycleSchedule(coarsen_data=True, warm_start=True)
    model.fit(batches, callbacks=[callback], **options)
    assert loss(model) < 0.5 * np.mean(Y**2)


@pytest.mark.thorough
@pytest.mark.parametrize("part", ["start", "compiling"])
def test_an_error_beside_it_leaves_model_and_rates_alone(part, monkeypatch):
    def broken(*args, **options):
        raise RuntimeError(part)

    model = made()
    model.fit(X, Y, **BATCH)
    levels = unwrapped(model.optimizer).levels
    rates = [float(one.learning_rate) for one in levels]
    before = model.predict(X_NEW, verbose=0)
    where = (warm, "warm_start") if part == "start" else (Program, "prepare")
    monkeypatch.setattr(*where, broken)
    with pytest.raises(RuntimeError, match=part):
        fitted(ms.CycleSchedule(coarsen_data=True, warm_start=True), model)
    np.testing.assert_allclose(model.predict(X_NEW, verbose=0), before, atol=1e-5)
    assert [float(one.learning_rate) for one in levels] == rates


@pytest.mark.thorough
def test_level_0_has_all_and_its_optimizer_knows_the_gradients():
    model = made()
    model.make_train_function()
    record = warm.begin_warmly(model, {"x": X, "y": Y, "batch_size": 16})
    assert [one.level for one in record.levels] == [3, 1]
    for layer in model.multilevel_layers:
        for level in (1, 2):
            assert not any(np.any(w.numpy()) for w in layer.level_weights(level))
    known = moments(unwrapped(model.optimizer).levels[0])
    assert all(np.abs(slot.numpy()).max() > 0 for slots in known for slot in slots)
    before = loss(model, X_NEW, Y_NEW)
    assert before == pytest.approx(loss_of(model.merge()))
    weights, handed_on = model.get_weights(), kick(model)
    model.set_weights(weights)
    unwrapped(model.optimizer).begin_anew()
    assert handed_on < max(0.05, kick(model) / 4)


def loss_of(model):
    model.compile("sgd", "mse")
    return loss(model)


@pytest.mark.thorough
def test_what_goes_on_does_not_begin_again():
    callback = ms.CycleSchedule("auto", resume=True)
    model, _ = fitted(callback)
    before = model.get_weights()
    fitted(callback, model, epochs=0)
    same_weights(model, before)


def test_class_weight_is_refused():
    with pytest.raises(ValueError, match="`class_weight` has no effect on a warm"):
        fitted(ms.CycleSchedule("auto"), class_weight={0: 1.0})


def test_auto_stands_alone():
    for other in ({"smoothing_steps": 2}, {"variant": "paper"}, {"schedule": plain()}):
        with pytest.raises(ValueError, match='gamma="auto" chooses for itself'):
            ms.CycleSchedule("auto", **other)


@pytest.mark.thorough
def test_validation_samples_are_not_trained_on(monkeypatch):
    seen = []
    real = warm.warm_start

    def watched(model, x, y, **options):
        seen.append(len(x))
        return real(model, x, y, **options)

    monkeypatch.setattr(warm, "warm_start", watched)
    fitted(ms.CycleSchedule("auto"), validation_split=0.5)
    assert seen == [200]


@pytest.mark.thorough
def test_cost_counts_examples_by_their_level():
    model = made()
    model.make_train_function()
    record = warm.begin_warmly(model, {"x": X, "y": Y, "batch_size": 16})
    size = [one.parameters for one in record.plan.levels]
    expected = sum(16 * x.steps * size[x.level] / size[0] for x in record.levels)
    assert warm.cost_of(record, 16) == pytest.approx(expected)
