"""Cycles in float64 against a restatement with dense matrices, step by step."""

from itertools import pairwise

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from test_method import dense_chains, floatx

import msann_keras as ms
from msann.schedules import Growing, f_cycle, gamma_cycle
from msann_keras.engines.coarsened import level as level_module
from msann_keras.engines.coarsened import program
from msann_keras.engines.coarsened.data import Chunk
from msann_keras.engines.coarsened.program import Program
from msann_keras.optimizers import Progress

BATCH = 4
EAGER = {"run_eagerly": True}
SPACES = {
    "paths": [ms.path(8), ms.path(4), ms.path(8)],
    "odd paths": [ms.path(9), ms.path(5), ms.path(9)],
    "mixed": [ms.grid(4, 4), ms.path(4), ms.identity(3)],
    "shuffled": [ms.shuffled(ms.path(8), seed=1), ms.path(5)],
}


# --------------------------------------------------- the method, restated in NumPy


def rounded(x):
    """Keras casts decay rates by way of float32."""
    return float(np.float32(x))


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
        self.model.compile(optimizer, "mse", **(options or EAGER))
        self.model.make_train_function()
        self.depth = depth
        self.prolongations = dense_chains(spaces, max(depth, 1))
        self.x, self.y = (
            rng.uniform(size=(rows, space.size)) for space in (spaces[0], spaces[-1])
        )

    def theta(self):
        pairs = [layer.theta() for layer in self.model.multilevel_layers]
        return [(kernel.numpy(), bias.numpy()) for kernel, bias in pairs]

    def chunk(self, cycles):
        parts, dtype = cycles.parts, keras.config.floatx()
        levels = []
        for level in range(self.depth + 1):
            x = ms.coarse_data(self.x, parts.inputs[0], level)
            y = ms.coarse_data(self.y, parts.outputs[0], level)
            levels.append(((tf.cast(x, dtype),), (tf.cast(y, dtype),), ()))
        return Chunk(levels, len(self.x))

    def cycles(self, consistency=0):
        cycles = Program(self.model, consistency)
        cycles.begin()
        return cycles

    def run(self, cycles, visits, batch_size=BATCH):
        rng = np.random.default_rng(0)
        return cycles.run(visits, self.chunk(cycles), batch_size, rng)

    def restated(self, visits, optimizers, consistency=0):
        order = rows_in_turn(len(self.x), 100 * BATCH, None).reshape(-1, BATCH)
        restated = Restated(
            self.prolongations, self.x, self.y, order, optimizers, consistency
        )
        return restated.walk(0, self.theta(), list(visits))


def rows_in_turn(rows, count, rng):
    return 5 * np.arange(count, dtype="int32") % rows


def all_rows(rows, count, rng):
    return np.arange(count, dtype="int32") % rows


@pytest.fixture
def known_order(monkeypatch):
    monkeypatch.setattr(program, "_shuffled_rows", rows_in_turn)


