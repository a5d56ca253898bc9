"""Evaluations between compiled calls, outside the clock of training."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import keras

from msann import checks
from msann_keras.backends import here


class Evaluate(keras.callbacks.Callback):
    """Evaluates a model every so much training, outside the clock of training.

    It goes by `cost` and `seconds` of the `CycleSchedule` beside it; the seconds are
    those of averaging data and of training alone. With coarsened data a call is a whole
    cycle, so that the model is always evaluated at the same point of the cycle, after
    smoothing at level 0.

    Args:
        function: Called with the model; what it returns is kept.
        cost: Least C(t) between two evaluations.
        seconds: Least seconds of training between two evaluations.

    Attributes:
        history: A list of `Evaluation`, the untrained model first.
        seconds: What the evaluations themselves took, apart from training.

    Raises:
        ValueError: `function` cannot be called; not exactly one of `cost` and
            `seconds`, or not positive. In `fit`: there is no `CycleSchedule`.
        TypeError: In `fit`: the model is not a `MultilevelModel`.

    Example:

    >>> Evaluate(lambda model: model.count_params(), cost=1000).history
    []
    """

    def __init__(self, function, *, cost=None, seconds=None):
        super().__init__()
        if not callable(function):
            raise ValueError(
                f"`function` must be callable. Received: function={function!r}"
            )
        if (cost is None) == (seconds is None):
            raise ValueError(
                "Give one of `cost` and `seconds`, a positive number. "
                f"Received: cost={cost!r}, seconds={seconds!r}"
            )
        self.measure, every = ("seconds", seconds) if cost is None else ("cost", cost)
        self.every = checks.number(self.measure, every, above=0)
        self.function = function
        self.history: list[Evaluation] = []
        self.seconds = 0.0

    def on_train_begin(self, logs=None):
        """Begin a new history."""
        if not hasattr(self.model, "session"):
            raise TypeError(
                "`Evaluate` needs a MultilevelModel, which a CycleSchedule trains. "
                f"Received: {type(self.model).__name__}"
            )
        self.history, self.seconds = [], 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """Evaluate the model as training finds it."""
        # Not when training begins: callbacks that come later may restore weights then.
        if self.history:
            return
        if self.model.session is None:
            raise ValueError(
                "`callbacks` must hold a `CycleSchedule` beside `Evaluate`, whose cost "
                "and seconds it goes by. Received: none"
            )
        self.model.session.place()
        self._evaluate()
        self.model.reset_metrics()  # also those that were built just now

    def on_train_batch_end(self, batch, logs=None):
        """Evaluate if it is time."""
        spent = getattr(self.model.session, self.measure)
        if spent - getattr(self.history[-1], self.measure) >= self.every:
            self._evaluate()

    def _evaluate(self):
        session, began = self.model.session, time.perf_counter()
        here.synchronise(self.model)
        # `model.evaluate` would begin the metrics of the running epoch anew.
        metrics = [v for x in self.model.metrics for v in x.variables]
        before = [v.numpy().copy() for v in metrics]
        result = self.function(self.model)
        for variable, value in zip(metrics, before, strict=True):
            variable.assign(value)
        self.seconds += time.perf_counter() - began
        examples = session.progress.examples
        self.history.append(Evaluation(session.cost, examples, session.seconds, result))


class Evaluation(NamedTuple):
    """Holds what `Evaluate` notes at one evaluation.

    Attributes:
        cost: C(t).
        examples: Gradients computed, one an example.
        seconds: Of training.
        result: What the function returned.
    """

    cost: float
    examples: int
    seconds: float
    result: Any
