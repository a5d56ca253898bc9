"""Matrices that took long to find, kept on disk by what they were found from."""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from msann.checks import refuse

#: Environment variable that names another cache folder.
VARIABLE = "MSANN_KERAS_CACHE"


def cache_folder(folder: str | os.PathLike | None = None) -> Path:
    """Where matrices are kept.

    Args:
        folder: If given, this one, of the argument `cache`; else that of the
            environment variable `MSANN_KERAS_CACHE`; else the platform's folder for
            caches.
    """
    if folder is None:
        folder = os.environ.get(VARIABLE)
    elif not isinstance(folder, str | os.PathLike) or "\0" in str(folder):
        refuse("cache", folder, "a folder or None")
    if not folder:
        import platformdirs

        folder = platformdirs.user_cache_dir("msann_keras", appauthor=False)
    return Path(folder)


def digest(*parts: Any) -> str:
    """A name for content: equal for equal arrays, numbers and strings, in order.

    >>> digest("s", 0.5) == digest("s", 0.5) != digest("s", 1.0)
    True
    """
    result = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            head = f"{part.dtype.str}{part.shape}"
            data = np.ascontiguousarray(part).tobytes()
        else:
            head, data = type(part).__name__, repr(part).encode()
        result.update(f"{head}:{len(data)}:".encode())
        result.update(data)
    return result.hexdigest()


def cached(
    key: str,
    compute: Callable[[], np.ndarray],
    valid: Callable[[np.ndarray], bool],
    folder: str | os.PathLike | None = None,
) -> np.ndarray:
    """The matrix kept under `key`, computed if there is none.

    A file that cannot be read, or whose matrix is not valid, is computed again and
    written over. A new file appears whole or not at all. A folder that cannot be
    written to is a warning; the matrix is returned all the same.

    Args:
        key: A name from `digest`.
        compute: Makes the matrix.
        valid: Whether a matrix that was read can be what `compute` makes.
        folder: As for `cache_folder`.
    """
    file = cache_folder(folder) / f"{key}.npy"
    try:
        # Not np.load, which takes other kinds of file for archives.
        with file.open("rb") as stream:
            matrix = np.lib.format.read_array(stream, allow_pickle=False)
        if valid(matrix):
            return matrix
    except (OSError, ValueError, EOFError):
        pass  # absent or damaged
    matrix = compute()
    try:
        _write(file, matrix)
    except OSError as error:
        # What took minutes to find is worth more than its copy.
        warnings.warn(
            f"A matrix could not be kept in the cache folder {file.parent} ({error}); "
            f"name another one in the environment variable {VARIABLE}.",
            stacklevel=2,
        )
    return matrix


def _write(file, matrix):
    """The whole file or none."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(suffix=".partial", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            np.save(stream, matrix)
        os.replace(partial, file)
    except BaseException:
        os.unlink(partial)
        raise
