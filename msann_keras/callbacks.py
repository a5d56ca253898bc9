"""The callback that moves a model through the levels of a schedule."""

from __future__ import annotations

import time
from collections.abc import Sequence
from operator import mul
from typing import Any, NamedTuple

import keras

from msann.schedules import EVERY_LEVEL, Schedule, Steps, gamma_cycle
from msann_keras.models import MultilevelModel
from msann_keras.multilevel_optimizer import unwrapped


class CycleSchedule(keras.callbacks.Callback):
    """Train a `MultilevelModel` in multigrid cycles (Algorithm 3.1).

    Adds to the logs, and so to the history: `level`, the last one trained; `cost`, C(t)
    of section 4.1 since the schedule began; `seconds`, the time that this `fit` has
    spent in averaging data and in training steps, without validation and other
    callbacks. Callbacks that write logs, such as `CSVLogger`, come after it.

    The schedule begins anew with every `fit`, unless `resume` is set: then it goes on
    at the batch where the model stands, also one that was saved and loaded.

    Args:
        gamma: How often each visit recurses to the next level: 1 makes V-cycles, 2
            W-cycles.
        smoothing_steps: k, batches a visit; one number, or one for each level.
        variant: "paper" or "script", see `msann.schedules.gamma_cycle`.
        schedule: Any other `Schedule`, in place of the three above.
        resume: Go on with the schedule where the model's last one stopped.
        coarsen_data: Train a coarse level on averaged data through the coarse network
            alone, so that time follows C(t), instead of with the fine gradient. A
            whole cycle is then one "batch" of `fit`, `steps_per_execution` of them one
            compiled call, and an epoch is as many cycles as cost about a pass over the
            data (or `steps_per_epoch` cycles). Compiling is not part of `seconds`;
            `model.compile_seconds` has it.
        rate_factors: Learning rate of each level as a multiple of level 0's. By
            default all one; for coarsened data the ratios of Glorot's standard
            deviations, sqrt(2) a level where both sizes halve.
        consistency: For coarsened data: batches from which the term tau of MG/OPT is
            computed at each descent; 0 for none.
        memory: For coarsened data: bytes that data of all levels may take on the
            device (1 GiB by default); larger data are streamed in chunks.

    Raises:
        ValueError: What `gamma_cycle` refuses; both a schedule and a cycle's
            parameters; or, when training begins, a schedule deeper than the model.
        TypeError: When training begins: the model is not a `MultilevelModel`.

    Example:

    >>> import numpy as np
    >>> from msann_keras import multilevel
    >>> plain = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    >>> model = multilevel(plain, depth=1)
    >>> model.compile("adam", "mse")
    >>> history = model.fit(np.ones((40, 8)), np.ones((40, 8)), batch_size=10,
    ...                     verbose=0, callbacks=[CycleSchedule(smoothing_steps=2)])
    >>> history.history["level"], history.history["cost"]
    ([1], [25.55...])
    """

    def __init__(
        self,
        gamma: int | None = None,
        smoothing_steps: Steps | None = None,
        variant: str | None = None,
        *,
        schedule: Schedule | None = None,
        resume: bool = False,
        coarsen_data: bool = False,
        rate_factors: Sequence[float] | None = None,
        consistency: int = 0,
        memory: int | None = None,
    ):
        super().__init__()
        cycle = {
            "gamma": gamma,
            "smoothing_steps": smoothing_steps,
            "variant": variant,
        }
        self._cycle = {
            name: value for name, value in cycle.items() if value is not None
        }
        if schedule is not None and self._cycle:
            raise ValueError(
                "Give either `schedule` or the parameters of a cycle. Received: "
                f"schedule and {self._cycle}"
            )
        if not isinstance(schedule, Schedule | None):
            raise ValueError(
                "`schedule` must be a Schedule, such as "
                f"`msann.schedules.f_cycle(depth=4)`. Received: {schedule!r}"
            )
        # Refuse bad parameters at once; the model's depth is known when it trains.
        levels = len(smoothing_steps) if isinstance(smoothing_steps, Sequence) else 2
        gamma_cycle(max(levels - 1, 0), **self._cycle)
        self._given = self.schedule = schedule
        self.resume = resume
        self.coarsen_data = coarsen_data
        self.rate_factors = rate_factors
        self.consistency = consistency
        self.memory = memory
        self._check_coarse()

    def on_train_begin(self, logs=None):
        """Make the schedule for the model."""
        if not isinstance(self.model, MultilevelModel):
            raise TypeError(
                "CycleSchedule needs a MultilevelModel, which "
                "`msann_keras.multilevel(model, ...)` makes. "
                f"Received: {type(self.model).__name__}"
            )
        self.schedule = self.schedule_for(self.model.depth)
        self.set_rates(self.model)
        self._placed = False
        self._shares = self.model.hierarchy.shares
        self._seconds = self.model.averaging_seconds

    def set_rates(self, model: MultilevelModel) -> None:
        """Give each level its learning rate; `fit` takes that back at its end."""
        factors = self.rate_factors
        if factors is None and self.coarsen_data:
            factors = model.hierarchy.glorot_ratios
        unwrapped(model.optimizer).use_rates(factors)

    def schedule_for(self, depth: int) -> Schedule:
        """The schedule for a model of so many levels.

        Raises:
            ValueError: It goes deeper than the model, or trains every level at once
                on coarsened data.
        """
        schedule = self._given or gamma_cycle(depth, **self._cycle)
        if schedule.depth > depth:
            raise ValueError(
                f"The schedule goes down to level {schedule.depth}, but the "
                f"model's `depth` is {depth}."
            )
        levels = {visit.level for visit in schedule.start + schedule.cycle}
        if self.coarsen_data and EVERY_LEVEL in levels:
            raise ValueError(
                "Every level at once (EVERY_LEVEL) needs the fine gradient: data are "
                "coarsened for one level. Received: coarsen_data=True"
            )
        if self.coarsen_data and schedule.batches_at(0) == 0:
            raise ValueError(
                "On coarsened data a cycle must train level 0 too, which the loss in "
                f"the logs is of. Received: cycle={schedule.cycle}"
            )
        return schedule

    def _check_coarse(self):
        for name in ("consistency", "memory"):
            value = getattr(self, name)
            least = 0 if name == "consistency" else 1
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int) or value < least
            ):
                raise ValueError(
                    f"`{name}` must be an integer >= {least}. "
                    f"Received: {name}={value!r}"
                )
            if value and not self.coarsen_data:
                raise ValueError(
                    f"`{name}` is for `coarsen_data=True`. Received: {name}={value!r}"
                )

    def on_epoch_begin(self, epoch, logs=None):
        """Find the model's place in the schedule."""
        # Not when training begins, where BackupAndRestore may restore it after us.
        if not (self._placed or self.resume):
            unwrapped(self.model.optimizer).reset_progress()
        self._placed = True
        self._position = self.model.progress.position

    def on_train_batch_begin(self, batch, logs=None):
        """Tell the model the visits of its next call."""
        count = self.model.steps_per_execution
        if self.coarsen_data:
            cycles = min(count, self.params["steps"] - batch)
            count = self.schedule.to_cycle_end(self._position, cycles)
        self.model.visits = self.schedule.take(self._position, count)
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Stop the clock; log level, cost and seconds."""
        self._seconds += time.perf_counter() - self._began
        self._log(logs)

    def on_epoch_end(self, epoch, logs=None):
        """Log level, cost and seconds."""
        self._log(logs)

    def _log(self, logs):
        progress = self.model.progress
        self._position = progress.position
        if logs is not None and progress.position:
            logs["level"] = self.schedule.take(progress.position - 1, 1)[0].level
            logs["cost"] = sum(map(mul, self._shares, progress.level_examples))
            logs["seconds"] = self._seconds


class Evaluate(keras.callbacks.Callback):
    """Evaluate between compiled calls, every so much training; outside its clock.

    It comes after `CycleSchedule`, whose `cost` and `seconds` it goes by: `seconds`
    count training alone. With coarsened data a call is a whole cycle, so that the model
    is always evaluated at the same point of the cycle, after smoothing at level 0.

    Args:
        function: Called with the model; what it returns is kept.
        cost: Least C(t) between two evaluations.
        seconds: Least seconds of training between two evaluations.

    Attributes:
        history: A list of `Evaluation`, the untrained model first.
        seconds: What the evaluations themselves took, apart from training.

    Raises:
        ValueError: Not exactly one of `cost` and `seconds`, or not positive.

    Example:

    >>> Evaluate(lambda model: model.count_params(), cost=1000).history
    []
    """

    def __init__(self, function, *, cost=None, seconds=None):
        super().__init__()
        given = [x for x in (cost, seconds) if x is not None]
        if len(given) != 1 or not given[0] > 0:
            raise ValueError(
                "Give one of `cost` and `seconds`, a positive number. "
                f"Received: cost={cost!r}, seconds={seconds!r}"
            )
        self.function = function
        self.measure, self.every = ("seconds" if cost is None else "cost", given[0])
        self.history: list[Evaluation] = []
        self.seconds = 0.0

    def on_train_begin(self, logs=None):
        """Begin a new history."""
        self.history, self.seconds = [], 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """Evaluate the model as training finds it."""
        # Not when training begins, when the schedule has not found its place yet.
        if not self.history:
            self._evaluate({"cost": self.model.cost, "seconds": 0.0})
            self.model.reset_metrics()  # also those that were built just now

    def on_train_batch_end(self, batch, logs=None):
        """Evaluate if it is time."""
        if self.measure not in logs:
            raise ValueError(
                "`Evaluate` must come after a `CycleSchedule` in `callbacks`, which "
                f"logs {self.measure!r}. Received: logs of {sorted(logs)}"
            )
        if logs[self.measure] - getattr(self.history[-1], self.measure) >= self.every:
            self._evaluate(logs)

    def _evaluate(self, logs):
        began = time.perf_counter()
        # `model.evaluate` would begin the metrics of the running epoch anew.
        metrics = [v for x in self.model.metrics for v in x.variables]
        before = [keras.ops.convert_to_numpy(v).copy() for v in metrics]
        result = self.function(self.model)
        for variable, value in zip(metrics, before, strict=True):
            variable.assign(value)
        self.seconds += time.perf_counter() - began
        examples = self.model.progress.examples
        self.history.append(Evaluation(logs["cost"], examples, logs["seconds"], result))


class Evaluation(NamedTuple):
    """What `Evaluate` notes.

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
