"""Digits from IDX files: both spellings, zipped or not, whole or refused."""

import gzip

import numpy as np
import pytest
from digits import idx_bytes, write_folder

from experiments.mnist import load_mnist, read_idx


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
