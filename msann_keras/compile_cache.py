"""Compiled programs kept on disk, so that the next process need not compile them."""

from __future__ import annotations

import os
from pathlib import Path

import keras

from msann.checks import refuse
from msann.optimal.cache import cache_folder


def enable_compile_cache(folder: str | os.PathLike | None = None) -> Path | None:
    """Keep what the backend compiles, for later processes that compile the same.

    On JAX every compiled function is kept, on TensorFlow what XLA compiles: Keras's
    `fit` with `jit_compile=True`, and cycles on coarsened data. Coarse levels of a warm
    start are not jitted there. Call it before anything is compiled.

    Args:
        folder: Where; by default a folder of the user's cache.

    Returns:
        The folder; `None` on torch, which keeps programs by itself.

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
    backend = keras.backend.backend()
    if backend == "torch":
        return None
    path = (cache_folder(None) if folder is None else Path(folder)) / backend
    path.mkdir(parents=True, exist_ok=True)
    if backend == "jax":
        import jax

        jax.config.update("jax_compilation_cache_dir", str(path))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    else:
        flag = f"--tf_xla_persistent_cache_directory={path.resolve()}"
        flags = os.environ.get("TF_XLA_FLAGS", "").split()
        kept = [x for x in flags if not x.startswith(flag.partition("=")[0])]
        os.environ["TF_XLA_FLAGS"] = " ".join([*kept, flag])
    return path