def assert_close(actual, expected, tolerance):
    for a, b in zip(tf.nest.flatten(actual), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# -------------------------------------------------------------- a cycle is the method

OPTIMIZERS = {
    "sgd": lambda: SGD(0.5),
    "momentum": lambda: SGD(0.5, 0.9),
    "adam": lambda: Adam(0.05),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("gamma", "steps"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_a_cycle_is_the_restated_one(known_order, optimizer, gamma, steps):
    with floatx("float64"):
        make = OPTIMIZERS[optimizer]
        run = Run(SPACES["odd paths"], 2, make().keras())
        visits = gamma_cycle(2, gamma, steps).cycle
        expected = run.restated(visits, [make() for _ in range(3)])
        before = run.theta()
        run.run(run.cycles(), visits)
        assert_close(run.theta(), expected, 1e-11)
        assert np.abs(flat(expected) - flat(before)).max() > 1e-2


@pytest.mark.parametrize("consistency", [0, 2])
@pytest.mark.parametrize("spaces", SPACES)
def test_slots_and_rates_are_each_levels_own(known_order, spaces, consistency):
    """Over two cycles, which end at a coarse level, and with rate factors."""
    with floatx("float64"):
        run = Run(SPACES[spaces], 2, Adam(0.05).keras())
        run.model.optimizer.rate_factors = (1, 1.5, 2)
        visits = (*f_cycle(2, Growing(1, 2)).cycle, ms.Visit(2, 1), ms.Visit(1, 2))
        adams = [Adam(0.05 * factor) for factor in (1, 1.5, 2)]
        cycles = run.cycles(consistency)
        for _ in range(2):
            expected = run.restated(visits, adams, consistency)
            run.run(cycles, visits)
            assert_close(run.theta(), expected, 1e-11)


@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize("packed", [(), (2,), (1, 2)])
def test_compiled_and_packed_with_tau_as_restated(
    known_order, monkeypatch, jit_compile, packed
):
    monkeypatch.setattr(level_module, "PACKED_BELOW", {0: 0, 1: 20, 2: 40}[len(packed)])
    run = Run(SPACES["odd paths"], 2, Adam(0.05).keras(), jit_compile=jit_compile)
    visits = gamma_cycle(2, 2).cycle
    cycles, adams = run.cycles(1), [Adam(0.05) for _ in range(3)]
    assert [i for i, level in enumerate(cycles.levels) if level.joined] == [*packed]
    for _ in range(2):
        expected = run.restated(visits, adams, consistency=1)
        run.run(cycles, visits)
        assert_close(run.theta(), expected, 1e-4)


def test_packed_levels_train_in_float64(known_order):
    with floatx("float64"):
        run = Run(SPACES["paths"], 1, Adam(0.05).keras())
        visits = gamma_cycle(1).cycle
        expected = run.restated(visits, [Adam(0.05), Adam(0.05)])
        run.run(run.cycles(), visits)
        assert_close(run.theta(), expected, 1e-11)


def test_levels_are_not_packed_for_optimizers_that_look_at_the_whole():
    clipped, whole = keras.optimizers.SGD(0.1, clipnorm=1.0), keras.optimizers.Lamb(0.1)
    for optimizer in (clipped, whole):
        cycles = Run(SPACES["paths"], 1, optimizer).cycles()
        assert not cycles.levels[1].joined


def test_to_begin_changes_no_prediction():
    run = Run(SPACES["mixed"], 2, "adam")
    before = run.model(run.x)
    run.cycles()
    assert_close(run.model(run.x), before, 1e-6)


@pytest.mark.parametrize("prepare", [True, False])
def test_to_prepare_or_to_make_no_visits_changes_nothing(prepare):
    run = Run(SPACES["mixed"], 2, "adam")
    cycles = run.cycles()
    variables = run.model.variables + run.model.optimizer.variables
    before = [v.numpy() for v in variables]
    if prepare:
        cycles.prepare(run.chunk(cycles), BATCH)
    else:
        run.run(cycles, ())
    assert_close([v.numpy() for v in variables], before, 0)


# ------------------------------------------------------------ where nothing coarsens


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_without_coarsening_a_coarse_visit_is_plain_training(known_order, optimizer):
    spaces, make = [ms.identity(5), ms.identity(3)], OPTIMIZERS[optimizer]
    results = []
    for level in range(3):
        run = Run(spaces, 2, make().keras())
        run.run(run.cycles(), [ms.Visit(level, 6)])
        results.append(run.theta())
    start, plain = Run(spaces, 2, make().keras()), Run(spaces, 0, make().keras())
    plain.model.set_weights([part for pair in start.theta() for part in pair])
    for rows in rows_in_turn(12, 6 * BATCH, None).reshape(-1, BATCH):
        plain.model.train_on_batch(start.x[rows], start.y[rows])
    for result in results:
        assert_close(result, plain.theta(), 1e-5)


def regularised(depth, **options):
    inputs = keras.Input((6,))
    ends = {"input_topology": "identity", "output_topology": "identity"}
    layer = ms.MultilevelDense(4, depth, activation="tanh", **ends, **options)
    model = ms.MultilevelModel(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(0.5), "mse", **EAGER)
    model.make_train_function()
    return model


ACTIVITY = {"activity_regularizer": keras.regularizers.L2(0.5)}


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_regularizer": "l2"},
        {"bias_regularizer": "l1"},
        ACTIVITY,
    ],
)
@pytest.mark.parametrize("level", [0, 1])
def test_regularisers_act_in_cycles(known_order, options, level):
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(12, n)).astype("float32") for n in (6, 4))
    model, plain = regularised(1, **options), regularised(0, **options)
    (layer,), (other,) = model.multilevel_layers, plain.multilevel_layers
    other.set_weights([part.numpy() for part in layer.theta()])
    cycles = Program(model)
    cycles.begin()
    part = ((tf.constant(x),), (tf.constant(y),), ())
    cycles.run([ms.Visit(level, 3)], Chunk([part] * 2, 12), BATCH, rng)
    for rows in rows_in_turn(12, 3 * BATCH, None).reshape(-1, BATCH):
        plain.train_on_batch(x[rows], y[rows])
    assert_close(layer.theta(), other.theta(), 1e-5)


# ------------------------------------------------------------------- consistency


def test_with_tau_coarse_gradients_are_restricted_fine_ones(monkeypatch):
    """At a rate of zero every level stays at the restricted point."""
    monkeypatch.setattr(level_module, "PACKED_BELOW", 0)
    monkeypatch.setattr(program, "_shuffled_rows", all_rows)
    with floatx("float64"):
        run = Run(SPACES["odd paths"], 2, keras.optimizers.SGD(0.0))
        cycles, found = run.cycles(consistency=3), {}
        chunk = run.chunk(cycles)  # 12 rows: the three batches are all of them
        for level in cycles.levels[1:]:
            # What a level is asked to do last, before it is emptied.
            def clear(level=level, clear=level.clear):
                data = chunk.levels[level.level]
                found[level.level] = level.gradients(data)
                found[-level.level] = level._gradient(data, consistent=False)
                clear()

            monkeypatch.setattr(level, "clear", clear)
        cycles.run(gamma_cycle(2).cycle, chunk, BATCH, np.random.default_rng(0))
        expected = cycles.levels[0].gradients(chunk.levels[0])
    for level in (1, 2):
        expected = cycles.parts.restricted(expected, level - 1)
        assert_close(found[level], expected, 1e-13)
        apart = np.abs(found[-level][0] - expected[0]).max()
        assert apart > 1e-3


