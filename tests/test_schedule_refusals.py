"""What schedules refuse, by message: arguments of other kinds, and absurd sizes."""

import time
from itertools import repeat

import numpy as np
import pytest
import reference

from msann.schedules import (
    MAX_VISITS,
    Growing,
    Schedule,
    Visit,
    f_cycle,
    full_multigrid,
    gamma_cycle,
    plain,
    sawtooth,
)


@pytest.mark.parametrize("gamma", [0, -1, True, 1.0, "2", None])
@pytest.mark.parametrize("make", [gamma_cycle, full_multigrid])
def test_refuses_gamma(make, gamma):
    with pytest.raises(ValueError, match=f"`gamma` must be.*gamma={gamma!r}"):
        make(2, gamma)


@pytest.mark.parametrize("make", [gamma_cycle, full_multigrid, f_cycle, sawtooth])
@pytest.mark.parametrize("depth", [-1, True, 2.0, None])
def test_refuses_depth(make, depth):
    with pytest.raises(ValueError, match=f"`depth` must be.*depth={depth!r}"):
        make(depth)


@pytest.mark.parametrize("make", [gamma_cycle, full_multigrid, f_cycle, sawtooth])
@pytest.mark.parametrize(
    "k", [0, -1, True, 1.5, None, "111", [1, 2], [1, 2, 3, 4], [1, 0, 1], [1, True, 1]]
)
def test_refuses_smoothing_steps(make, k):
    with pytest.raises(ValueError, match=r"`smoothing_steps` must .* 3 levels.*=") as e:
        make(2, smoothing_steps=k)
    assert str(e.value).endswith(f"smoothing_steps={k!r}")


@pytest.mark.parametrize("cycles", [0, True, 1.5])
def test_refuses_cycles(cycles):
    with pytest.raises(ValueError, match=f"`cycles` must be .*cycles={cycles}"):
        full_multigrid(2, cycles=cycles)


@pytest.mark.parametrize("variant", ["Paper", "", None])
def test_refuses_variant(variant):
    with pytest.raises(ValueError, match=f"'paper', 'script'.*variant={variant!r}"):
        gamma_cycle(1, variant=variant)


@pytest.mark.parametrize(("depth", "gamma"), [(1, 500_000), (19, 2), (20_000, 2)])
def test_refuses_a_cycle_of_too_many_visits(depth, gamma):
    with pytest.raises(ValueError, match=f"at most {MAX_VISITS:,} .*depth={depth}"):
        gamma_cycle(depth, gamma)


@pytest.mark.parametrize(
    "make",
    [
        lambda: f_cycle(10**9),
        lambda: f_cycle(999),
        lambda: sawtooth(10**6),
        lambda: gamma_cycle(10**9),
        lambda: gamma_cycle(10**30),
        lambda: gamma_cycle(1, 10**30),
        lambda: full_multigrid(10**6),
        lambda: full_multigrid(1001),
        lambda: full_multigrid(2, cycles=10**9),
        lambda: full_multigrid(9, gamma=3, cycles=34),
    ],
)
def test_absurd_cycles_are_refused_at_once(make):
    began = time.perf_counter()
    with pytest.raises(ValueError, match="at most 1,000,000 visits, as may a start"):
        make()
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("variant", ["paper", "script"])
@pytest.mark.parametrize("gamma", [1, 2, 3, 7])
@pytest.mark.parametrize("depth", range(5))
def test_allows_exactly_as_many(variant, gamma, depth, monkeypatch):
    visits = len(reference.paper_visits(gamma, 1, depth))
    monkeypatch.setattr("msann.schedules.cycles.MAX_VISITS", visits)
    assert len(gamma_cycle(depth, gamma, variant=variant).cycle) == visits
    monkeypatch.setattr("msann.schedules.cycles.MAX_VISITS", visits - 1)
    if depth:
        with pytest.raises(ValueError, match=f"at most {visits - 1:,} visits"):
            gamma_cycle(depth, gamma, variant=variant)


