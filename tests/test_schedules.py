"""Schedules: literal cycles, the formulas they obey, windows, refusals."""

import time
from itertools import chain, groupby, islice, pairwise

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from msann.schedules import (
    EVERY_LEVEL,
    Growing,
    Schedule,
    Visit,
    f_cycle,
    full_multigrid,
    gamma_cycle,
    plain,
    sawtooth,
    simultaneous,
)

VARIANTS = ["paper", "script"]


def visits(levels):
    """The visits written as the level of every batch: "011" is (0, 1), (1, 2)."""
    runs = groupby("".join(levels.split()))
    return tuple(Visit(int(level), len(list(run))) for level, run in runs)


def batches(visits):
    """The level of every batch."""
    return list(chain.from_iterable([level] * steps for level, steps in visits))


def counts(schedule):
    return tuple(schedule.batches_at(level) for level in range(schedule.depth + 1))


# ------------------------------------------------------------- cycles, by hand

CYCLES = {
    ("paper", 1, 0): "0",  # 1
    ("paper", 1, 1): "0 1 0",  # 2,1
    ("paper", 1, 2): "0 1 2 1 0",  # 2,2,1
    ("paper", 1, 3): "0 1 2 3 2 1 0",  # 2,2,2,1
    ("paper", 2, 0): "0",  # 1
    ("paper", 2, 1): "0 1 0 1 0",  # 3,2
    ("paper", 2, 2): "0 12121 0 12121 0",  # 3,6,4
    ("paper", 2, 3): "0 1 23232 1 23232 1 0 1 23232 1 23232 1 0",  # 3,6,12,8
    ("paper", 3, 0): "0",  # 1
    ("paper", 3, 1): "0 1 0 1 0 1 0",  # 4,3
    ("paper", 3, 2): "0 1212121 0 1212121 0 1212121 0",  # 4,12,9
    ("paper", 3, 3): """
        0 1 2323232 1 2323232 1 2323232 1
        0 1 2323232 1 2323232 1 2323232 1
        0 1 2323232 1 2323232 1 2323232 1 0
        """,  # 4,12,36,27
    ("script", 1, 0): "00",  # 2
    ("script", 1, 1): "0 11 00",  # 3,2
    ("script", 1, 2): "0 1 22 11 00",  # 3,3,2
    ("script", 1, 3): "0 1 2 33 22 11 00",  # 3,3,3,2
    ("script", 2, 0): "00",  # 2
    ("script", 2, 1): "0 11 0 11 00",  # 4,4
    ("script", 2, 2): "0 1 22 1 22 11 0 1 22 1 22 11 00",  # 4,8,8
    ("script", 2, 3): """
        0 1 2 33 2 33 22 1 2 33 2 33 22 11
        0 1 2 33 2 33 22 1 2 33 2 33 22 11 00
        """,  # 4,8,16,16
    ("script", 3, 0): "00",  # 2
    ("script", 3, 1): "0 11 0 11 0 11 00",  # 5,6
    ("script", 3, 2): """
        0 1 22 1 22 1 22 11 0 1 22 1 22 1 22 11 0 1 22 1 22 1 22 11 00
        """,  # 5,15,18
    ("script", 3, 3): """
        0 1 2 33 2 33 2 33 22 1 2 33 2 33 2 33 22 1 2 33 2 33 2 33 22 11
        0 1 2 33 2 33 2 33 22 1 2 33 2 33 2 33 22 1 2 33 2 33 2 33 22 11
        0 1 2 33 2 33 2 33 22 1 2 33 2 33 2 33 22 1 2 33 2 33 2 33 22 11 00
        """,  # 5,15,45,54
}
COUNTS = {
    ("paper", 1): [(1,), (2, 1), (2, 2, 1), (2, 2, 2, 1)],
    ("paper", 2): [(1,), (3, 2), (3, 6, 4), (3, 6, 12, 8)],
    ("paper", 3): [(1,), (4, 3), (4, 12, 9), (4, 12, 36, 27)],
    ("script", 1): [(2,), (3, 2), (3, 3, 2), (3, 3, 3, 2)],
    ("script", 2): [(2,), (4, 4), (4, 8, 8), (4, 8, 16, 16)],
    ("script", 3): [(2,), (5, 6), (5, 15, 18), (5, 15, 45, 54)],
}


@pytest.mark.parametrize(("variant", "gamma", "depth"), CYCLES)
def test_gamma_cycle_by_hand(variant, gamma, depth):
    schedule = gamma_cycle(depth, gamma, variant=variant)
    assert schedule.cycle == visits(CYCLES[variant, gamma, depth])
    assert schedule.depth == depth
    assert counts(schedule) == COUNTS[variant, gamma][depth]