@pytest.mark.parametrize(("consistency", "stays"), [(1, True), (0, False)])
def test_a_stationary_point_stays_only_with_tau(monkeypatch, consistency, stays):
    """Full batches; the fine loss and its gradient are zero."""
    monkeypatch.setattr(program, "_shuffled_rows", all_rows)
    with floatx("float64"):
        run = Run(SPACES["paths"], 2, keras.optimizers.SGD(0.5))
        run.y = run.model(run.x).numpy()
        before = run.theta()
        run.run(run.cycles(consistency), gamma_cycle(2, 1, 2).cycle, batch_size=12)
        moved = np.abs(flat(run.theta()) - flat(before)).max()
    assert moved < 1e-13 if stays else moved > 1e-3


# ------------------------------------------------------------- what is compiled


def test_one_program_serves_every_schedule():
    run = Run(SPACES["paths"], 2, "sgd", jit_compile=False)
    cycles = run.cycles()
    for gamma, steps in ((1, 1), (2, 3), (3, 2)):
        run.run(cycles, gamma_cycle(2, gamma, steps).cycle)
    assert cycles._program.experimental_get_tracing_count() == 1


def test_a_long_call_is_compiled_before_it_is_run():
    run = Run(SPACES["paths"], 1, "sgd", jit_compile=False)
    cycles = run.cycles()
    visits = gamma_cycle(1, 1, 600).cycle  # 1,800 batches: more than the least room
    cycles.prepare(run.chunk(cycles), BATCH, visits)
    seconds = cycles.compile_seconds
    cycles.prepare(run.chunk(cycles), BATCH, visits)
    assert 0 < seconds == cycles.compile_seconds
    run.run(cycles, visits)
    assert cycles._program.experimental_get_tracing_count() == 1


# ------------------------------------------------------------------- what is counted


def test_progress_and_steps_by_hand(monkeypatch):
    monkeypatch.setattr(level_module, "PACKED_BELOW", 0)
    run = Run(SPACES["paths"], 2, "sgd")
    cycles = run.cycles(consistency=3)
    visits = gamma_cycle(2, 2).cycle  # 0 12121 0 12121 0
    # Two descents to level 1, four to level 2, three batches at both ends.
    assert cycles.batches(visits).tolist() == [3 + 6, 6 + 6 + 12, 4 + 12]
    run.run(cycles, visits)
    assert run.model.progress == Progress(13, 196, (36, 96, 64))
    assert [int(o.iterations) for o in run.model.optimizer.levels] == [3, 6, 4]


@pytest.mark.parametrize("count", [7, 20, 3, 0])
def test_every_row_is_drawn_as_often_as_any_other(count):
    order = program._shuffled_rows(7, count, np.random.default_rng(0))
    assert len(order) == count
    seen = np.bincount(order, minlength=7)
    assert seen.max() - seen.min() <= 1


def test_logs_are_those_of_level_0(known_order):
    run = Run(SPACES["paths"], 1, keras.optimizers.SGD(0.0))
    logs = run.run(run.cycles(), [ms.Visit(0, 3), ms.Visit(1, 2)])
    rows = rows_in_turn(12, 3 * BATCH, None)
    expected = np.mean((run.model(run.x[rows]) - run.y[rows]) ** 2)
    assert float(logs["loss"]) == pytest.approx(expected, rel=1e-5)


# ------------------------------------------------------------------ nothing is lost


@pytest.mark.parametrize("packed_below", [0, 1000])
def test_after_a_divergence_all_is_finite_and_goes_on(monkeypatch, packed_below):
    monkeypatch.setattr(level_module, "PACKED_BELOW", packed_below)
    run = Run(SPACES["paths"], 2, Adam(0.01).keras())
    cycles, visits = run.cycles(), gamma_cycle(2).cycle
    run.run(cycles, visits)
    before, progress, x = run.theta(), run.model.progress, run.x
    run.x = np.full_like(x, np.inf)
    with pytest.raises(FloatingPointError, match=r"NaN or infinite.*\(0.01\)"):
        run.run(cycles, visits)
    assert_close(run.theta(), before, 0)
    assert run.model.progress == progress
    run.x = x
    run.run(cycles, visits)
    assert np.isfinite(flat(run.theta())).all()
    assert all(np.isfinite(v).all() for v in run.model.optimizer.variables)


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


class OwnLoss(ms.MultilevelModel):
    def compute_loss(self, *args, **kwargs):
        return super().compute_loss(*args, **kwargs)


def own_loss():
    inputs = keras.Input((8,))
    model = OwnLoss(inputs, ms.MultilevelDense(8, 1)(inputs))
    model.compile("sgd", "mse")
    return model


REFUSED = {
    "own loss": (own_loss, "`compute_loss` of OwnLoss"),
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
        Program(make())
