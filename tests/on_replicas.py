"""Trains the same on one device and on several: `python on_replicas.py WHERE FILE`.

WHERE is "one", "replicas" (in this process: two under TensorFlow's MirroredStrategy,
four by DataParallel on JAX), "parts" (two devices, each with half of a weight, by
ModelParallel) or "workers" (this process is one of several, see TF_CONFIG). The file
gets the weights after each case, and the progress.
"""

import json
import os
import sys
from contextlib import nullcontext
from functools import partial

IS_JAX = os.environ.get("KERAS_BACKEND") == "jax"
if IS_JAX and __name__ == "__main__":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

import keras  # noqa: E402
import numpy as np  # noqa: E402

import msann_keras as ms  # noqa: E402
from msann_keras import level_plans  # noqa: E402
from msann_keras.nested import multilevel  # noqa: E402

RNG = np.random.default_rng(5)
# On TensorFlow the last batch is smaller; on JAX each must divide by the devices.
X = RNG.normal(size=(96 if IS_JAX else 90, 16)).astype("float32")
Y = np.cumsum(X, axis=1)
WAVES = np.sin(np.linspace(0, 6, 64) + RNG.uniform(0, 6, (160, 1))).astype("float32")


def cycles(**options):
    return {"callbacks": [ms.CycleSchedule(gamma=2, smoothing_steps=2, **options)]}


#: Made where it is used: it has variables.
MOMENTUM = {
    "class_name": "SGD",
    "config": {"learning_rate": 0.01, "momentum": 0.9},
}
#: What of `level`, `compile` and `fit` differs.
CASES = {
    "every level": (-1, {}, {}),
    "level 0": (0, {}, {}),
    "level 1": (1, {}, {}),
    "level 2": (2, {}, {}),
    "W-cycles": (-1, {}, cycles()),
    "rates of levels": (-1, {}, cycles(rate_factors=[1, 2, 4])),
    "three steps a call": (-1, {"steps_per_execution": 3}, cycles()),
    "an optimizer with momentum": (
        -1,
        {"optimizer": MOMENTUM},
        cycles(),
    ),
}


def place(where):
    """The strategy's scope, or a distribution for the whole process."""
    if where == "one":
        return nullcontext
    if IS_JAX:
        devices = keras.distribution.list_devices()
        if where == "replicas":
            whole = keras.distribution.DataParallel(devices=devices)
        else:
            mesh = keras.distribution.DeviceMesh(
                (1, 2), ["batch", "model"], devices[:2]
            )
            layout = keras.distribution.LayoutMap(mesh)
            layout[".*kernel.*"] = (None, "model")
            whole = keras.distribution.ModelParallel(
                layout_map=layout, batch_dim_name="batch"
            )
        keras.distribution.set_distribution(whole)
        return nullcontext
    import tensorflow as tf

    if where == "workers":
        return tf.distribute.MultiWorkerMirroredStrategy().scope
    [cpu] = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope


def network(width, *more):
    keras.utils.set_random_seed(3)
    first, last = keras.layers.Dense(width, "tanh"), keras.layers.Dense(width)
    return keras.Sequential([keras.Input((width,)), first, *more, last])


def weights(model):
    return [keras.ops.convert_to_numpy(x).ravel() for x in model.trainable_variables]


def trained(scope, level, compiled, fitted, depth=2):
    with scope():
        model = ms.multilevel(network(16), depth, keep_weights=True)
        model.compile(**{"optimizer": "adam", "loss": "mse"} | compiled)
    model.level = level
    fit = {"batch_size": 16, "epochs": 3, "shuffle": False, "verbose": 0}
    losses = model.fit(X, Y, **fit, **fitted).history["loss"]
    position, examples, each = model.progress
    return np.concatenate([*weights(model), losses, [position, examples], each])


def started(scope, *more, speed=1e10):
    """A plain model after a warm start, on a machine that is said to be so fast."""
    level_plans.speed = lambda: speed  # levels make as many steps a call everywhere
    with scope():
        model = network(64, *more)
        model.compile("adam", "mse")
    options = {"batch_size": 16, "depth": 1, "seconds": 60.0, "verbose": 0}
    print(ms.warm_start(model, WAVES, -WAVES, **options).outcome)
    return model


def automatic(scope):
    """A multilevel model that begins with a warm start, in each worker's own time."""
    multilevel.warm_start = partial(ms.warm_start, depth=3, seconds=0.5)
    with scope():
        model = ms.multilevel(network(64), depth=3)
        model.compile("adam", "mse")
    cycles = ms.CycleSchedule("auto")
    options = {"batch_size": 16, "shuffle": False, "verbose": 0}
    model.fit(WAVES, -WAVES, callbacks=[cycles], **options)
    return model


def refusal(scope):
    """What cycles on coarsened data say to a model there; nothing if they train it."""
    with scope():
        model = ms.multilevel(network(16), 1)
        model.compile("sgd", "mse", jit_compile=False)
    try:
        model.fit(X, Y, verbose=0, callbacks=[ms.CycleSchedule(coarsen_data=True)])
    except ValueError as error:
        return str(error)
    return ""


def fitted(model):
    """It trains on."""
    model.fit(WAVES, -WAVES, batch_size=16, shuffle=False, verbose=0)
    return model


if __name__ == "__main__":
    where, file = sys.argv[1:]
    scope = place(where)
    result = {name: trained(scope, *case) for name, case in CASES.items()}
    result["depth 0"] = trained(scope, 0, {}, {}, depth=0)
    result["refusal"] = refusal(scope)
    result["auto"] = np.concatenate(weights(automatic(scope)))
    # Each replica normalises its own part of a batch, so that one is not trained on.
    normalised = started(scope, keras.layers.BatchNormalization())
    result["warm start"] = np.concatenate(weights(normalised))
    # A level whose steps take long trains on all devices, until rounding parts it.
    slow = started(scope, speed=1e4)
    errors = keras.ops.convert_to_numpy(slow(WAVES)) + WAVES
    result["error after a start on all devices"] = np.mean(errors**2)
    if where != "workers":  # where Keras does not train plain models
        plain = fitted(started(scope))
        result["warm start, then fit"] = np.concatenate(weights(plain))
    task = json.loads(os.environ.get("TF_CONFIG", '{"task": {"index": ""}}'))["task"]
    np.savez(f"{file}{task['index']}", **result)
