"""Which level trains when: multigrid schedules as plain values.

A schedule is a tuple of visits that happen once (`start`) and a tuple of visits
that repeat (`cycle`). Nothing here knows about networks; `CycleSchedule` walks a
schedule through `model.fit`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby
from typing import NamedTuple

#: The "level" of a visit that trains every level at once (Figure 7's control).
EVERY_LEVEL = -1

#: A cycle is kept as a tuple, so an absurd one is refused, not computed.
MAX_VISITS = 1_000_000


class Visit(NamedTuple):
    """One stay at a level: `steps` batches at `level` (0 the finest)."""

    level: int
    steps: int


@dataclass(frozen=True)
class Growing:
    """Smoothing steps that grow with the level: `first` at level 0, times `factor`.

    With factor 2 a V-cycle does the work of a W-cycle with far fewer transfers.

    >>> gamma_cycle(depth=2, smoothing_steps=Growing(4, 2)).cycle
    (Visit(level=0, steps=4), Visit(level=1, steps=8), Visit(level=2, steps=16),
     Visit(level=1, steps=8), Visit(level=0, steps=4))
    """

    first: int
    factor: float

    def __post_init__(self):
        if not _is_integer(self.first, 1) or not 0 < self.factor < float("inf"):
            raise ValueError(
                "`first` must be an integer >= 1 and `factor` positive. "
                f"Received: {self}"
            )

    def at(self, level: int) -> int:
        """Steps at a level, at least one."""
        return max(1, round(self.first * self.factor**level))


@dataclass(frozen=True)
class Schedule:
    """Visits to make once (`start`), then visits to repeat for ever (`cycle`).

    Args:
        cycle: Non-empty sequence of `Visit`, at least one batch in all.
        start: Sequence of `Visit` before the first cycle.

    Example:

    >>> w_cycle = gamma_cycle(depth=1, gamma=2, smoothing_steps=4)
    >>> w_cycle.cycle
    (Visit(level=0, steps=4), Visit(level=1, steps=4), Visit(level=0, steps=4),
     Visit(level=1, steps=4), Visit(level=0, steps=4))
    >>> w_cycle.take(position=6, count=5)
    (Visit(level=1, steps=2), Visit(level=0, steps=3))
    """

    cycle: tuple[Visit, ...]
    start: tuple[Visit, ...] = ()

    def __post_init__(self):
        for name in ("cycle", "start"):
            visits = tuple(Visit(*visit) for visit in getattr(self, name))
            for visit in visits:
                if not (
                    _is_integer(visit.level, EVERY_LEVEL) and _is_integer(visit.steps)
                ):
                    raise ValueError(
                        "A visit needs a level of 0 or more (or EVERY_LEVEL = "
                        f"{EVERY_LEVEL}) and 0 or more steps, both integers. "
                        f"Received: {visit} in {name}"
                    )
            object.__setattr__(self, name, merged(visits))
        if not self.cycle:
            raise ValueError(
                f"`cycle` must hold at least one batch. Received: cycle={self.cycle}"
            )

    @property
    def depth(self) -> int:
        """The coarsest level that any visit names."""
        return max(0, *(visit.level for visit in self.start + self.cycle))

    @cached_property
    def _start_ends(self) -> list[int]:
        return list(accumulate(visit.steps for visit in self.start))

    @cached_property
    def _cycle_ends(self) -> list[int]:
        return list(accumulate(visit.steps for visit in self.cycle))

    @property
    def start_batches(self) -> int:
        """Batches before the first cycle."""
        return self._start_ends[-1] if self.start else 0

    @property
    def batches_per_cycle(self) -> int:
        """Batches of one cycle, all levels together."""
        return self._cycle_ends[-1]

    def take(self, position: int, count: int) -> tuple[Visit, ...]:
        """The visits that cover `count` batches from batch number `position`.

        Visits are cut where the window begins and ends, and neighbours at one
        level are joined, so that each can be run without a stop.
        """
        if position < 0:
            raise ValueError(f"`position` must be >= 0. Received: position={position}")
        visits = []
        for level, steps in self.walk(position):
            if count <= 0:
                break
            visits.append(Visit(level, min(steps, count)))
            count -= steps
        return merged(visits)

    def to_cycle_end(self, position: int, cycles: int = 1) -> int:
        """Batches from batch number `position` to the end of its cycle, or of more.

        >>> gamma_cycle(depth=1).to_cycle_end(position=4)
        2
        """
        done = position - self.start_batches
        if done > 0:  # the start goes with the first cycle
            done %= self.batches_per_cycle
        return cycles * self.batches_per_cycle - done

    def walk(self, position: int = 0) -> Iterator[Visit]:
        """The visits from batch number `position` on, without end."""
        if position < self.start_batches:
            yield from _rest(self.start, self._start_ends, position)
            offset = 0
        else:
            offset = (position - self.start_batches) % self.batches_per_cycle
        yield from _rest(self.cycle, self._cycle_ends, offset)
        while True:
            yield from self.cycle

    def batches_at(self, level: int) -> int:
        """Batches that one cycle spends at `level`."""
        return sum(visit.steps for visit in self.cycle if visit.level == level)


#: k: one number, one for each level, or a number that grows.
Steps = int | Sequence[int] | Growing


def gamma_cycle(
    depth: int,
    gamma: int = 1,
    smoothing_steps: Steps = 1,
    variant: str = "paper",
) -> Schedule:
    """The paper's cycle: V for `gamma` = 1, W for 2 (Algorithm 3.1, Figure 4).

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
    steps = _steps_by_level(depth, smoothing_steps)
    _check_gamma(gamma, depth)
    if variant not in ("paper", "script"):
        raise ValueError(
            f"`variant` must be 'paper' or 'script'. Received: variant={variant!r}"
        )
    script = variant == "script"

    # Algorithm 3.1 from the bottom up: what MsANNCycle(level) visits.
    cycle: list[Visit] = []
    for level in reversed(range(depth + 1)):
        own = [Visit(level, steps[level])]
        cycle = own + gamma * (cycle + own if cycle else []) + script * own
    start = [Visit(level, 1) for level in reversed(range(depth + 1))] if script else []
    return Schedule(tuple(cycle), tuple(start))


