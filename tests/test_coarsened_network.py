"""Coarse networks: exact on block-constant data, and what cannot be coarsened."""

from itertools import pairwise

import keras
import numpy as np
import pytest
from coarsened import SPACES, averages, matrix
from precision import floatx

import msann_keras as ms
from msann.topology import chain
from msann_keras.engines.coarsened.network import coarsening

RNG = np.random.default_rng(0)
ACTIVATIONS = [
    "relu",
    "sigmoid",
    "tanh",
    "elu",
    "selu",
    "gelu",
    "softplus",
    "softsign",
    "silu",
    "leaky_relu",
    "hard_sigmoid",
    "mish",
    "exponential",
    "linear",
]


def constant(rows, topology, level):
    """Random data, the same within each aggregate of `level`."""
    blocks = (matrix(topology, level) != 0).astype(float)
    return RNG.normal(size=(rows, blocks.shape[1])) @ blocks.T


def stack(spaces, depth, activation="sigmoid", use_bias=True):
    inputs = outputs = keras.Input((spaces[0].size,))
    for source, target in pairwise(spaces):
        outputs = ms.MultilevelDense(
            target.size,
            depth,
            activation=activation,
            use_bias=use_bias,
            input_topology=source,
            output_topology=target,
        )(outputs)
    return ms.MultilevelModel(inputs, outputs)


def set_prolonged(model, level):
    """Theta = P V Q^T and b = Q v, with random V and v."""
    for layer in model.multilevel_layers:
        P = matrix(layer.input_topology, level)
        Q = matrix(layer.output_topology, level)
        kernel = P @ (0.5 * RNG.normal(size=(P.shape[1], Q.shape[1]))) @ Q.T
        layer.set_theta(
            kernel, Q @ RNG.normal(size=Q.shape[1]) if layer.use_bias else None
        )


def assert_exact(model, spaces, level, tolerance=1e-12):
    set_prolonged(model, level)
    x = constant(3, spaces[0], level)
    coarse = ms.coarse_network(model, level)(averages(x, spaces[0], level))
    fine = averages(np.asarray(model(x)), spaces[-1], level)
    np.testing.assert_allclose(coarse, fine, rtol=tolerance, atol=tolerance)


# ------------------------------------------------------- exact on block-constant data


@pytest.mark.quick(4)
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("name", SPACES)
def test_the_coarse_network_is_exact_on_block_constant_data(name, use_bias):
    spaces, depth = SPACES[name]
    with floatx("float64"):
        model = stack(spaces, depth, use_bias=use_bias)
        for level in range(depth + 1):
            assert_exact(model, spaces, level)


@pytest.mark.quick(4)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_coarse_network_is_exact_for_every_pointwise_activation(activation):
    spaces = [ms.path(9), ms.grid(2, 4), ms.path(5)]
    with floatx("float64"):
        model = stack(spaces, 2, activation)
        for level in (1, 2):
            assert_exact(model, spaces, level)


def test_softmax_on_an_identity_space_is_kept():
    with floatx("float64"):
        spaces = [ms.path(8), ms.identity(3)]
        assert_exact(stack(spaces, 2, "softmax"), spaces, 2)


def test_the_coarse_network_is_not_exact_on_other_data():
    """So that the tests above can fail."""
    spaces = [ms.path(8), ms.path(4)]
    with floatx("float64"):
        model = stack(spaces, 1)
        set_prolonged(model, 0)
        x = RNG.normal(size=(3, 8))
        coarse = ms.coarse_network(model, 1)(averages(x, spaces[0], 1))
        fine = averages(np.asarray(model(x)), spaces[1], 1)
    assert np.abs(coarse - fine).max() > 1e-3


def test_pointwise_and_joining_layers_have_a_coarse_form():
    space = ms.path(8)
    options = {"depth": 2, "input_topology": space, "output_topology": space}
    with floatx("float64"):
        one, other = keras.Input((8,), name="one"), keras.Input((8,), name="other")
        a = ms.MultilevelDense(8, activation="tanh", **options)(one)
        b = ms.MultilevelDense(8, **options)(keras.layers.Rescaling(0.5, 0.1)(other))
        joined = keras.layers.Add()([a, keras.layers.Dropout(0.5)(b)])
        joined = keras.layers.Maximum()([joined, keras.layers.LeakyReLU()(a)])
        left = ms.MultilevelDense(8, **options)(joined)
        model = ms.MultilevelModel([one, other], [left, keras.layers.ReLU()(joined)])
        for level in range(3):
            set_prolonged(model, level)
            x = [constant(3, space, level) for _ in range(2)]
            coarse = ms.coarse_network(model, level)(
                [averages(part, space, level) for part in x]
            )
            for actual, fine in zip(coarse, model(x), strict=True):
                expected = averages(np.asarray(fine), space, level)
                np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


