"""The method is exact: layer, gradients, steps and whole runs against the paper.

Letters as in the issue: (a) the output is that of Theta, (b) gradients are
restricted, (c) steps are the correction form's, (d) a run is the script's. Dense
matrices and NumPy's backpropagation come from `reference`.
"""

from contextlib import contextmanager
from functools import partial
from itertools import pairwise

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import dense, orthonormal

import msann_keras as ms
from msann.prolongation.operators import Aggregation
from msann.topology import chain
from msann_keras.focus import training

TOLERANCE = {"float64": 1e-10, "float32": 1e-5}


SPACES = {
    "path": ms.path(8),
    "odd path": ms.path(7),
    "cycle": ms.cycle(6),
    "grid": ms.grid(3, 4),
    "shuffled": ms.shuffled(ms.path(9), seed=1),
    "redraw": ms.shuffled(ms.grid(4, 3), seed=2, redraw=True),
    "random": ms.random_orthogonal(8, seed=3),
    "identity": ms.identity(3),
    "given": ms.given(
        orthonormal(9, 5, 4), Aggregation([2, 0, 1, 0, 2]), orthonormal(3, 2, 5)
    ),
}


# ------------------------------------------------------- two ways to one network


def dense_chains(spaces, depth):
    return [[dense(P) for P in chain(space, depth).steps] for space in spaces]


def multilevel_layers(spaces, depth, rng, **options):
    """A stack of layers through `spaces`, random on every level."""
    layers = []
    for source, target in pairwise(spaces):
        layer = ms.MultilevelDense(
            target.size,
            depth,
            activation="sigmoid",
            input_topology=source,
            output_topology=target,
            **options,
        )
        layer.build((None, source.size))
        layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
        layers.append(layer)
    return layers


def levels_of(layers):
    """The weights as `reference` has them; an absent bias is zero."""
    return [
        [
            (
                layer.kernels[level].numpy(),
                layer.biases[level].numpy()
                if layer.use_bias
                else np.zeros(layer.kernels[level].shape[1]),
            )
            for layer in layers
        ]
        for level in range(layers[0].depth + 1)
    ]


def plain_layers(layers, prolongations, **options):
    """Dense layers with the Theta of (3.7) and (3.8)."""
    result = []
    theta = reference.theta(levels_of(layers), prolongations)
    for layer, weights in zip(layers, theta, strict=True):
        plain = keras.layers.Dense(layer.units, activation="sigmoid", **options)
        plain.build((None, layer.kernels[0].shape[0]))
        plain.set_weights(weights if layer.use_bias else weights[:1])
        result.append(plain)
    return result


