"""The synthetic vision tasks of the paper (section 4.2): one object, two objects.

An object is a run of ones, an eighth as long as the vector; a network sees it
through noise and has to give it back without (a denoising autoencoder).
"""

import math
from typing import NamedTuple

import numpy as np

from msann.checks import integer

VARIANTS = ("paper", "script")
#: The chance of each pixel of the input to fire spuriously (section 4.2).
NOISE = 0.05
#: An object takes one of so many equal parts of the vector (section 4.2).
PARTS = 8


class Task(NamedTuple):
    """What a network is shown and what it should answer, one row a sample.

    Attributes:
        x_train: float32 array of shape `(samples, n)`, zeros and ones, the input:
            with noise in the paper's variant, equal to `y_train` in the script's.
        y_train: float32 array of shape `(samples, n)`, zeros and ones, the target:
            the objects alone, without noise.
        x_validation: float32 array of shape `(validation, n)`.
        y_validation: float32 array of shape `(validation, n)`.
        source: one line that says which task this is and how it was drawn, to be
            published beside any result.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    source: str


def one_object(n=1024, *, samples, validation, seed, variant="paper"):
    """Draws the one-object task of section 4.2.1 (Figure 5, left; Table 1).

    A target is zero but for `n / 8` ones in a row that start at a position drawn
    uniformly. Where the paper can be read in several ways:

    - Target. 4.2.1 minimises the MSE "between the input and output layers", 4.2
      has noise "only in the input vector" and calls the task "to remove noise
      from an input image". Here the loss compares the output with the clean
      vector. Against the noisy one, finding every object and expecting noise at
      its rate elsewhere would still cost .05 x .95 x 7/8 = 4.2e-2, where Table 1
      ends at 6.6e-4.
    - Noise. A pixel "fires spuriously": a zero becomes one with p = .05, a one
      stays one. It is drawn once for each sample, so a sample that is shown again
      has the same noise; for fresh noise, draw more samples.
    - Positions. The paper counts 1024 - 128 = 896 vectors. An object fits at 897
      positions; the one left out here is the last.

    Args:
        n: length of a vector, a positive multiple of 8.
        samples: how many training samples to draw, at least 1.
        validation: how many validation samples to draw, at least 1; the authors'
            script takes 2,000. They come from the same distribution, from a
            stream of random numbers of their own: neither half depends on the
            size of the other. As there are few vectors, a target may be in both.
        seed: integer that, with the other arguments, decides everything.
        variant: `"paper"`, `n - n / 8` positions and noise on the input;
            `"script"`, the authors' script: one position more, no noise.

    Returns:
        A `Task`.

    Raises:
        ValueError: an argument is out of range.

    Example:

    >>> task = one_object(n=16, samples=3, validation=2, seed=0)
    >>> task.x_train.shape, task.x_validation.shape
    ((3, 16), (2, 16))
    >>> task.y_train.sum(axis=1)
    array([2., 2., 2.], dtype=float32)
    >>> print(task.source)
    one object, n = 16, variant 'paper': 14 positions, noise p = 0.05 on the input; \
3 training and 2 validation samples, seed 0
    """
    n, variant = _check(n, variant)
    positions = _positions(n, variant)
    return _task(
        f"one object, n = {n}, variant {variant!r}: {positions:,} positions",
        lambda rng, count: _objects(n, rng.integers(positions, size=count)),
        samples=samples,
        validation=validation,
        seed=seed,
        variant=variant,
    )


def two_objects(n=1024, *, samples, validation, seed, variant="paper"):
    """Draws the two-object task of section 4.2.2 (Figure 5, right; Table 2).

    As `one_object`, which says how target, noise and positions are read, with two
    objects of `n / 8` ones each. In the paper's variant they do not overlap, but
    may touch, and every such pair of positions is equally likely. So there are
    295,296 targets at n = 1024; the paper's 896 "in each case" counts one object.

    Args:
        n: length of a vector, a positive multiple of 8.
        samples: how many training samples to draw, at least 1.
        validation: how many validation samples to draw, at least 1, from a stream
            of random numbers of their own.
        seed: integer that, with the other arguments, decides everything.
        variant: `"paper"`, `n - n / 8` positions, no overlap, noise on the input;
            `"script"`, the authors' script: one position more, each object drawn
            without regard to the other (one where they overlap), no noise.

    Returns:
        A `Task`.

    Raises:
        ValueError: an argument is out of range.

    Example:

    >>> task = two_objects(n=16, samples=3, validation=2, seed=0, variant="script")
    >>> task.y_train.astype(int)
    array([[0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0],
           [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 1],
           [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0]])
    >>> print(task.source)
    two objects, n = 16, variant 'script': 225 pairs of positions, overlap allowed, \
