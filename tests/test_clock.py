"""The rules of benchmarks/clock: which trial is best, and what is reported."""

import numpy as np
import pytest

import msann_keras as ms
from benchmarks.clock.bench import SEEDS, TUNING_SEEDS, Outcome, Trial, network, reset
from benchmarks.clock.report import rows
from benchmarks.clock.tuning import best_of, reached, tuned

A, B, C = (Trial("cycles", "Adam", rate) for rate in (1e-3, 2e-3, 4e-3))
NEVER = float("inf")


class FakeBench:
    """Trials that take so many seconds to each of the targets."""

    targets = (0.1, 0.05, 0.02)
    limit = 60.0

    def __init__(self, seconds):
        self.seconds, self.made = seconds, []

    def run(self, trial, seed, limits=None):
        self.made.append((trial, seed))
        history = [(0.0, 0, 0.0, 1.0)]
        for time, target in zip(self.seconds[trial, seed], self.targets, strict=True):
            if np.isfinite(time):
                history.append((100 * time, int(10 * time), time, target))
        return Outcome(trial, seed, history, compile_seconds=3.0)


def trials(**seconds):
    """Seconds on both tuning seeds by trial: `{(trial, seed): seconds}`."""
    by_name = {"a": A, "b": B, "c": C}
    return {
        (by_name[name], seed): times
        for name, both in seconds.items()
        for seed, times in zip(TUNING_SEEDS, both, strict=True)
    }


def test_reached_is_the_first_evaluation_at_or_below_the_target():
    history = [(0, 0, 0.0, 1.0), (5, 50, 2.0, 0.2), (9, 90, 3.0, 0.1), (11, 99, 4.0, 0)]
    outcome = Outcome(A, 1, history, 0.0)
    assert reached(outcome, [0.2, 0.1, 0.05]) == [2, 3, 4]
    assert reached(outcome, [0.1], column=0) == [9]
    assert reached(outcome._replace(history=history[:2]), [0.1]) == [NEVER]


def test_the_best_trial_is_that_of_each_target():
    bench = FakeBench(trials(a=[(1, 9, NEVER)] * 2, b=[(2, 4, 8)] * 2))
    assert best_of(bench, [A, B]) == [(1, A), (4, B), (8, B)]


def test_a_trial_that_is_better_on_one_seed_must_be_so_on_the_mean_of_two():
    lucky = [(1, 50, 50), (9, 50, 50)]
    bench = FakeBench(trials(a=[(4, 50, 50)] * 2, b=lucky))
    assert best_of(bench, [A, B])[0] == (4, A)


def test_a_trial_that_is_no_better_anywhere_is_made_once():
    bench = FakeBench(trials(a=[(1, 2, 3)] * 2, b=[(1, 2, 3)] * 2))
    best_of(bench, [A, B])
    assert [trial for trial, _ in bench.made] == [A, A, B]


@pytest.mark.parametrize("scheme", ["level0", "start", "cycles"])
@pytest.mark.parametrize("strict", [4e-3, 1.6e-2])  # the best rate for the last target
def test_every_scheme_has_fourteen_trials(scheme, strict):
    class Seconds(dict):
        def __missing__(self, key):
            rate = key[0].rate
            return [1 + (rate != 4e-3), 3, 4 + (rate != strict)]

    bench = FakeBench(Seconds())
    tuned(bench, scheme, quick=False)
    assert len({trial for trial, _ in bench.made}) == 14


def test_no_trial_is_best_where_none_reaches_the_target_in_time():
    bench = FakeBench(trials(a=[(1, 2, NEVER)] * 2, b=[(3, 3, 61)] * 2))
    assert best_of(bench, [A, B])[2] == (bench.limit, None)


def test_rows_hold_every_seed_also_one_that_never_arrives():
    seconds = {(A, seed): (i, 2 * i, NEVER) for i, seed in enumerate(SEEDS, start=1)}
    bench = FakeBench(seconds)
    outcomes = [bench.run(A, seed) for seed in SEEDS]
    chosen = {name: [None] * 3 for name in ("fit", "level0", "start")}
    table = {
        (scheme, target): rest
        for scheme, target, *rest in rows(bench, chosen | {"cycles": [A] * 3}, outcomes)
    }
    trial, costs, gradients, times, compiling = table["cycles", 0.05]
    assert (trial, times, compiling) == (A, [2, 4, 6], 3.0)
    assert (costs, gradients) == ([200, 400, 600], [20, 40, 60])
    assert table["cycles", 0.02][3] == [NEVER] * 3
    assert table["level0", 0.1][0] is None


@pytest.mark.parametrize("scheme", ["fit", "level0", "start", "cycles"])
def test_every_scheme_has_a_row_for_every_target(scheme):
    chosen = {name: [None] * 3 for name in ("fit", "level0", "start", "cycles")}
    got = [row[1] for row in rows(FakeBench({}), chosen, []) if row[0] == scheme]
    assert got == list(FakeBench.targets)


@pytest.mark.parametrize("depth", [None, 1])
def test_a_model_begins_anew_as_if_it_had_not_trained(depth):
    model, start = network(32), network(32)
    if depth is not None:
        model = ms.multilevel(model, depth)
    model.compile("adam", "mse", run_eagerly=True)
    x = np.random.default_rng(1).normal(size=(20, 32))
    model.fit(x, x, batch_size=10, verbose=0)
    reset(model, start, rate=0.25)
    assert float(model.optimizer.learning_rate) == 0.25
    np.testing.assert_allclose(
        model.predict(x, verbose=0), start.predict(x, verbose=0), rtol=1e-5
    )
    moments = ("momentum", "velocity")
    slots = [v for v in model.optimizer.variables if v.path.endswith(moments)]
    assert len(slots) > 8
    assert not any(np.any(v.numpy()) for v in slots)
