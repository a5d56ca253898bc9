"""What Keras expects of a model that trains, of `MultilevelModel`.

Without levels it must do what a plain model does; with levels ways to train must agree.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from batteries import (
    EAGER,
    GRAPH,
    X,
    Y,
    assert_as_keras,
    assert_equal,
    between,
    compiled,
    dense,
    fit,
    network,
)

import msann_keras as ms

Z = np.random.default_rng(9).uniform(size=(12, 3)).astype("float32")


def two_ends(depth, **options):
    """Two inputs by name, two outputs by name."""
    keras.utils.set_random_seed(4)
    inputs = {name: keras.Input((8,), name=name) for name in ("left", "right")}
    joined = keras.layers.Concatenate()([*inputs.values()])
    hidden = dense(4, depth, activation="tanh")(joined)
    outputs = {"one": dense(6, depth, name="one")(hidden)}
    outputs["two"] = dense(3, depth, name="two")(hidden)
    model = between(depth, inputs, outputs)
    model.compile("sgd", **EAGER | options)
    return model


# ------------------------------------------------------------- inputs, outputs, losses

LOSSES = {
    "one for all": {"loss": "mse"},
    "by name": {"loss": {"one": "mse", "two": "mae"}},
    "weighted": {"loss": ["mse", "mae"], "loss_weights": [3.0, 0.5]},
    "some": {"loss": {"one": "mse", "two": None}},
    "metrics": {
        "loss": {"one": "mse", "two": "mse"},
        "metrics": {"one": ["mae"], "two": ["mse", "mae"]},
        "weighted_metrics": {"two": ["mae"]},
    },
    "a function": {"loss": lambda y, p: keras.ops.mean(keras.ops.abs(y - p))},
}


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", LOSSES)
def test_many_outputs(name):
    def run(depth):
        model = two_ends(depth, **LOSSES[name])
        data = {"left": X, "right": X[::-1]}, {"one": Y, "two": Z}
        history = fit(model, *data, validation_split=0.25)
        logs = model.evaluate(*data, verbose=0, return_dict=True)
        return history, logs, model.predict(data[0], verbose=0), model.get_weights()

    assert_as_keras(run)


def test_lists_of_outputs_losses_and_metrics():
    def run(depth):
        keras.utils.set_random_seed(4)
        inputs = keras.Input((8,))
        ends = dense(6, depth, name="one"), dense(3, depth, name="two")
        model = between(depth, inputs, [end(inputs) for end in ends])
        options = {"metrics": [["mae"], ["mse"]], "loss_weights": [1.0, 2.0]}
        model.compile("sgd", ["mse", "mae"], **EAGER, **options)
        history = fit(model, X, [Y, Z])
        return history, model.test_on_batch(X, [Y, Z]), model.get_weights()

    assert_as_keras(run)


@keras.saving.register_keras_serializable("batteries")
class Penalty(keras.layers.Layer):
    """Adds a loss of its own and counts its calls in a weight that does not train."""

    def build(self, shape):
        self.calls = self.add_weight(shape=(), trainable=False, initializer="zeros")

    def call(self, x, training=False):
        self.add_loss(0.1 * keras.ops.mean(x**2))
        if training:
            self.calls.assign(self.calls + 1)
        return x


def penalised(depth):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((8,))
    outputs = dense(6, depth)(Penalty()(dense(4, depth)(inputs)))
    model = between(depth, inputs, outputs)
    model.compile("sgd", "mse", **EAGER)
    return model


def test_losses_and_states_of_layers():
    def run(depth):
        model = penalised(depth)
        history = fit(model)
        assert float(model.layers[2].calls) == 6
        return history, model.get_weights()

    assert_as_keras(run)


def test_losses_and_states_of_layers_with_levels():
    model = penalised(1)
    history = fit(model, callbacks=[ms.CycleSchedule()])
    assert float(model.layers[2].calls) == 6
    assert history["loss"][1] < history["loss"][0]


@pytest.mark.parametrize("weights", ["class_weight", "sample_weight"])
def test_weights_of_samples_and_classes(weights):
    labels = np.arange(12) % 6
    by_class = {i: float(i) for i in range(6)}
    options = {"class_weight": by_class, "sample_weight": np.linspace(0, 2, 12)}

    def run(depth):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model = compiled(depth, loss=loss, weighted_metrics=["accuracy"])
        return fit(model, X, labels, **{weights: options[weights]}), model.get_weights()

    assert_as_keras(run)


# -------------------------------------------------------------- batches and their logs


def test_single_batches_and_their_options():
    def run(depth):
        model = compiled(depth, metrics=["mae"])
        logs = [
            model.train_on_batch(X, Y, return_dict=True),
            model.train_on_batch(X[:5], Y[:5], sample_weight=np.arange(5.0)),
            model.test_on_batch(X, Y, sample_weight=np.ones(12), return_dict=True),
        ]
        return logs, model.predict_on_batch(X[:3]), int(model.optimizer.iterations)

    assert_as_keras(run)


def test_evaluation_and_prediction_of_every_kind_of_data():
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(5)

    def run(depth):
        model = compiled(depth, metrics=["mae"], steps_per_execution=2)
        batches = ((X[i : i + 5], Y[i : i + 5]) for i in range(0, 12, 5))
        return [
            model.evaluate(data, verbose=0),
            model.evaluate(X, Y, batch_size=7, verbose=0, return_dict=True),
            model.evaluate(batches, verbose=0),
            model.evaluate(data, steps=1, verbose=0),
            model.predict(data.map(lambda x, y: x), verbose=0),
            model.predict(X, batch_size=5, steps=2, verbose=0),
        ]

    assert_as_keras(run)


class Batches(keras.utils.PyDataset):
    """Three batches of four."""

    def __len__(self):
        return 3

    def __getitem__(self, i):
        rows = slice(4 * i, 4 * i + 4)
        return X[rows], Y[rows], np.arange(12.0)[rows]


@pytest.mark.quick(1)
@pytest.mark.parametrize("kind", ["PyDataset", "tf.data", "generator", "tensors"])
@pytest.mark.parametrize("steps", [1, 3])
def test_validation_options(kind, steps):
    def run(depth):
        model = compiled(depth, steps_per_execution=steps)
        held_out = {
            "PyDataset": Batches(),
            "tf.data": tf.data.Dataset.from_tensor_slices((X, Y)).batch(4).repeat(),
            "generator": ((X, Y) for _ in range(9)),
            "tensors": (tf.constant(X), tf.constant(Y)),
        }[kind]
        limit = {} if kind in ("PyDataset", "tensors") else {"validation_steps": 2}
        options = {"validation_data": held_out, "validation_freq": 2} | limit
        history = fit(model, Batches(), None, epochs=4, **options)
        assert len(history["val_loss"]) == 2
        return history, model.get_weights()

    assert_as_keras(run)


# ----------------------------------------------------------- several fits, and stopping


@pytest.mark.thorough
def test_several_fits_and_compiles():
    def run(depth):
        model = compiled(depth, "adam")
        logs = [fit(model, epochs=3, initial_epoch=1), fit(model, X[:7], Y[:7])]
        logs.append(int(model.optimizer.iterations))
        model.compile("sgd", "mae", **EAGER)
        logs.append(fit(model))
        model.optimizer.learning_rate = 0.5
        return logs, fit(model), model.history.epoch, model.get_weights()

    assert_as_keras(run)


class StopAt(keras.callbacks.Callback):
    """Stops training in the middle of an epoch."""

    def __init__(self, batch):
        super().__init__()
        self.last, self.seen = batch, 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        self.model.stop_training = batch == self.last


def test_stopping_in_the_middle_of_an_epoch():
    def run(depth):
        model, stop = compiled(depth), StopAt(1)
        logs = fit(model, callbacks=[stop], epochs=5), stop.seen, model.get_weights()
        return logs, fit(model)  # a new fit is not stopped

    assert_as_keras(run)


@pytest.mark.parametrize("coarsen_data", [False, True])
def test_stopping_in_the_middle_of_an_epoch_with_levels(coarsen_data):
    model, stop = compiled(1), StopAt(1)
    schedule = ms.CycleSchedule(coarsen_data=coarsen_data)
    steps = {"steps_per_epoch": 4} if coarsen_data else {"batch_size": 2}
    history = fit(model, callbacks=[schedule, stop], shuffle=True, epochs=5, **steps)
    assert stop.seen == 2
    assert len(history["loss"]) == 1
    assert model.progress.position == (2 * 3 if coarsen_data else 2)


# ------------------------------------------------------------------ steps of one's own


class Guide(ms.MultilevelModel):
    """The training step that Keras's guide writes by hand, with its own metrics."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.mae = keras.metrics.MeanAbsoluteError(name="mae")

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = keras.ops.mean((y - self(x, training=True)) ** 2)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        self.loss_tracker.update_state(loss)
        self.mae.update_state(y, self(x))
        return {"loss": self.loss_tracker.result(), "mae": self.mae.result()}

    @property
    def metrics(self):
        return [self.loss_tracker, self.mae]


