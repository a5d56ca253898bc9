"""Keras in another precision, for as long as a test needs it."""

from contextlib import contextmanager

import keras


@contextmanager
def floatx(dtype):
    before, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)  # follows floatx only until it is first read
    try:
        yield
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(policy)