def test_leading_axes_and_reshaping_in_front():
    with floatx("float64"):
        inputs = keras.Input((2, 4))
        flat = keras.layers.Flatten()(inputs)
        hidden = ms.MultilevelDense(4, 2, input_topology=ms.grid(2, 4))(flat)
        model = ms.MultilevelModel(inputs, hidden)
        set_prolonged(model, 1)
        x = constant(3, ms.grid(2, 4), 1)
        coarse = ms.coarse_network(model, 1)(averages(x, ms.grid(2, 4), 1))
        fine = averages(np.asarray(model(x.reshape(3, 2, 4))), ms.path(4), 1)
        np.testing.assert_allclose(coarse, fine, rtol=0, atol=1e-12)

        rows = keras.Input((3, 8))
        model = ms.MultilevelModel(rows, ms.MultilevelDense(4, 2)(rows))
        set_prolonged(model, 2)
        x = constant(6, ms.path(8), 2)
        coarse = ms.coarse_network(model, 2)(
            averages(x, ms.path(8), 2).reshape(2, 3, 2)
        )
        fine = averages(np.asarray(model(x.reshape(2, 3, 8))), ms.path(4), 2)
        np.testing.assert_allclose(coarse, fine, rtol=0, atol=1e-12)


def test_the_coarse_network_is_plain_and_named_as_the_fine_one():
    model = stack([ms.path(8), ms.path(4), ms.identity(3)], 2)
    before = model.get_weights()
    coarse = ms.coarse_network(model, 2)
    layers = [x for x in coarse.layers if x.weights]
    assert [type(x) for x in layers] == [keras.layers.Dense] * 2
    assert [x.name for x in layers] == [x.name for x in model.multilevel_layers]
    assert [x.kernel.shape for x in layers] == [(2, 1), (1, 3)]
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_coarse_weights_restrict_the_sum_of_all_levels():
    """V = P^T Theta Q, with weights at every level."""
    with floatx("float64"):
        model = stack([ms.path(8), ms.path(4)], 2)
        model.set_weights([RNG.normal(size=w.shape) for w in model.get_weights()])
        (layer,) = model.multilevel_layers
        kernel, bias = map(np.asarray, layer.theta())
        P, Q = matrix(ms.path(8), 1), matrix(ms.path(4), 1)
        actual = ms.coarse_network(model, 1).get_weights()
        # Pairs on both sides: the kernel is V itself, and biases lose sqrt 2.
        expected = [P.T @ kernel @ Q, Q.T @ bias / np.sqrt(2)]
        for one, other in zip(actual, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-13)


def test_an_input_of_integers_takes_averages():
    inputs = keras.Input((4,), dtype="uint8")
    hidden = keras.layers.Rescaling(1 / 255)(inputs)
    model = ms.MultilevelModel(inputs, ms.MultilevelDense(4, 1)(hidden))
    x = np.array([[0, 255, 3, 4]], "uint8")
    coarse = ms.coarse_network(model, 1)
    kernel = coarse.get_weights()[0]
    averaged = ms.coarse_data(x, chain(ms.path(4), 1), 1)
    expected = np.array([[127.5, 3.5]]) / 255 @ kernel
    np.testing.assert_allclose(coarse(averaged), expected, rtol=1e-5)


@pytest.mark.parametrize("level", [-1, 3, True, 1.5])
def test_refuses_other_levels(level):
    model = stack([ms.path(8), ms.path(4)], 2)
    with pytest.raises(
        ValueError, match=rf"must be an integer in 0 .. 2.*level={level}"
    ):
        ms.coarse_network(model, level)


# ------------------------------------------------------------------------- refusals


def multilevel_dense(units=8, depth=1, **options):
    return ms.MultilevelDense(units, depth, **options)


def one_layer(**options):
    inputs = keras.Input((8,))
    return ms.MultilevelModel(inputs, multilevel_dense(name="mine", **options)(inputs))


