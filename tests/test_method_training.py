"""The method is exact: training steps and whole runs against the paper's algorithm.

Steps are those of the correction form, where a level's change is prolonged and added
to the fine weights; runs are the authors' script's. NumPy's backpropagation comes from
`reference`.
"""

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from precision import floatx
from stacks import (
    SPACES,
    TOLERANCE,
    assert_close,
    dense_chains,
    levels_of,
    multilevel_layers,
)

import msann_keras as ms


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


@pytest.mark.thorough
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("names", ["path grid identity", "redraw given random"])
def test_ten_steps_are_those_of_the_correction_form(names, optimizer):
    """On the ten batches of a V-cycle with L = 2 and k = 2."""
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


@pytest.mark.quick(1)
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
    """Two W-cycles after the warm-up; calls of 7 batches cut visits in two."""
    with floatx(dtype):
        spaces = [SPACES["grid"], SPACES["odd path"], SPACES["grid"]]
        run = Run(
            spaces, 2, seed=2, dtype=dtype, gamma=2, k=1, cycles=2, variant="script"
        )
        assert len(run.batches) == 3 + 2 * 20
        assert_run_is_the_scripts(run, **compile_options)


@pytest.mark.thorough
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
