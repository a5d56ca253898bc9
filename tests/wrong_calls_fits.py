"""Wrong calls of `fit`, and the one trained model that they share."""

from __future__ import annotations

from functools import cache

import keras
import numpy as np
import tensorflow as tf
from wrong_calls import INF, NAN, Calls, integers

import msann_keras as ms

X = np.random.default_rng(5).uniform(size=(16, 8)).astype("float32")
DEEP = ms.schedules.gamma_cycle(3)


@cache
def plain():
    """Dense layers of 8-4-8."""
    sizes = (keras.layers.Dense(4), keras.layers.Dense(8))
    return keras.Sequential([keras.Input((8,)), *sizes])


def converted():
    """A fresh multilevel model of depth 1, not compiled."""
    return ms.multilevel(plain(), depth=1)


@cache
def trained():
    """The one model of all calls of `fit`, with every program and slot made."""
    model = converted()
    model.compile("adam", "mse", run_eagerly=True)
    for coarsen_data in (False, True):
        fit_once(model, callbacks=[ms.CycleSchedule(coarsen_data=coarsen_data)])
    return model


def state(model=None):
    """All that a refused call must leave as it was."""
    model = trained() if model is None else model
    optimizer = getattr(model, "optimizer", None)
    return {
        "weights": model.get_weights(),
        "level": model.level,
        "trainable": [layer.trainable for layer in model.layers],
        "optimizer": [v.numpy() for v in optimizer.variables] if optimizer else [],
    }


def fit_once(model, **options):
    options = {"x": X, "y": X, "batch_size": 4, "epochs": 1, "verbose": 0} | options
    return model.fit(**options)


RAGGED = [[1.0], [1.0, 2.0]]
UNTARGETED = tf.data.Dataset.from_tensor_slices(X).batch(4)
#: What is no array of 16 samples of 8 numbers; targets have the same shape.
NO_DATA = (
    *(3, 1.5, "ab", b"x", True, 1j, object(), len, [None], [], (), {}, {3}, RAGGED),
    *(np.array(3.0), X[:, :7], X[:, 0], X[:0], X[:3], X[..., None], np.array("a")),
    *([X, X], {"no": X}, X * 1j, X.astype(str), np.full(X.shape, "a", object)),
    *(np.full_like(X, NAN), ["a"] * 16, [[NAN] * 8] * 16, keras.layers.Dense(8)),
)
NO_WEIGHTS = (
    *(np.ones(5), np.ones((16, 8)), np.full(16, NAN), np.full(16, INF), -np.ones(16)),
    *("ab", 3, object(), np.ones(16) * 1j, np.full(16, "a"), [1.0], {}, np.array(1.0)),
    *([None] * 16, RAGGED, True, {0: 1.0}, len, np.ones((2, 8))),
)
NO_HELD_OUT = (
    *(3, "ab", (), object(), (X, X, X, X), (X[:3], X), (X[:, :7], X), (X, X[:, :7])),
)
#: What Python itself would refuse as a count of epochs.
NO_EPOCHS = ("3", NAN, 1.5, [3], object(), INF)


def fit_calls():
    """Name and calls of each kind of `fit`."""
    yield from _on_coarsened_data()
    yield from _with_callbacks()

    def fine(**options):
        return fit_once(trained(), callbacks=[ms.CycleSchedule()], **options)

    nothing = np.full_like(X, NAN)
    wrong = {"x": [nothing, {"a": nothing}, [nothing]], "y": [nothing, [nothing]]}
    right = {"x": X, "y": X}
    yield "fit with the fine gradient", Calls(fine, right, watch=state, **wrong)


def _on_coarsened_data():
    def coarsened(**options):
        schedule = ms.CycleSchedule(coarsen_data=True)
        return fit_once(trained(), callbacks=[schedule], **options)

    def without_targets(x):
        x = iter([x[1]]) if isinstance(x, tuple) and x[:1] == ("batch",) else x
        return coarsened(x=x, y=None, batch_size=None)

    wrong = {"x": [*NO_DATA, None, tf.data.Dataset.range(3), UNTARGETED], "y": NO_DATA}
    also = ("input", "inputs", "targets", "sample")
    yield "fit on coarsened data", Calls(coarsened, watch=state, also=also, **wrong)
    wrong = {
        "sample_weight": NO_WEIGHTS,
        "batch_size": integers(1, none=False),
        "class_weight": ({0: 1.0}, 3, "a", [1.0]),
        "shuffle": (False, "no", 2, NAN, []),
        "validation_data": NO_HELD_OUT,
        "validation_split": (NAN, -0.5, 1, 1.5, "0.5", INF, [0.5], 1.0, 1j, object()),
        "steps_per_epoch": (0, -1, -(10**30), NAN, INF, -INF, "3", 1.5, [3], {}, 1j),
        "epochs": NO_EPOCHS,
        "initial_epoch": NO_EPOCHS,
    }
    yield "fit on coarsened data", Calls(coarsened, watch=state, **wrong)
    whole = [None, X, [X, X], 3, "ab", {}, object(), UNTARGETED]
    batches = [3, None, X, "ab", (X, None), (X, X, X, X), (X[:, :7], X), (X, X * 1j)]
    batches += [
        (X[:0], X[:0]),
        (X, X[:3]),
        (X, X, np.full(16, NAN)),
        (X, X, np.ones(3)),
    ]
    wrong = [*whole, iter([]), *(("batch", batch) for batch in batches)]
    calls = Calls(without_targets, x=wrong, watch=state, also=(*also, "y"))
    yield "fit on coarsened data", calls


def _with_callbacks():
    def schedule(coarsen_data, **options):
        return ms.CycleSchedule(coarsen_data=coarsen_data, **options)

    def evaluate():
        return ms.Evaluate(lambda model: None, cost=1)

    one = schedule(False)
    wrong = {
        "one Evaluate": [evaluate()],
        "a bare Evaluate": evaluate(),
        "the same CycleSchedule twice": [one, one],
    }
    for kind in (False, True):
        wrong |= {
            f"CycleSchedule {kind}, then False": [schedule(kind), schedule(False)],
            f"CycleSchedule {kind}, then True": [schedule(kind), schedule(True)],
            f"too deep, {kind}": [schedule(kind, schedule=DEEP)],
            f"too many steps, {kind}": [schedule(kind, smoothing_steps=(1, 2, 3))],
            f"one factor, {kind}": [schedule(kind, rate_factors=(1,))],
            f"three factors, {kind}": [schedule(kind, rate_factors=(1, 1, 1))],
        }

    def run(callbacks):
        return fit_once(trained(), callbacks=wrong[callbacks])

    words = ("CycleSchedule", "schedule", "smoothing_steps", "rate_factors")
    calls = Calls(run, callbacks=wrong, watch=state, also=words)
    yield "callbacks of fit", calls
    stranger = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    stranger.compile("sgd", "mse", run_eagerly=True)

    def run_plain(callbacks):
        return fit_once(stranger, callbacks=[callbacks])

    ours = {"callbacks": [schedule(False), schedule(True), evaluate()]}
    watch, words = stranger.get_weights, ("MultilevelModel",)
    yield "callbacks of fit", Calls(run_plain, **ours, watch=watch, also=words)
