"""Data of the tasks, made by NumPy and SciPy; they depend on the seed alone."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import fft

from experiments.mnist import idx_file, load_mnist, read_idx
from experiments.synthetic import one_object, two_objects

#: Where Debian's package `dataset-fashion-mnist` has its files.
FASHION = Path("/usr/share/datasets/fashion-mnist")
#: Points that Burgers' equation is solved on: at this viscosity, and to the time of the
#: targets, what a finer grid would add is below the precision of float32.
BURGERS_POINTS = 256


class Data(NamedTuple):
    """Samples to train on and others to judge by, one row a sample."""

    x: np.ndarray
    y: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray


def poisson(seed, sides=(64, 64), train=5000, validation=1000, screening=0.0, decay=36):
    """Random smooth sources in a box, zero at its walls, and Poisson's solutions.

    Args:
        seed: Of the sources.
        sides: Points along each axis.
        train: Samples to train on.
        validation: Samples to judge by.
        screening: What the operator has on its diagonal beside the Laplacian.
        decay: Of the sources, whose waves fade from the square root of it on.
    """
    sources, laplacian = _waves(seed, train + validation, sides, decay)
    laplacian = (laplacian + screening).astype(np.float32)
    axes = tuple(range(1, len(sides) + 1))
    x = fft.idstn(sources, type=1, axes=axes, workers=-1)
    # The transform is linear: what makes each source's variance one is divided out of
    # its waves as well, which spares the way back to them.
    deviations = x.std(axis=axes, keepdims=True)
    x /= deviations
    sources /= deviations * laplacian
    y = fft.idstn(sources, type=1, axes=axes, workers=-1)
    y /= y.std()
    return _split(x.reshape(len(x), -1), y.reshape(len(y), -1), train)


def allen_cahn(seed, side=64, train=2700, validation=150, width=0.03, steps=30):
    """Two phases that part, by Allen and Cahn's equation, in a box with walls of zero.

    From a random smooth state u, and after a time of 1.5: u' = width^2 laplacian(u) +
    u - u^3. Growth and diffusion take turns, each of them exact.

    Args:
        seed: Of the first states.
        side: Points along each of two axes.
        train: Samples to train on.
        validation: Samples to judge by.
        width: Of the walls between phases, the box being one wide.
        steps: How many the time is cut into.
    """
    waves, laplacian = _waves(seed, train + validation, (side, side), decay=36)
    state = fft.idstn(waves, type=1, axes=(1, 2), workers=-1)
    state /= state.std(axis=(1, 2), keepdims=True)
    x, step = state, 1.5 / steps
    grown = np.float32(math.exp(step))
    fading = np.exp(-(width**2) * step * laplacian).astype(np.float32)
    for _ in range(steps):
        state = state * grown / np.sqrt(1 + state**2 * (grown**2 - 1))
        waves = fading * fft.dstn(state, type=1, axes=(1, 2), workers=-1)
        state = fft.idstn(waves, type=1, axes=(1, 2), workers=-1)
    y = state / state.std()
    return _split(x[..., None], y[..., None], train)


def _waves(seed, samples, sides, decay):
    """Random sine waves in a box, fading from root `decay` on, and their -laplacian."""
    squares, laplacian = 0.0, 0.0
    for axis, side in enumerate(sides):
        waves = np.arange(1, side + 1)
        waves = waves.reshape([-1 if i == axis else 1 for i in range(len(sides))])
        squares = squares + waves**2
        laplacian = (
            laplacian + (2 - 2 * np.cos(np.pi * waves / (side + 1))) * (side + 1) ** 2
        )
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((samples, *sides), np.float32)
    drawn *= (1 + squares / decay).astype(np.float32) ** np.float32(-1.5)
    return drawn, laplacian


def burgers(seed, size=1024, train=10_000, validation=2000, shuffled=False):
    """Burgers' equation on a ring: a random smooth state, and the state .3 later.

    Args:
        seed: Of the first states, and of the order of the points.
        size: Points of the samples.
        train: Samples to train on.
        validation: Samples to judge by.
        shuffled: Whether the points of both states come in one random order.
    """
    rng = np.random.default_rng(seed)
    samples, points = train + validation, min(BURGERS_POINTS, size)
    waves = np.arange(points // 2 + 1, dtype=np.float32)
    parts = rng.standard_normal((2, samples, len(waves)), np.float32)
    state = (parts[0] + 1j * parts[1]) * (np.exp(-((waves / 12) ** 2)) * (waves > 0))
    state = _irfft(state, points)
    state /= state.std(axis=1, keepdims=True)
    # Rows by the hundred: they stay in the processor's cache for all their steps.
    first = fft.rfft(state, axis=1, workers=-1)
    rows = range(0, samples, 256)
    last = np.concatenate([_later(first[i : i + 256], waves, points) for i in rows])
    x, y = (_irfft(wave * np.float32(size / points), size) for wave in (first, last))
    if shuffled:
        order = rng.permutation(size)
        x, y = x[:, order], y[:, order]
    return _split(x, y, train)


def _later(state, waves, points, viscosity=0.02, step=2e-3, steps=150):
    """Waves of a state after some steps: viscosity is exact, the flux dealiased."""
    speeds = 2 * np.pi * waves
    fading = np.exp(-viscosity * speeds**2 * step).astype(np.float32)
    flux = (-0.5j * step * speeds * (waves < points // 3)).astype(np.complex64)
    for _ in range(steps):
        squares = _irfft(state, points) ** 2
        state = fading * (state + flux * fft.rfft(squares, axis=1))
    return state


def _irfft(waves, points):
    """float32 values at `points` points."""
    waves = waves.astype(np.complex64, copy=False)
    return fft.irfft(waves, points, axis=1, workers=-1)


def ecg(seed, size=2048, train=7000, validation=1000):
    """Beats of a heart, noisy on a wandering base line, and without either.

    Args:
        seed: Of beats and noise.
        size: Points of a sample, 256 a second.
        train: Samples to train on.
        validation: Samples to judge by.
    """
    rng = np.random.default_rng(seed)
    samples = train + validation
    seconds = np.arange(size, dtype=np.float32) / 256

    def drawn(low, high, columns=1):
        return rng.uniform(low, high, (samples, columns)).astype(np.float32)

    phases = (seconds * drawn(0.8, 1.8) + drawn(0, 1)) % 1
    clean = np.zeros_like(phases)
    heights = drawn(0.8, 1.2, columns=5) * np.float32([1, -0.25, -0.3, 0.15, 0.3])
    centres, widths = (0.5, 0.47, 0.53, 0.33, 0.78), (0.012, 0.012, 0.014, 0.03, 0.05)
    for height, centre, width in zip(heights.T, centres, widths, strict=True):
        clean += height[:, None] * np.exp(-(((phases - centre) / width) ** 2))
    waves = np.sin(2 * np.pi * drawn(0.1, 0.5) * seconds + drawn(0, 6))
    noise = rng.standard_normal(clean.shape, np.float32)
    noisy = clean + np.float32(0.15) * noise + np.float32(0.3) * waves
    return _split(noisy, clean, train)


def objects(seed, count=1, size=4096, train=5000, validation=1000):
    """One or two objects of the paper's section 4.2, in noise, and without it.

    Args:
        seed: Of where the objects are, and of the noise.
        count: Objects in a sample, 1 or 2.
        size: Points of a sample.
        train: Samples to train on.
        validation: Samples to judge by.
    """
    draw = one_object if count == 1 else two_objects
    return Data(*draw(size, samples=train, validation=validation, seed=seed)[:4])


def digits(seed):
    """Digits of the paper's section 4.3, 32 x 32, to themselves; they need no network.

    Args:
        seed: As every data function has it; it changes nothing.
    """
    images = load_mnist("bundled", size=32, validation=1000, seed=2019)
    x, x_validation = images.x_train, images.x_validation
    return Data(x, x, x_validation, x_validation)


def fashion(seed, labels=False, folder=FASHION):
    """Fashion-MNIST in its own split and order, so the seed changes nothing.

    Args:
        seed: As every data function has it.
        labels: Whether the targets are classes; else they are the inputs.
        folder: Of the IDX files.
    """
    parts = []
    for prefix in ("train", "t10k"):
        images = read_idx(idx_file(folder, f"{prefix}-images", "idx3-ubyte"), 3)
        x = images.reshape(len(images), -1).astype(np.float32) / 255
        classes = read_idx(idx_file(folder, f"{prefix}-labels", "idx1-ubyte"), 1)
        parts += [x, classes.astype(np.int64) if labels else x]
    return Data(*parts)


def collages(seed, side=64, train=2700, validation=300, folder=FASHION):
    """Images of clothes laid over each other, and the same in noise.

    Args:
        seed: Of the collages and of the noise.
        side: Of an image.
        train: Samples to train on.
        validation: Samples to judge by.
        folder: Of the IDX files.
    """
    clothes = read_idx(idx_file(folder, "train-images", "idx3-ubyte"), 3)
    clothes = clothes.astype(np.float32) / 255
    rng, size = np.random.default_rng(seed), clothes.shape[1]
    count = train + validation
    clean = np.zeros((count, side + 2 * size, side + 2 * size), np.float32)
    for image in clean:
        for _ in range(2 * (side // size) ** 2):
            row, column = rng.integers(size // 2, side + size, 2)
            part = image[row : row + size, column : column + size]
            np.maximum(part, clothes[rng.integers(len(clothes))], out=part)
    clean = clean[:, size:-size, size:-size, None]
    noise = rng.standard_normal(clean.shape, np.float32)
    return _split(clean + np.float32(0.5) * noise, clean, train)


def mnist1d(seed, samples=5000, shuffled=False):
    """MNIST-1D: ten shapes of 40 points, stretched, moved and noisy; a fifth judges.

    Args:
        seed: Of the samples and of the order of their points.
        samples: How many.
        shuffled: Whether the points come in a random order.
    """
    from mnist1d.data import get_dataset_args, make_dataset

    options = get_dataset_args()
    options.seed, options.num_samples = seed, samples
    made = make_dataset(options)
    order = np.arange(made["x"].shape[1])
    if shuffled:
        order = np.random.default_rng(seed).permutation(order)
    x, x_validation = (made[k][:, order].astype(np.float32) for k in ("x", "x_test"))
    y, y_validation = (made[k].astype(np.int64) for k in ("y", "y_test"))
    return Data(x, y, x_validation, y_validation)


def as_images(data, sides, labels=False):
    """Samples as images with one channel, and targets that are no labels as well."""

    def folded(array):
        return array.reshape(len(array), *sides, 1)

    x, y, x_validation, y_validation = data
    targets = (y, y_validation) if labels else (folded(y), folded(y_validation))
    return Data(folded(x), targets[0], folded(x_validation), targets[1])


def _split(x, y, train):
    return Data(x[:train], y[:train], x[train:], y[train:])
