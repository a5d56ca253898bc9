"""Averages by hand, and small models that are fitted on coarsened data."""

from contextlib import contextmanager

import keras
import numpy as np
from matrices import dense
from models import FEW_STEPS

import msann_keras as ms
from msann.topology import chain
from msann_keras.engines.coarsened.program import Program

#: The spaces of networks, and how deep they go.
SPACES = {
    "pairs": ([ms.path(8), ms.path(4), ms.path(8)], 2),
    "odd paths": ([ms.path(9), ms.path(5), ms.path(3)], 1),
    "odd path twice": ([ms.path(9), ms.path(5), ms.path(4)], 2),
    "grids": ([ms.grid(4, 4), ms.grid(2, 4), ms.grid(4, 2)], 3),
    "odd paths all the way": ([ms.path(7), ms.path(11), ms.path(13)], 3),
    "odd grid": ([ms.grid(3, 4), ms.path(4)], 2),
    "odd grid all the way": ([ms.grid(3, 5), ms.path(9), ms.grid(5, 3)], 4),
    "shuffled": ([ms.shuffled(ms.path(8), seed=1), ms.shuffled(ms.path(6), seed=2)], 1),
    "cycle and identity": ([ms.cycle(8), ms.path(4), ms.identity(3)], 2),
    "identity in front": ([ms.identity(3), ms.grid(4, 4), ms.identity(2)], 3),
    "identity alone": ([ms.identity(3), ms.identity(2)], 2),
    "depth 0": ([ms.path(3), ms.path(2)], 0),
}


def matrix(topology, level):
    """P from `level` to level 0, dense."""
    return dense(chain(topology, max(level, 1)).composites[level])


def averages(x, topology, level):
    """By the labels of the aggregates, not by P."""
    if level == 0:
        return x
    blocks = (matrix(topology, level) != 0).astype(float)
    return x @ blocks / blocks.sum(axis=0)


def one_layer(depth=2, **options):
    """One layer, of 8 and 4 units."""
    inputs = keras.Input((8,))
    layer = ms.MultilevelDense(4, depth, **options)
    return ms.MultilevelModel(inputs, layer(inputs))


def named(structure=list):
    """Inputs `one` (8) and `two` (4), outputs `sum` (4) and `other` (8)."""
    one, two = keras.Input((8,), name="one"), keras.Input((4,), name="two")
    a, b = ms.MultilevelDense(4, 1)(one), ms.MultilevelDense(4, 1)(two)
    joined = keras.layers.Add(name="sum")([a, b])
    other = ms.MultilevelDense(8, 1, name="other")(joined)
    if structure is dict:  # whose order is that of the keys, sorted
        return ms.MultilevelModel({"two": two, "one": one}, {"z": joined, "y": other})
    return ms.MultilevelModel([one, two], [joined, other])


@contextmanager
def traces_counted():
    """A list that grows by one with each execution of a cycle in Python."""
    original, found = Program._cycles, []

    def counted(self, *args):
        found.append(self)
        return original(self, *args)

    Program._cycles = counted
    try:
        yield found
    finally:
        Program._cycles = original


# ------------------------------------------------------------------------------ fits

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(24, 8)).astype("float32")
Y = RNG.uniform(size=(24, 4)).astype("float32")


def network(depth=2, front=(), **options):
    """8-8-4; on the levels 72 + 36, 20 + 10 and 6 + 3 parameters."""
    inputs = outputs = keras.Input((8,))
    for layer in front:
        outputs = layer(outputs)
    hidden = ms.MultilevelDense(8, depth, activation="sigmoid")(outputs)
    return ms.MultilevelModel(inputs, ms.MultilevelDense(4, depth, **options)(hidden))


def compiled(optimizer="adam", model=None, **options):
    model = model or network()
    says_how = {"jit_compile", "run_eagerly"} & options.keys()
    options = options if says_how else FEW_STEPS | options
    model.compile(optimizer, "mse", **options)
    return model


def coarsened(gamma=None, steps=None, **options):
    return ms.CycleSchedule(gamma, steps, coarsen_data=True, **options)


def fit(model, x=X, y=Y, schedule=None, **options):
    """The history of a cycle on batches of four, unless told otherwise."""
    callbacks = [schedule or coarsened(), *options.pop("callbacks", [])]
    options = {"batch_size": 4, "steps_per_epoch": 1, "verbose": 0} | options
    return model.fit(x, y, callbacks=callbacks, **options).history
