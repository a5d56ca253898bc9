"""Networks of convolutions: the same kernels on images of several sizes."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from precision import EXACT, EXACT_NORMALISED, floatx
from smooth import images, same

import msann_keras as ms
from msann.topology import chain
from msann.topology.pixels import Pixels
from msann_keras.images import images_of, of_images
from msann_keras.nested.handover import finer_weights
from msann_keras.nested.level import weights_of
from msann_keras.spaces import functional

RNG = np.random.default_rng(8)
IMAGES = images(300, 48)[..., None]
OPTIONS = {"batch_size": 16, "seconds": 3.0, "verbose": 0}


def unet(side=48, last=1, channels=4, front=()):
    """Two images sizes and a way past the smaller one."""
    keras.utils.set_random_seed(6)
    inputs = x = keras.Input((side, side, 1))
    for layer in front:
        x = layer(x)
    fine = layers.Conv2D(channels, 3, padding="same", activation="gelu")(x)
    x = layers.MaxPooling2D()(fine)
    x = layers.Conv2D(2 * channels, 3, padding="same", activation="gelu")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Concatenate()([layers.UpSampling2D()(x), fine])
    return keras.Model(inputs, layers.Conv2D(last, 3, padding="same")(x))


def classifier(side=48, padding="same", end=3):
    keras.utils.set_random_seed(6)
    stack = [
        layers.Conv2D(4, 3, padding=padding, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.1),
        layers.Dense(8, "relu", name="head"),
        layers.Dense(end, name="out"),
    ]
    return keras.Sequential([keras.Input((side, side, 1)), *stack])


def compiled(model, loss="mse"):
    model.compile("adam", loss)
    return model


def outputs(model, x):
    return ops.convert_to_numpy(model(x))


def blocks(array, factor):
    return array.repeat(factor, axis=1).repeat(factor, axis=2)


# ---------------------------------------------------------------------------- exactness


def test_averages_are_means_of_blocks():
    coarsening = images_of(functional(unet()), 2)
    coarse = RNG.normal(size=(5, 12, 12, 1))
    both = coarsening.averages([blocks(coarse, 4)], [blocks(2 * coarse, 4)], 2)
    np.testing.assert_allclose(both[0], coarse, atol=1e-12)
    np.testing.assert_allclose(both[1], 2 * coarse, atol=1e-12)
    mean = coarsening.averages([IMAGES], [IMAGES], 1)[0]
    expected = IMAGES.reshape(300, 24, 2, 24, 2, 1).mean(axis=(2, 4))
    np.testing.assert_allclose(mean, expected, atol=1e-6)


def test_kernels_stay_what_they_are():
    model = unet()
    coarsening = images_of(functional(model), 2)
    own = [ops.convert_to_numpy(v) for v in weights_of(coarsening.layers)]
    coarse = coarsening.first_weights(2)
    for level in (1, 0):
        finer = finer_weights(coarse, coarsening, 2, level)
        for one, first, other in zip(own, coarse, finer, strict=True):
            np.testing.assert_array_equal(one, ops.convert_to_numpy(first))
            np.testing.assert_array_equal(one, ops.convert_to_numpy(other))


def test_constant_images_give_the_same_at_every_level():
    """Without padding, or with kernels of one pixel."""
    with floatx("float64"):
        inputs = keras.Input((48, 48, 1))
        x = layers.Conv2D(4, 3, activation="gelu")(inputs)
        x = layers.GlobalAveragePooling2D()(layers.LayerNormalization()(x))
        model = keras.Model(inputs, layers.Dense(2)(x))
        coarsening = images_of(functional(model), 2)
        x = np.full((3, 48, 48, 1), 0.7)
        for level in (1, 2):
            network = coarsening.network(level)
            network.set_weights([ops.convert_to_numpy(w) for w in model.weights])
            coarse, _ = coarsening.averages([x], [np.zeros((3, 2))], level)
            np.testing.assert_allclose(
                outputs(network, coarse), outputs(model, x), atol=EXACT_NORMALISED
            )


@pytest.mark.parametrize("side", [48, 52])
def test_a_head_on_features_that_are_constant_on_blocks_is_exact(side):
    """Kernels of one pixel keep blocks; the head sees their averages."""
    with floatx("float64"):
        stack = [layers.Conv2D(4, 1, activation="gelu"), layers.Flatten()]
        stack += [layers.Dense(8, "tanh"), layers.Dense(2)]
        model = keras.Sequential([keras.Input((side, side, 1)), *stack])
        coarsening = images_of(functional(model), 2)
        coarse = RNG.normal(size=(3, side // 4, side // 4, 1))
        network = coarsening.network(2)
        own = weights_of([network.get_layer(x.name) for x in coarsening.layers])
        for variable, value in zip(own, coarsening.first_weights(2), strict=True):
            variable.assign(value)
        expected = outputs(model, blocks(coarse, 4))
        np.testing.assert_allclose(outputs(network, coarse), expected, atol=EXACT)
        # And back: prolonged, the fine network does what the coarse one does.
        values = [RNG.normal(size=v.shape) for v in own]
        for variable, value in zip(own, values, strict=True):
            variable.assign(value)
        finer = finer_weights(values, coarsening, 2, 0)
        for variable, value in zip(weights_of(coarsening.layers), finer, strict=True):
            variable.assign(value)
        actual = outputs(model, blocks(coarse, 4))
        np.testing.assert_allclose(actual, outputs(network, coarse), atol=1e2 * EXACT)


@pytest.mark.parametrize("sides", [((23,), (11,), (5,)), ((8, 6), (4, 3), (2, 2))])
def test_pixels_reproduce_constants_whatever_their_sides(sides):
    levels = chain(Pixels(sides, channels=3), 2)
    for P in levels.composites:
        ones = np.ones(P.shape[0])
        np.testing.assert_allclose(P.prolong(P.restrict(ones)), ones, atol=1e-12)
        matrix = P.matrix()
        np.testing.assert_allclose(matrix.T @ matrix, np.eye(P.shape[1]), atol=1e-12)


# ---------------------------------------------------------------------------- how deep


def test_sides_halve_while_all_that_follows_fits():
    def deepest(model):
        return images_of(functional(model), 9).sides

    assert deepest(unet(48)) == [(48, 48), (24, 24), (12, 12)]
    assert deepest(unet(44)) == [(44, 44), (22, 22)]  # 11 has no half for the pooling
    assert deepest(unet(20)) == [(20, 20)]  # too small
    # Without padding features are no halves, and the head is fitted to them.
    assert deepest(classifier(28, "valid")) == [(28, 28), (14, 14)]
    rows = keras.Sequential([keras.Input((64, 2)), layers.Conv1D(3, 3, strides=2)])
    assert deepest(rows) == [(64,)]  # its output does not halve
    volume = [keras.Input((24, 24, 24, 1)), layers.Conv3D(2, 3, padding="same")]
    assert deepest(keras.Sequential(volume)) == [(24,) * 3, (12,) * 3]


def test_what_is_a_network_of_convolutions():
    assert of_images(functional(unet()))
    flat = keras.Sequential([keras.Input((8, 8)), layers.Flatten(), layers.Dense(2)])
    assert not of_images(functional(flat))


def test_the_plan_says_what_images_hold():
    plan = ms.plan(unet(), IMAGES, IMAGES**2)
    assert (plan.depth, plan.visited) == (2, (2, 1))
    assert [one.sizes for one in plan.levels] == ["48x48", "24x24", "12x12"]
    assert plan.levels[1].targets_lost < 0.05
    assert len({one.parameters for one in plan.levels}) == 1
    assert "images of 12x12 hold" in plan.reason
    assert "48x48" in str(plan)
    noise = RNG.normal(size=IMAGES.shape).astype("float32")
    plan = ms.plan(unet(), noise, noise)
    assert plan.depth == 0
    assert "images of 24x24 already lose" in plan.reason
    small = ms.plan(unet(20), IMAGES[:, :20, :20], IMAGES[:, :20, :20])
    assert "do not halve in this network, or are too small" in small.reason


def test_labels_are_trained_on_plainly_unless_told_otherwise():
    labels = RNG.integers(3, size=300)
    noisy = IMAGES + RNG.normal(size=IMAGES.shape)
    assert ms.plan(classifier(), noisy, labels).depth == 0
    assert ms.plan(classifier(), noisy, labels, depth=1).depth == 1


# ----------------------------------------------------------------------------- training


def error(model):
    return float(np.mean((model.predict(IMAGES[200:], verbose=0) - Y[200:]) ** 2))


#: What a convolution makes of the images.
Y = (IMAGES - np.roll(IMAGES, 4, axis=1)) ** 2


def test_a_warm_start_learns_an_operator(tmp_path):
    model = compiled(unet())
    untrained = error(model)
    record = ms.warm_start(model, IMAGES[:200], Y[:200], depth=2, **OPTIONS)
    assert [one.level for one in record.levels] == [2, 1]
    assert error(model) < 0.8 * untrained  # in 3 s, of which JAX compiles for 2
    model.fit(IMAGES[:200], Y[:200], verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert error(loaded) == pytest.approx(error(model), rel=1e-4)


def test_images_may_be_standardised_first():
    norm = layers.Normalization(axis=-1)
    norm.adapt(3 + 5 * IMAGES)
    model = compiled(unet(front=[norm]))
    x, before = 3 + 5 * IMAGES, norm.get_weights()
    untrained = model.evaluate(x, Y, verbose=0)
    ms.warm_start(model, x, Y, depth=1, **OPTIONS)
    assert model.evaluate(x, Y, verbose=0) < 0.7 * untrained
    for one, other in zip(before, norm.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_statistics_are_those_of_whole_images():
    model = compiled(unet())
    ms.warm_start(model, IMAGES, Y, depth=1, **OPTIONS)
    before = model.get_layer("norm").get_weights()[2]
    model.get_layer("norm").momentum = 0.0
    model(IMAGES, training=True)
    after = model.get_layer("norm").get_weights()[2]
    np.testing.assert_allclose(before, after, rtol=0.3, atol=0.05)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_head_is_prolonged(padding):
    labels = (IMAGES.mean(axis=(1, 2, 3)) > 0).astype("int64")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = compiled(classifier(padding=padding, end=2), loss)
    ms.warm_start(model, IMAGES, labels, depth=1, **OPTIONS)
    wrong = np.mean(model.predict(IMAGES, verbose=0).argmax(axis=1) != labels)
    assert wrong < 0.2
    model.fit(IMAGES, labels, verbose=0)


# ----------------------------------------------------------------------------- refusals


def of(*stack, side=32):
    return keras.Sequential(
        [keras.Input((side, side, 1)), layers.Conv2D(2, 3, padding="same"), *stack]
    )


def frozen():
    model = of()
    model.layers[0].trainable = False
    return model


def of_any_size():
    return keras.Sequential([keras.Input((None, None, 1)), layers.Conv2D(2, 3)])


def called_again():
    """Which gives its layers a second call."""
    model = of(layers.BatchNormalization())
    model(keras.Input((32, 32, 1)))
    return frozen_too(model)


def beside_others():
    """Two images whose features are joined when they are flat."""
    inputs = [keras.Input((32, 32, 1)), keras.Input((32, 32, 1))]
    flat = [layers.Flatten()(layers.Conv2D(1, 1)(x)) for x in inputs]
    outputs = layers.Dense(2, name="both")(layers.Concatenate()(flat))
    return keras.Model(inputs, outputs)


def frozen_too(model):
    model.layers[-1].trainable = False
    return model


REFUSALS = {
    "stranger": (
        lambda: of(layers.Permute((2, 1, 3))),
        "a Permute layer has no",
    ),
    "reshaped": (lambda: of(layers.Reshape((64, 32))), "a Reshape layer has no coarse"),
    "rows": (
        lambda: of(layers.LayerNormalization(axis=(1, 2, 3))),
        "LayerNormalization layer has no coarse",
    ),
    "inner": (lambda: of(of(side=32)), "Sequential layer has no coarse form"),
    "frozen": (frozen, "does not train"),
    "frozen, called again": (called_again, "does not train"),
    "beside others": (beside_others, "'both'.*features of an image beside others"),
    "any size": (of_any_size, "`model` must have images of one known size"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_name_the_layer_and_leave_the_model_alone(name):
    make, message = REFUSALS[name]
    model = compiled(make())
    before = model.get_weights()
    x = [IMAGES[:, :32, :32]] * len(model.inputs)
    y = np.ones((300, *(n or 30 for n in model.output_shape[1:])), "float32")
    with pytest.raises(ValueError, match=message):
        ms.warm_start(model, x, y, depth=1, **OPTIONS)
    same(model, before)


def test_labels_of_pixels_have_no_averages():
    labels = np.zeros(IMAGES.shape[:3], "int64")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = compiled(unet(last=3), loss)
    with pytest.raises(ValueError, match="`y` must have samples of shape"):
        ms.warm_start(model, IMAGES, labels, depth=1, **OPTIONS)
    noise = RNG.normal(size=IMAGES.shape)
    assert ms.warm_start(model, noise, labels, **OPTIONS).plan.depth == 0


def test_images_of_whole_numbers_are_averaged_all_the_same():
    keras.utils.set_random_seed(6)
    inputs = keras.Input((48, 48, 1), dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    model = keras.Model(inputs, layers.Conv2D(1, 3, padding="same")(x))
    whole = (127 + 127 * IMAGES).astype("uint8")
    coarsening = images_of(functional(model), 1)
    coarse, _ = coarsening.averages([whole], [whole], 1)
    network = coarsening.network(1)
    layer = network.layers[1]
    actual = outputs(keras.Model(network.input, layer.output), coarse)
    np.testing.assert_allclose(actual, coarse / 255, rtol=1e-5)


def test_images_have_their_own_topology_and_depth():
    with pytest.raises(ValueError, match="`topology` must be None for a network of"):
        ms.plan(unet(), IMAGES, Y, topology="grid")
    with pytest.raises(ValueError, match="`depth` must be at most 2 for images of 48x"):
        ms.plan(unet(), IMAGES, Y, depth=3)
    with pytest.raises(ValueError, match="`x` must have finite|`x` must be finite"):
        ms.plan(unet(), np.where(IMAGES > 0.9, np.inf, IMAGES), Y)
