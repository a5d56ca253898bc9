"""When a level is left: by errors and a clock that are made up."""

import keras
import numpy as np
import pytest

from msann_keras.level_plans import AVERAGED, UNITS
from msann_keras.nested.leaving import COOLING, LAST, Leaving

RATE = 0.5


class Stub:
    """What a callback sees of a model: an optimizer, and whether to stop."""

    def __init__(self):
        self.optimizer = keras.optimizers.SGD(RATE)
        self.optimizer.build([keras.Variable(np.zeros(1))])
        self.stop_training = False


def trained(error, seconds=1e9, floor=0.0, most=20_000, pace=UNITS, **options):
    """A level whose error is a function of its steps; rates by step."""
    time = [0.0]
    leaving = Leaving(
        lambda: error(leaving.steps),
        pace,
        floor,
        seconds,
        clock=lambda: time[0],
        **options,
    )
    model, rates = Stub(), []
    leaving.set_model(model)
    leaving.on_train_begin()
    for step in range(most):
        model.optimizer.iterations.assign_add(1)
        time[0] += 1
        leaving.on_train_batch_end(step)
        rates.append(float(model.optimizer.learning_rate))
        if model.stop_training:
            break
    leaving.on_train_end()
    assert float(model.optimizer.learning_rate) == RATE
    return leaving, rates


def test_a_level_that_learns_goes_on_until_its_time_is_over():
    leaving, rates = trained(lambda step: 1 / (1 + step), seconds=1000)
    assert 950 <= leaving.steps <= 1050
    assert rates[700] == RATE
    assert rates[-1] == pytest.approx(LAST * RATE)


def test_a_level_that_has_come_to_rest_is_left():
    leaving, _ = trained(lambda step: max(0.1, 1 / (1 + step)))
    assert leaving.steps < 1000


def test_a_level_of_smaller_images_must_learn_faster():
    def error(step):
        return (1 + step) ** -0.4

    leaving, rates = trained(error, pace=AVERAGED)
    assert leaving.steps < 100
    assert set(rates) == {RATE}  # it does not cool down
    assert trained(error, most=2_000)[0].cooling is None


def test_one_bad_look_says_nothing():
    def error(step):
        return 5.0 if 30 < step < 40 else 1 / (1 + step)

    hasty = UNITS._replace(first=16)
    assert trained(error, pace=hasty, most=500)[0].cooling is None


def test_several_looks_must_agree():
    for looks in (1, 2, 3):
        pace = UNITS._replace(looks=looks)
        leaving, _ = trained(lambda step: 0.1, pace=pace)
        judged = [step for step, _ in leaving.errors]
        can_tell = next(step for step in judged if step >= 2 * judged[1])
        late = judged.index(leaving.cooling[0]) - judged.index(can_tell)
        assert late == looks - 1


def test_the_rate_falls_linearly_to_its_last():
    leaving, rates = trained(lambda step: 0.1)
    begin, end = leaving.cooling
    assert end - begin == begin // COOLING
    falling = np.array(rates[begin - 1 :])
    assert np.ptp(np.diff(falling)) < 1e-6
    assert falling[-1] == pytest.approx(LAST * RATE)


@pytest.mark.thorough
def test_noise_of_a_tenth_does_not_end_it():
    noise = np.random.default_rng(3).normal(size=100_000)
    leaving, _ = trained(
        lambda step: (1 + 0.05 * noise[step]) / (1 + step), seconds=5000
    )
    assert leaving.steps > 4500


@pytest.mark.thorough
def test_what_the_data_lack_is_not_learned():
    slow, _ = trained(lambda step: 1 / (1 + step), seconds=5000)
    early, _ = trained(lambda step: 1 / (1 + step), seconds=5000, floor=0.01)
    assert early.steps < 200 < slow.steps


def test_it_waits_for_the_next_level():
    ready = iter([False] * 700 + [True] * 10_000)
    leaving, _ = trained(lambda step: 0.1, seconds=10, ready=lambda: next(ready))
    assert leaving.steps > 700


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_error_that_is_no_number_ends_it(bad):
    leaving, _ = trained(lambda step: bad if step >= UNITS.first else 1.0)
    assert leaving.steps == UNITS.first
    assert leaving.errors[-1][1] is bad


def test_the_first_error_is_from_before_training():
    leaving, _ = trained(lambda step: 1 / (1 + step), seconds=500)
    assert leaving.errors[0] == (0, 1.0)
    steps = [step for step, _ in leaving.errors]
    assert steps == sorted(set(steps))


def test_who_is_told_may_end_it():
    told = []

    def tell(steps, error):
        told.append((steps, error))
        return steps >= 100

    leaving, _ = trained(lambda step: 1 / (1 + step), tell=tell)
    # After each call, of the error as it was judged last.
    assert leaving.steps == 100
    assert sorted({steps for steps, _ in told}) == [*range(101)]
    assert {error for _, error in told} == {error for _, error in leaving.errors}


def test_what_is_told_takes_none_of_the_levels_time():
    clock = [0.0]

    def tell(steps, error):
        clock[0] += 1000

    model, leaving = Stub(), None
    leaving = Leaving(lambda: 1 / (1 + leaving.steps), UNITS, 0, 500, tell=tell)
    leaving.clock = lambda: clock[0]
    leaving.set_model(model)
    leaving.on_train_begin()
    while not model.stop_training:
        model.optimizer.iterations.assign_add(1)
        clock[0] += 1
        leaving.on_train_batch_end(0)
    assert 450 <= leaving.steps <= 550
