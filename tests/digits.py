"""Images that can be told apart, and folders of them in MNIST's own format."""

import gzip

import numpy as np


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
