"""One object, two objects: where they lie, how they are drawn, what noise does."""

import itertools
import math
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.synthetic import one_object, two_objects

TASKS = pytest.mark.parametrize("task", [one_object, two_objects])
VARIANTS = pytest.mark.parametrize("variant", ["paper", "script"])

multiples_of_8 = st.integers(1, 20).map(lambda parts: 8 * parts)
variants = st.sampled_from(["paper", "script"])
seeds = st.integers(0, 2**64)

# ------------------------------------------------------------------- material


def legal_starts(n, variant):
    """Read off section 4.2: 1024 - 128 = 896 vectors; the script has 897."""
    return range(n - n // 8 + (1 if variant == "script" else 0))


def legal_pairs(n, variant):
    """By trying all: unordered pairs of positions, or ordered for the script."""
    starts, width = legal_starts(n, variant), n // 8
    if variant == "script":
        return list(itertools.product(starts, repeat=2))
    return [(a, b) for a in starts for b in starts if a + width <= b]


def vector(n, *starts):
    pixels = set()
    for start in starts:
        pixels |= set(range(start, start + n // 8))
    return tuple(float(i in pixels) for i in range(n))


def ends(row, n):
    """Where the first object starts and the last one does."""
    ones = np.flatnonzero(row)
    return ones[0], ones[-1] - n // 8 + 1


def both(task):
    return np.concatenate([task.y_train, task.y_validation])


# -------------------------------------------------------------------- targets


@given(multiples_of_8, variants, seeds)
def test_one_object_is_one_run_at_a_legal_position(n, variant, seed):
    task = one_object(n, samples=20, validation=10, seed=seed, variant=variant)
    for row in both(task):
        start, again = ends(row, n)
        assert start == again and start in legal_starts(n, variant)
        assert tuple(row) == vector(n, start)


@given(multiples_of_8, variants, seeds)
def test_two_objects_are_two_runs_at_legal_positions(n, variant, seed):
    task = two_objects(n, samples=20, validation=10, seed=seed, variant=variant)
    for row in both(task):
        left, right = ends(row, n)
        assert {left, right} <= set(legal_starts(n, variant))
        assert tuple(row) == vector(n, left, right)
        if variant == "paper":
            # Objects that touch are one run of ones, and do not overlap.
            assert left + n // 8 <= right and row.sum() == 2 * (n // 8)


@VARIANTS
def test_every_position_is_equally_likely(variant):
    n, each = 32, 400
    positions = len(legal_starts(n, variant))
    task = one_object(
        n, samples=each * positions, validation=1, seed=0, variant=variant
    )
    assert_uniform(
        Counter(map(tuple, task.y_train)),
        Counter(vector(n, start) for start in legal_starts(n, variant)),
        each,
    )


@VARIANTS
@pytest.mark.parametrize("n", [8, 16, 24])
def test_every_pair_is_equally_likely(n, variant):
    pairs, each = legal_pairs(n, variant), 100
    task = two_objects(
        n, samples=each * len(pairs), validation=1, seed=0, variant=variant
    )
    # The script's pairs may make one vector in several ways; count the ways.
    assert_uniform(
        Counter(map(tuple, task.y_train)),
        Counter(vector(n, *pair) for pair in pairs),
        each,
    )
    assert f" {len(pairs):,} pairs of positions" in task.source


def assert_uniform(found, ways, each):
    """Chi squared, five standard deviations from its mean at most."""
    assert set(found) == set(ways)
    freedom = len(ways) - 1
    statistic = sum(
        (found[row] - each * count) ** 2 / (each * count) for row, count in ways.items()
    )
    assert abs(statistic - freedom) < 5 * math.sqrt(2 * freedom)


@pytest.mark.parametrize(
    ("task", "variant", "words"),
    [
        (one_object, "paper", "one object, n = 1024, .* 896 positions, noise p = 0.05"),
        (one_object, "script", "one object, n = 1024, .* 897 positions, no noise"),
        (two_objects, "paper", " 295,296 pairs of positions, no overlap, noise"),
        (two_objects, "script", " 804,609 pairs of positions, overlap allowed, no "),
    ],
)
def test_the_size_of_the_paper(task, variant, words):
    drawn = task(samples=2_000, validation=5, seed=3, variant=variant)
    assert [part.shape for part in drawn[:4]] == [(2000, 1024)] * 2 + [(5, 1024)] * 2
    assert {part.dtype for part in drawn[:4]} == {np.dtype(np.float32)}
    starts = legal_starts(1024, variant)
    assert len(starts) == {"paper": 896, "script": 897}[variant]
    assert {int(end) for row in drawn.y_train for end in ends(row, 1024)} <= set(starts)
    assert re.search(words, drawn.source)
    for words in ("2,000 training", "5 validation", "seed 3", repr(variant)):
        assert words in drawn.source


# ---------------------------------------------------------------------- noise


@TASKS
def test_noise_turns_zeros_of_the_input_into_ones_at_its_rate(task):
    drawn = task(256, samples=4_000, validation=4_000, seed=0)
    for x, y in (drawn[:2], drawn[2:4]):
        assert set(np.unique(x)) == set(np.unique(y)) == {0, 1}
        assert (x[y == 1] == 1).all()
        fired = x[y == 0]
        deviation = math.sqrt(0.05 * 0.95 / fired.size)
        assert abs(fired.mean(dtype=float) - 0.05) < 5 * deviation
        # Drawn for every pixel anew: alike in no column, neighbour or row.
        by_column = np.where(y == 0, x, 0).sum(0) / np.maximum((y == 0).sum(0), 1)
        assert abs(by_column - 0.05).max() < 6 * math.sqrt(0.05 * 0.95 / 2_000)
        clear = (y[:, 1:] == 0) & (y[:, :-1] == 0)
        twice = (x[:, 1:] * x[:, :-1])[clear]
        assert abs(twice.mean(dtype=float) - 0.05**2) < 6 * 0.05 / math.sqrt(twice.size)


@TASKS
def test_the_script_has_no_noise_and_two_arrays(task):
    drawn = task(64, samples=50, validation=20, seed=0, variant="script")
    assert np.array_equal(drawn.x_train, drawn.y_train)
    assert np.array_equal(drawn.x_validation, drawn.y_validation)
    # Whoever adds noise to the input in place must not add it to the target.
    assert not np.shares_memory(drawn.x_train, drawn.y_train)
    assert not np.shares_memory(drawn.x_validation, drawn.y_validation)


# ---------------------------------------------------------------------- seeds


def same(one, other):
    return all(map(np.array_equal, one, other))


@TASKS
@VARIANTS
def test_a_seed_is_a_task(task, variant):
    first, again, other = (
        task(64, samples=50, validation=50, seed=seed, variant=variant)
        for seed in (1, np.int64(1), 2)
    )
    assert same(first[:4], again[:4]) and first.source == again.source
    for part, another in zip(first[:4], other[:4], strict=True):
        assert not np.array_equal(part, another)


@TASKS
@VARIANTS
def test_training_and_validation_are_drawn_apart(task, variant):
    def draw(samples, validation):
        return task(64, samples=samples, validation=validation, seed=1, variant=variant)

    drawn = draw(50, 50)
    assert same(drawn[:2], draw(50, 7)[:2])
    assert same(drawn[2:4], draw(7, 50)[2:4])
    assert not np.array_equal(drawn.y_train, drawn.y_validation)


# ------------------------------------------------------------------- refusals


@TASKS
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 12}, "`n` must be a multiple of 8. Received: n=12"),
        ({"n": 0}, "`n` must be an integer >= 8. Received: n=0"),
        ({"n": -8}, "Received: n=-8"),
        ({"n": 1024.0}, "`n` must be an integer.*Received: n=1024.0"),
        ({"n": "64"}, "Received: n='64'"),
        ({"n": True}, "Received: n=True"),
        ({"samples": 0}, "`samples` .* >= 1. Received: samples=0"),
        ({"samples": 2.5}, "Received: samples=2.5"),
        ({"validation": 0}, "`validation` .* >= 1. Received: validation=0"),
        ({"validation": None}, "Received: validation=None"),
        ({"seed": -1}, "`seed` .* >= 0. Received: seed=-1"),
        ({"seed": None}, "Received: seed=None"),
        (
            {"variant": "Paper"},
            "`variant` must be one of 'paper', 'script'. Received: variant='Paper'",
        ),
        ({"variant": None}, "Received: variant=None"),
    ],
)
def test_refusals_repeat_what_came_in(task, arguments, message):
    with pytest.raises(ValueError, match=message):
        task(**{"n": 64, "samples": 1, "validation": 1, "seed": 0, **arguments})


# ---------------------------------------------------------------------- module


def test_importing_is_light():
    heavy = "{'keras', 'tensorflow', 'msann_keras'}"
    code = f"import sys, experiments.synthetic; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
