"""Keras in another precision, for as long as a test needs it."""

from contextlib import contextmanager

import keras

#: How close two ways of computing are in `floatx("float64")`. Keras's functional models
#: turn inputs to single precision on torch; JAX needs JAX_ENABLE_X64=1.
EXACT = 1e-5 if keras.backend.backend() == "torch" else 1e-12
#: The same where a layer computes in single precision by itself, as Keras's
#: `LayerNormalization` does on JAX.
EXACT_NORMALISED = EXACT if keras.backend.backend() == "tensorflow" else 1e-5


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
