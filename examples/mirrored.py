"""Two replicas in one process, by `tf.distribute.MirroredStrategy`.

    python examples/mirrored.py

A plain model is started by `warm_start` and trained by `fit`; a multilevel one is
trained in V-cycles. Without two GPUs, the replicas are halves of the CPU.
"""

import keras
import numpy as np
import tensorflow as tf

import msann_keras as ms

devices = [f"GPU:{i}" for i in range(len(tf.config.list_physical_devices("GPU")))]
if len(devices) < 2:
    [cpu] = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)
    devices = ["CPU:0", "CPU:1"]
strategy = tf.distribute.MirroredStrategy(devices)

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


with strategy.scope():
    model = plain()
    model.compile("adam", "mse")
record = ms.warm_start(model, x, y, depth=3, verbose=0)  # outside of the scope
history = model.fit(x, y, epochs=2, verbose=0).history
print(record)
print(
    f"warm start, then fit on {strategy.num_replicas_in_sync} replicas: "
    f"loss {history['loss'][-1]:.2g} of {np.var(y):.2g}"
)

with strategy.scope():
    model = ms.multilevel(plain(), depth=3)
    model.compile("adam", "mse")
cycles = ms.CycleSchedule(gamma=1, smoothing_steps=4)
history = model.fit(x, y, epochs=5, verbose=0, callbacks=[cycles]).history
print(f"V-cycles: loss {history['loss'][-1]:.2g} at C(t) = {model.cost:.0f}")
