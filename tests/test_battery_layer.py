"""What Keras expects of any layer, and of a dense one, of `MultilevelDense`."""

import copy
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from batteries import X, Y, assert_as_keras, assert_equal, between, dense, network
from keras import ops

import msann_keras as ms
from msann_keras import focus

DEPTHS = (0, 1, 2)
SPARSE = tf.sparse.from_dense(np.where(X > 0.6, X, 0))
DENSE = tf.sparse.to_dense(SPARSE)


def layer_of(depth=1, units=4, **options):
    layer = ms.MultilevelDense(units, depth, **options)
    layer.build((None, 8))
    return layer


def plain_of(layer, **options):
    """The `Dense` layer with the same Theta."""
    plain = keras.layers.Dense(layer.units, activation=layer.activation, **options)
    plain.build((None, 8))
    plain.set_weights([x for x in layer.theta() if x is not None])
    return plain


# ------------------------------------------------------------------ shapes and types


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(2, 8), (None, 8), (2, 3, 8), (None, None, 5, 8)])
def test_specs_are_those_of_dense(shape, dtype):
    tensor = keras.KerasTensor(shape, dtype=dtype)
    specs = [
        layer.compute_output_spec(tensor)
        for layer in (dense(4, dtype=dtype), dense(4, 1, dtype=dtype))
    ]
    assert specs[0].shape == specs[1].shape == (*shape[:-1], 4)
    assert specs[0].dtype == specs[1].dtype == dtype


@pytest.mark.parametrize("policy", ["float64", "mixed_float16", "mixed_bfloat16"])
def test_policies_are_those_of_dense(policy):
    ours, keras_own = (dense(4, depth, dtype=policy) for depth in (1, None))
    assert ours(X).dtype == keras_own(X).dtype
    assert {w.dtype for w in ours.weights} == {w.dtype for w in keras_own.weights}
    again = type(ours).from_config(ours.get_config())
    assert again.dtype_policy == ours.dtype_policy


def test_the_global_policy_is_followed():
    keras.config.set_dtype_policy("float64")
    try:
        layer = layer_of(2)
        assert layer(X.astype("float64")).dtype == "float64"
        assert {w.dtype for w in layer.weights} == {"float64"}
        assert_equal(layer(X), plain_of(layer)(X), rtol=1e-12)
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("depth", DEPTHS)
def test_dynamic_shapes_in_one_trace(depth):
    layer, traces = layer_of(depth), []

    @tf.function(input_signature=[tf.TensorSpec((None, None, 8))])
    def call(x):
        traces.append(1)
        return layer(x)

    for shape in ((2, 3, 8), (1, 5, 8), (0, 2, 8)):
        assert call(tf.ones(shape)).shape == (*shape[:-1], 4)
    assert len(traces) == 1


def test_compiled_and_stateless_calls_agree_with_eager_ones():
    layer = layer_of(2, activation="tanh")
    expected = layer(X)
    assert_equal(tf.function(layer, jit_compile=True)(X), expected)
    values = [w.value for w in layer.trainable_variables]
    outputs, _ = layer.stateless_call(values, [], X)
    assert_equal(outputs, expected)
    doubled, _ = layer.stateless_call([2 * x for x in values], [], X)
    assert not np.allclose(doubled, expected)


# ---------------------------------------------------------- weights, losses, configs


@pytest.mark.parametrize(
    ("options", "losses"),
    [
        ({}, 0),
        ({"use_bias": False}, 0),
        ({"kernel_regularizer": "l2"}, 1),
        ({"kernel_regularizer": "l1", "bias_regularizer": "l2"}, 2),
        ({"activity_regularizer": "l2"}, 1),
    ],
)
def test_counts_and_losses_are_those_of_dense_with_the_same_theta(options, losses):
    layer = layer_of(2, bias_initializer="ones", **options)
    plain = plain_of(layer, **options)
    weights = 3 * (2 if layer.use_bias else 1)
    assert len(layer.weights) == len(layer.trainable_weights) == weights
    assert not layer.non_trainable_weights
    assert_equal(layer(X), plain(X))
    assert len(layer.losses) == len(plain.losses) == losses
    assert_equal(sum(layer.losses), sum(plain.losses))


