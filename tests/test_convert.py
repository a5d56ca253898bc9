"""multilevel(): what stays, which space gets which topology, what is refused."""

from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import layers

import msann_keras as ms
from msann.topology.others import Shuffled

X = np.random.default_rng(0).normal(size=(5, 8)).astype("float32")
Input, Dense = keras.Input, layers.Dense


def sequential(*stack, shape=(8,)):
    return keras.Sequential([Input(shape), *stack])


def autoencoder():
    return sequential(Dense(4, name="code"), Dense(8, name="out"))


def classifier():
    return sequential(
        Dense(16, name="one"), Dense(8, name="two"), Dense(3, name="logits")
    )


def topologies(model):
    """Of each layer: what it reads, what it makes."""
    return {
        x.name: (x.input_topology, x.output_topology) for x in model.multilevel_layers
    }


# -------------------------------------------------------------------- what stays


def functional():
    inputs = Input((8,), name="data")
    hidden = Dense(
        8,
        "tanh",
        name="one",
        kernel_initializer=keras.initializers.HeNormal(seed=7),
        bias_initializer=keras.initializers.Constant(0.5),
        kernel_regularizer=keras.regularizers.L2(0.01),
        bias_regularizer="l1",
        activity_regularizer=keras.regularizers.L2(0.02),
    )(inputs)
    hidden = layers.Add(name="skip")([inputs, layers.Dropout(0.3, seed=1)(hidden)])
    outputs = Dense(3, use_bias=False, trainable=False, name="two")(hidden)
    return keras.Model(inputs, layers.Softmax(name="softmax")(outputs), name="net")


def shared():
    inputs = Input((8,))
    layer = Dense(8, "relu", name="shared")
    hidden = layers.Activation("tanh")(layer(inputs))
    return keras.Model(inputs, layers.Subtract()([hidden, layer(inputs)]))


def policies():
    first = Dense(4, dtype="float64", name="one")
    return sequential(first, Dense(8, dtype="mixed_bfloat16", name="two"))


PLAIN = [autoencoder, classifier, functional, shared, policies]


