"""One fit: its place in the schedule, what the schedule is told, and what it took."""

import keras
import pytest
from models import EAGER, Recording, compiled, fit

import msann_keras as ms
from msann.schedules import State
from msann_keras.engines.fine_gradient import FineGradient
from msann_keras.optimizers import Progress
from msann_keras.session import Session

# ------------------------------------------------------------- a session by itself


class Scripted:
    """An engine that trains nothing; `script` has the batches of each call."""

    whole_cycles = False

    def __init__(self, model, clock, script):
        self.model, self.clock, self.script, self.visits = model, clock, script, []

    @property
    def progress(self):
        return self.model.progress

    def due(self, iterator):
        return next(iterator, 0)

    def run(self, visits, iterator):
        self.visits.append(visits)
        batches = self.script.pop(0)
        self.clock[0] += 10
        if not batches:
            return None
        self.model.optimizer.advance(batches, 4 * batches, (4 * batches, batches))
        return {"loss": float(batches)}


class Told(ms.Schedule):
    """A schedule that notes what it is told."""

    def next(self, state):
        TOLD.append(state)
        return super().next(state)


TOLD = []


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("msann_keras.session.time.perf_counter", lambda: now[0])
    TOLD.clear()
    return now


def session(clock, script, schedule=None, model=None, **options):
    model = model or compiled()
    schedule = schedule or Told(cycle=[(0, 2), (1, 3)])
    engine = Scripted(model, clock, script)
    result = Session(model, schedule, engine, **options)
    result.place()
    return result


def test_a_schedule_is_told_place_count_logs_and_seconds(clock):
    running = session(clock, [4, 2, 4], seconds=7.0)
    calls = iter([4, 2, 4])
    assert [running.train(calls)["loss"] for _ in range(3)] == [4, 2, 4]
    assert [
        State(0, 4, False, {}, 7.0),
        State(4, 2, False, {"loss": 4.0}, 17.0),
        State(6, 4, False, {"loss": 2.0}, 27.0),
    ] == TOLD
    assert running.engine.visits == [
        ((0, 2), (1, 2)),
        ((1, 1), (0, 1)),
        ((0, 1), (1, 3)),
    ]
    assert running.progress == Progress(10, 40, (40, 10))
    with pytest.raises(StopIteration):  # nothing is due
        running.train(calls)
    assert len(TOLD) == 3


def test_what_was_walked_is_level_cost_and_seconds(clock):
    running = session(clock, [4, 2], seconds=7.0)
    assert running.walked() == {}
    running.train(iter([4]))
    # Level 1 has 6 of the 20 parameters.
    assert running.walked() == {"level": 1, "cost": pytest.approx(17.2), "seconds": 17}
    running.train(iter([2]))
    assert running.walked() == {"level": 0, "cost": pytest.approx(25.8), "seconds": 27}
    assert running.cost == running.model.cost


@pytest.mark.parametrize(("made", "level"), [(1, 0), (2, 0), (3, 1), (5, 1), (6, 0)])
def test_the_level_is_that_of_the_last_batch_where_data_ended(clock, made, level):
    running = session(clock, [made])
    running.train(iter([7]))
    assert running.walked()["level"] == level


def test_where_there_was_no_batch_nothing_was_walked(clock):
    running = session(clock, [0])
    with pytest.raises(StopIteration):
        running.train(iter([4]))
    assert (running.walked(), running.logs, running.seconds) == ({}, {}, 0)


def test_the_place_is_the_beginning_or_where_the_model_stands(clock):
    model = compiled()
    for resume, begin in ((False, 0), (True, 4), (True, 8), (False, 0)):
        running = session(clock, [4], model=model, resume=resume)
        assert running.progress.position == begin
        running.train(iter([4]))
        running.place()  # found once
        assert running.progress.position == model.progress.position == begin + 4