@pytest.mark.parametrize(
    ("variant", "gamma", "expected"),
    [
        ("paper", 2, "0 11 2222 11 2222 11 0 11 2222 11 2222 11 0"),
        ("script", 1, "0 11 22222222 1111 00"),
    ],
)
def test_smoothing_steps_by_level(variant, gamma, expected):
    assert gamma_cycle(2, gamma, [1, 2, 4], variant).cycle == visits(expected)


@pytest.mark.parametrize(
    ("depth", "levels"),
    [
        (0, "0"),  # 1
        (1, "0 1 0 1 0"),  # 3,2
        (2, "0 12121 0 121 0"),  # 3,5,3
        (3, "0 1 23232 1 232 1 0 1 2 3 2 1 0"),  # 3,5,7,4
    ],
)
def test_f_cycle_by_hand(depth, levels):
    assert f_cycle(depth).cycle == visits(levels)
    tripled = tuple(Visit(level, 3 * steps) for level, steps in visits(levels))
    assert f_cycle(depth, 3).cycle == tripled


@pytest.mark.parametrize(("depth", "levels"), [(0, "0"), (3, "3 2 1 0")])
def test_sawtooth_is_the_way_up_of_a_v_cycle(depth, levels):
    assert sawtooth(depth).cycle == visits(levels)
    steps = [5, 2, 3, 7][: depth + 1]
    up = gamma_cycle(depth, 1, steps).cycle[-depth - 1 :]
    assert sawtooth(depth, steps) == Schedule(up)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_f_cycle_lies_between_v_and_w(depth):
    v, f, w = (gamma_cycle(depth, 1), f_cycle(depth), gamma_cycle(depth, 2))
    for level in range(1, depth + 1):
        assert v.batches_at(level) < f.batches_at(level) <= w.batches_at(level)
    assert f.batches_per_cycle < w.batches_per_cycle


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({"depth": 0}, ""),
        ({"depth": 2}, "2 1 2 1"),
        ({"depth": 3}, "3 2 3 2 1 2 3 2 1"),
        ({"depth": 2, "gamma": 2}, "2 1 2 1 2 1"),
        ({"depth": 2, "cycles": 2}, "22 1 2 11 2 1"),
        ({"depth": 2, "smoothing_steps": [1, 2, 3]}, "222 11 222 11"),
    ],
)
def test_full_multigrid_by_hand(options, start):
    schedule = full_multigrid(**options)
    assert schedule.start == visits(start)
    options = {name: options[name] for name in options if name != "cycles"}
    assert schedule.cycle == gamma_cycle(**options).cycle


def test_plain_and_simultaneous():
    assert plain() == Schedule([(0, 1)])
    assert simultaneous() == Schedule([(EVERY_LEVEL, 1)])
    assert plain().depth == simultaneous().depth == 0


@pytest.mark.parametrize("depth", range(4))
def test_only_the_script_warms_up(depth):
    start = gamma_cycle(depth, 2, 5, "script").start
    assert list(start) == reference.script_warmup(depth)
    assert batches(start) == list(reversed(range(depth + 1)))
    assert gamma_cycle(depth, 2, 5).start == ()


# ------------------------------------------------------------------ the formulas


@given(
    variant=st.sampled_from(VARIANTS),
    gamma=st.integers(1, 4),
    depth=st.integers(0, 5),
    k=st.integers(1, 128),
)
def test_counts_of_the_reference(variant, gamma, depth, k):
    schedule = gamma_cycle(depth, gamma, k, variant)
    extra = variant == "script"
    *finer, coarsest = counts(schedule)
    assert coarsest == (1 + extra) * k * gamma**depth
    assert finer == [k * (1 + gamma + extra) * gamma**level for level in range(depth)]
    assert schedule.batches_per_cycle == sum(finer) + coarsest
    slow = {"paper": reference.paper_visits, "script": reference.script_visits}
    assert list(schedule.cycle) == slow[variant](gamma, k, depth)


# ----------------------------------------------------------------------- windows

visit_lists = st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 4)), max_size=6)
schedules = st.builds(
    Schedule, visit_lists.filter(lambda cycle: sum(dict(cycle).values())), visit_lists
)


@given(schedule=schedules, position=st.integers(0, 99), count=st.integers(0, 99))
def test_take_is_a_window(schedule, position, count):
    taken = schedule.take(position, count)
    endless = list(schedule.start) + 200 * list(schedule.cycle)
    assert batches(taken) == batches(endless)[position : position + count]
    assert all(a.level != b.level for a, b in pairwise(taken))
    assert all(visit.steps for visit in taken)


