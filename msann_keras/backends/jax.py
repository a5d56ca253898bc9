"""What is JAX's own: its compile cache, and `keras.distribution`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np

from msann_keras.backends.generators import batches

__all__ = ["batches"]

# JAX has nothing between XLA and one operation after another, 30 times as slow.
JITS, STEPS_PER_CALL = True, 1
KEEPS_PROGRAMS, IS_STATELESS = True, True


def keep_programs(folder: Path) -> None:
    """Keep every compiled function."""
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def synchronise(model: keras.Model) -> None:
    """Give variables the values that a `fit` has come to, which it keeps elsewhere."""
    model.jax_state_sync()


def add_to(variable: keras.Variable, counts: Any) -> None:
    """Add to a variable that counts, which stays at the most that its type holds."""
    total = np.asarray(variable.value, "int64") + counts
    variable.assign(np.minimum(total, np.iinfo(variable.dtype).max))


def in_scope() -> bool:
    """There are no scopes of strategies."""
    return False


def no_cycles(model: keras.Model) -> str | None:
    """The distribution, or how many devices a model is on, if there are several."""
    distribution = keras.distribution.distribution()
    if distribution is not None and distribution.device_mesh.devices.size > 1:
        return f"{distribution!r}"
    devices = {one for v in model.variables for one in v.value.devices()}
    return f"a model on {len(devices)} devices" if len(devices) > 1 else None


def check_place(model: keras.Model) -> None:
    """Refuse several processes, which would have to leave levels at the same step.

    Raises:
        ValueError: There are several.
    """
    if (count := jax.process_count()) > 1:
        raise ValueError(
            "On JAX a model is started by one process: start it there, save its "
            f"weights, and load them in all. Received: jax.process_count()={count}"
        )


def place_of(model: keras.Model) -> nullcontext:
    """The layout of a model's variables is that of the present distribution."""
    return nullcontext()


@contextmanager
def alone() -> Iterator[None]:
    """Without a distribution: coarse networks need not divide as the model does.

    The variables of a model that is there keep their layout.
    """
    present = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(present)


def spread(model: keras.Model) -> nullcontext:
    """A distribution is one for the whole process, and so for none of the levels."""
    return nullcontext()


def leads(model: keras.Model) -> bool:
    """There is one process only."""
    return True


def share(model: keras.Model) -> None:
    """There is one process only."""
