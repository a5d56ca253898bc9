"""The compiled cycles against NumPy, and that nothing is lost when they fail."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from matrices import dense

import msann_keras as ms
from msann_keras import engine
from msann_keras.engine import Cycles
from msann_keras.feeding import Arrays
from msann_keras.schedules import Visit, gamma_cycle

BATCH = 4


def network(sizes=(8, 4, 8), depth=2, optimizer=None, jit=False, consistency=0, **kw):
    keras.utils.set_random_seed(11)
    layers = [keras.layers.Dense(n, activation="sigmoid") for n in sizes[1:]]
    plain = keras.Sequential([keras.Input((sizes[0],)), *layers])
    model = ms.multilevel(plain, depth, **kw)
    model.compile(optimizer or keras.optimizers.SGD(0.5), "mse", jit_compile=jit)
    model.make_train_function()
    cycles = Cycles(model, consistency)
    cycles.begin()
    return model, cycles


def samples(sizes=(8, 4, 8), rows=16):
    rng = np.random.default_rng(12)
    return [rng.random((rows, n)).astype("float32") for n in (sizes[0], sizes[-1])]


def chunk_of(cycles, x, y, weight=None):
    rng = np.random.default_rng(0)
    return next(Arrays(x, y, weight, cycles.coarsening, 2**30, rng).chunks())


def theta(model):
    return [np.array(w) for layer in model.multilevel_layers for w in layer.theta()]


class Reference:
    """Full approximation scheme on averaged data, in NumPy, with Adam or SGD."""

    def __init__(self, model, x, y, order, rate, adam):
        self.layers = model.multilevel_layers
        self.x, self.y, self.order, self.rate, self.adam = x, y, order, rate, adam
        self.theta = [w.astype(float) for w in theta(model)]
        self.slots, self.batch = {}, 0

    def chains(self, i):
        return self.layers[i].input_chain, self.layers[i].output_chain

    def transfer(self, weights, level, down):
        result = []
        for i in range(len(self.layers)):
            P, Q = (dense(c.steps[level]) for c in self.chains(i))
            P, Q = (P.T, Q.T) if down else (P, Q)
            result += [P @ weights[2 * i] @ Q.T, Q @ weights[2 * i + 1]]
        return result

    def gradient(self, weights, level, rows):
        sums = [
            [dense(c.composites[level]).sum(axis=0) for c in self.chains(i)]
            for i in range(len(self.layers))
        ]
        averages = [
            data[rows] @ dense(c.composites[level]) / s
            for data, c, s in (
                (self.x, self.chains(0)[0], sums[0][0]),
                (self.y, self.chains(-1)[1], sums[-1][1]),
            )
        ]
        activations = [averages[0]]
        for i, (c, d) in enumerate(sums):
            kernel = c[:, None] * weights[2 * i] / d
            z = activations[-1] @ kernel + weights[2 * i + 1] / d
            activations.append(1 / (1 + np.exp(-z)))
        error = activations[-1] - averages[1]
        delta = 2 * error / error.size
        result = []
        for i in reversed(range(len(self.layers))):
            c, d = sums[i]
            delta = delta * activations[i + 1] * (1 - activations[i + 1])
            kernel = c[:, None] * weights[2 * i] / d
            result = [
                c[:, None] * (activations[i].T @ delta) / d,
                delta.sum(axis=0) / d,
                *result,
            ]
            delta = delta @ kernel.T
        return result

    def step(self, weights, level):
        gradient = self.gradient(weights, level, self.order[self.batch])
        self.batch += 1
        if not self.adam:
            return [w - self.rate * g for w, g in zip(weights, gradient, strict=True)]
        zeros = [np.zeros_like(w) for w in weights]
        t, m, v = self.slots.get(level, (0, zeros, zeros))
        t += 1
        m = [0.9 * a + 0.1 * g for a, g in zip(m, gradient, strict=True)]
        v = [0.999 * a + 0.001 * g * g for a, g in zip(v, gradient, strict=True)]
        self.slots[level] = t, m, v
        rate = self.rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return [
            w - rate * a / (np.sqrt(b) + 1e-7)
            for w, a, b in zip(weights, m, v, strict=True)
        ]

    def run(self, visits):
        visits = list(visits)
        self.theta = self.stay(self.theta, 0, visits)

    def stay(self, weights, level, visits):
        while visits and visits[0].level >= level:
            if visits[0].level == level:
                for _ in range(visits.pop(0).steps):
                    weights = self.step(weights, level)
            else:
                before = self.transfer(weights, level, down=True)
                after = self.stay(before, level + 1, visits)
                change = [a - b for a, b in zip(after, before, strict=True)]
                change = self.transfer(change, level, down=False)
                weights = [w + c for w, c in zip(weights, change, strict=True)]
        return weights


def compare(monkeypatch, visits, adam, jit, sizes=(8, 4, 8), **options):
    x, y = samples(sizes)
    kind = keras.optimizers.Adam if adam else keras.optimizers.SGD
    rate = 0.01 if adam else 0.5
    model, cycles = network(sizes, optimizer=kind(rate), jit=jit, **options)
    count = sum(visit.steps for visit in visits)
    order = np.random.default_rng(13).integers(0, len(x), (count, BATCH))
    monkeypatch.setattr(
        engine, "_shuffled_rows", lambda rows, n, rng: order.ravel()[:n].astype("int32")
    )
    reference = Reference(model, x, y, order, rate, adam)
    chunk = chunk_of(cycles, x, y)
    for _ in range(2):  # twice: optimizer state stays
        reference.batch = 0
        reference.run(visits)
        cycles.run(visits, chunk, BATCH, np.random.default_rng(0))
    for ours, expected in zip(theta(model), reference.theta, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
    return model


SCHEDULES = {
    "V": gamma_cycle(2, 1, 2).cycle,
    "W": gamma_cycle(2, 2, 1).cycle,
    "jumps": (Visit(2, 3), Visit(0, 1), Visit(1, 2), Visit(2, 1)),
}


@pytest.mark.parametrize("visits", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("adam", [False, True], ids=["SGD", "Adam"])
def test_cycles_equal_the_full_approximation_scheme_in_numpy(monkeypatch, visits, adam):
    compare(monkeypatch, visits, adam, jit=False)


def test_odd_sizes_and_grids_equal_numpy(monkeypatch):
    odd, grids = (9, 5, 9), (9, 6, 9)
    compare(monkeypatch, SCHEDULES["V"], True, jit=False, sizes=odd)
    compare(monkeypatch, SCHEDULES["W"], False, jit=False, sizes=grids, topology="grid")


@pytest.mark.parametrize("packed_from", [1, 9])
def test_compiled_cycles_equal_numpy_packed_or_not(monkeypatch, packed_from):
    monkeypatch.setattr(engine, "PACKED_FROM", packed_from)
    model = compare(monkeypatch, SCHEDULES["V"], adam=True, jit=True)
    for layer in model.multilevel_layers:  # coarse levels are left empty
        for variable in layer.kernels[1:] + layer.biases[1:]:
            assert not np.any(variable)


def test_one_program_serves_every_schedule():
    _, cycles = network()
    chunk = chunk_of(cycles, *samples())
    rng = np.random.default_rng(1)
    for gamma, k in ((1, 1), (2, 3), (3, 2)):
        cycles.run(gamma_cycle(2, gamma, k).cycle, chunk, BATCH, rng)
    assert cycles._program.experimental_get_tracing_count() == 1
    seconds = cycles.compile_seconds
    cycles.prepare(chunk, BATCH)
    first = cycles.compile_seconds
    cycles.prepare(chunk, BATCH)
    assert seconds < first == cycles.compile_seconds


def test_batches_follow_the_plan_and_count_both_gradients_of_tau():
    _, cycles = network()
    visits = gamma_cycle(2, 2, 3).cycle
    counted = [sum(v.steps for v in visits if v.level == n) for n in range(3)]
    assert cycles.batches(visits).tolist() == counted
    _, consistent = network(consistency=2)
    # Level 0 is left twice and level 1 four times: two batches at either end.
    extra = [2 * 2, 2 * (2 + 4), 2 * 4]
    assert (consistent.batches(visits) - counted).tolist() == extra


def test_tau_makes_the_coarse_gradient_the_restricted_fine_one():
    _, cycles = network(consistency=1)
    x, y = samples()
    chunk = chunk_of(cycles, x, y)
    rows = tf.range(BATCH)
    order = tf.reshape(rows, (1, BATCH))
    source = engine._Source(tf.zeros(1, "int32"), rows, order, chunk.levels)
    fine, coarse = cycles.levels[:2]
    coarse.assign(cycles.coarsening.restricted(fine.values(), 0))
    cycles._make_consistent(fine, coarse, tf.constant(0), source)
    gradient = fine.unpacked(fine.gradient(source.batch(0, rows)))
    wanted = cycles.coarsening.restricted(gradient, 0)
    got = coarse.unpacked(coarse.gradient(source.batch(1, rows)))
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-7)


def test_weights_that_become_nan_are_given_back():
    model, cycles = network(optimizer=keras.optimizers.Adam(0.1))
    x, y = samples()
    rng = np.random.default_rng(2)
    good = chunk_of(cycles, x, y)
    visits = gamma_cycle(2, 1, 2).cycle
    cycles.run(visits, good, BATCH, rng)
    before = theta(model)
    bad = chunk_of(cycles, np.full_like(x, np.inf), y)
    with pytest.raises(FloatingPointError, match=r"before it are kept.*rate \(0\.1\)"):
        cycles.run(visits, bad, BATCH, rng)
    for a, b in zip(theta(model), before, strict=True):
        np.testing.assert_array_equal(a, b)
    cycles.run(visits, good, BATCH, rng)  # and training goes on
    assert all(np.isfinite(w).all() for w in theta(model))


class OwnStep(ms.MultilevelModel):
    def train_step(self, data):
        return super().train_step(data)


def own_step():
    inputs = keras.Input((8,))
    model = OwnStep(inputs, ms.MultilevelDense(8, 1)(inputs))
    model.compile("sgd", "mse")
    return model


def compiled(**options):
    inputs = keras.Input((8,))
    model = ms.MultilevelModel(inputs, ms.MultilevelDense(8, 1)(inputs))
    model.compile(**options)
    return model


REFUSED = {
    "own step": (own_step, "would not call the `train_step` of OwnStep"),
    "averages": (
        lambda: compiled(optimizer=keras.optimizers.SGD(use_ema=True), loss="mse"),
        "`use_ema=True`",
    ),
    "no loss": (lambda: compiled(optimizer="sgd"), "need a `loss`"),
    "loss scaling": (
        lambda: compiled(
            optimizer=keras.optimizers.LossScaleOptimizer(
                ms.MultilevelOptimizer("sgd", 1)
            ),
            loss="mse",
        ),
        "loss scaling",
    ),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_models_that_cycles_cannot_train_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        Cycles(make())
