"""What goes on around the levels: who watches, who interrupts, what goes wrong."""

import keras
import numpy as np
import pytest
from keras import ops
from smooth import X_NEW, Y_NEW, compiled, loss, same, started

from msann_keras.nested import audience
from msann_keras.nested.level import Level


class Looks(keras.callbacks.Callback):
    """What a callback sees, until it has seen enough."""

    def __init__(self, most=10**9):
        self.most, self.losses, self.calls = most, [], []

    def on_train_begin(self, logs=None):
        self.calls.append("begin")

    def on_epoch_end(self, epoch, logs=None):
        assert epoch == len(self.losses)
        self.losses.append((loss(self.model), logs["loss"]))
        self.model.stop_training = len(self.losses) >= self.most

    def on_train_end(self, logs=None):
        self.calls.append("end")


def test_callbacks_watch_the_model_itself(monkeypatch):
    monkeypatch.setattr(audience, "PATIENCE", 1.0)
    looks = Looks()
    started(validation_data=(X_NEW, Y_NEW), callbacks=[looks])
    assert looks.calls == ["begin", "end"]
    assert len(looks.losses) >= 2
    for fine, coarse in looks.losses[1:]:
        assert fine == pytest.approx(coarse, rel=0.1, abs=0.02)


def test_a_callback_may_end_it(monkeypatch):
    monkeypatch.setattr(audience, "PATIENCE", 1.0)
    looks = Looks(most=2)
    model, record = started(callbacks=[looks], validation_data=(X_NEW, Y_NEW))
    assert len(looks.losses) == 2
    (only,) = record.levels
    finer = record.plan.levels[only.level].targets_lost * Y_NEW.var()
    assert loss(model) == pytest.approx(only.left + finer, rel=0.1)


def test_the_last_look_is_at_what_the_model_has_in_the_end():
    seen = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(model.get_weights())
    )
    model = compiled(64, 64, 64)
    started(model, callbacks=[look])
    same(model, seen[-1])


def test_looks_take_no_more_than_a_sixth_of_the_time():
    now, looks = [100.0], []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: looks.append(now[0])
    )
    few = audience.Audience([watch], compiled(4, 4), 100.0, clock=lambda: now[0])

    def show():
        now[0] += 3.0

    few.begin()
    for _ in range(1000):
        now[0] += 0.1
        few.look(show, loss=1.0)
    assert 3.0 * len(looks) <= (now[0] - 100.0) / 6 + 3.0
    assert len(looks) == 7


def test_an_interrupt_keeps_what_was_learned(monkeypatch):
    real, judged = Level.error, []

    def error(self):
        judged.append(self)
        if len(judged) == 8:
            raise KeyboardInterrupt
        return real(self)

    monkeypatch.setattr(Level, "error", error)
    model = compiled(64, 64, 64)
    before = loss(model)
    with pytest.raises(KeyboardInterrupt):
        started(model)
    assert loss(model) < 0.7 * before


def test_a_loss_of_nan_leaves_the_model_alone():
    def broken(y_true, y_pred):
        return ops.sqrt(-ops.mean((y_true - y_pred) ** 2, axis=-1) - 1)

    model = compiled(64, 64, 64, loss=broken)
    before = model.get_weights()
    _, record = started(model, callbacks=[Looks()])
    assert "learned nothing, so the model is unchanged" in record.outcome
    same(model, before)


def test_a_coarsest_level_that_learns_nothing_is_for_nothing(monkeypatch):
    model = compiled(64, 64, 64, optimizer=keras.optimizers.SGD(1e-9))
    ever_worse(monkeypatch, level=3)
    before = model.get_weights()
    _, record = started(model)
    assert "learned nothing" in record.outcome
    same(model, before)


def ever_worse(monkeypatch, level):
    """Let a level's error grow each time that it is asked for."""
    real, calls = Level.error, []

    def error(self):
        if self.level != level:
            return real(self)
        calls.append(self)
        return real(self) * 10 ** len(calls)

    monkeypatch.setattr(Level, "error", error)


def test_a_finer_level_that_got_worse_is_taken_back(monkeypatch):
    ever_worse(monkeypatch, level=1)
    real, begun = Level.take_over, []

    def take_over(self, *given):
        real(self, *given)
        begun.append((self, self.state()))

    monkeypatch.setattr(Level, "take_over", take_over)
    _, record = started(validation_data=(X_NEW, Y_NEW))
    assert record.levels[-1].steps > 0
    assert record.levels[-1].left == record.levels[-1].entered
    ((level, state),) = begun
    for one, other in zip(state, level.state(), strict=True):
        np.testing.assert_array_equal(one, other)
