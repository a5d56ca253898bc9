"""merge(): plain layers of the same names with the same predictions."""

import zipfile

import keras
import numpy as np
import pytest
from keras import layers

import msann_keras as ms

X = np.random.default_rng(0).normal(size=(5, 8)).astype("float32")


def image():
    inputs = keras.Input((4, 2))
    hidden = layers.Flatten()(layers.Rescaling(0.5)(inputs))
    hidden = ms.MultilevelDense(6, 2, "relu", input_topology=ms.grid(4, 2), name="one")(
        hidden
    )
    outputs = ms.MultilevelDense(8, 2, input_topology="cycle", name="two")(hidden)
    return ms.MultilevelModel(inputs, layers.Reshape((4, 2))(outputs), name="image")


def mixed():
    """Topologies, dropout, ordinary layers with weights, a sum as an operation."""
    inputs = keras.Input((8,))
    hidden = ms.MultilevelDense(
        8,
        3,
        "tanh",
        kernel_regularizer="l2",
        output_topology=ms.random_orthogonal(8, seed=1),
        name="one",
    )(inputs)
    hidden = layers.BatchNormalization(name="norm")(layers.Dropout(0.5)(hidden))
    hidden = layers.Dense(8, name="ordinary")(hidden) + inputs
    outputs = ms.MultilevelDense(
        4,
        3,
        use_bias=False,
        input_topology=ms.shuffled(ms.path(8), seed=1),
        output_topology="identity",
        name="two",
    )(hidden)
    return ms.MultilevelModel(inputs, outputs)


def shallow():
    inputs = keras.Input((8,))
    return ms.MultilevelModel(inputs, ms.MultilevelDense(4, depth=0)(inputs))


def shared():
    inputs = keras.Input((8,))
    layer = ms.MultilevelDense(8, depth=1, trainable=False)
    return ms.MultilevelModel(inputs, layers.Add()([inputs, layer(layer(inputs))]))


def nested():
    inputs = keras.Input((8,))
    inner = keras.Sequential(
        [keras.Input((8,)), ms.MultilevelDense(8, 1), layers.Dense(8)], name="inner"
    )
    return ms.MultilevelModel(inputs, ms.MultilevelDense(4, 1)(inner(inputs)))


def many():
    a, b = keras.Input((8,), name="a"), keras.Input((2,), name="b")
    both = layers.Concatenate()([a, b])
    outputs = {name: ms.MultilevelDense(4, 2, name=name)(both) for name in "cd"}
    return ms.MultilevelModel({"a": a, "b": b}, outputs)


MODELS = [image, mixed, shallow, shared, nested, many]


def inputs_of(model):
    if isinstance(model.input, dict):
        return {"a": X, "b": X[:, :2]}
    return X.reshape(-1, *model.input_shape[1:])


def outline(model):
    """Names; those of inputs, where nobody gave them, are anew for every model."""
    return [
        (x.name, x.trainable)
        for x in model.layers
        if not isinstance(x, layers.InputLayer)
    ]


def randomised(make):
    """A model whose every weight, of every level, has been set."""
    model, rng = make(), np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 0.6, w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("make", MODELS)
def test_merged_model(make, tmp_path):
    model = randomised(make)
    before = model.get_weights()
    plain = model.merge()
    assert plain.name == model.name
    assert outline(plain) == outline(model)
    x = inputs_of(model)
    expected = keras.tree.flatten(model(x))
    plain.save(tmp_path / "plain.keras")
    for each in (plain, keras.models.load_model(tmp_path / "plain.keras")):
        actual = keras.tree.flatten(each(x))
        for a, b in zip(actual, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
        assert not isinstance(each, ms.MultilevelModel)
        types = {type(layer).__module__ for layer in each._flatten_layers()}
        assert all(name.startswith("keras.") for name in types)
    with zipfile.ZipFile(tmp_path / "plain.keras") as file:
        assert b"msann_keras" not in file.read("config.json")
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_options_of_the_layers_stay():
    model = randomised(mixed)
    one, two = (model.merge().get_layer(name) for name in ("one", "two"))
    assert type(one) is type(two) is layers.Dense
    assert (one.activation, one.use_bias) == (keras.activations.tanh, True)
    assert isinstance(one.kernel_regularizer, keras.regularizers.L2)
    assert (two.units, two.use_bias) == (4, False)


@pytest.mark.parametrize("activation", [keras.ops.sin, lambda x: 0.5 * x])
def test_activations_need_not_be_registered(activation):
    plain = keras.Sequential([keras.Input((8,)), layers.Dense(8, activation)])
    model = ms.multilevel(plain, depth=1, keep_weights=True)
    x = np.linspace(-2, 2, 16).reshape(2, 8)
    for other in (model, model.merge()):
        np.testing.assert_allclose(other(x), plain(x), rtol=1e-5, atol=1e-6)


def test_merged_weights_by_hand():
    inputs = keras.Input((2,))
    model = ms.MultilevelModel(inputs, ms.MultilevelDense(2, 1, name="one")(inputs))
    model.set_weights([np.array(w) for w in ([[1, 2], [3, 4]], [5, 6], [[2]], [0])])
    kernel, bias = model.merge(name="mine").get_layer("one").get_weights()
    np.testing.assert_allclose(kernel, [[2, 3], [4, 5]], rtol=1e-6)
    np.testing.assert_allclose(bias, [5, 6], rtol=1e-6)
    assert model.merge(name="mine").name == "mine"


def test_multilevel_and_merge_are_inverse():
    plain = keras.Sequential([keras.Input((8,)), layers.Dense(8), layers.Dense(3)])
    model = ms.multilevel(plain, depth=2, keep_weights=True)
    merged = model.merge()
    for old, new in zip(plain.get_weights(), merged.get_weights(), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-6)


def test_a_trained_model_merges():
    model = ms.multilevel(
        keras.Sequential([keras.Input((8,)), layers.Dense(8, "relu")]), depth=1
    )
    model.compile("adam", "mse", run_eagerly=True)
    before = model.merge().get_weights()
    model.fit(X, X, verbose=0, callbacks=[ms.CycleSchedule(gamma=2)])
    plain = model.merge()
    assert not plain.compiled
    assert not np.allclose(plain.get_weights()[0], before[0])
    np.testing.assert_allclose(plain(X), model(X), atol=1e-5)


# ------------------------------------------------------------------------ refusals


class Subclassed(ms.MultilevelModel):
    def __init__(self):
        super().__init__(name="mine")
        self.dense = ms.MultilevelDense(4, depth=1)


def test_refuses_a_subclassed_model():
    with pytest.raises(ValueError, match=r"Sequential or functional.*'mine'.*theta\("):
        Subclassed().merge()


def test_refuses_a_layer_with_a_multilevel_layer_inside():
    inputs = keras.Input((3, 8))
    outer = layers.TimeDistributed(ms.MultilevelDense(4, 1, name="one"), name="outer")
    model = ms.MultilevelModel(inputs, outer(inputs))
    with pytest.raises(ValueError, match="TimeDistributed layer 'outer'.*'one'"):
        model.merge()
