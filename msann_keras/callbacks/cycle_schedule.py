"""The callback that moves a model through the levels of a schedule."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any

import keras

from msann import checks
from msann.schedules import EVERY_LEVEL, Schedule, Steps, gamma_cycle, plain
from msann_keras.backends import here
from msann_keras.nested.multilevel import begin_warmly, cost_of
from msann_keras.optimizers.multilevel import unwrapped
from msann_keras.session import Session

#: Batches that tau may be computed from; more would say no more of the gradient.
MOST_BATCHES = 1_000


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
            W-cycles. "auto" begins with a warm start (below) and then trains level 0.
        smoothing_steps: k, batches a visit; one number, or one for each level.
        variant: "paper" or "script", see `msann.schedules.gamma_cycle`.
        schedule: Any other `Schedule`, in place of the three above.
        warm_start: Begin by nested iteration, as `msann_keras.warm_start` does: the
            coarsest network trains first, on averaged data, and each level hands on
            what it has learned; how deep to begin is read off the data. What the model
            has learned before is not used. Its time and its cost are in the logs.
        resume: Go on with the schedule where the model's last one stopped; a warm
            start is not made again then.
        coarsen_data: Train a coarse level on averaged data through the coarse network
            alone, so that time follows C(t), instead of with the fine gradient. A
            whole cycle is then one "batch" of `fit`, `steps_per_execution` of them one
            compiled call, and an epoch is as many cycles as cost about a pass over the
            data (or `steps_per_epoch` cycles). Compiling is not part of `seconds`;
            `model.compile_seconds` has it. It goes on beside a warm start.
        rate_factors: Learning rate of each level as a multiple of level 0's. By
            default all one; for coarsened data the ratios of Glorot's standard
            deviations, sqrt(2) a level where both sizes halve.
        consistency: For coarsened data: from how many batches, 0 to 1,000, a correction
            of the coarse loss is computed each time that a cycle goes down a level. It
            makes the coarse gradient begin as the restricted fine one (the term tau of
            MG/OPT, multigrid for optimisation). 0 leaves it out.
        memory: For coarsened data: bytes that data of all levels may take on the
            device (1 GiB by default); larger data are streamed in chunks.

    Raises:
        ValueError: What `gamma_cycle` refuses; a `schedule` of another type; both
            a schedule (or "auto") and a cycle's parameters; `rate_factors` that are not
            positive or do not begin with 1; `consistency` or `memory` out of range, or
            without `coarsen_data`. When training begins: a schedule deeper than the
            model; with `coarsen_data`, a schedule that trains every level at once or
            never level 0, or a model on torch or on several devices.
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
        gamma: int | str | None = None,
        smoothing_steps: Steps | None = None,
        variant: str | None = None,
        *,
        schedule: Schedule | None = None,
        warm_start: bool | None = None,
        resume: bool = False,
        coarsen_data: bool = False,
        rate_factors: Sequence[float] | None = None,
        consistency: int = 0,
        memory: int | None = None,
    ):
        super().__init__()
        is_auto = isinstance(gamma, str) and gamma == "auto"
        if is_auto and not (smoothing_steps is variant is schedule is None):
            raise ValueError(
                'gamma="auto" chooses for itself. Received: another schedule, '
                "`smoothing_steps` or `variant` beside it"
            )
        if is_auto:
            gamma, schedule = None, plain()
        self.warm_start = is_auto
        if warm_start is not None:
            self.warm_start = checks.flag("warm_start", warm_start)
        cycle = {
            "gamma": gamma,
            "smoothing_steps": smoothing_steps,
            "variant": variant,
        }
        self._cycle: dict[str, Any] = {
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
                f"`msann_keras.schedules.f_cycle(depth=4)`. Received: {schedule!r}"
            )
        # Refuse bad parameters at once; the model's depth is known when it trains.
        levels = len(smoothing_steps) if isinstance(smoothing_steps, Sized) else 2
        gamma_cycle(max(levels - 1, 0), **self._cycle)
        self._given = schedule
        self.resume = checks.flag("resume", resume)
        self.coarsen_data = checks.flag("coarsen_data", coarsen_data)
        if rate_factors is not None:
            rate_factors = checks.reals("rate_factors", rate_factors, above=0)
            if rate_factors[:1] != (1,):
                wanted = "one positive number for each level, level 0's being 1"
                checks.refuse("rate_factors", rate_factors, wanted)
        self.rate_factors = rate_factors
        self.consistency = checks.integer("consistency", consistency, 0, MOST_BATCHES)
        if memory is not None:
            memory = checks.integer("memory", memory, least=1)
        self.memory = memory
        for name in ("consistency", "memory"):
            if getattr(self, name) and not self.coarsen_data:
                raise ValueError(
                    f"`{name}` is for `coarsen_data=True`. "
                    f"Received: {name}={getattr(self, name)!r}"
                )

    def begin(self, model, options: dict[str, Any]) -> tuple[Session, dict[str, Any]]:
        """Begin the session of one `fit`.

        Args:
            model: A compiled, built `MultilevelModel`.
            options: Arguments of `fit` by name, which coarsened data change.

        Returns:
            The session, and the arguments for `keras.Model.fit`.

        Raises:
            ValueError: What `schedule_for` refuses; rates that do not fit the model;
                what cannot be trained on coarsened data.
        """
        schedule = self.schedule_for(model.depth)
        if self.coarsen_data and (reason := here.no_cycles(model)) is not None:
            raise ValueError(
                "Cycles on coarsened data run on TensorFlow and JAX, and on one "
                "device. Elsewhere, train by the fine gradient (`coarsen_data=False`),"
                " or start the plain model by `warm_start`. Received: "
                f"coarsen_data=True, and {reason}"
            )
        factors = self.rate_factors
        if factors is None and self.coarsen_data:
            factors = model.hierarchy.glorot_ratios
        optimizer = unwrapped(model.optimizer)
        optimizer.check_factors(factors)
        warm, for_keras, seconds = None, options, 0.0
        is_first = not (self.resume and optimizer.progress.position)
        beside = self.coarsen_data and options.get("y") is not None
        if self.warm_start and is_first and not beside:  # batches are read by one
            warm = begin_warmly(model, options)
        if self.coarsen_data:
            from msann_keras.engines.coarsened.engine import prepared  # not torch's

            program = model.program(self.consistency)
            engine, for_keras = prepared(program, schedule, options, self.memory)
            seconds = engine.seconds
            if self.warm_start and is_first and beside:
                warm = begin_warmly(model, options, meanwhile=engine.compile)
            else:
                engine.compile()
        else:
            engine = model.fine_gradient()
        spent = 0.0
        if warm is not None:
            seconds += warm.seconds
            spent = cost_of(warm, options.get("batch_size") or 32)
        session = Session(model, schedule, engine, factors, self.resume, seconds, spent)
        return session, for_keras

    @property
    def reads_data(self) -> bool:
        """Tell whether the data are wanted before Keras's own `fit` reads them."""
        return self.coarsen_data or self.warm_start

    def schedule_for(self, depth: int) -> Schedule:
        """Return the schedule for a model of so many levels.

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

    def on_train_begin(self, logs=None):
        """Begin the session, unless `fit` has begun it to coarsen the data."""
        if not hasattr(self.model, "session"):
            raise TypeError(
                "CycleSchedule needs a MultilevelModel, which "
                "`msann_keras.multilevel(model, ...)` makes. "
                f"Received: {type(self.model).__name__}"
            )
        if self.model.session is None:
            self.model.session, _ = self.begin(self.model, {})
        self.schedule = self.model.session.schedule

    def on_epoch_begin(self, epoch, logs=None):
        """Find the model's place in the schedule."""
        self.model.session.place()

    def on_train_batch_end(self, batch, logs=None):
        """Log level, cost and seconds."""
        self._log(logs)

    def on_epoch_end(self, epoch, logs=None):
        """Log level, cost and seconds."""
        self._log(logs)

    def _log(self, logs):
        if logs is not None:
            logs.update(self.model.session.walked())