def evaluated(layers, variables, x, y):
    """Output, loss with all regularisers, its gradients for x and `variables`."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = x
        for layer in layers:
            output = layer(output)
        added = sum(loss for layer in layers for loss in layer.losses)
        loss = tf.reduce_mean((output - y) ** 2) + added
    gradients = tape.gradient(loss, [x, *(v.value for v in variables)])
    return output, loss, gradients[0], gradients[1:]


def weights_at(layers, level):
    return [w for x in layers for w in (x.kernels[level], *x.biases[level:][:1])]


def training_at(layers, level, precomputed):
    frozen = [layer.theta(without=level) for layer in layers] if precomputed else None
    return training(level, layers, frozen)


def assert_close(actual, expected, tolerance):
    for a, b in zip(tf.nest.flatten(actual), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_dense_chains_are_the_papers():
    path, grid = dense_chains([ms.path(8), ms.grid(3, 4)], depth=2)
    assert_close(path, [reference.pair_matrix(8), reference.pair_matrix(4)], 1e-15)
    expected = [reference.grid_matrix(3, 4, axis=1), reference.grid_matrix(3, 2, 0)]
    assert_close(grid, expected, 1e-15)


# ------------------------------------------------- (a) and (b): one evaluation

networks = st.fixed_dictionaries(
    {
        "others": st.lists(st.sampled_from([*SPACES]), min_size=1, max_size=2),
        "depth": st.integers(0, 3),
        "use_bias": st.booleans(),
        "regularised": st.booleans(),
        "rows": st.sampled_from([(4,), (2, 3)]),
        "seed": st.integers(0, 999),
    }
)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("space", SPACES)
@settings(max_examples=5)
@given(network=networks)
def test_output_and_gradients(space, dtype, network):
    """(a), and (b) in three ways, for one layer and for a stack of two."""
    rng = np.random.default_rng(network["seed"])
    spaces = [SPACES[name] for name in (space, *network["others"])]
    depth, tolerance = network["depth"], TOLERANCE[dtype]
    options = {"use_bias": network["use_bias"], "dtype": dtype}
    if network["regularised"]:
        options |= {
            "kernel_regularizer": keras.regularizers.L1L2(0.01, 0.02),
            "bias_regularizer": "l2",
            "activity_regularizer": keras.regularizers.L2(0.03),
        }
    prolongations = dense_chains(spaces, depth)
    layers = multilevel_layers(spaces, depth, rng, **options)
    plain = plain_layers(layers, prolongations, **options)
    x, y = (
        tf.constant(rng.normal(size=(*network["rows"], s.size)), dtype)
        for s in (spaces[0], spaces[-1])
    )

    fine = [v for layer in plain for v in layer.weights]
    *expected, fine_gradient = evaluated(plain, fine, x, y)  # output, loss, dE/dx
    if not options["use_bias"]:
        fine_gradient = [part for g in fine_gradient for part in (g, 0 * g[0])]
    pairs = list(zip(fine_gradient[::2], fine_gradient[1::2], strict=True))

    every = [w for level in range(depth + 1) for w in weights_at(layers, level)]
    *actual, gradients = evaluated(layers, every, x, y)
    assert_close(actual, expected, tolerance)
    gradient_of = dict(zip(map(id, every), gradients, strict=True))

    for level in range(depth + 1):
        restricted = reference.restrict(np_pairs(pairs), prolongations, level)
        if not options["use_bias"]:
            restricted = [kernel for kernel, _ in restricted]
        own = weights_at(layers, level)
        assert_close([gradient_of[id(w)] for w in own], restricted, tolerance)
        for precomputed in (False, True):
            with training_at(layers, level, precomputed):
                *actual, gradients = evaluated(layers, own, x, y)
            assert_close(actual, expected, tolerance)
            assert_close(gradients, restricted, tolerance)


def np_pairs(pairs):
    return [(np.asarray(kernel), np.asarray(bias)) for kernel, bias in pairs]


@pytest.mark.parametrize("jit_compile", [True, False])
def test_compiled_as_eager(jit_compile):
    """Also where the compiler does not know the size of a batch."""
    spaces = [SPACES[name] for name in ("odd path", "shuffled", "random")]
    rng = np.random.default_rng(0)
    layers = multilevel_layers(spaces, 2, rng, dtype="float64")
    x, y = (
        tf.constant(rng.normal(size=(2, 3, s.size))) for s in (spaces[0], spaces[2])
    )
    unknown = [tf.TensorSpec([None, None, n], x.dtype) for n in (7, 8)]
    for level in (ms.EVERY_LEVEL, 2):
        eager = partial(evaluated, layers, weights_at(layers, max(level, 1)))
        compiled = tf.function(eager, unknown, jit_compile=jit_compile)
        with training_at(layers, level, precomputed=False):
            assert_close(compiled(x, y), eager(x, y), 1e-12)


# --------------------------------------------------------- (c) and (d): training


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


class Log(keras.callbacks.Callback):
    """Batches so far, C(t), level and running mean of the loss after every call."""

    def __init__(self):
        super().__init__()
        self.entries = []

    def on_train_batch_end(self, batch, logs):
        row = (self.model.progress.position, logs["cost"], logs["level"], logs["loss"])
        self.entries.append(row)


class Run:
    """A small network, the exact batches it is fed, and the same for `reference`."""

    def __init__(self, spaces, depth, seed, dtype="float64", **cycle):
        self.rng = np.random.default_rng(seed)
        self.dtype, self.cycle = dtype, cycle
        self.layers = multilevel_layers(spaces, depth, self.rng, dtype=dtype)
        self.levels = levels_of(self.layers)
        self.prolongations = dense_chains(spaces, depth)
        batches = len(list(self.levels_of_batches()))
        self.x, self.y = (
            self.rng.uniform(size=(batches, 4, space.size)).astype(dtype)
            for space in (spaces[0], spaces[-1])
        )
        self.batches = list(zip(self.x, self.y, strict=True))

    def levels_of_batches(self):
        return reference.schedule(depth=self.layers[0].depth, **self.plan())

    def plan(self):
        return {"cycles": 1} | self.cycle

    def reference(self, form, optimizer):
        return form(
            self.levels,
            self.prolongations,
            self.batches,
            optimizer,
            depth=self.layers[0].depth,
            **self.plan(),
        )

    def fit(self, optimizer, **compile_options):
        """`MultilevelModel.fit` over the batches; the entries of a `Log`."""
        log = Log()
        inputs = outputs = keras.Input((self.x.shape[-1],))
        for layer in self.layers:
            outputs = layer(outputs)
        model = ms.MultilevelModel(inputs, outputs)
        model.compile(optimizer, "mse", **compile_options)
        schedule = ms.CycleSchedule(
            gamma=self.cycle["gamma"],
            smoothing_steps=self.cycle["k"],
            variant=self.cycle["variant"],
        )
        dataset = tf.data.Dataset.from_tensor_slices((self.x, self.y))
        model.fit(dataset, shuffle=False, verbose=0, callbacks=[schedule, log])
        return log.entries

    def theta(self):
        pairs = [layer.theta() for layer in self.layers]
        return [(kernel.numpy(), bias.numpy()) for kernel, bias in pairs]


def assert_logs_match(entries, log, tolerance):
    costs, levels, losses = zip(*log, strict=True)
    means = np.cumsum(losses) / np.arange(1, len(losses) + 1)
    assert entries[-1][0] == len(log)
    for position, cost, level, loss in entries:
        at = position - 1
        assert level == levels[at]
        assert_close([cost, loss], [costs[at], means[at]], tolerance)


def correction_form(levels, prolongations, batches, optimizer, **plan):
    """`reference.run_correction_form` with a Keras optimizer for each level."""
    parameters = reference.theta(levels, prolongations)
    variables = [
        [keras.Variable(np.zeros_like(part)) for pair in level for part in pair]
        for level in levels
    ]
    optimizers = [type(optimizer).from_config(optimizer.get_config()) for _ in levels]

    def step(level, x, y):
        nonlocal parameters
        loss, gradient = reference.loss_and_gradient(parameters, x, y)
        restricted = reference.restrict(gradient, prolongations, level)
        before = [v.numpy() for v in variables[level]]
        optimizers[level].apply(
            [tf.constant(part) for pair in restricted for part in pair],
            variables[level],
        )
        after = [v.numpy() for v in variables[level]]
        parts = [a - b for a, b in zip(after, before, strict=True)]
        change = list(zip(parts[::2], parts[1::2], strict=True))
        change = reference.prolong(change, prolongations, level)
        parameters = reference.add(parameters, change)
        return loss

    log = reference.run(step, levels, batches, **plan)
    return parameters, log


OPTIMIZERS = {
    "tf1_rmsprop": lambda: ms.TF1RMSprop(0.02),
    "adam": lambda: keras.optimizers.Adam(0.02),
    "momentum": lambda: keras.optimizers.SGD(0.5, momentum=0.9, nesterov=True),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("names", ["path grid identity", "redraw given random"])
def test_ten_steps_are_those_of_the_correction_form(names, optimizer):
    """(c), on the ten batches of a V-cycle with L = 2 and k = 2."""
    with floatx("float64"):
        spaces = [SPACES[name] for name in names.split()]
        run = Run(spaces, depth=2, seed=1, gamma=1, k=2, variant="paper")
        entries = run.fit(OPTIMIZERS[optimizer](), run_eagerly=True)
        theta, log = run.reference(correction_form, OPTIMIZERS[optimizer]())
    assert len(log) == 10
    assert_close(run.theta(), theta, 1e-10)
    assert_logs_match(entries, log, 1e-10)
    if optimizer == "tf1_rmsprop":
        theta, _ = run.reference(reference.run_correction_form, 0.02)
        assert_close(run.theta(), theta, 1e-10)


def assert_run_is_the_scripts(run, **compile_options):
    entries = run.fit(ms.TF1RMSprop(0.02), **compile_options)
    levels, log = run.reference(reference.run_level_form, 0.02)
    tolerance = TOLERANCE[run.dtype]
    assert_close(levels_of(run.layers), levels, tolerance)
    assert_logs_match(entries, log, tolerance)
    assert_close(run.theta(), reference.theta(levels, run.prolongations), tolerance)


@pytest.mark.parametrize(
    ("dtype", "compile_options"),
    [
        ("float64", {"jit_compile": True, "steps_per_execution": 1}),
        ("float64", {"jit_compile": True, "steps_per_execution": 7}),
        ("float64", {"jit_compile": False, "steps_per_execution": 7}),
        ("float64", {"run_eagerly": True, "steps_per_execution": 7}),
        ("float32", {"jit_compile": True, "steps_per_execution": 50}),
    ],
)
def test_a_run_is_the_scripts(dtype, compile_options):
    """(d), two W-cycles after the warm-up; calls of 7 batches cut visits in two."""
    with floatx(dtype):
        spaces = [SPACES["grid"], SPACES["odd path"], SPACES["grid"]]
        run = Run(
            spaces, 2, seed=2, dtype=dtype, gamma=2, k=1, cycles=2, variant="script"
        )
        assert len(run.batches) == 3 + 2 * 20
        assert_run_is_the_scripts(run, **compile_options)


@settings(max_examples=5)
@given(
    names=st.lists(st.sampled_from([*SPACES]), min_size=2, max_size=4),
    depth=st.integers(0, 2),
    gamma=st.integers(1, 2),
    k=st.integers(1, 2),
    variant=st.sampled_from(["script", "paper"]),
    seed=st.integers(0, 999),
)
def test_any_run_is_the_scripts(names, depth, gamma, k, variant, seed):
    with floatx("float64"):
        spaces = [SPACES[name] for name in names]
        run = Run(spaces, depth, seed, gamma=gamma, k=k, variant=variant)
        assert_run_is_the_scripts(run, run_eagerly=True)
