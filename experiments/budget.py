"""What a run may spend, and a schedule cut to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msann import schedules
from msann.cost import cost
from msann.schedules import Schedule, Visit


class Staged(Schedule):
    """A schedule that trains one stage of a plan in each call of the compiled step.

    Args:
        schedule: That the plan was cut from.
        plan: Stages, each a sequence of `Visit`; training ends with the last one.
    """

    def __init__(self, schedule: Schedule, plan: Iterable[Sequence[Visit]]):
        super().__init__(schedule.cycle, schedule.start)
        object.__setattr__(self, "_stages", iter(plan))

    def next(self, state):
        """The next stage, however many batches it has."""
        return next(self._stages)


def stages(
    schedule: Schedule,
    parameters: Sequence[int],
    batch_size: int,
    budget: float,
    every: float,
    unit: str = "cost",
    within: bool = False,
) -> Iterator[tuple[Visit, ...]]:
    """Cut a schedule into stages that end after smoothing at level 0.

    A run is evaluated between stages, so always at the same point of the cycle, unless
    stages may end within it, after any visit (as in the authors' script). A stage
    costs at least `every` C(t), if the budget allows, and the stages together at most
    `budget`.

    Args:
        schedule: Of levels.
        parameters: |M_l| of each level.
        batch_size: Examples in a batch.
        budget: In all, in `unit`.
        every: C(t) of a stage.
        unit: Of the budget: "cost" for C(t), "evaluations", or "seconds", of which no
            one knows beforehand how many there will be: then stages do not end.
        within: Whether stages may end at any level.

    Raises:
        ValueError: The budget does not allow a single stage.

    >>> v_cycle = schedules.gamma_cycle(depth=1, smoothing_steps=2)
    >>> list(stages(v_cycle, [10, 5], batch_size=1, budget=9.0, every=4.0))
    [(Visit(level=0, steps=2), Visit(level=1, steps=2), Visit(level=0, steps=2)),
     (Visit(level=0, steps=2),)]
    """
    spent, stage, stage_cost, waiting = 0.0, (), 0.0, ()
    for visit in schedule.walk():
        waiting += (visit,)
        if visit.level > 0 and not within:
            continue
        part = price(waiting, parameters, batch_size)
        spending = price(waiting, parameters, batch_size, unit)
        if spent + spending > budget:
            if not spent:
                raise too_small(budget, spending)
            break
        spent, stage_cost = spent + spending, stage_cost + part
        stage, waiting = stage + waiting, ()
        if stage_cost >= every:
            yield schedules.merged(stage)
            stage, stage_cost = (), 0.0
    if stage:
        yield schedules.merged(stage)


def price(
    visits: Sequence[Visit],
    parameters: Sequence[int],
    batch_size: int,
    unit: str = "cost",
) -> float:
    """What visits take of a budget.

    >>> price([Visit(0, 2), Visit(1, 4)], [100, 25], 128, "evaluations")
    768.0
    """
    if unit == "cost":
        return cost(visits, parameters, batch_size)
    examples = batch_size * sum(visit.steps for visit in visits)
    return 0.0 if unit == "seconds" else float(examples)


def too_small(budget: float, least: float) -> ValueError:
    """The error for a budget that does not allow `least`."""
    return ValueError(
        "`budget` must allow the schedule to return to level 0 once, which takes "
        f"{least:,.0f}. Received: budget={budget:,.0f}"
    )
