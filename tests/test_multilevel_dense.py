"""MultilevelDense as a Keras layer; its mathematics: test_method_gradients."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import msann_keras as ms
from msann_keras.focus import training

X = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")


def built(*args, size=6, **kwargs):
    layer = ms.MultilevelDense(*args, **kwargs)
    layer.build((None, size))
    return layer


def numpy(tensors):
    return [ops.convert_to_numpy(tensor) for tensor in tensors]


# ---------------------------------------------------------------- as Keras has it


@pytest.mark.parametrize("leading", [(5,), (2, 3), (2, 3, 4)])
def test_output_shape(leading):
    layer = ms.MultilevelDense(4, depth=2)
    assert layer(np.ones((*leading, 6))).shape == (*leading, 4)
    assert layer.compute_output_shape((*leading, 6)) == (*leading, 4)
    unknown = keras.Input((*[None] * (len(leading) - 1), 6))
    assert layer(unknown).shape == (*[None] * len(leading), 4)


def test_weights_by_name_and_shape():
    layer = built(4, depth=2)
    assert {w.name: tuple(w.shape) for w in layer.trainable_weights} == {
        "kernel_0": (6, 4),
        "kernel_1": (3, 2),
        "kernel_2": (2, 1),
        "bias_0": (4,),
        "bias_1": (2,),
        "bias_2": (1,),
    }
    assert layer.count_params() == 24 + 6 + 2 + 4 + 2 + 1
    assert built(4, depth=2, use_bias=False).count_params() == 24 + 6 + 2


def test_theta_of_a_small_layer_by_hand():
    layer = built(2, depth=1, size=4)
    weights = [np.eye(4, 2), [5, 6], [[2], [4]], [np.sqrt(8)]]
    layer.set_weights([np.array(w) for w in weights])
    kernel, bias = numpy(layer.theta())
    # Pairs by 1/sqrt(2) on both sides: each coarse weight, halved, four times.
    expected = [[2, 1], [1, 2], [2, 2], [2, 2]]
    np.testing.assert_allclose(kernel, expected, rtol=1e-6)
    np.testing.assert_allclose(bias, [7, 8], rtol=1e-6)


CONFIGS = [
    {"units": 4, "depth": 2, "input_topology": ms.grid(2, 3)},
    {"units": 4, "depth": 1, "input_topology": "cycle", "output_topology": "identity"},
    {"units": 4, "depth": 2, "input_topology": ms.shuffled(ms.path(6), seed=1)},
    {
        "units": 6,
        "depth": 1,
        "input_topology": ms.random_orthogonal(6, seed=2),
        "output_topology": ms.given(np.eye(6)[:, ::2]),
    },
    {
        "units": 4,
        "depth": 1,
        "activation": "tanh",
        "use_bias": False,
        "kernel_initializer": keras.initializers.HeNormal(seed=1),
        "kernel_regularizer": "l2",
        "activity_regularizer": keras.regularizers.L1(0.1),
        "dtype": "float64",
        "name": "mine",
    },
]


@pytest.mark.parametrize("when_built", [False, True])
@pytest.mark.parametrize("config", CONFIGS)
def test_config_survives_json(config, when_built):
    layer = built(**config) if when_built else ms.MultilevelDense(**config)
    saved = layer.get_config()
    copy = ms.MultilevelDense.from_config(json.loads(json.dumps(saved)))
    assert copy.get_config() == saved
    layer(X), copy(X)
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(X), layer(X))


@pytest.mark.parametrize("config", CONFIGS)
def test_saved_layer_predicts_the_same(config, tmp_path):
    model = keras.Sequential([keras.Input((6,)), ms.MultilevelDense(**config)])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(X), model(X))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("level", [ms.EVERY_LEVEL, 0, 1])
def test_mixed_precision(dtype, level):
    layer, full = built(4, 1, dtype=f"mixed_{dtype}"), built(4, 1)
    full.set_weights(layer.get_weights())
    with training(level, [layer]), tf.GradientTape() as tape:
        output = layer(X)
    assert output.dtype == dtype
    np.testing.assert_allclose(ops.cast(output, "float32"), full(X), atol=0.1)
    kernel = layer.kernels[max(level, 0)]
    assert kernel.dtype == tape.gradient(output, kernel.value).dtype == "float32"


def test_mask_passes_through():
    inputs = keras.layers.Masking()(np.array([[[1.0, 2.0], [0.0, 0.0]]]))
    output = ms.MultilevelDense(2, depth=1)(inputs)
    np.testing.assert_array_equal(output._keras_mask, [[True, False]])


def test_integers_are_read_as_numbers():
    layer = built(4, depth=1)
    whole = np.arange(12).reshape(2, 6)
    expected = layer(whole.astype("float32"))
    for level in (ms.EVERY_LEVEL, 0, 1):
        with training(level, [layer]), tf.GradientTape() as tape:
            output = layer(whole)
        np.testing.assert_allclose(output, expected, rtol=1e-5)
        kernel = layer.kernels[max(level, 0)]
        assert tape.gradient(output, kernel.value).shape == kernel.shape


# ------------------------------------------------------------------ Theta's parts


@pytest.mark.parametrize("level", [0, 1, 2])
def test_theta_is_the_rest_plus_one_level(level):
    layer = built(4, depth=2, bias_initializer="random_normal")
    rest, rest_bias = numpy(layer.theta(without=level))
    P, Q = (c.composites[level] for c in (layer.input_chain, layer.output_chain))
    own = Q.prolong(P.prolong(layer.kernels[level].numpy(), axis=0))
    own_bias = Q.prolong(layer.biases[level].numpy())
    kernel, bias = numpy(layer.theta())
    np.testing.assert_allclose(rest + own, kernel, atol=1e-6)
    np.testing.assert_allclose(rest_bias + own_bias, bias, atol=1e-6)


def test_theta_without_terms_is_none():
    assert built(4, depth=0).theta(without=0) == (None, None)
    kernel, bias = built(4, depth=1, use_bias=False).theta()
    assert kernel.shape == (6, 4)
    assert bias is None


@pytest.mark.parametrize("depth", [0, 2])
@pytest.mark.parametrize("use_bias", [True, False])
def test_set_theta_changes_level_0_alone(depth, use_bias):
    layer = built(4, depth, use_bias=use_bias)
    coarse = layer.get_weights()[1 + use_bias :]
    theta = [np.random.normal(size=(6, 4)), np.random.normal(size=4)][: 1 + use_bias]
    layer.set_theta(*theta)
    for actual, expected in zip(layer.theta(), theta, strict=False):
        np.testing.assert_allclose(actual, expected, atol=1e-6)
    for actual, expected in zip(
        layer.get_weights()[1 + use_bias :], coarse, strict=True
    ):
        np.testing.assert_array_equal(actual, expected)


def test_training_at_a_level_freezes_the_others():
    layer = built(4, depth=2)
    weights = [w.value for w in layer.trainable_weights]
    with training(1, [layer]), tf.GradientTape() as tape:
        output = layer(X)
    trained = [g is not None for g in tape.gradient(output, weights)]
    names = [w.name for w in layer.trainable_weights]
    assert [n for n, t in zip(names, trained, strict=True) if t] == [
        "kernel_1",
        "bias_1",
    ]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_gradient_penalty_has_its_own_gradient(level):
    layer = built(4, depth=2, activation="tanh")
    x, kernel = tf.constant(X), layer.kernels[level].value

    def gradient():
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                output = layer(x)
            penalty = tf.reduce_sum(inner.gradient(output, x) ** 2)
        return outer.gradient(penalty, kernel)

    every = gradient()
    with training(level, [layer]):
        np.testing.assert_allclose(gradient(), every, rtol=1e-4, atol=1e-6)


def test_training_at_ends_with_its_block():
    layer = built(4, depth=1)
    with pytest.raises(KeyError), training(1, [layer]):
        raise KeyError
    weights = [w.value for w in layer.trainable_weights]
    with tf.GradientTape() as tape:
        output = layer(X)
    assert None not in tape.gradient(output, weights)


# ------------------------------------------------------------------ how it begins


def test_every_level_begins_glorot_normal():
    layer = built(256, depth=2, size=512)
    for kernel in layer.kernels:
        glorot = 2 / sum(kernel.shape)
        deviations = 5 * np.sqrt(2 / np.prod(kernel.shape))
        assert np.var(kernel) == pytest.approx(glorot, rel=deviations)
    kernel, bias = numpy(layer.theta())
    glorot = 2 / (512 + 256)
    assert kernel.var() == pytest.approx((2 - 2**-2) * glorot, rel=0.03)
    assert not bias.any()


SEEDS = [None, 7, lambda: keras.random.SeedGenerator(7)]


@pytest.mark.parametrize("seed", SEEDS)
def test_levels_are_no_copies_of_each_other(seed):
    initializer = keras.initializers.GlorotNormal(seed() if callable(seed) else seed)
    same = {"input_topology": "identity", "output_topology": "identity"}
    layer = built(6, depth=2, kernel_initializer=initializer, **same)
    correlations = np.corrcoef([kernel.numpy().ravel() for kernel in layer.kernels])
    assert np.abs(correlations - np.eye(3)).max() < 0.6


@pytest.mark.parametrize("seed", SEEDS[1:])
def test_one_seed_one_draw(seed):
    first, second = (
        built(4, 2, kernel_initializer=keras.initializers.HeNormal(s))
        for s in ((seed(), seed()) if callable(seed) else (seed, seed))
    )
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# ----------------------------------------------------------------------- refusals


@pytest.mark.parametrize("value", [0, -1, True, 4.0, "4", None])
def test_refuses_units(value):
    with pytest.raises(ValueError, match="`units` must be an integer >= 1"):
        ms.MultilevelDense(value, depth=1)


@pytest.mark.parametrize("value", [-1, True, 1.0, None])
def test_refuses_depth(value):
    with pytest.raises(ValueError, match="`depth` must be an integer >= 0"):
        ms.MultilevelDense(4, depth=value)


@pytest.mark.parametrize("end", ["input", "output"])
@pytest.mark.parametrize(
    ("topology", "message"),
    [
        ("torus", "must be a topology or one of .*'torus'"),
        (ms.path(5), "must have as many nodes .* 4.*with 5 nodes"),
        (4, "must be a topology, such as .*=4"),
        ({"kind": "Klein"}, "`kind` in `config` must be one of .*'Klein'"),
    ],
)
def test_refuses_topology(end, topology, message):
    with pytest.raises(ValueError, match=message) as error:
        built(4, depth=1, size=4, **{f"{end}_topology": topology})
    assert f"`{end}_topology`" in str(error.value)


@pytest.mark.parametrize(
    ("units", "size", "deepest"), [(4, 100, 2), (100, 5, 3), (3, 8, 2)]
)
def test_refuses_a_depth_too_deep_for_a_space(units, size, deepest):
    built(units, depth=deepest, size=size)
    with pytest.raises(ValueError, match=f"`depth` must be at most {deepest} for the"):
        built(units, depth=deepest + 1, size=size)


def test_refuses_another_input_size():
    with pytest.raises(ValueError, match="expected axis -1 .* to have value 6"):
        built(4, depth=1)(np.ones((2, 5)))


def test_refuses_theta_before_it_is_built():
    with pytest.raises(ValueError, match="'early' has no weights before it is built"):
        ms.MultilevelDense(4, depth=1, name="early").theta()


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize(
    "theta", [(np.ones((6, 1)), np.ones(4)), (np.ones((6, 4)),), (1.0, 1.0)]
)
def test_refuses_theta_of_another_shape(theta, depth):
    with pytest.raises(ValueError, match=r"must have the shapes \[\(6, 4\), \(4,\)\]"):
        built(4, depth).set_theta(*theta)


@pytest.mark.parametrize("use_bias", [True, False])
def test_gather_moves_theta_to_level_0(use_bias):
    layer = built(4, depth=2, use_bias=use_bias)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    theta = numpy(x for x in layer.theta() if x is not None)
    layer.gather()
    own = numpy(layer.kernels[:1] + layer.biases[:1])
    for one, other in zip(own, theta, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    assert not any(v.numpy().any() for v in layer.kernels[1:] + layer.biases[1:])