no noise; 3 training and 2 validation samples, seed 0
    """
    n, variant = _check(n, variant)
    positions = _positions(n, variant)
    if variant == "paper":
        # Positions a, b do not overlap if a + width <= b. Then a < b - (width - 1):
        # shortening the left object to one pixel maps these pairs one to one on
        # pairs of different places, and those are easily drawn uniformly.
        width = n // PARTS
        places = positions - (width - 1)
        pairs, overlap = math.comb(places, 2), "no overlap"

        def draw(rng, count):
            first = rng.integers(places, size=count)
            other = rng.integers(places - 1, size=count)
            other += other >= first
            left = np.minimum(first, other)
            right = np.maximum(first, other) + (width - 1)
            return _objects(n, left, right)

    else:
        pairs, overlap = positions**2, "overlap allowed"

        def draw(rng, count):
            return _objects(n, *rng.integers(positions, size=(2, count)))

    return _task(
        f"two objects, n = {n}, variant {variant!r}: {pairs:,} pairs of positions, "
        f"{overlap}",
        draw,
        samples=samples,
        validation=validation,
        seed=seed,
        variant=variant,
    )


# -------------------------------------------------------------------- helpers


def _check(n, variant):
    n = integer("n", n, least=PARTS)
    if n % PARTS:
        raise ValueError(f"`n` must be a multiple of {PARTS}. Received: n={n}")
    if variant not in VARIANTS:
        raise ValueError(
            f"`variant` must be one of {', '.join(map(repr, VARIANTS))}. "
            f"Received: variant={variant!r}"
        )
    return n, variant


def _positions(n, variant):
    """How many positions an object may start at, the first being 0."""
    return n - n // PARTS + (variant == "script")


def _objects(n, *starts):
    """Float32 `(count, n)`: ones wherever one of the objects is.

    Each of `starts` is an integer array of shape `(count,)`.
    """
    # Every vector with one object is a window of this one, so a row is a copy.
    band = np.zeros(2 * n, np.float32)
    band[n : n + n // PARTS] = 1
    windows = np.lib.stride_tricks.sliding_window_view(band, n)
    y = windows[n - starts[0]]
    for more in starts[1:]:
        np.maximum(y, windows[n - more], out=y)
    return y


def _noisy(y, rng):
    # In place: random numbers, then whether they fire, then the input.
    x = rng.random(y.shape, dtype=np.float32)
    np.less(x, NOISE, out=x)
    return np.maximum(x, y, out=x)


def _task(title, draw, *, samples, validation, seed, variant):
    samples = integer("samples", samples, least=1)
    validation = integer("validation", validation, least=1)
    seed = integer("seed", seed, least=0)
    halves = []
    streams = np.random.SeedSequence(seed).spawn(2)
    for stream, count in zip(streams, (samples, validation), strict=True):
        rng = np.random.default_rng(stream)
        y = draw(rng, count)
        halves += [_noisy(y, rng) if variant == "paper" else y.copy(), y]
    noise = f"noise p = {NOISE:g} on the input" if variant == "paper" else "no noise"
    return Task(
        *halves,
        source=(
            f"{title}, {noise}; {samples:,} training and {validation:,} validation "
            f"samples, seed {seed}"
        ),
    )
