"""A run that begins by a warm start: all that it took is counted."""

import math

import numpy as np
import pytest
from config_files import tiny

import msann_keras as ms
from experiments.config import load_config
from experiments.jobs import jobs
from experiments.tasks import load_task
from experiments.warm import WarmTrainer
from msann_keras.nested.multilevel import cost_of

SCHEMES = [
    {"label": "told", "warm_start": 1, "optimizer": "adam", "learning_rate": 0.004},
    {"label": "asked", "warm_start": "auto", "optimizer": "adam"},
]


@pytest.fixture
def config(tmp_path):
    return load_config(tiny(tmp_path, schemes=SCHEMES, budget=8000, seeds=[1]))


@pytest.fixture
def records(monkeypatch):
    """What each warm start returned."""
    found, real = [], ms.warm_start

    def watched(*args, **options):
        found.append(real(*args, **options))
        return found[-1]

    monkeypatch.setattr(ms, "warm_start", watched)
    return found


def test_a_start_is_counted_and_fit_goes_on_from_it(config, records):
    scheme, told = config.schemes[0], []
    trainer = WarmTrainer(config, scheme, 1, load_task(config.task))
    run = trainer.run(config, scheme, 1, told.append)
    untrained, started, *fitted = run.history
    (record,) = records
    assert told == run.history
    assert untrained[:3] == (0.0, 0, 0.0)
    assert record.levels[0].level == 1
    assert started.cost == cost_of(record, 16) > 0
    assert started.evaluations == 16 * sum(one.steps for one in record.levels)
    assert started.evaluations > started.cost
    assert started.seconds >= record.seconds > 0
    # A compiled call costs 200 at least: 13 batches of 16.
    costs = np.diff([state.cost for state in (started, *fitted)])
    np.testing.assert_allclose(costs, 208)
    assert 8000 - 208 < fitted[-1].cost <= 8000
    gradients = np.diff([state.evaluations for state in (started, *fitted)])
    assert set(gradients) == {208}
    assert np.all(np.diff([state.seconds for state in run.history]) > 0)
    assert fitted[-1].mse < untrained.mse
    assert str(record.plan) in run.hierarchy


@pytest.mark.thorough
def test_a_second_run_is_like_one_with_a_trainer_of_its_own(config):
    """No weights, moments or rates are left from the first."""
    scheme, task = config.schemes[0], load_task(config.task)
    # How many steps a start takes is decided by the clock, so none is made.
    scheme = scheme.model_copy(update={"warm_start": "auto"})

    def history(trainer, scheme):
        return [(x.cost, x.mse) for x in trainer.run(config, scheme, 1).history]

    used = WarmTrainer(config, scheme, 5, task)
    first = history(used, scheme)
    faster = history(used, scheme.model_copy(update={"learning_rate": 0.02}))
    assert faster != first
    assert history(used, scheme) == first
    assert history(WarmTrainer(config, scheme, 7, task), scheme) == first


def test_where_the_data_say_no_the_run_is_plain_training(config, records):
    scheme = config.schemes[1]
    trainer = WarmTrainer(config, scheme, 1, load_task(config.task))
    run = trainer.run(config, scheme, 1)
    assert not records[0].levels
    assert run.history[1][:2] == (0.0, 0) and run.history[1].seconds > 0
    assert run.history[1].mse == run.history[0].mse
    assert "plain training" in run.hierarchy


@pytest.mark.thorough
def test_a_run_ends_at_its_error_or_with_the_start(config):
    scheme = config.schemes[0].model_copy(update={"until": 0.9})
    trainer = WarmTrainer(config, scheme, 1, load_task(config.task))
    history = trainer.run(config, scheme, 1).history
    assert history[-1].mse <= 0.9 * history[0].mse
    assert all(state.mse > 0.9 * history[0].mse for state in history[:-1])
    poor = config.model_copy(update={"budget": 10.0})
    history = trainer.run(poor, config.schemes[0], 1).history
    assert len(history) == 2 and history[1].cost > 10


def test_a_warm_start_is_a_run_of_its_own(config):
    told, asked = sorted(jobs([config]), key=lambda job: job.scheme.label)[::-1]
    assert told.settings["warm_start"] == 1 and asked.settings["warm_start"] == "auto"
    assert "-warm-1-adam-0.004-" in told.name and "-warm-auto-" in asked.name
    assert told.program != asked.program
    plain = config.schemes[1].model_copy(update={"warm_start": None})
    (default,) = jobs([config.model_copy(update={"schemes": (plain,)})])
    assert "-default-" in default.name and "warm_start" not in default.settings
    assert default.program != asked.program and math.isfinite(default.work)
