"""Gradients by whichever backend Keras runs on."""

import keras
import numpy as np


def gradients(loss, variables):
    """d loss() / d variables, as arrays.

    Args:
        loss: A function of no argument, which reads the variables.
        variables: Of Keras.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss()
        found = tape.gradient(value, [variable.value for variable in variables])
        return [None if x is None else np.asarray(x) for x in found]
    if backend == "jax":
        import jax

        def of_values(values):
            with keras.StatelessScope(list(zip(variables, values, strict=True))):
                return loss()

        found = jax.grad(of_values)([variable.value for variable in variables])
        return [np.asarray(x) for x in found]
    for variable in variables:
        variable.value.grad = None
    loss().backward()
    grads = [variable.value.grad for variable in variables]
    return [None if x is None else x.detach().numpy() for x in grads]
