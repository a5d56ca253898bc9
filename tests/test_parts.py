"""Parts of a model that trains in a way of its own: thinner, then prolonged."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import msann_keras as ms

RNG = np.random.default_rng(4)
X = RNG.uniform(size=(64, 16, 16, 1)).astype("float32")


class Sampling(layers.Layer):
    """A draw around a mean, as in Keras's example of a variational autoencoder."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, inputs):
        mean, log_variance = inputs
        noise = keras.random.normal(ops.shape(mean), seed=self.seeds)
        return mean + ops.exp(0.5 * log_variance) * noise


def encoder():
    inputs = keras.Input((16, 16, 1))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(inputs)
    x = layers.Flatten()(x)
    x = layers.Dense(32, activation="relu")(x)
    mean, log_variance = layers.Dense(2, name="mean")(x), layers.Dense(2, name="log")(x)
    sample = Sampling(name="sample")([mean, log_variance])
    return keras.Model(inputs, [mean, log_variance, sample])


def decoder():
    return keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(8 * 8 * 8, activation="relu"),
            layers.Reshape((8, 8, 8)),
            layers.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
        ]
    )


class VAE(keras.Model):
    """With a loss that no output has."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def call(self, x):
        mean, log_variance, sample = self.encoder(x)
        spread = ops.mean(ops.exp(log_variance) + mean**2 - 1 - log_variance)
        self.add_loss(0.01 * spread)
        return self.decoder(sample)


def same(one, other, x):
    for a, b in zip(
        *(keras.tree.flatten(model(x)) for model in (one, other)), strict=True
    ):
        a, b = (ops.convert_to_numpy(value) for value in (a, b))
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.thorough
def test_a_model_of_thinner_parts_trains_and_is_handed_over():
    parts = [encoder(), decoder()]
    thin = [ms.thinner(part) for part in parts]
    assert thin[0].layers[1].filters == 4
    small = VAE(*thin)
    small.compile("adam", "mse")
    losses = small.fit(X, X, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    for one, part in zip(thin, parts, strict=True):
        ms.prolong(one, part)
    code = RNG.normal(size=(5, 2)).astype("float32")
    same(thin[1], parts[1], code)
    means = [keras.Model(one.input, one.output[:2]) for one in (thin[0], parts[0])]
    same(*means, X)
    whole = VAE(*parts)
    whole.compile("adam", "mse")
    assert whole.fit(X, X, verbose=0).history["loss"][0] < losses[0]


def test_units_that_were_one_become_different():
    part = decoder()
    ms.prolong(ms.thinner(part), part)
    kernel = ops.convert_to_numpy(part.layers[-1].kernel)[0, 0, :, 0]
    assert np.abs(kernel[0::2] - kernel[1::2]).min() > 0


def test_what_cannot_be_halved_says_so():
    single = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="`part` must have hidden channels"):
        ms.thinner(single)
    with pytest.raises(TypeError, match="must be a keras.Model"):
        ms.thinner(layers.Dense(2))
    with pytest.raises(ValueError, match="whose graph of layers is known"):
        ms.thinner(VAE(encoder(), decoder()))


@pytest.mark.parametrize("other", [encoder, decoder])
def test_another_network_is_refused_and_nothing_changed(other):
    part = decoder()
    before = part.get_weights()
    with pytest.raises(ValueError, match=r"`thin` must be what `thinner\(part\)` made"):
        ms.prolong(other(), part)
    for one, kept in zip(part.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, kept)


def test_what_was_adapted_since_goes_over():
    norm = layers.Normalization()
    norm.adapt(3 + 2 * X[..., 0, 0])
    stack = [keras.Input((16,)), norm, layers.Dense(16, "relu"), layers.Dense(2)]
    part = keras.Sequential(stack)
    thin = ms.thinner(part)
    rows = X[:, 0, :, 0]
    same(norm, thin.get_layer(norm.name), rows)
    thin.get_layer(norm.name).adapt(5 + rows)
    ms.prolong(thin, part)
    same(thin, part, rows)
