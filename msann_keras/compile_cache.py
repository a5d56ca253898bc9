"""Compiled programs kept on disk, so that the next process need not compile them."""

from __future__ import annotations

import os
from pathlib import Path

import keras

from msann.checks import refuse
from msann.optimal.cache import cache_folder
from msann_keras.backends import here


def enable_compile_cache(folder: str | os.PathLike | None = None) -> Path | None:
    """Keep what the backend compiles, for later processes that compile the same.

    On JAX every compiled function is kept, on TensorFlow what XLA compiles: Keras's
    `fit` with `jit_compile=True`, and cycles on coarsened data. Coarse levels of a warm
    start are not jitted there. Call it before anything is compiled.

    Args:
        folder: Where to keep them; by default the folder that the environment variable
            `MSANN_KERAS_CACHE` names, else one in the user's cache.

    Returns:
        The folder within it, named after the backend, that holds the programs; `None`
        on torch, which keeps programs by itself.

    Raises:
        ValueError: `folder` is not a path.
        OSError: It cannot be made.

    >>> import tempfile
    >>> enable_compile_cache(tempfile.mkdtemp()) is None  # on TensorFlow or JAX
    False
    """
    is_path = isinstance(folder, str | os.PathLike) and "\0" not in str(folder)
    if folder is not None and not is_path:
        refuse("folder", folder, "a path of a folder")
    if not here.KEEPS_PROGRAMS:
        return None
    path = cache_folder(None) if folder is None else Path(folder)
    path = path / keras.backend.backend()
    path.mkdir(parents=True, exist_ok=True)
    here.keep_programs(path)
    return path