def test_rates_are_those_of_the_fit_until_it_ends(clock):
    model = compiled(1, keras.optimizers.SGD(0.5))
    model.optimizer.rate_factors = (1, 2)

    def rates():
        return [float(copy.learning_rate) for copy in model.optimizer.levels]

    for factors, expected in ((None, [0.5, 1]), ((1, 3), [0.5, 1.5])):
        running = session(clock, [], model=model, rates=factors)
        assert rates() == expected
        running.end()
        assert rates() == [0.5, 1]


# ------------------------------------------------- schedules that adapt drive `fit`


def stalls(losses):
    return len(losses) > 1 and losses[-1] > 0.9 * losses[-2]


class Adaptive(ms.Schedule):
    """Trains level 1 for a call after each that has not lowered the loss by a tenth."""

    def next(self, state):
        TOLD.append(state)
        losses = [told.logs["loss"] for told in TOLD if told.logs]
        return (ms.Visit(int(stalls(losses)), state.count),)


class Look(keras.callbacks.Callback):
    """Notes the logs of every call."""

    def on_train_begin(self, logs=None):
        self.logs = []

    def on_train_batch_end(self, batch, logs=None):
        self.logs.append(dict(logs))


def test_a_schedule_that_goes_by_the_loss_drives_fit(clock):
    model, look = compiled(1, keras.optimizers.SGD(0.2), Recording), Look()
    schedule = ms.CycleSchedule(schedule=Adaptive([(0, 1), (1, 1)]))
    fit(model, schedule=schedule, epochs=3, callbacks=[look])
    losses = [logs["loss"] for logs in look.logs]
    assert model.record == [int(stalls(losses[:call])) for call in range(9)]
    assert set(model.record) == {0, 1}
    assert [logs["level"] for logs in look.logs] == model.record
    assert [told.logs.get("loss") for told in TOLD] == [None, *losses[:-1]]
    assert model.progress.position == 9


def test_position_count_and_seconds_of_a_fit(clock, monkeypatch):
    """Calls of two batches, of which an epoch has three; a second each."""
    run = FineGradient.run

    def timed(*args):
        clock[0] += 1
        return run(*args)

    monkeypatch.setattr(FineGradient, "run", timed)
    model = compiled(steps_per_execution=2, **EAGER)
    fit(model, schedule=ms.CycleSchedule(schedule=Told([(0, 2), (1, 1)])), epochs=2)
    places = [(s.position, s.count, s.whole_cycles, s.seconds) for s in TOLD]
    expected = [(0, 2, False, 0), (2, 2, False, 1), (3, 2, False, 2), (5, 2, False, 3)]
    assert places == expected
    TOLD.clear()
    again = Told([(0, 2), (1, 1)])
    fit(model, schedule=ms.CycleSchedule(schedule=again, resume=True))
    assert [(s.position, s.seconds) for s in TOLD] == [(6, 0), (8, 1)]
    assert TOLD[0].logs == {}


class Growing(ms.Schedule):
    """0 1 0, and from the second call on 0 111 0."""

    def next(self, state):
        TOLD.append(state)
        cycle = ms.Visit(0, 1), ms.Visit(1, 3 if state.logs else 1), ms.Visit(0, 1)
        return cycle * state.count


def test_on_coarsened_data_calls_are_of_whole_cycles():
    """Calls of three cycles, of which an epoch has four."""
    TOLD.clear()
    model, look = compiled(steps_per_execution=3, **EAGER), Look()
    schedule = ms.CycleSchedule(schedule=Growing([(0, 1)]), coarsen_data=True)
    options = {"steps_per_epoch": 4, "epochs": 2, "shuffle": True}
    fit(model, schedule=schedule, callbacks=[look], **options)
    # The first is asked before it trains, so that it can be compiled.
    assert [told.position for told in TOLD] == [0, 0, 9, 14, 29]
    assert [told.count for told in TOLD] == [3, 3, 1, 3, 1]
    assert all(told.whole_cycles for told in TOLD)
    seconds = [told.seconds for told in TOLD[1:]]
    assert seconds[1:] == [logs["seconds"] for logs in look.logs[:-1]]
    assert 0 < seconds[0] < seconds[1]  # averaging counts
    assert model.progress == Progress(34, 4 * 34, (4 * 16, 4 * 18))
