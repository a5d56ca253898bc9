"""The cycles of the paper and of multigrid, as schedules.

Each is built from the coarsest level up, and counted before it is built, so that an
absurd one is refused at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any

from msann.checks import integer, integers, number, one_of, shown
from msann.schedules.schedule import (
    EVERY_LEVEL,
    MAX_STEPS,
    MAX_VISITS,
    Schedule,
    Visit,
)


@dataclass(frozen=True)
class Growing:
    """Lets smoothing steps grow with the level: `first` at level 0, times `factor`.

    With factor 2 a V-cycle does the work of a W-cycle with far fewer transfers.

    Raises:
        ValueError: `first` is no positive integer, or `factor` no positive number.

    >>> gamma_cycle(depth=2, smoothing_steps=Growing(4, 2)).cycle
    (Visit(level=0, steps=4), Visit(level=1, steps=8), Visit(level=2, steps=16),
     Visit(level=1, steps=8), Visit(level=0, steps=4))
    """

    first: int
    factor: float

    def __post_init__(self):
        first = integer("first", self.first, least=1, most=MAX_STEPS)
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "factor", number("factor", self.factor, above=0))

    def at(self, level: int) -> int:
        """Return the steps at a level, `first * factor**level` rounded, at least 1.

        Raises:
            ValueError: `level` is no integer >= 0, or there are more than `MAX_STEPS`.
        """
        level = integer("level", level, least=0)
        try:
            steps = self.first * self.factor**level
        except OverflowError:
            steps = float("inf")
        if steps > MAX_STEPS:
            raise ValueError(
                f"A visit has at most {MAX_STEPS:,} steps. "
                f"Received: {self}, which makes more at level {level}"
            )
        return max(1, round(steps))


#: k: one number, one for each level, or a number that grows.
Steps = int | Sequence[int] | Growing


def gamma_cycle(
    depth: int,
    gamma: int = 1,
    smoothing_steps: Steps = 1,
    variant: str = "paper",
) -> Schedule:
    """Make the paper's cycle: V for `gamma` = 1, W for 2 (Algorithm 3.1, Figure 4).

    Args:
        depth: L, the coarsest level; 0 is plain training.
        gamma: How often each visit recurses to the next level, at least 1.
        smoothing_steps: k, batches a visit; one number, one for each level (finest
            first), or `Growing`.
        variant: `"paper"`, or `"script"` for what the authors' script does: k more
            batches at the end of every visit, and one batch at each level, coarsest
            to finest, before the first cycle.

    Returns:
        A `Schedule`. The paper's cycle has k(1 + gamma)gamma^l batches at a level
        l < L and k gamma^L at the coarsest; the script's k(2 + gamma)gamma^l and
        2k gamma^L.

    Raises:
        ValueError: A negative depth, gamma or k below one, an unknown variant, or a
            cycle of more than a million visits.

    Example:

    >>> gamma_cycle(depth=2, gamma=1).cycle
    (Visit(level=0, steps=1), Visit(level=1, steps=1), Visit(level=2, steps=1),
     Visit(level=1, steps=1), Visit(level=0, steps=1))
    """
    depth, gamma = _checked(depth, gamma)
    _check_count(_counts(gamma, depth + 1), depth, gamma)
    steps = _steps_by_level("smoothing_steps", smoothing_steps, depth)
    script = one_of("variant", variant, ("paper", "script")) == "script"
    *_, cycle = _from_coarsest(steps, gamma, script)
    levels = reversed(range(depth + 1)) if script else ()
    return Schedule(tuple(cycle), tuple(Visit(level, 1) for level in levels))


def f_cycle(depth: int, smoothing_steps: Steps = 1) -> Schedule:
    """Make the F-cycle: each visit recurses once as an F-cycle, then as a V-cycle.

    Its cost lies between those of the V- and the W-cycle.

    Args:
        depth: L, the coarsest level.
        smoothing_steps: As in `gamma_cycle`.

    Raises:
        ValueError: As `gamma_cycle`.

    >>> [visit.level for visit in f_cycle(depth=2).cycle]
    [0, 1, 2, 1, 2, 1, 0, 1, 2, 1, 0]
    """
    depth, _ = _checked(depth)
    _check_count([depth**2 + 3 * depth + 1], depth)
    steps = _steps_by_level("smoothing_steps", smoothing_steps, depth)
    visits: deque[Visit] = deque()
    for level, v_cycle in zip(
        reversed(range(depth + 1)), _from_coarsest(steps), strict=True
    ):
        own = Visit(level, steps[level])
        if visits:
            visits.extend(v_cycle)  # back here, down and up once more
        visits.appendleft(own)
    return Schedule(tuple(visits))


def sawtooth(depth: int, smoothing_steps: Steps = 1) -> Schedule:
    """Make a V-cycle that trains on its way up only, not before it descends.

    So the first cycle is nested iteration, and level 0 is visited once a cycle.

    Args:
        depth: L, the coarsest level.
        smoothing_steps: As in `gamma_cycle`.

    Raises:
        ValueError: As `gamma_cycle`.

    >>> sawtooth(depth=2, smoothing_steps=Growing(1, 2)).cycle
    (Visit(level=2, steps=4), Visit(level=1, steps=2), Visit(level=0, steps=1))
    """
    depth, _ = _checked(depth)
    _check_count([depth + 1], depth)
    steps = _steps_by_level("smoothing_steps", smoothing_steps, depth)
    upwards = range(depth, -1, -1)
    return Schedule(tuple(Visit(level, steps[level]) for level in upwards))


def full_multigrid(
    depth: int,
    gamma: int = 1,
    smoothing_steps: Steps = 1,
    cycles: int = 1,
    start_steps: Steps | None = None,
) -> Schedule:
    """Make a schedule that works its way up from the coarsest level, then cycles.

    It starts with cycles of the coarsest level alone, then of the two coarsest levels,
    and so on up to level 1. What repeats from then on is `gamma_cycle`.

    Args:
        depth: L, the coarsest level.
        gamma: As in `gamma_cycle`.
        smoothing_steps: As in `gamma_cycle`.
        cycles: How many cycles are made before the next finer level joins.
        start_steps: If it is given, the start visits each level from L up to 1 once,
            for so many batches, in the place of cycles (nested iteration): one number,
            one for each level (finest first; level 0's is not used), or `Growing`.

    Returns:
        A `Schedule`.

    Raises:
        ValueError: What `gamma_cycle` refuses; `cycles` is below one; or `start_steps`
            is nothing that `smoothing_steps` could be.

    Example:

    >>> [tuple(visit) for visit in full_multigrid(depth=2, smoothing_steps=3).start]
    [(2, 3), (1, 3), (2, 3), (1, 3)]
    """
    cycles = integer("cycles", cycles, least=1)
    depth, gamma = _checked(depth, gamma)
    if start_steps is not None:
        cycle = gamma_cycle(depth, gamma, smoothing_steps).cycle
        counts = _steps_by_level("start_steps", start_steps, depth)
        upwards = range(depth, 0, -1)
        return Schedule(cycle, tuple(Visit(level, counts[level]) for level in upwards))
    starts = (cycles * count for count in _counts(gamma, depth))
    _check_count(accumulate(starts), depth, gamma, cycles)
    cycle = gamma_cycle(depth, gamma, smoothing_steps).cycle
    steps = _steps_by_level("smoothing_steps", smoothing_steps, depth)
    start: list[Visit] = []
    for inner in islice(_from_coarsest(steps, gamma), depth):
        start += cycles * list(inner)
    return Schedule(cycle, tuple(start))


def plain() -> Schedule:
    """Make the schedule that trains level 0 only, the paper's default network."""
    return Schedule((Visit(0, 1),))


def simultaneous() -> Schedule:
    """Make the schedule that trains every level in every batch (Figure 7's control)."""
    return Schedule((Visit(EVERY_LEVEL, 1),))


def _from_coarsest(
    steps: list[int], gamma: int = 1, script: bool = False
) -> Iterator[deque[Visit]]:
    """What MsANNCycle(level) of Algorithm 3.1 visits, for the levels from L up to 0.

    It is one deque that grows: whoever keeps what it held must copy it.
    """
    visits: deque[Visit] = deque()
    for level in reversed(range(len(steps))):
        own = Visit(level, steps[level])
        if visits:
            visits.append(own)
            visits *= gamma
        visits.appendleft(own)
        if script:
            visits.append(own)
        yield visits


def _counts(gamma: int, depths: int) -> Iterator[int]:
    """Visits of a cycle of depth 0, 1, .., so many."""
    visits, power = 1, gamma
    for _ in range(depths):
        yield visits
        visits += 2 * power  # there, and back to the finer level
        power *= gamma


def _check_count(counts, depth, gamma=1, cycles=1):
    for count in counts:
        if count > MAX_VISITS:
            repeated = "" if cycles == 1 else f", cycles={cycles}"
            raise ValueError(
                f"A cycle may hold at most {MAX_VISITS:,} visits, as may a start. "
                f"Received: gamma={gamma} and depth={depth}{repeated}, which make more"
            )


def _checked(depth: Any, gamma: Any = 1) -> tuple[int, int]:
    depth = integer("depth", depth, least=0)
    try:
        return depth, integer("gamma", gamma, least=1)
    except ValueError as error:
        hint = "to train level 0 only, use the schedule `plain()`"
        raise ValueError(f"{error} ({hint})") from None


def _steps_by_level(name: str, steps: Any, depth: int) -> list[int]:
    """One number of steps for each level, from all that `Steps` may be."""
    if isinstance(steps, Growing):
        return [steps.at(level) for level in range(depth + 1)]
    try:
        if not hasattr(steps, "__len__"):
            return [integer(name, steps, 1, MAX_STEPS)] * (depth + 1)
        if len(result := integers(name, steps, 1, MAX_STEPS)) == depth + 1:
            return list(result)
    except (TypeError, ValueError):  # an array without an axis has no length
        pass
    raise ValueError(
        f"`{name}` must be an integer >= 1 (at most {MAX_STEPS:,}), or one such "
        f"integer for each of the {depth + 1} levels. Received: {name}={shown(steps)}"
    )