def reshaped_after():
    inputs = keras.Input((8,))
    hidden = keras.layers.Reshape((2, 4), name="mine")(multilevel_dense()(inputs))
    return ms.MultilevelModel(inputs, multilevel_dense()(hidden))


def softmax_layer():
    inputs = keras.Input((8,))
    outputs = keras.layers.Softmax(name="mine")(multilevel_dense()(inputs))
    return ms.MultilevelModel(inputs, outputs)


def softmax_activation():
    inputs = keras.Input((8,))
    hidden = multilevel_dense()(inputs)
    outputs = keras.layers.Activation("log_softmax", name="mine")(hidden)
    return ms.MultilevelModel(inputs, outputs)


def two_views():
    inputs = keras.Input((8,))
    hidden = multilevel_dense(output_topology="grid")(inputs)
    return ms.MultilevelModel(inputs, multilevel_dense(name="mine")(hidden))


def redrawn():
    base = ms.shuffled(ms.path(8), seed=1, redraw=True)
    plain = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(8),
            keras.layers.Dense(8, name="mine"),
        ]
    )
    return ms.multilevel(plain, 1, base)


def ordinary():
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(8, name="mine")(inputs)
    return ms.MultilevelModel(inputs, multilevel_dense()(hidden))


def batch_normalised():
    inputs = keras.Input((8,))
    hidden = keras.layers.BatchNormalization(name="mine")(multilevel_dense()(inputs))
    return ms.MultilevelModel(inputs, multilevel_dense()(hidden))


def noise_before_flatten():
    inputs = keras.Input((2, 4))
    noisy = keras.layers.GaussianNoise(0.1, name="mine")(inputs)
    flat = keras.layers.Flatten()(noisy)
    return ms.MultilevelModel(inputs, multilevel_dense()(flat))


def unread_input():
    one, other = keras.Input((8,)), keras.Input((8,), name="other")
    joined = keras.layers.Add(name="mine")([multilevel_dense()(one), other])
    return ms.MultilevelModel([one, other], joined)


def frozen():
    model = one_layer()
    model.layers[-1].trainable = False
    return model


class Subclassed(ms.MultilevelModel):
    def __init__(self):
        super().__init__(name="mine")
        self.dense = multilevel_dense()

    def call(self, x):
        return self.dense(x)


REFUSALS = {
    "random P on the input": (
        lambda: one_layer(input_topology=ms.random_orthogonal(8, seed=1)),
        "input of the layer 'mine'.*level 1, of RandomOrthogonal.*reproduce constants",
    ),
    "random P on the output": (
        lambda: one_layer(output_topology=ms.random_orthogonal(8, seed=1)),
        "output of the layer 'mine'.*reproduce constants",
    ),
    "unequal weights": (
        lambda: one_layer(output_topology=ms.given([[0.6], [0.8]]), units=2),
        r"output of the layer 'mine'.*Given.*reproduce constants.*off by 0.16",
    ),
    "reshaped after": (reshaped_after, "'mine'.*after a dense layer"),
    "softmax": (lambda: one_layer(activation="softmax"), "'mine'.*its softmax adds up"),
    "softmax layer": (softmax_layer, "'mine'.*its softmax adds up"),
    "softmax activation": (softmax_activation, "'mine'.*its softmax adds up"),
    "two views": (two_views, r"'mine'.*Path\(size=8\).*another layer sees as.*Grid"),
    "redraw": (redrawn, "'mine'.*another layer sees as"),
    "ordinary": (ordinary, "'mine'.*a Dense layer has no coarse form"),
    "normalised": (batch_normalised, "'mine'.*BatchNormalization layer has no coarse"),
    "noise in front": (noise_before_flatten, "'mine'.*after 'flatten"),
    "unread input": (unread_input, "'mine'.*joins an input that no dense layer"),
    "frozen": (frozen, "'mine'.*does not train"),
    "subclassed": (Subclassed, "Sequential or functional model.*'mine'"),
    "no multilevel layer": (
        lambda: keras.Sequential([keras.Input((8,)), keras.layers.ReLU()]),
        "at least one MultilevelDense",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refuses_what_has_no_coarse_form(name):
    make, message = REFUSALS[name]
    model = make()
    with pytest.raises(ValueError, match=message):
        coarsening(model)
