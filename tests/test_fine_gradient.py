"""The fine gradient: one trace a level, and a step that trains its level alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import (
    CLASSES,
    DATA,
    EAGER,
    EVERY,
    GRAPH,
    SPARSE,
    XLA,
    Recording,
    X,
    Y,
    assert_equal,
    compiled,
    fit,
    network,
)

import msann_keras as ms
from msann_keras.optimizers import Progress

# ----------------------------------------------------------------- one level trains


def with_slots(model):
    """Every variable of a level, its optimizer's included, as arrays."""
    return [
        [
            v.numpy()
            for v in [w for w in model.weights if w.level == level] + copy.variables
        ]
        for level, copy in enumerate(model.optimizer.levels)
    ]


@pytest.mark.parametrize(
    ("level", "mode"), [(EVERY, EAGER), (0, EAGER), (1, EAGER), (2, EAGER), (1, XLA)]
)
def test_a_visit_changes_its_level_only(level, mode):
    model = compiled(2, "adam", Recording, **mode)
    model.optimizer.build(model.trainable_variables)
    model.level = level
    before = with_slots(model)
    model.fit(X, Y, verbose=0)
    assert model.record == [level]
    for number, states in enumerate(zip(before, with_slots(model), strict=True)):
        changed = [not np.array_equal(a, b) for a, b in zip(*states, strict=True)]
        # Kernel, bias, step count, two moments each; level 0 has the learning rate too.
        trained = [True, True, True, *[False][number:], True, True, True, True]
        here = level in (number, EVERY)
        assert changed == (trained if here else [False] * len(trained))


@pytest.mark.parametrize(("level", "fine"), [(EVERY, True), (0, True), (1, False)])
def test_a_coarse_step_forms_no_fine_gradient(level, fine):
    """Which is the only product of the shape of a fine kernel, 32 x 16."""
    inputs = keras.Input((32,))
    model = ms.MultilevelModel(inputs, ms.MultilevelDense(16, depth=1)(inputs))
    model.compile("sgd", "mse")
    model.make_train_function()

    @tf.function
    def step(x, y):
        engine = model.fine_gradient()
        return engine._step(level, engine._merge(level), (x, y))

    graph = step.get_concrete_function(tf.ones((3, 32)), tf.ones((3, 16))).graph
    products = [op for op in graph.get_operations() if op.type == "MatMul"]
    shapes = [tuple(op.outputs[0].shape) for op in products]
    assert (3, 16) in shapes  # the forward product
    assert ((32, 16) in shapes) == fine


class ByTheGuide(ms.MultilevelModel):
    """`train_step` as Keras's guide has it."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        self._loss_tracker.update_state(loss)
        return self.get_metrics_result()


def test_a_training_step_of_ones_own_trains_one_level_at_a_time():
    ours = compiled(1, keras.optimizers.Adam(0.1))
    own = compiled(1, keras.optimizers.Adam(0.1), ByTheGuide)
    own.set_weights(ours.get_weights())
    fit(ours), fit(own)
    assert_equal(own.get_weights(), ours.get_weights())
    assert own.progress == ours.progress


# ---------------------------------------------------------------------- one trace


@pytest.mark.thorough
def test_fifty_cycles_trace_each_level_once():
    inputs = keras.Input((33,))
    layer = ms.MultilevelDense(2, depth=6, output_topology="identity")
    model = Recording(inputs, layer(inputs))
    model.compile("sgd", "mse", **GRAPH)
    x, y = np.ones((13, 33)), np.ones((13, 2))
    fit(model, x, y, batch_size=1, epochs=50)  # a V-cycle has 13 batches
    assert model.progress == Progress(650, 650, (100,) * 6 + (50,))
    assert sorted(model.record) == [*range(7)]
    model.steps_per_execution = 7
    fit(model, x, y, batch_size=1, schedule=ms.CycleSchedule(gamma=2), epochs=2)
    assert len(model.record) == 7


@pytest.mark.thorough
@pytest.mark.parametrize("options", [GRAPH | {"steps_per_execution": 2}, XLA])
def test_partial_batches_and_every_kind_of_fit_share_a_trace(options):
    model = compiled(1, "adam", Recording, **options)
    fit(model, epochs=3)
    fit(model, X[:9], Y[:9], validation_split=0.2)
    assert sorted(model.record) == [0, 1]


# ------------------------------------------------- with levels, the same every way


@pytest.fixture(scope="module")
def expected():
    """The weights after two epochs, run eagerly, step by step."""
    model = compiled(1, keras.optimizers.Adam(0.1), **EAGER)
    assert fit(model, epochs=2)["level"] == [0, 0]  # cycles of 0 1 0
    assert model.progress == Progress(6, 20, (12, 8))
    return model.get_weights()


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("mode", "steps"),
    [(EAGER, 2), (EAGER, 5), (GRAPH, 1), (GRAPH, 5), (XLA, 2)],
)
def test_modes_and_executions_agree(expected, mode, steps):
    """Executions of 2 or 5 batches do not divide the 3 of an epoch."""
    model = compiled(1, keras.optimizers.Adam(0.1), steps_per_execution=steps, **mode)
    fit(model, epochs=2)
    assert model.progress == Progress(6, 20, (12, 8))
    assert_equal(model.get_weights(), expected)


@pytest.mark.quick(1)
@pytest.mark.parametrize("kind", DATA)
def test_kinds_of_data_agree(expected, kind):
    model = compiled(1, keras.optimizers.Adam(0.1), steps_per_execution=2, **GRAPH)
    if kind == "generator":  # one pass
        fit(model, **DATA[kind]())
        fit(model, **DATA[kind](), schedule=ms.CycleSchedule(resume=True))
    else:
        fit(model, **DATA[kind](), epochs=2)
    assert model.progress == Progress(6, 20, (12, 8))
    assert_equal(model.get_weights(), expected)


def test_class_weights_are_sample_weights_at_every_level():
    weights = []
    factors = {0: 1.0, 1: 2.0, 2: 0.0, 3: 5.0}
    for options in (
        {"class_weight": factors},
        {"sample_weight": np.array([factors[c] for c in CLASSES])},
    ):
        model = network(1)
        model.compile("adam", SPARSE, **EAGER)
        fit(model, X, CLASSES, epochs=2, **options)
        weights.append(model.get_weights())
    assert_equal(*weights)
    assert not np.allclose(weights[0][0], network(1).get_weights()[0])
