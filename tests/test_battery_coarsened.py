"""Fits on coarsened data as one would expect them of Keras, among other models."""

import logging
import warnings

import keras
import numpy as np
import pytest
from batteries import X, Y, assert_equal, compiled, fit, network

import msann_keras as ms

BACKEND = keras.backend.backend()
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="is TensorFlow's")


def tensorflow():
    return pytest.importorskip("tensorflow")


def coarsened(**options):
    return [ms.CycleSchedule(coarsen_data=True, **options)]


def warned_of_retracing(function):
    """Whether TensorFlow says so when it is called again and again."""
    tf = tensorflow()
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    tf.get_logger().addHandler(handler)
    try:
        for _ in range(6):
            function()
    finally:
        tf.get_logger().removeHandler(handler)
    return any("retracing" in text for text in messages)


@pytest.mark.thorough
@on_tensorflow
def test_many_models_in_one_process_are_traced_without_a_warning():
    def train():
        options = {"shuffle": True, "steps_per_epoch": 1, "epochs": 1}
        fit(compiled(1, jit_compile=False), callbacks=coarsened(), **options)

    assert not warned_of_retracing(train)
    tf = tensorflow()
    assert warned_of_retracing(lambda: tf.function(lambda: tf.ones(()))())


def test_conversion_and_training_warn_of_nothing_deprecated():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = ms.multilevel(network(None), depth=1)
        model.compile("sgd", "mse", run_eagerly=True)
        fit(model, shuffle=True, callbacks=coarsened(), steps_per_epoch=1)
        model.merge()
    if BACKEND == "jax":  # Keras's variables there against newer NumPy: see setup.cfg
        caught = [x for x in caught if "__array__ implementation" not in str(x.message)]
    assert not [one for one in caught if one.category is DeprecationWarning]


@pytest.mark.thorough
@pytest.mark.parametrize("steps", [1, 3])
def test_an_epoch_of_unknown_length_is_about_a_pass(steps):
    """70 samples; the paper's cost counts samples at level 0."""

    def samples():
        for i in range(70):
            yield X[i % 12], Y[i % 12]

    tf = tensorflow()
    specs = [tf.TensorSpec((8,)), tf.TensorSpec((6,))]
    data = tf.data.Dataset.from_generator(samples, output_signature=tuple(specs))
    model = compiled(1, steps_per_execution=steps)
    options = {"epochs": 4, "shuffle": True, "callbacks": coarsened()}
    history = fit(model, data.batch(5), None, **options)
    costs = np.diff([0, *history["cost"]])
    assert all(47 <= cost <= 105 for cost in costs), costs


# --------------------------------------------------------------- freezing and thawing

FITS = {
    "coarsened": lambda model: fit(
        model, shuffle=True, steps_per_epoch=1, callbacks=coarsened()
    ),
    "fine": lambda model: fit(model, callbacks=[ms.CycleSchedule()]),
}


def test_freezing_after_a_coarsened_fit_asks_to_compile_again():
    model = compiled(1)
    FITS["coarsened"](model)
    model.layers[1].trainable = False
    before = model.get_weights()
    with pytest.raises(ValueError, match="compile"):
        FITS["coarsened"](model)
    assert_equal(model.get_weights(), before, rtol=0)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", FITS)
@pytest.mark.parametrize("fitted", [False, True])
def test_thawing_asks_to_compile_again(kind, fitted):
    model = network(1)
    model.layers[1].trainable = False
    model.compile("sgd", "mse", run_eagerly=True)
    if fitted:
        FITS["fine"](model)
    model.layers[1].trainable = True
    before = model.get_weights()
    if not fitted:  # nothing has been made for the frozen layer yet
        FITS[kind](model)
        assert not np.array_equal(model.get_weights()[0], before[0])
        return
    with pytest.raises(ValueError, match="compile"):
        FITS[kind](model)
    assert_equal(model.get_weights(), before, rtol=0)
    model.compile("sgd", "mse", run_eagerly=True)
    FITS[kind](model)
    assert not np.array_equal(model.get_weights()[0], before[0])


@pytest.mark.parametrize("kind", FITS)
def test_freezing_and_compiling_again_trains_the_rest(kind):
    model = compiled(1)
    FITS[kind](model)
    model.layers[1].trainable = False
    model.compile("sgd", "mse", run_eagerly=True)
    frozen = model.layers[1].get_weights()
    if kind == "coarsened":  # every layer trains on coarsened data, or none does
        with pytest.raises(ValueError, match="train"):
            FITS[kind](model)
    else:
        FITS[kind](model)
    assert_equal(model.layers[1].get_weights(), frozen, rtol=0)


# ------------------------------------------------------------ the same, from anywhere


class Batches(keras.utils.PyDataset):
    """Three batches of four."""

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return X[4 * i : 4 * i + 4], Y[4 * i : 4 * i + 4]


DATA = {
    "tf.data": lambda: (
        tensorflow().data.Dataset.from_tensor_slices((X, Y)).batch(4),
        None,
    ),
    "PyDataset": lambda: (Batches(), None),
    "generator": lambda: ((Batches()[i % 3] for i in range(50)), None),
    "float64": lambda: (X.astype("float64"), Y.astype("float64")),
}


@pytest.mark.quick(1)
@pytest.mark.parametrize("kind", DATA)
def test_kinds_of_data_train(kind):
    model = compiled(1, keras.optimizers.SGD(0.1))
    before = model.evaluate(X, Y, verbose=0)
    options = {"steps_per_epoch": 9, "shuffle": True, "callbacks": coarsened()}
    fit(model, *DATA[kind](), **options)
    assert model.evaluate(X, Y, verbose=0) < before


@pytest.mark.thorough
def test_an_added_loss_is_refused_or_trained():
    """Losses of layers other than regularisers have no coarse form."""

    @keras.saving.register_keras_serializable("batteries")
    class Adds(keras.layers.Layer):
        def call(self, x):
            self.add_loss(keras.ops.mean(x**2))
            return x

    inputs = keras.Input((8,))
    hidden = Adds()(ms.MultilevelDense(4, depth=1)(inputs))
    model = ms.MultilevelModel(inputs, ms.MultilevelDense(6, depth=1)(hidden))
    model.compile("sgd", "mse", run_eagerly=True)
    with pytest.raises(ValueError, match=r"[Aa]dds"):
        fit(model, shuffle=True, callbacks=coarsened())
