"""Cycles on coarsened data, restated with dense matrices; and a model to compare.

The optimizers, the method and the order of samples are written out, so that a cycle can
be followed step by step in float64.
"""

from itertools import pairwise

import keras
import numpy as np
import reference
from keras import ops
from models import FEW_STEPS
from stacks import dense_chains

import msann_keras as ms
from msann_keras.engines.coarsened.data import Chunk
from msann_keras.engines.coarsened.program import Program

BATCH = 4
SPACES = {
    "paths": [ms.path(8), ms.path(4), ms.path(8)],
    "odd paths": [ms.path(9), ms.path(5), ms.path(9)],
    "mixed": [ms.grid(4, 4), ms.path(4), ms.identity(3)],
    "shuffled": [ms.shuffled(ms.path(8), seed=1), ms.path(5)],
}


# ---------------------------------------------------------------- the order of samples


class Order:
    """In the place of a generator of random orders: every pass takes this one."""

    def __init__(self, stride):
        self.stride = stride

    def permutation(self, rows):
        return self.stride * np.arange(rows) % rows


#: Of twelve rows, say.
IN_TURN, AS_THEY_ARE = Order(5), Order(1)


def batches_in_turn(count, rows=12):
    """The rows of so many batches, in the order of `IN_TURN`."""
    return (5 * np.arange(count * BATCH) % rows).reshape(count, BATCH)


# --------------------------------------------------- the method, restated in NumPy


def rounded(x):
    """Keras casts decay rates, on TensorFlow by way of float32."""
    return float(ops.cast(x, "float64"))


class SGD:
    """Keras's SGD with momentum, for one level."""

    def __init__(self, rate, momentum=0.0):
        self.options = {"learning_rate": rate, "momentum": momentum}
        self.rate, self.momentum, self.velocity = rate, rounded(momentum), 0.0

    def change(self, gradient):
        self.velocity = self.momentum * self.velocity - self.rate * gradient
        return self.velocity

    def keras(self):
        return keras.optimizers.SGD(**self.options)


class Adam:
    """Keras's Adam, for one level."""

    def __init__(self, rate):
        self.rate, self.step, self.mean, self.square = rate, 0, 0.0, 0.0

    def change(self, gradient):
        self.step += 1
        self.mean += (gradient - self.mean) * (1 - 0.9)
        self.square += (gradient**2 - self.square) * (1 - 0.999)
        first, second = 1 - rounded(0.9) ** self.step, 1 - rounded(0.999) ** self.step
        rate = self.rate * np.sqrt(second) / first
        return -rate * self.mean / (np.sqrt(self.square) + 1e-7)

    def keras(self):
        return keras.optimizers.Adam(self.rate)


OPTIMIZERS = {
    "sgd": lambda: SGD(0.5),
    "momentum": lambda: SGD(0.5, 0.9),
    "adam": lambda: Adam(0.05),
}


def flat(parameters):
    return np.concatenate([part.ravel() for pair in parameters for part in pair])


def reshaped(vector, parameters):
    result, at = [], 0
    for kernel, bias in parameters:
        middle, end = at + kernel.size, at + kernel.size + bias.size
        result.append((vector[at:middle].reshape(kernel.shape), vector[middle:end]))
        at = end
    return result