def test_freezing_and_thawing():
    layer = layer_of(1)
    layer.trainable = False
    assert not layer.trainable_weights
    assert len(layer.non_trainable_weights) == len(layer.weights) == 4
    layer.trainable = True
    assert len(layer.trainable_weights) == 4
    with tf.GradientTape() as tape:
        loss = ops.sum(layer(X))
    assert all(g is not None for g in tape.gradient(loss, layer.trainable_weights))


def test_a_frozen_layer_stays_through_fit():
    model = network(1)
    model.layers[1].trainable = False
    model.compile("sgd", "mse", run_eagerly=True)
    frozen, free = (layer.get_weights() for layer in model.layers[1:])
    model.fit(X, Y, verbose=0)
    assert_equal(model.layers[1].get_weights(), frozen, rtol=0)
    assert not np.array_equal(model.layers[2].get_weights()[0], free[0])


@pytest.mark.parametrize("how", ["build config", "deepcopy", "pickle", "json"])
def test_ways_to_a_copy(how):
    layer = layer_of(1, activation="relu", bias_initializer="ones", name="mine")
    if how == "build config":
        other = ms.MultilevelDense.from_config(layer.get_config())
        other.build_from_config(layer.get_build_config())
    elif how == "json":
        model = keras.Sequential([keras.Input((8,)), layer])
        other = keras.models.model_from_json(model.to_json()).layers[-1]
    else:
        other = copy.deepcopy(layer) if how == "deepcopy" else None
        other = other or pickle.loads(pickle.dumps(layer))
    assert [w.shape for w in other.weights] == [w.shape for w in layer.weights]
    assert other.name == layer.name and other.get_config() == layer.get_config()
    other.set_weights(layer.get_weights())
    assert_equal(other(X), layer(X), rtol=0)


@keras.saving.register_keras_serializable("batteries")
class Doubled(ms.MultilevelDense):
    """Twice the layer's output, with an option of its own."""

    def __init__(self, *args, times=2, **kwargs):
        super().__init__(*args, **kwargs)
        self.times = times

    def call(self, inputs):
        return self.times * super().call(inputs)

    def get_config(self):
        return super().get_config() | {"times": self.times}


def test_a_subclass_is_saved_with_its_options(tmp_path):
    model = keras.Sequential([keras.Input((8,)), Doubled(4, depth=1, times=3)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].times == 3
    assert_equal(loaded(X), model(X), rtol=0)


# ----------------------------------------------------------------------- constraints


@pytest.mark.quick(1)
@pytest.mark.parametrize("constraint", ["non_neg", "unit_norm", "max_norm"])
def test_constraints_without_levels_are_those_of_dense(constraint):
    def run(depth):
        options = {"kernel_constraint": constraint, "bias_constraint": "non_neg"}
        model = network(depth, **options)
        model.compile("sgd", "mse", run_eagerly=True)
        model.fit(X, Y, verbose=0, epochs=2, shuffle=False)
        return model.get_weights()

    assert_as_keras(run)


@pytest.mark.thorough
@pytest.mark.parametrize("coarsen_data", [False, True])
def test_constraints_hold_at_every_level(coarsen_data):
    """Theta has no negative weight while no level has: P is not negative."""
    options = {"kernel_constraint": "non_neg", "bias_constraint": "non_neg"}
    model = network(1, kernel_initializer="ones", **options)
    model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=True)
    schedule = ms.CycleSchedule(coarsen_data=coarsen_data)
    model.fit(X, -Y, batch_size=4, verbose=0, epochs=3, callbacks=[schedule])
    for layer in model.multilevel_layers:
        assert all(np.min(part) >= 0 for part in layer.theta())