def f_cycle(depth: int, smoothing_steps: Steps = 1) -> Schedule:
    """The F-cycle: each visit recurses once as an F-cycle, then once as a V-cycle.

    Its cost lies between those of the V- and the W-cycle.

    >>> [visit.level for visit in f_cycle(depth=2).cycle]
    [0, 1, 2, 1, 2, 1, 0, 1, 2, 1, 0]
    """
    steps = _steps_by_level(depth, smoothing_steps)

    f_visits: list[Visit] = []
    v_visits: list[Visit] = []
    for level in reversed(range(depth + 1)):
        own = [Visit(level, steps[level])]
        f_visits = own + (f_visits + own + v_visits + own if level < depth else [])
        v_visits = own + (v_visits + own if level < depth else [])
    return Schedule(tuple(f_visits))


def sawtooth(depth: int, smoothing_steps: Steps = 1) -> Schedule:
    """A V-cycle that trains on its way up only: no smoothing before the descent.

    So the first cycle is nested iteration, and level 0 is visited once a cycle.

    >>> sawtooth(depth=2, smoothing_steps=Growing(1, 2)).cycle
    (Visit(level=2, steps=4), Visit(level=1, steps=2), Visit(level=0, steps=1))
    """
    steps = _steps_by_level(depth, smoothing_steps)
    return Schedule(tuple(Visit(level, steps[level]) for level in range(depth, -1, -1)))


