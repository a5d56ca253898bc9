"""What is torch's own: nothing is compiled, and nothing is distributed by Keras."""

from __future__ import annotations

from contextlib import nullcontext

import keras

from msann_keras.backends.generators import batches

__all__ = ["batches"]

JITS, STEPS_PER_CALL = False, 1
KEEPS_PROGRAMS = False  # as torch does that by itself
IS_STATELESS = False


def synchronise(model: keras.Model) -> None:
    """Variables have the values that a `fit` has come to."""


def in_scope() -> bool:
    """There are no scopes of strategies."""
    return False


def no_cycles(model: keras.Model) -> str:
    """There are no cycles at all."""
    return "Keras on torch"


def check_place(model: keras.Model) -> None:
    """A model can be started from anywhere."""


def alone() -> nullcontext:
    """Everything trains on one device."""
    return nullcontext()


def place_of(model: keras.Model) -> nullcontext:
    """Variables are made where they are made."""
    return nullcontext()


def spread(model: keras.Model) -> nullcontext:
    """There is one device only."""
    return nullcontext()


def leads(model: keras.Model) -> bool:
    """There is one process only."""
    return True


def share(model: keras.Model) -> None:
    """There is one process only."""
