"""Small data for each kind of example, made here."""

import numpy as np
from scipy import ndimage

#: Samples to train on, and those that are held out.
TRAIN, HELD_OUT = 384, 64


def fields(count, sides, rng):
    """Smooth random images with one channel."""
    noise = rng.standard_normal((count, *sides), np.float32)
    smooth = ndimage.gaussian_filter(noise, (0, *[3.0] * len(sides)))
    return (smooth / smooth.std())[..., None]


def images_and_labels(model, rng):
    """Smooth images in four classes: by their mean, and by how they vary."""
    *sides, channels = model.input_shape[1:]
    x = fields(TRAIN + HELD_OUT, sides, rng) + rng.normal(size=(1, *sides, channels))
    x = np.repeat(x, channels // x.shape[-1], axis=-1).astype("float32")
    level = x.mean(axis=tuple(range(1, x.ndim)))
    spread = x.std(axis=tuple(range(1, x.ndim)))
    y = 2 * (level > np.median(level)) + (spread > np.median(spread))
    return x, y.astype("int64")


def noisy(model, rng):
    """Smooth images between 0 and 1 in noise."""
    clean = fields(TRAIN + HELD_OUT, model.input_shape[1:-1], rng)
    clean = 1 / (1 + np.exp(-2 * clean))
    return clean + rng.normal(scale=0.3, size=clean.shape).astype("float32"), clean


def masks(model, rng):
    """Where a smooth image is above its mean, as whole numbers."""
    clean = fields(TRAIN + HELD_OUT, model.input_shape[1:-1], rng)
    x = np.repeat(clean, 3, axis=-1) + rng.normal(size=(*clean.shape[:-1], 3))
    return x.astype("float32"), (clean[..., 0] > 0).astype("int64")


def smaller(model, rng):
    """Images, and the same with twice the sides."""
    sides = [2 * side for side in model.input_shape[1:-1]]
    y = fields(TRAIN + HELD_OUT, sides, rng)
    return y.reshape(-1, sides[0] // 2, 2, sides[1] // 2, 2, 1).mean(axis=(2, 4)), y


def ratings(model, rng):
    """Pairs of numbers of users and things, and how well one likes the other."""
    who, what = rng.integers(50, size=(2, TRAIN + HELD_OUT, 1))
    mild, liked = rng.normal(size=(2, 50, 1))
    y = 3 + mild[who[:, 0]] + liked[what[:, 0]]
    return [who.astype("int32"), what.astype("int32")], y.astype("float32")


def pairs(model, rng):
    """Pairs of images, and the difference of their means."""
    each = [fields(TRAIN + HELD_OUT, (28, 28), rng)[..., 0] for _ in range(2)]
    means = [x.mean(axis=(1, 2)) for x in each]
    return each, 10 * (means[0] - means[1])[:, None]


def sentences(model, rng):
    """Rows of words, and which quarter of all words most of them are from."""
    y = rng.integers(4, size=TRAIN + HELD_OUT)
    own = rng.random((TRAIN + HELD_OUT, 40)) < 0.3
    words = rng.integers(48, size=own.shape)
    return np.where(own, words // 4 + 12 * y[:, None], words).astype("int32"), y


def itself(model, rng):
    """Smooth rows, which are to be made again."""
    x = fields(TRAIN + HELD_OUT, model.input_shape[1:-1], rng)
    return x, x