def full_multigrid(
    depth: int,
    gamma: int = 1,
    smoothing_steps: Steps = 1,
    cycles: int = 1,
    start_steps: Steps | None = None,
) -> Schedule:
    """A full-multigrid start: cycles from the coarsest level up, then `gamma_cycle`.

    Args:
        depth: L, the coarsest level.
        gamma: As in `gamma_cycle`.
        smoothing_steps: As in `gamma_cycle`.
        cycles: Cycles at each level before the next finer one joins.
        start_steps: Nested iteration: so many batches at each level, coarsest first,
            in the place of cycles.

    Example:

    >>> [tuple(visit) for visit in full_multigrid(depth=2, smoothing_steps=3).start]
    [(2, 3), (1, 3), (2, 3), (1, 3)]
    """
    if not _is_integer(cycles, 1):
        raise ValueError(
            f"`cycles` must be an integer >= 1. Received: cycles={cycles!r}"
        )
    steps = _steps_by_level(depth, smoothing_steps)
    start = []
    if start_steps is not None:
        counts = _steps_by_level(depth, start_steps)
        start = [Visit(level, counts[level]) for level in range(depth, 0, -1)]
        return Schedule(gamma_cycle(depth, gamma, steps).cycle, tuple(start))
    for level in reversed(range(1, depth + 1)):
        # MsANNCycle(level) is the cycle of a shallower hierarchy, shifted.
        inner = gamma_cycle(depth - level, gamma, steps[level:]).cycle
        start += cycles * [Visit(level + visit.level, visit.steps) for visit in inner]
    return Schedule(gamma_cycle(depth, gamma, steps).cycle, tuple(start))


def plain() -> Schedule:
    """Level 0 only: the paper's default network, whatever the depth."""
    return Schedule((Visit(0, 1),))


def simultaneous() -> Schedule:
    """Every level in every batch: the control of section 4.4 and Figure 7."""
    return Schedule((Visit(EVERY_LEVEL, 1),))


def merged(visits: Iterable[Visit]) -> tuple[Visit, ...]:
    """Join neighbours at one level and drop visits without a batch."""
    occupied = (visit for visit in visits if visit.steps)
    return tuple(
        Visit(level, sum(visit.steps for visit in group))
        for level, group in groupby(occupied, key=lambda visit: visit.level)
    )


def _rest(visits: tuple[Visit, ...], ends: list[int], position: int) -> Iterator[Visit]:
    """Those of `visits` that end after `position`, the first one cut."""
    index = bisect_right(ends, position)
    yield Visit(visits[index].level, ends[index] - position)
    yield from visits[index + 1 :]


def _steps_by_level(depth: int, smoothing_steps: Steps) -> list[int]:
    if not _is_integer(depth):
        raise ValueError(f"`depth` must be an integer >= 0. Received: depth={depth!r}")
    if isinstance(smoothing_steps, Growing):
        return [smoothing_steps.at(level) for level in range(depth + 1)]
    steps = (
        list(smoothing_steps)
        if isinstance(smoothing_steps, Sequence)
        else [smoothing_steps] * (depth + 1)
    )
    if len(steps) != depth + 1 or not all(_is_integer(k, 1) for k in steps):
        raise ValueError(
            "`smoothing_steps` must be an integer >= 1, or one such integer for each "
            f"of the {depth + 1} levels. Received: smoothing_steps={smoothing_steps!r}"
        )
    return steps


def _check_gamma(gamma: int, depth: int) -> None:
    if not _is_integer(gamma, 1):
        raise ValueError(
            "`gamma` must be an integer >= 1 (to train level 0 only, use the schedule "
            f"`plain()`). Received: gamma={gamma!r}"
        )
    visits = 1
    for level in range(1, depth + 1):
        visits += 2 * gamma**level  # there, and back to the finer level
        if visits > MAX_VISITS:
            raise ValueError(
                f"A cycle may hold at most {MAX_VISITS:,} visits. "
                f"Received: gamma={gamma} and depth={depth}, which make more"
            )


def _is_integer(value: object, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