class Restated:
    """The full approximation scheme on coarsened data.

    `prolongations[s][l]` as in `reference`; `order` are the rows of every batch.
    """

    def __init__(self, prolongations, x, y, order, optimizers, consistency=0):
        self.prolongations, self.order = prolongations, iter(order)
        self.optimizers, self.consistency = optimizers, consistency
        self.sums, self.data = [], []
        for level in range(len(optimizers)):
            composites = [
                reference.composed([np.eye(len(c[0])), *c], level + 1)
                for c in prolongations
            ]
            self.sums.append([P.sum(axis=0) for P in composites])
            ends = ((x, composites[0]), (y, composites[-1]))
            self.data.append([a @ P / P.sum(axis=0) for a, P in ends])

    def transferred(self, parameters, level, down):
        steps = [c[level] if down else c[level].T for c in self.prolongations]
        return [
            (P.T @ kernel @ Q, Q.T @ bias)
            for (P, Q), (kernel, bias) in zip(pairwise(steps), parameters, strict=True)
        ]

    def gradient(self, level, parameters, rows):
        """Of E_l for V and v, through the kernels diag(c) V diag(c')^-1."""
        scales = [(c[:, None] / d, 1 / d) for c, d in pairwise(self.sums[level])]

        def scaled(pairs):
            return [
                (kernel * s, bias * t)
                for (kernel, bias), (s, t) in zip(pairs, scales, strict=True)
            ]

        x, y = self.data[level]
        weights = scaled(parameters)
        _, gradient = reference.loss_and_gradient(weights, x[rows], y[rows])
        return flat(scaled(gradient))

    def train(self, level, parameters, steps, tau):
        for _ in range(steps):
            gradient = self.gradient(level, parameters, next(self.order)) + tau
            change = self.optimizers[level].change(gradient)
            parameters = reference.add(parameters, reshaped(change, parameters))
        return parameters

    def tau(self, level, fine, coarse, tau):
        if not self.consistency:
            return 0.0
        rows = np.concatenate([next(self.order) for _ in range(self.consistency)])
        for _ in range(self.consistency):  # both gradients are counted
            next(self.order)
        gradient = self.gradient(level, fine, rows) + tau
        target = self.transferred(reshaped(gradient, fine), level, down=True)
        return flat(target) - self.gradient(level + 1, coarse, rows)

    def walk(self, level, parameters, visits, tau=0.0):
        """Visits from the front of the list, as long as they are here or below."""
        while visits and visits[0].level >= level:
            if visits[0].level == level:
                steps = visits.pop(0).steps
                parameters = self.train(level, parameters, steps, tau)
                continue
            restricted = self.transferred(parameters, level, down=True)
            coarse_tau = self.tau(level, parameters, restricted, tau)
            coarse = self.walk(level + 1, restricted, visits, coarse_tau)
            change = reshaped(flat(coarse) - flat(restricted), coarse)
            change = self.transferred(change, level, down=False)
            parameters = reference.add(parameters, change)
        return parameters


# ------------------------------------------------------------- a model and its data


def squared_error(y, prediction):
    """The mean along the last axis. Keras's own is of single precision on JAX."""
    return ops.sum(ops.square(prediction - y), axis=-1) / y.shape[-1]


class Run:
    """A model of sigmoid layers with random weights, and samples for it."""

    def __init__(self, spaces, depth, optimizer, rows=12, **options):
        rng = np.random.default_rng(0)
        inputs = outputs = keras.Input((spaces[0].size,))
        for source, target in pairwise(spaces):
            outputs = ms.MultilevelDense(
                target.size,
                depth,
                activation="sigmoid",
                input_topology=source,
                output_topology=target,
            )(outputs)
        self.model = ms.MultilevelModel(inputs, outputs)
        self.model.set_weights(
            [rng.normal(size=w.shape) for w in self.model.get_weights()]
        )
        self.model.compile(optimizer, squared_error, **(options or FEW_STEPS))
        self.model.make_train_function()
        self.depth = depth
        self.prolongations = dense_chains(spaces, max(depth, 1))
        self.x, self.y = (
            rng.uniform(size=(rows, space.size)) for space in (spaces[0], spaces[-1])
        )

    def theta(self):
        pairs = [layer.theta() for layer in self.model.multilevel_layers]
        return [tuple(map(ops.convert_to_numpy, pair)) for pair in pairs]

    def chunk(self, cycles):
        parts, dtype = cycles.parts, keras.config.floatx()
        levels = []
        for level in range(self.depth + 1):
            x = ms.coarse_data(self.x, parts.inputs[0], level)
            y = ms.coarse_data(self.y, parts.outputs[0], level)
            levels.append(((ops.cast(x, dtype),), (ops.cast(y, dtype),), ()))
        return Chunk(levels, len(self.x), len(self.x))

    def cycles(self, consistency=0):
        cycles = Program(self.model, consistency)
        cycles.begin()
        return cycles

    def run(self, cycles, visits, batch_size=BATCH, order=IN_TURN):
        return cycles.run(visits, self.chunk(cycles), batch_size, order)

    def restated(self, visits, optimizers, consistency=0):
        order = batches_in_turn(100, len(self.x))
        restated = Restated(
            self.prolongations, self.x, self.y, order, optimizers, consistency
        )
        return restated.walk(0, self.theta(), list(visits))