@pytest.mark.parametrize("make", PLAIN)
def test_layers_keep_their_names_and_options(make):
    plain = make()
    before, weights = plain.get_config(), plain.get_weights()
    model = ms.multilevel(plain, depth=2)
    assert isinstance(model, ms.MultilevelModel)
    assert (model.name, model.input_shape) == (plain.name, plain.input_shape)
    assert model.output_shape == plain.output_shape
    olds = [x for x in plain.layers if not isinstance(x, layers.InputLayer)]
    news = [x for x in model.layers if not isinstance(x, layers.InputLayer)]
    assert [x.name for x in news] == [x.name for x in olds]
    for old, new in zip(olds, news, strict=True):
        changed = isinstance(old, Dense)
        assert isinstance(new, ms.MultilevelDense if changed else type(old))
        own, config = old.get_config(), new.get_config()
        for key in own.keys() - {"quantization_config"} if changed else own:
            assert config[key] == own[key], key
    assert plain.get_config() == before
    assert not plain.compiled and not model.compiled
    for a, b in zip(plain.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make", PLAIN)
def test_keep_weights_keeps_predictions(make):
    plain = make()
    weights = plain.get_weights()
    model = ms.multilevel(plain, depth=2, keep_weights=True)
    tolerance = 0.05 if make is policies else 1e-5
    actual, expected = (np.asarray(m(X), "float32") for m in (model, plain))
    np.testing.assert_allclose(actual, expected, atol=tolerance)
    model.set_weights([0 * w for w in model.get_weights()])
    for a, b in zip(plain.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_keep_weights_every_level_is_drawn():
    plain = functional()
    layer = ms.multilevel(plain, depth=1, start="paper").get_layer("one")
    kernel_0, bias_0, kernel_1, bias_1 = layer.get_weights()
    np.testing.assert_array_equal(kernel_0, plain.get_layer("one").kernel)  # the seed
    assert kernel_1.std() > 0
    assert set(bias_0) == set(bias_1) == {0.5}


def test_regularisers_act_as_before():
    plain = functional()
    model = ms.multilevel(plain, depth=2, keep_weights=True)
    model(X), plain(X)
    actual, expected = (sorted(map(float, m.losses)) for m in (model, plain))
    np.testing.assert_allclose(actual, expected, rtol=1e-4)
    assert len(plain.losses) == 3


def test_name_and_depth():
    model = ms.multilevel(autoencoder(), depth=0, name="mine")
    assert (model.name, model.depth) == ("mine", 0)


# ---------------------------------------------------------- which space is what

PATH, ID = ms.path, ms.identity


@pytest.mark.parametrize(
    ("make", "topology", "expected"),
    [
        # By default paths; logits keep their units, an autoencoder's output does not.
        (classifier, None, [PATH(8), PATH(16), PATH(8), ID(3)]),
        (autoencoder, None, [PATH(8), PATH(4), PATH(8)]),
        # An object, for every space of its size.
        (classifier, ms.grid(2, 4), [ms.grid(2, 4), PATH(16), ms.grid(2, 4), ID(3)]),
        (autoencoder, ms.grid(2, 4), [ms.grid(2, 4), PATH(4), ms.grid(2, 4)]),
        (autoencoder, ms.cycle(4), [PATH(8), ms.cycle(4), PATH(8)]),
        # A name or a function, for every space but the logits.
        (classifier, "cycle", [ms.cycle(8), ms.cycle(16), ms.cycle(8), ID(3)]),
        (classifier, "grid", [ms.grid(2, 4), ms.grid(4, 4), ms.grid(2, 4), ID(3)]),
        (autoencoder, "identity", [ID(8), ID(4), ID(8)]),
        (
            autoencoder,
            lambda n: ms.grid(n // 2, 2),
            [ms.grid(4, 2), ms.grid(2, 2), ms.grid(4, 2)],
        ),
        # A dict, for the spaces that it names.
        (
            classifier,
            {"input": ms.grid(2, 4), "one": "grid", "logits": lambda n: ms.path(n)},
            [ms.grid(2, 4), ms.grid(4, 4), PATH(8), PATH(3)],
        ),
        (autoencoder, {"input": "cycle"}, [ms.cycle(8), PATH(4), ms.cycle(8)]),
        (autoencoder, {"out": "identity"}, [PATH(8), PATH(4), ID(8)]),
        (autoencoder, {}, [PATH(8), PATH(4), PATH(8)]),
    ],
)
def test_topologies_of_a_stack(make, topology, expected):
    model = ms.multilevel(make(), depth=1, topology=topology)
    pairs = [*pairwise(expected)]
    assert [*topologies(model).values()] == pairs


@pytest.mark.parametrize("key", ["flatten", "reshape"])
def test_images(key):
    """The pixels are one space of 784, whatever reshapes them; so is the output."""
    reshape = layers.Flatten() if key == "flatten" else layers.Reshape((784,))
    reshape.name = key
    plain = sequential(
        layers.Rescaling(1 / 255),
        reshape,
        Dense(16, name="code"),
        Dense(784, name="out"),
        shape=(28, 28),
    )
    grid = ms.grid(28, 28)
    for topology in (
        grid,
        {key: grid},
        lambda n: grid if n == 784 else ms.path(n),
        "grid",
    ):
        model = ms.multilevel(plain, depth=3, topology=topology)
        (source, code), (again, target) = topologies(model).values()
        assert source == target == grid
        assert code == again
    assert model.hierarchy.sizes(3) == "98-2-98"
    assert model(np.ones((2, 28, 28))).shape == (2, 784)


def test_spaces_of_a_graph():
    """Pointwise layers keep the space, also of the larger of two; joins make one."""
    a, b = Input((8,), name="a"), Input((1,), name="b")
    one = Dense(8, name="one")(layers.Add()([b, a]))
    both = layers.Concatenate(name="both")([layers.ReLU()(one), b])
    model = keras.Model([a, b], [Dense(9, name="nine")(both), Dense(8, name="x")(one)])
    wish = {"a": ms.cycle(8), "one": ms.grid(2, 4), "both": ms.grid(3, 3)}
    assert topologies(ms.multilevel(model, 1, wish)) == {
        "one": (ms.cycle(8), ms.grid(2, 4)),
        "nine": (ms.grid(3, 3), ID(9)),
        "x": (ms.grid(2, 4), ms.cycle(8)),
    }


def test_shared_layers_stay_shared():
    model = ms.multilevel(shared(), depth=1)
    assert len(model.multilevel_layers) == 1
    assert len(model.weights) == 4


def test_redraw_gives_each_weight_its_own_order():
    redrawn = ms.shuffled(PATH(8), seed=3, redraw=True)
    plain = sequential(Dense(8, name="one"), Dense(8, name="two"))
    found = topologies(ms.multilevel(plain, 1, redrawn))
    ends = [end for pair in found.values() for end in pair]
    assert all(isinstance(end, Shuffled) and end.base == PATH(8) for end in ends)
    assert len({end.seed for end in ends}) == 4
    assert topologies(ms.multilevel(plain, 1, redrawn)) == found
    once = ms.shuffled(PATH(8), seed=3)
    for pair in topologies(ms.multilevel(plain, 1, once)).values():
        assert pair == (once, once)


# ------------------------------------------------------------------------ refusals


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="mine")
        self.dense = Dense(4)

    def call(self, x):
        return self.dense(x)


class Scaled(Dense):
    pass


def lora():
    plain = sequential(Dense(4, name="bad"))
    plain.layers[0].enable_lora(2)
    return plain


def operation():
    inputs = Input((8,))
    return keras.Model(inputs, keras.ops.multiply(Dense(4)(inputs), 2))


def two_spaces():
    inputs, layer = Input((8,)), Dense(8, name="bad")
    return keras.Model(inputs, layer(layer(inputs)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: keras.Sequential([Dense(4)], name="raw"), "'raw' must be built first"),
        (Subclassed, "Sequential or functional model.*'mine'.*Subclassed"),
        (lambda: sequential(layers.ReLU(name="only")), "one Dense layer.*'only'"),
        (
            lambda: sequential(layers.Conv2D(2, 3, name="bad"), shape=(8, 8, 1)),
            "'bad' cannot be made multilevel: a Conv2D layer has no.*allowed are Dense",
        ),
        (lambda: sequential(layers.BatchNormalization(name="bad")), "BatchNormaliz"),
        (lambda: sequential(layers.PReLU(name="bad")), "'bad' .* a PReLU layer"),
        (lambda: sequential(layers.Embedding(9, 4, name="bad")), "an? Embedding layer"),
        (lambda: sequential(Scaled(4, name="bad")), "'bad'.* a Scaled layer"),
        (
            lambda: sequential(sequential(Dense(4)), Dense(4)),
            "'sequential.*a model inside the model",
        ),
        (operation, "'multiply.*an operation, not a layer"),
        (lora, "'bad'.*it has lora_rank=2"),
        (two_spaces, "'bad'.*reads two spaces, 'input' and 'bad'"),
        (lambda: ms.multilevel(autoencoder(), 1), "'code'.*it is multilevel already"),
    ],
)
def test_refuses_models(make, message):
    model = make()
    before = [w.numpy() for w in model.weights]
    with pytest.raises(ValueError, match=message):
        ms.multilevel(model, depth=1)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("model", [None, Dense(4), "model"])
def test_refuses_what_is_not_a_model(model):
    with pytest.raises(TypeError, match=f"must be a keras.Model.*{type(model)}"):
        ms.multilevel(model, depth=1)


@pytest.mark.parametrize("depth", [3, -1, True, 1.0, "2", None])
def test_refuses_depths(depth):
    """The code's four units allow two."""
    message = rf"`depth` must be.*at most 2.*'code', Path\(size=4\).*depth={depth!r}"
    with pytest.raises(ValueError, match=message):
        ms.multilevel(autoencoder(), depth)
    assert ms.multilevel(autoencoder(), 2).depth == 2


@pytest.mark.parametrize(
    ("topology", "message"),
    [
        ("hexagon", r"`topology` must be.*\['cycle', 'grid'.*topology='hexagon'"),
        (3, "`topology` must be a topology, such as.*topology=3"),
        ({"code": "hexagon"}, r"topology\['code'\]='hexagon'"),
        ({"nope": "path"}, r"name spaces.*\['input', 'code', 'out'\].*\['nope'\]"),
        (
            ms.grid(3, 3),
            r"some space.*\{'input': 8, .*Grid\(shape=\(3, 3\)\) of siz",
        ),
        ({"code": ms.path(5)}, r"topology\['code'\]`.*units, 4.*with 5 nodes"),
        (lambda n: ms.path(n + 1), r"`topology`.*units, 8.*Path\(size=9\)"),
    ],
)
def test_refuses_topologies(topology, message):
    with pytest.raises(ValueError, match=message):
        ms.multilevel(autoencoder(), 1, topology)


@pytest.mark.parametrize(
    "space",
    [
        ms.path(8, prolongation="band"),
        ms.cycle(8, prolongation="daubechies4"),
        ms.grid(2, 4, prolongation="hat"),
    ],
)
def test_families_of_closed_form_are_saved_with_a_model(space, tmp_path):
    model = ms.multilevel(autoencoder(), 2, space)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_layer("code").input_topology == space
    np.testing.assert_array_equal(again(X), model(X))
