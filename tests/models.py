"""A small model of one layer, its data and fits, and what looks on while it trains."""

import keras
import numpy as np

import msann_keras as ms
from msann_keras import focus
from msann_keras.backends import here

EVERY = ms.EVERY_LEVEL
RNG = np.random.default_rng(0)
X = RNG.normal(size=(10, 4)).astype("float32")  # batches of 4, 4 and 2
Y = RNG.normal(size=(10, 4)).astype("float32")
CLASSES = np.arange(10) % 4
SPARSE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
EAGER, GRAPH, XLA = {"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}
#: The least that compiles a step, and what takes least time for a few steps of a small
#: model: JAX has nothing between XLA and Python, where each operation is compiled.
ON_JAX = keras.backend.backend() == "jax"
PROGRAM, FEW_STEPS = (XLA, XLA) if ON_JAX else (GRAPH, EAGER)


def network(depth, cls=ms.MultilevelModel, seed=1):
    """4-4, a MultilevelDense; of depth `None` a Dense."""
    inputs = keras.Input((4,))
    options = {"kernel_initializer": keras.initializers.GlorotNormal(seed)}
    if depth is None:
        return keras.Model(inputs, keras.layers.Dense(4, **options)(inputs))
    return cls(inputs, ms.MultilevelDense(4, depth=depth, **options)(inputs))


def compiled(depth=1, optimizer="sgd", cls=ms.MultilevelModel, **options):
    model = network(depth, cls)
    model.compile(optimizer, "mse", **(options or EAGER))
    return model


def fit(model, x=X, y=Y, schedule=None, **options):
    arrays = {"batch_size": 4} if isinstance(x, np.ndarray) else {}
    callbacks = [schedule or ms.CycleSchedule(), *options.pop("callbacks", [])]
    options = arrays | {"shuffle": False, "verbose": 0} | options
    return model.fit(x, y, callbacks=callbacks, **options).history


def assert_equal(actual, expected, **tolerance):
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, **{"rtol": 1e-6, "atol": 1e-7} | tolerance)


# ------------------------------------------------------ the same batches, another way


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        rows = slice(4 * index, 4 * index + 4)
        return X[rows], Y[rows]


def dataset():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)


#: What `fit` is given for three batches, by the kind of data.
DATA = {
    "tf.data": lambda: {"x": dataset(), "y": None},
    "generator": lambda: {
        "x": (Sequence()[index] for index in range(3)),
        "y": None,
        "steps_per_epoch": 3,
    },
    "PyDataset": lambda: {"x": Sequence(), "y": None},
}


# ---------------------------------------------------------------------- who looks on


class Recording(ms.MultilevelModel):
    """Notes what trains in every execution of `train_step` in Python."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.record = []

    def train_step(self, *args):
        level = focus.present().level
        self.record.append(level)
        trains = {v.level for v in self.trainable_weights}
        everything = set(range(self.depth + 1))
        is_whole = here.IS_STATELESS or level == EVERY
        assert trains == (everything if is_whole else {level})
        return super().train_step(*args)


class Subclassed(ms.MultilevelModel):
    def __init__(self):
        super().__init__()
        self.dense = ms.MultilevelDense(4, depth=1)

    def call(self, x):
        return self.dense(x)


class Interrupt(keras.callbacks.Callback):
    """Raises an error after a batch."""

    def __init__(self, error, batch=1):
        super().__init__()
        self.error, self.batch = error, batch

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.batch:
            raise self.error