@pytest.mark.parametrize("cycle", [[], [(0, 0)]])
def test_refuses_an_empty_cycle(cycle):
    with pytest.raises(ValueError, match=r"`cycle` must hold at least one batch"):
        Schedule(cycle, start=[(0, 1)])


@pytest.mark.parametrize(
    "visit", [(-2, 1), (0, -1), (0.0, 1), (0, 1.5), (0, True), ("0", 1)]
)
@pytest.mark.parametrize("part", ["cycle", "start"])
def test_refuses_a_visit(visit, part):
    with pytest.raises(ValueError, match=r"A visit needs .*Visit\(level=") as error:
        Schedule(**{"cycle": [(0, 1)], part: [visit]})
    assert str(error.value).endswith(f"{Visit(*visit)} in {part}")


@pytest.mark.parametrize("bad", [-1, 1.5, 0.0, True, None, "0", float("nan")])
@pytest.mark.parametrize("argument", ["position", "count"])
def test_refuses_a_window(argument, bad):
    window = {"position": 0, "count": 1} | {argument: bad}
    with pytest.raises(ValueError, match=f"`{argument}` must be an integer.*={bad!r}"):
        plain().take(**window)


@pytest.mark.parametrize("bad", [-1, 1.5, True, None])
def test_refuses_a_place(bad):
    for call, name in (
        (lambda: plain().walk(bad), "position"),
        (lambda: plain().to_cycle_end(bad), "position"),
        (lambda: plain().to_cycle_end(0, bad), "cycles"),
        (lambda: plain().batches_at(-2 if bad == -1 else bad), "level"),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must be an integer"):
            call()


def test_long_windows_are_short_or_refused():
    assert plain().take(7, 10**9) == ((0, 10**9),)
    once = Schedule([(0, 3)], start=[(1, 2)])
    assert once.take(1, 10**9) == ((1, 1), (0, 10**9 - 1))
    assert once.take(0, 1) == ((1, 1),)
    with pytest.raises(ValueError, match="at most 999,999 batches, a million visits"):
        gamma_cycle(1).take(0, 10**9)


@pytest.mark.parametrize("cycle", [None, 1, "01", {0: 1}])
def test_refuses_what_is_no_sequence_of_visits(cycle):
    with pytest.raises(ValueError, match="`cycle` must be a sequence of visits"):
        Schedule(cycle)


@pytest.mark.parametrize("visit", [None, "01", (0, 1, 2)])
def test_refuses_what_is_no_visit(visit):
    with pytest.raises(ValueError, match="A visit needs .* in cycle"):
        Schedule([visit])


def test_refuses_a_start_without_end():
    with pytest.raises(ValueError, match="`start` may hold at most 1,000,000 visits"):
        Schedule([(0, 1)], start=repeat((0, 1)))


@pytest.mark.parametrize("start_steps", [0, [1, 2], -1, 1.5, True, "123"])
def test_refuses_other_start_steps(start_steps):
    with pytest.raises(ValueError, match="`start_steps` must be an integer >= 1"):
        full_multigrid(2, start_steps=start_steps)


@pytest.mark.parametrize("first", [0, True, 1.5, np.nan, "1", 10**13])
def test_refuses_what_steps_begin_with(first):
    with pytest.raises(ValueError, match="`first` must be an integer"):
        Growing(first, 2)


@pytest.mark.parametrize("factor", [0, -1, np.nan, np.inf, True, "2"])
def test_refuses_what_steps_grow_by(factor):
    with pytest.raises(ValueError, match="`factor` must be a finite number > 0"):
        Growing(1, factor)


@pytest.mark.parametrize("growing", [Growing(10**9, 1e300), Growing(10**9, 1001)])
def test_refuses_steps_that_grow_out_of_hand(growing):
    with pytest.raises(ValueError, match=r"at most 1,000,000,000,000 steps.*level 1"):
        gamma_cycle(3, smoothing_steps=growing)