@pytest.mark.quick(1)
@pytest.mark.parametrize("packed_below", [0, 1000])
def test_constraints_hold_for_theta_on_coarsened_data(packed_below, monkeypatch):
    """Whether coarse levels work in variables of the model or in packed ones."""
    monkeypatch.setattr(
        "msann_keras.engines.coarsened.level.PACKED_BELOW", packed_below
    )
    model = network(1, kernel_constraint="unit_norm")
    model.compile("sgd", "mse", run_eagerly=True)
    schedule = ms.CycleSchedule(coarsen_data=True)
    model.fit(X, Y, batch_size=4, verbose=0, callbacks=[schedule])
    for layer in model.multilevel_layers:
        norms = np.linalg.norm(layer.theta()[0], axis=0)
        np.testing.assert_allclose(norms, 1, rtol=1e-5)


def test_constraints_survive_conversion_merging_and_configs():
    options = {"kernel_constraint": "non_neg", "bias_constraint": "max_norm"}
    model = ms.multilevel(network(None, **options), depth=1)
    layers = [model.layers[1], model.merge().layers[1]]
    layers += [type(x).from_config(x.get_config()) for x in layers]
    for layer in layers:
        assert isinstance(layer.kernel_constraint, keras.constraints.NonNeg)
        assert isinstance(layer.bias_constraint, keras.constraints.MaxNorm)


# ------------------------------------------------------------- sparse inputs and masks


@pytest.mark.parametrize("depth", DEPTHS)
def test_sparse_inputs_and_their_gradients(depth):
    layer = layer_of(depth)
    with tf.GradientTape(persistent=True) as tape:
        sparse, whole = (ops.sum(layer(x) ** 2) for x in (SPARSE, DENSE))
    assert_equal(sparse, whole)
    variables = [w.value for w in layer.trainable_weights]
    gradients = [tape.gradient(loss, variables) for loss in (sparse, whole)]
    assert_equal(*([tf.convert_to_tensor(g) for g in some] for some in gradients))


@pytest.mark.parametrize("level", [0, 1])
def test_sparse_inputs_at_a_level(level):
    layer = layer_of(1)
    with focus.training(level, [layer]):
        assert_equal(layer(SPARSE), layer(DENSE))


@pytest.mark.thorough
def test_a_model_trains_on_sparse_batches():
    weights = []
    for sparse in (True, False):
        keras.utils.set_random_seed(3)
        inputs = keras.Input((8,), sparse=sparse)
        model = ms.MultilevelModel(inputs, dense(6, 1)(inputs))
        model.compile("sgd", "mse", jit_compile=False)
        data = tf.data.Dataset.from_tensor_slices((SPARSE if sparse else DENSE, Y))
        model.fit(data.batch(4), verbose=0, callbacks=[ms.CycleSchedule()])
        weights.append(model.get_weights())
    assert_equal(*weights)


def test_masked_steps_do_not_count():
    words = np.array([[1, 2, 0], [3, 0, 0]])

    def run(depth):
        keras.utils.set_random_seed(3)
        inputs = keras.Input((3,))
        x = keras.layers.Embedding(4, 8, mask_zero=True)(inputs)
        model = between(depth, inputs, dense(6, depth)(x))
        model.compile("sgd", "mse", run_eagerly=True)
        history = model.fit(words, np.ones((2, 3, 6)), epochs=2, verbose=0)
        return history.history, model.get_weights()

    assert_as_keras(run)


def test_inside_a_wrapper():
    wrapped = keras.layers.TimeDistributed(ms.MultilevelDense(4, depth=1))
    x = np.ones((2, 3, 8))
    assert_equal(wrapped(x), wrapped.layer(x))
    assert len(wrapped.trainable_weights) == 4


# ----------------------------------------------------------------------------- seeds


@pytest.mark.parametrize("initializer", ["glorot_normal", "he_uniform", "orthogonal"])
def test_one_global_seed_makes_one_layer(initializer):
    layers = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        layers.append(layer_of(2, kernel_initializer=initializer).get_weights())
    assert_equal(layers[0], layers[1], rtol=0)
    assert not np.allclose(layers[0][0], layers[2][0])