class WithLoss(ms.MultilevelModel):
    """A loss of its own, as `compute_loss`."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        return keras.ops.mean((y - y_pred) ** 2)


@pytest.mark.quick(1)
@pytest.mark.parametrize("kind", [Guide, WithLoss])
@pytest.mark.parametrize("steps", [1, 2])
def test_own_steps_train_as_keras_own(kind, steps):
    expected = network(1)
    options = GRAPH | {"steps_per_execution": steps}
    expected.compile("sgd", "mse", **options)
    same = network(1)
    model = kind(same.inputs, same.outputs)
    model.compile("sgd", loss="mse" if kind is WithLoss else None, **options)
    both = [
        fit(m, X[:10], Y[:10], callbacks=[ms.CycleSchedule()])
        for m in (model, expected)
    ]
    assert_equal(both[0]["loss"], both[1]["loss"])
    assert_equal(model.get_weights(), expected.get_weights())
    assert model.progress == expected.progress


# -------------------------------------------------------------------------- compiling


class Late(ms.MultilevelModel):
    """Makes its layers when it sees its first batch."""

    def build(self, input_shape):
        self.dense = ms.MultilevelDense(6, depth=1)
        self.dense.build(input_shape)
        self.built = True

    def call(self, x):
        return self.dense(x)


@pytest.mark.parametrize("options", [EAGER, GRAPH])
def test_a_model_may_be_compiled_before_it_has_layers(options):
    model = Late()
    model.compile("sgd", "mse", **options)
    history = fit(model, callbacks=[ms.CycleSchedule()])
    assert history["loss"][1] < history["loss"][0]
    assert model.progress.level_examples[1] > 0
    assert len(model.optimizer.levels) == 2


def test_without_an_optimizer_it_evaluates_and_does_not_train():
    def run(depth):
        model = compiled(depth, None, metrics=["mae"])
        return model.evaluate(X, Y, verbose=0), model.predict(X, verbose=0)

    assert_as_keras(run)
    with pytest.raises((ValueError, AttributeError)):  # as Keras has it
        fit(compiled(None, None))
    with pytest.raises(ValueError, match="optimizer"):
        fit(compiled(1, None))
    with pytest.raises(ValueError, match="optimizer"):
        fit(compiled(1, None), callbacks=[ms.CycleSchedule(coarsen_data=True)])


@pytest.mark.thorough
def test_jit_compiled_steps_agree():
    models = [compiled(1, "adam", jit_compile=jit) for jit in (True, False)]
    histories = [fit(m, callbacks=[ms.CycleSchedule()])["loss"] for m in models]
    assert_equal(*histories, rtol=1e-4)
    assert_equal(*(m.get_weights() for m in models), rtol=1e-4)
