"""What a schedule is: visits that happen once, then visits that repeat.

Nothing here knows about networks; `CycleSchedule` walks a schedule through `model.fit`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby, islice
from types import MappingProxyType
from typing import Any, NamedTuple

from msann.checks import each, integer, refuse, shown

#: The "level" of a visit that trains every level at once (Figure 7's control).
EVERY_LEVEL = -1

#: Most visits of a cycle, or of a start: each is kept as a tuple of visits.
MAX_VISITS = 1_000_000
#: Most batches of one visit, or of one window of a schedule.
MAX_STEPS = 10**12


class Visit(NamedTuple):
    """Stays at `level` (0 the finest) for `steps` batches."""

    level: int
    steps: int


class State(NamedTuple):
    """Tells a schedule where training stands when it is asked for the next visits.

    Attributes:
        position: How many batches were trained since the schedule began.
        count: How many batches (or cycles) the next call is to make.
        whole_cycles: Whether `count` counts cycles (on coarsened data), not batches.
        logs: Loss and metrics of the last call, by name; empty before the first call.
        seconds: How many seconds this `fit` has spent in training so far.
    """

    position: int
    count: int  # type: ignore[assignment]  # hides the method of tuples
    whole_cycles: bool = False
    logs: Mapping[str, float] = MappingProxyType({})
    seconds: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """Says which level trains when: the visits of `start` once, then `cycle` for ever.

    Args:
        cycle: Non-empty sequence of `Visit`, at least one batch in all.
        start: Sequence of `Visit` before the first cycle.

    Raises:
        ValueError: `cycle` or `start` is no sequence of visits, or has more than a
            million of them; or `cycle` holds no batch.

    Example:

    >>> from msann.schedules import gamma_cycle
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
            visits = checked_visits(name, getattr(self, name))
            object.__setattr__(self, name, _merged(visits))
        if not self.cycle:
            raise ValueError(
                f"`cycle` must hold at least one batch. Received: cycle={self.cycle}"
            )

    @property
    def depth(self) -> int:
        """Return the coarsest level that any visit names."""
        return max(0, *(visit.level for visit in self.start + self.cycle))

    @cached_property
    def _start_ends(self) -> list[int]:
        return list(accumulate(visit.steps for visit in self.start))

    @cached_property
    def _cycle_ends(self) -> list[int]:
        return list(accumulate(visit.steps for visit in self.cycle))

    @property
    def start_batches(self) -> int:
        """Count the batches before the first cycle."""
        return self._start_ends[-1] if self.start else 0

    @property
    def batches_per_cycle(self) -> int:
        """Count the batches of one cycle, all levels together."""
        return self._cycle_ends[-1]

    def take(self, position: int, count: int) -> tuple[Visit, ...]:
        """Return the visits that cover `count` batches from batch number `position`.

        Visits are cut where the window begins and ends, and neighbours at one
        level are joined, so that each can be run without a stop.

        Raises:
            ValueError: No integers, negative ones, or a window of more than a million
                visits.
        """
        position = integer("position", position, least=0)
        count = integer("count", count, least=0, most=MAX_STEPS)
        endless = 0
        if len(self.cycle) == 1:  # all its visits are one, however many there are
            left = max(0, self.start_batches - position)
            count, endless = min(count, left), max(0, count - left)
        cycles = count // self.batches_per_cycle
        if cycles * len(self.cycle) > MAX_VISITS:
            most = MAX_VISITS // len(self.cycle) * self.batches_per_cycle
            refuse("count", count, f"at most {most:,} batches, a million visits")
        visits = []
        for level, steps in self.walk(position):
            if count <= 0:
                break
            visits.append(Visit(level, min(steps, count)))
            count -= steps
        return _merged([*visits, Visit(self.cycle[0].level, endless)])

    def next(self, state: State) -> tuple[Visit, ...]:
        """Return the visits that training makes next; `fit` asks before each call.

        A call makes `steps_per_execution` batches, or cycles on coarsened data. Here
        its visits follow from the position alone. A subclass that decides by the logs
        or the clock overrides this; `cycle` then only says about what a cycle costs.

        Args:
            state: Where training stands, and how many batches or cycles are wanted.

        Raises:
            ValueError: As `take`.

        >>> from msann.schedules import gamma_cycle
        >>> state = State(position=2, count=2, whole_cycles=True)
        >>> [visit.level for visit in gamma_cycle(depth=1).next(state)]
        [0, 1, 0]
        """
        count = state.count
        if state.whole_cycles:
            count = self.to_cycle_end(state.position, count)
        return self.take(state.position, count)

    def to_cycle_end(self, position: int, cycles: int = 1) -> int:
        """Count the batches from batch number `position` to the end of a cycle.

        Args:
            position: At least 0; the batches of `start` belong to the first cycle.
            cycles: Which end: 1 is that of the cycle at `position`, 2 of the next, ..

        Raises:
            ValueError: `position` is no integer >= 0, or `cycles` no positive integer.

        >>> from msann.schedules import gamma_cycle
        >>> gamma_cycle(depth=1).to_cycle_end(position=4)
        2
        """
        done = integer("position", position, least=0) - self.start_batches
        if done > 0:  # the start goes with the first cycle
            done %= self.batches_per_cycle
        return integer("cycles", cycles, least=1) * self.batches_per_cycle - done

    def walk(self, position: int = 0) -> Iterator[Visit]:
        """Yield the visits from batch number `position` on, without end."""
        return self._walk(integer("position", position, least=0))

    def _walk(self, position):
        if position < self.start_batches:
            yield from _rest(self.start, self._start_ends, position)
            offset = 0
        else:
            offset = (position - self.start_batches) % self.batches_per_cycle
        yield from _rest(self.cycle, self._cycle_ends, offset)
        while True:
            yield from self.cycle

    def batches_at(self, level: int) -> int:
        """Count the batches that one cycle spends at `level`."""
        level = integer("level", level, least=EVERY_LEVEL)
        return sum(visit.steps for visit in self.cycle if visit.level == level)


def merged(visits: Iterable[Visit]) -> tuple[Visit, ...]:
    """Join neighbours at one level and drop visits without a batch.

    >>> merged([(0, 1), (0, 2), (1, 0)])
    (Visit(level=0, steps=3),)
    """
    return _merged(checked_visits("visits", visits))


def checked_visits(name: str, visits: Any) -> list[Visit]:
    """Visits of Python integers, from pairs of integers of any kind.

    Raises:
        ValueError: What is no sequence of (level, steps), or more than a million.
    """
    given = list(islice(each(name, visits, "visits"), MAX_VISITS + 1))
    if len(given) > MAX_VISITS:
        raise ValueError(f"`{name}` may hold at most {MAX_VISITS:,} visits.")
    result = []
    for visit in given:
        try:
            level, steps = visit
            level = integer("level", level, least=EVERY_LEVEL)
            result.append(Visit(level, integer("steps", steps, 0, MAX_STEPS)))
        except (TypeError, ValueError):
            visit = Visit(*visit) if _is_pair(visit) else visit
            raise ValueError(
                "A visit needs a level of 0 or more (or EVERY_LEVEL = "
                f"{EVERY_LEVEL}) and 0 or more steps (at most {MAX_STEPS:,}), both "
                f"integers. Received: {shown(visit)} in {name}"
            ) from None
    return result


def _is_pair(visit):
    return isinstance(visit, tuple | list) and len(visit) == 2


def _merged(visits):
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