@given(schedule=schedules, position=st.integers(0, 99))
def test_walk_begins_at_position(schedule, position):
    visits = list(islice(schedule.walk(position), 20))
    assert all(visit.steps for visit in visits)
    walked = batches(visits)
    endless = list(schedule.start) + 200 * list(schedule.cycle)
    assert walked == batches(endless)[position:][: len(walked)]


@given(schedule=schedules)
def test_batches_add_up(schedule):
    assert schedule.start_batches == len(batches(schedule.start))
    assert schedule.batches_per_cycle == len(batches(schedule.cycle))
    levels = set(batches(schedule.start + schedule.cycle))
    assert schedule.depth == max(levels | {0})
    assert schedule.batches_per_cycle == sum(map(schedule.batches_at, levels))


def test_take_joins_the_ends_of_cycles():
    schedule = gamma_cycle(1, smoothing_steps=2)
    assert schedule.take(4, 6) == ((0, 4), (1, 2))


def test_equal_visits_make_equal_schedules():
    split = Schedule([(0, 1), (0, 2), (1, 0), (0, 1)], start=[[1, 1], [1, 1]])
    assert split == Schedule([Visit(0, 4)], [Visit(1, 2)])
    assert hash(split) == hash(Schedule([(0, 4)], [(1, 2)]))


# ----------------------------------------------------- steps that grow, whole cycles


def test_growing_steps_by_hand():
    cycle = gamma_cycle(2, smoothing_steps=Growing(3, 2)).cycle
    assert cycle == visits("000 111111 222222222222 111111 000")
    shrinking = gamma_cycle(2, smoothing_steps=Growing(2, 0.25))
    assert shrinking.cycle == visits("00 1 2 1 00")  # at least one
    assert f_cycle(1, Growing(1, 3)) == f_cycle(1, [1, 3])


def test_nested_iteration_begins_with_steps_in_the_place_of_cycles():
    schedule = full_multigrid(2, 2, 1, start_steps=[1, 2, 3])
    assert schedule.start == visits("222 11")
    assert schedule.cycle == gamma_cycle(2, 2).cycle
    assert full_multigrid(2, start_steps=2).start == visits("22 11")
    assert full_multigrid(0, start_steps=5).start == ()


@pytest.mark.parametrize(
    "schedule", [gamma_cycle(2, 2), gamma_cycle(2, variant="script"), plain()]
)
def test_calls_that_end_with_the_cycle_walk_the_schedule(schedule):
    position, taken, per_cycle = 0, [], schedule.batches_per_cycle
    for _ in range(3):
        count = schedule.to_cycle_end(position)
        taken += schedule.take(position, count)
        position += count
        assert (position - schedule.start_batches) % per_cycle == 0
    assert batches(taken) == batches(schedule.start + 3 * schedule.cycle)


def test_batches_to_the_cycles_end_by_hand():
    schedule = Schedule(cycle=visits("0 1 0"), start=visits("1 0"))
    ends = [schedule.to_cycle_end(position) for position in range(9)]
    assert ends == [5, 4, 3, 2, 1, 3, 2, 1, 3]


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("make", "visits"),
    [
        (lambda: gamma_cycle(10**5), 2 * 10**5 + 1),
        (lambda: f_cycle(300), 300**2 + 3 * 300 + 1),
        (lambda: sawtooth(10**5), 10**5 + 1),
    ],
)
def test_large_cycles_take_no_longer_than_their_visits(make, visits):
    began = time.process_time()
    assert len(make().cycle) == visits
    assert time.process_time() - began < 5


def test_numpys_integers_are_as_good_and_leave_pythons():
    depth, gamma = np.int64(2), np.int32(2)
    steps = np.array([1, 2, 4])
    made = [
        (gamma_cycle(depth, gamma, steps), gamma_cycle(2, 2, [1, 2, 4])),
        (f_cycle(depth, np.uint8(3)), f_cycle(2, 3)),
        (sawtooth(depth, Growing(np.int64(2), np.float32(2))), sawtooth(2, [2, 4, 8])),
        (
            full_multigrid(depth, gamma, steps, np.int16(2), steps),
            full_multigrid(2, 2, [1, 2, 4], 2, [1, 2, 4]),
        ),
        (Schedule(np.array([[0, 1], [1, 2]])), Schedule([(0, 1), (1, 2)])),
    ]
    for schedule, expected in made:
        assert schedule == expected
        numbers = chain(*schedule.cycle, *schedule.start, *schedule.take(depth, gamma))
        assert {type(number) for number in numbers} == {int}
