"""A whole cycle as one program, against a restatement with dense matrices."""

import keras
import numpy as np
import pytest
from coarsened import traces_counted
from models import EAGER, PROGRAM
from precision import floatx
from restated import (
    AS_THEY_ARE,
    BATCH,
    OPTIMIZERS,
    SPACES,
    Adam,
    Run,
    batches_in_turn,
    flat,
)
from stacks import assert_close

import msann_keras as ms
from msann.schedules import Growing, f_cycle, gamma_cycle
from msann_keras.engines.coarsened import level as level_module
from msann_keras.engines.coarsened import program
from msann_keras.engines.coarsened.program import Program
from msann_keras.optimizers import Progress

# -------------------------------------------------------------- a cycle is the method


@pytest.mark.quick(3)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("gamma", "steps"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_a_cycle_is_the_restated_one(optimizer, gamma, steps):
    with floatx("float64"):
        make = OPTIMIZERS[optimizer]
        run = Run(SPACES["odd paths"], 2, make().keras())
        visits = gamma_cycle(2, gamma, steps).cycle
        expected = run.restated(visits, [make() for _ in range(3)])
        before = run.theta()
        run.run(run.cycles(), visits)
        assert_close(run.theta(), expected, 1e-11)
        assert np.abs(flat(expected) - flat(before)).max() > 1e-2


@pytest.mark.quick(1)
@pytest.mark.parametrize("consistency", [0, 2])
@pytest.mark.parametrize("spaces", SPACES)
def test_slots_and_rates_are_each_levels_own(spaces, consistency):
    """Over two cycles, which end at a coarse level, and with rate factors."""
    with floatx("float64"):
        run = Run(SPACES[spaces], 2, Adam(0.05).keras())
        run.model.optimizer.rate_factors = (1, 1.5, 2)
        visits = (*f_cycle(2, Growing(1, 2)).cycle, ms.Visit(2, 1), ms.Visit(1, 2))
        adams = [Adam(0.05 * factor) for factor in (1, 1.5, 2)]
        cycles = run.cycles(consistency)
        for _ in range(2):
            expected = run.restated(visits, adams, consistency)
            run.run(cycles, visits)
            assert_close(run.theta(), expected, 1e-11)


def test_to_begin_changes_no_prediction():
    run = Run(SPACES["mixed"], 2, "adam")
    before = run.model(run.x)
    run.cycles()
    assert_close(run.model(run.x), before, 1e-6)


@pytest.mark.parametrize("prepare", [True, False])
def test_to_prepare_or_to_make_no_visits_changes_nothing(prepare):
    run = Run(SPACES["mixed"], 2, "adam")
    cycles = run.cycles()
    variables = run.model.variables + run.model.optimizer.variables
    before = [v.numpy() for v in variables]
    if prepare:
        cycles.prepare(run.chunk(cycles), BATCH)
    else:
        run.run(cycles, ())
    assert_close([v.numpy() for v in variables], before, 0)


# ------------------------------------------------------------------- consistency


def test_with_tau_coarse_gradients_are_restricted_fine_ones(monkeypatch):
    """At a rate of zero every level stays at the restricted point."""
    monkeypatch.setattr(level_module, "PACKED_BELOW", 0)
    with floatx("float64"):
        run = Run(SPACES["odd paths"], 2, keras.optimizers.SGD(0.0), **EAGER)
        cycles, found = run.cycles(consistency=3), {}
        chunk = run.chunk(cycles)  # 12 rows: the three batches are all of them
        for level in cycles.levels[1:]:
            # What a level is asked to do last, before it is emptied.
            def clear(level=level, clear=level.clear):
                data = chunk.levels[level.level]
                found[level.level] = level.gradients(data)
                found[-level.level] = level._gradient(data, consistent=False)
                clear()

            monkeypatch.setattr(level, "clear", clear)
        cycles.run(gamma_cycle(2).cycle, chunk, BATCH, AS_THEY_ARE)
        expected = cycles.levels[0].gradients(chunk.levels[0])
    for level in (1, 2):
        expected = cycles.parts.restricted(expected, level - 1)
        assert_close(found[level], expected, 1e-13)
        apart = np.abs(found[-level][0] - expected[0]).max()
        assert apart > 1e-3


@pytest.mark.parametrize(("consistency", "stays"), [(1, True), (0, False)])
def test_a_stationary_point_stays_only_with_tau(consistency, stays):
    """Full batches; the fine loss and its gradient are zero."""
    with floatx("float64"):
        run = Run(SPACES["paths"], 2, keras.optimizers.SGD(0.5))
        run.y = np.asarray(run.model(run.x))
        before = run.theta()
        visits = gamma_cycle(2, 1, 2).cycle
        run.run(run.cycles(consistency), visits, 12, AS_THEY_ARE)
        moved = np.abs(flat(run.theta()) - flat(before)).max()
    assert moved < 1e-13 if stays else moved > 1e-3


# ------------------------------------------------------------- what is compiled


@pytest.mark.thorough
def test_one_program_serves_every_schedule():
    run = Run(SPACES["paths"], 2, "sgd", **PROGRAM)
    with traces_counted() as traces:
        cycles = run.cycles()
        for gamma, steps in ((1, 1), (2, 3), (3, 2)):
            run.run(cycles, gamma_cycle(2, gamma, steps).cycle)
    assert len(traces) == 1


def test_a_long_call_is_compiled_before_it_is_run():
    run = Run(SPACES["paths"], 1, "sgd", **PROGRAM)
    visits = gamma_cycle(1, 1, 600).cycle  # 1,800 batches: more than the least room
    with traces_counted() as traces:
        cycles = run.cycles()
        cycles.prepare(run.chunk(cycles), BATCH, visits)
        seconds = cycles.compile_seconds
        cycles.prepare(run.chunk(cycles), BATCH, visits)
        assert 0 < seconds == cycles.compile_seconds
        run.run(cycles, visits)
    assert len(traces) == 1


# ------------------------------------------------------------------- what is counted


def test_progress_and_steps_by_hand(monkeypatch):
    monkeypatch.setattr(level_module, "PACKED_BELOW", 0)
    run = Run(SPACES["paths"], 2, "sgd")
    cycles = run.cycles(consistency=3)
    visits = gamma_cycle(2, 2).cycle  # 0 12121 0 12121 0
    # Two descents to level 1, four to level 2, three batches at both ends.
    assert cycles.batches(visits).tolist() == [3 + 6, 6 + 6 + 12, 4 + 12]
    run.run(cycles, visits)
    assert run.model.progress == Progress(13, 196, (36, 96, 64))
    assert [int(o.iterations) for o in run.model.optimizer.levels] == [3, 6, 4]


@pytest.mark.parametrize("count", [7, 20, 3, 0])
def test_every_row_is_drawn_as_often_as_any_other(count):
    order = program._shuffled_rows(7, count, np.random.default_rng(0))
    assert len(order) == count
    seen = np.bincount(order, minlength=7)
    assert seen.max() - seen.min() <= 1


def test_logs_are_those_of_level_0():
    run = Run(SPACES["paths"], 1, keras.optimizers.SGD(0.0))
    logs = run.run(run.cycles(), [ms.Visit(0, 3), ms.Visit(1, 2)])
    rows = batches_in_turn(3).ravel()
    expected = np.mean((np.asarray(run.model(run.x[rows])) - run.y[rows]) ** 2)
    assert float(logs["loss"]) == pytest.approx(expected, rel=1e-5)


# ------------------------------------------------------------------ nothing is lost


@pytest.mark.thorough
@pytest.mark.parametrize("packed_below", [0, 1000])
def test_after_a_divergence_all_is_finite_and_goes_on(monkeypatch, packed_below):
    monkeypatch.setattr(level_module, "PACKED_BELOW", packed_below)
    run = Run(SPACES["paths"], 2, Adam(0.01).keras())
    cycles, visits = run.cycles(), gamma_cycle(2).cycle
    run.run(cycles, visits)
    before, progress, x = run.theta(), run.model.progress, run.x
    run.x = np.full_like(x, np.inf)
    with pytest.raises(FloatingPointError, match=r"NaN or infinite.*\(0.01\)"):
        run.run(cycles, visits)
    assert_close(run.theta(), before, 0)
    assert run.model.progress == progress
    run.x = x
    run.run(cycles, visits)
    assert np.isfinite(flat(run.theta())).all()
    assert all(np.isfinite(v).all() for v in run.model.optimizer.variables)


# ------------------------------------------------------------------------- refusals


class OwnStep(ms.MultilevelModel):
    def train_step(self, data):
        return super().train_step(data)


class OwnLoss(ms.MultilevelModel):
    def compute_loss(self, *args, **kwargs):
        return super().compute_loss(*args, **kwargs)


def scaled():
    return keras.optimizers.LossScaleOptimizer(ms.MultilevelOptimizer("sgd", 1))


def averaging():
    return keras.optimizers.SGD(use_ema=True)


@pytest.mark.parametrize(
    ("cls", "optimizer", "loss", "message"),
    [
        (OwnLoss, lambda: "sgd", "mse", "`compute_loss` of OwnLoss"),
        (OwnStep, lambda: "sgd", "mse", "would not call the `train_step` of OwnStep"),
        (ms.MultilevelModel, averaging, "mse", "`use_ema=True`"),
        (ms.MultilevelModel, lambda: "sgd", None, "need a `loss`"),
        (ms.MultilevelModel, scaled, "mse", "loss scaling"),
    ],
)
def test_models_that_cycles_cannot_train_are_refused(cls, optimizer, loss, message):
    inputs = keras.Input((8,))
    model = cls(inputs, ms.MultilevelDense(8, 1)(inputs))
    model.compile(optimizer(), loss)
    with pytest.raises(ValueError, match=message):
        Program(model)
