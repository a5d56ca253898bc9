"""Four devices in one process, by `keras.distribution` on JAX.

    KERAS_BACKEND=jax python examples/jax_data_parallel.py

A plain model is started by `warm_start`, on one device, and trained by `fit` on all;
a multilevel one is trained in V-cycles. Without GPUs, the devices are parts of the CPU.
"""

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=4")

import keras
import numpy as np

import msann_keras as ms

devices = keras.distribution.list_devices()
keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))

# Waves, and the same waves a moment later.
rng = np.random.default_rng(0)
places = np.linspace(0, 2 * np.pi, 256)
phases, heights = rng.uniform(0, 2 * np.pi, (1000, 1)), rng.uniform(0.5, 1, (1000, 1))
x = heights * np.sin(places + phases)
y = heights**2 * np.sin(places + phases + 1)


def plain():
    """A model as one writes it."""
    return keras.Sequential(
        [
            keras.Input((256,)),
            keras.layers.Dense(256, activation="gelu"),
            keras.layers.Dense(256),
        ]
    )


model = plain()
model.compile("adam", "mse")
print(ms.warm_start(model, x, y, depth=3, verbose=0))
history = model.fit(x, y, epochs=2, verbose=0).history
loss = f"loss {history['loss'][-1]:.2g} of {np.var(y):.2g}"
print(f"warm start, then fit on {len(devices)} devices: {loss}")

model = ms.multilevel(plain(), depth=3)
model.compile("adam", "mse")
cycles = ms.CycleSchedule(gamma=1, smoothing_steps=4)
history = model.fit(x, y, epochs=5, verbose=0, callbacks=[cycles]).history
print(f"V-cycles: loss {history['loss'][-1]:.2g} at C(t) = {model.cost:.0f}")
