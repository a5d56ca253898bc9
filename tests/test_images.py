"""Networks of convolutions: the same kernels on images of several sizes."""

import keras
import numpy as np
import pytest
from convolutions import (
    IMAGES,
    OPTIONS,
    RNG,
    Y,
    blocks,
    classifier,
    compiled,
    outputs,
    unet,
)
from hypothesis import given
from hypothesis import strategies as st
from keras import layers, ops
from precision import EXACT, EXACT_NORMALISED, floatx

import msann_keras as ms
from msann.topology import chain
from msann.topology.pixels import Pixels
from msann_keras import level_plans
from msann_keras.images import plan as images_plan
from msann_keras.images.levels import images_of, of_images, sampled
from msann_keras.nested.handover import finer_weights
from msann_keras.nested.level import weights_of
from msann_keras.spaces import functional

# ---------------------------------------------------------------------------- exactness


def test_averages_are_means_of_blocks():
    coarsening = images_of(functional(unet()), 3)
    coarse = RNG.normal(size=(5, 12, 12, 1))
    both = coarsening.data([blocks(coarse, 4)], [blocks(2 * coarse, 4)], 3)
    np.testing.assert_allclose(both[0], coarse, atol=1e-12)
    np.testing.assert_allclose(both[1], 2 * coarse, atol=1e-12)
    assert coarsening.data([IMAGES], [IMAGES], 1)[0] is IMAGES
    mean = coarsening.data([IMAGES], [IMAGES], 2)[0]
    expected = IMAGES.reshape(300, 24, 2, 24, 2, 1).mean(axis=(2, 4))
    np.testing.assert_allclose(mean, expected, atol=1e-6)


@given(
    factor=st.sampled_from([1, 2, 4]),
    sides=st.lists(st.integers(1, 5), min_size=1, max_size=3),
)
def test_samples_are_pixels_of_the_images(factor, sides):
    coarse = RNG.normal(size=(2, *sides, 3))
    fine = coarse
    for axis in range(1, 1 + len(sides)):
        fine = np.repeat(fine, factor, axis)
    np.testing.assert_array_equal(sampled(fine, sides), coarse)
    pixels = np.arange(fine.size).reshape(fine.shape)
    some = sampled(pixels, sides)
    assert some.shape == coarse.shape
    assert some.flat[0] == 0
    steps = np.diff(some, axis=1)
    assert np.all(steps == factor * np.prod(fine.shape[2:]))


def test_rough_images_are_sampled_for_all_channels():
    coarsening = images_of(functional(unet()), 2, is_thin=False).sampled()
    assert coarsening.rates == (1.0, 1.0, 1.0)
    x, y = coarsening.data([IMAGES], [2 * IMAGES], 1)
    np.testing.assert_array_equal(x, IMAGES[:, ::2, ::2])
    np.testing.assert_array_equal(y, 2 * x)
    network, model = coarsening.network(2), unet()
    network.set_weights(model.get_weights())  # of the same shapes
    np.testing.assert_allclose(
        outputs(network, IMAGES), outputs(model, IMAGES), atol=1e-5
    )


def test_images_of_all_sizes_share_a_network():
    coarsening = images_of(functional(unet()), 3)
    assert coarsening.is_shared
    assert coarsening.keeps_outputs(1)
    assert not coarsening.keeps_outputs(2)
    network = coarsening.network(3)
    assert network.input_shape == (None, None, None, 1)
    weights = [ops.convert_to_numpy(w) for w in weights_of(network.layers)]
    for one, other in zip(
        weights, finer_weights(weights, coarsening, 3, 1), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    for side in (48, 24, 12):
        assert outputs(network, np.ones((2, side, side, 1))).shape[1:3] == (side, side)
    assert not images_of(functional(classifier()), 3).is_shared


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
            coarse, _ = coarsening.data([x], [np.zeros((3, 2))], level)
            np.testing.assert_allclose(
                outputs(network, coarse), outputs(model, x), atol=EXACT_NORMALISED
            )


@pytest.mark.parametrize("side", [48, 52])
def test_a_head_on_features_that_are_constant_on_blocks_is_exact(side):
    """Kernels of one pixel keep blocks; the head sees their averages."""
    with floatx("float64"):
        stack = [layers.Conv2D(8, 1, activation="gelu"), layers.Flatten()]
        stack += [layers.Dense(8, "tanh"), layers.Dense(2)]
        model = keras.Sequential([keras.Input((side, side, 1)), *stack])
        coarsening = images_of(functional(model), 3)
        assert coarsening.sizes[3].sides == (side // 4, side // 4)
        coarse = RNG.normal(size=(3, side // 4, side // 4, 1))
        network = coarsening.network(3)
        own = weights_of([network.get_layer(x.name) for x in coarsening.layers])
        values = [RNG.normal(size=v.shape) for v in own]
        for variable, value in zip(own, values, strict=True):
            variable.assign(value)
        finer = finer_weights(values, coarsening, 3, 0)
        for variable, value in zip(weights_of(coarsening.layers), finer, strict=True):
            variable.assign(value)
        actual = outputs(model, blocks(coarse, 4))
        np.testing.assert_allclose(actual, outputs(network, coarse), atol=1e2 * EXACT)


@pytest.mark.parametrize(
    "sides", [((23, 3), (11, 3), (5, 3)), ((8, 6, 4), (4, 3, 2), (2, 2, 2))]
)
def test_pixels_reproduce_constants_whatever_their_sides(sides):
    levels = chain(Pixels(sides), 2)
    for P in levels.composites:
        ones = np.ones(P.shape[0])
        np.testing.assert_allclose(P.prolong(P.restrict(ones)), ones, atol=1e-12)
        matrix = P.matrix()
        np.testing.assert_allclose(matrix.T @ matrix, np.eye(P.shape[1]), atol=1e-12)


# ---------------------------------------------------------------------------- how deep


def test_half_the_channels_learn_at_the_rate_of_larger_weights():
    """Glorot's standard deviation is the root of 2 times as large."""
    assert images_of(unet(), 2).rates == pytest.approx((1, 2**0.5, 2**0.5))


def test_sides_halve_while_all_that_follows_fits():
    def levels(model):
        return [size.sides for size in images_of(functional(model), 9).sizes]

    # The first level is thinner, where channels can be halved, and as large.
    assert levels(unet(48)) == [(48, 48), (48, 48), (24, 24), (12, 12)]
    assert levels(unet(48, channels=2)) == [(48, 48), (24, 24), (12, 12)]
    assert levels(unet(44, channels=2)) == [(44, 44), (22, 22)]  # no half of 11 fits
    assert levels(unet(20, channels=2)) == [(20, 20)]  # too small
    strides = [layers.Conv2D(2, 3, strides=2, padding="same") for _ in range(2)]
    last = [layers.Conv2D(2, 3, padding="same"), layers.GlobalMaxPooling2D()]
    odd = keras.Sequential([keras.Input((28, 28, 1)), *strides, *last])
    assert levels(odd) == [(28, 28)]  # the last one reads 7 pixels, and 4 of 14
    # Without padding features are no halves, and the head is fitted to them.
    assert levels(classifier(28, "valid")) == [(28, 28), (28, 28), (14, 14)]
    rows = keras.Sequential([keras.Input((64, 2)), layers.Conv1D(3, 3, strides=2)])
    assert levels(rows) == [(64,)]  # its output does not halve
    flat = [layers.Conv2D(1, 3, padding="same"), layers.Flatten()]
    assert levels(keras.Sequential([keras.Input((48, 48, 1)), *flat])) == [(48, 48)]
    head = [layers.Conv1D(1, 3), layers.Flatten(), layers.Dense(2)]
    assert levels(keras.Sequential([keras.Input((16_000, 1)), *head])) == [(16_000,)]
    volume = [keras.Input((24, 24, 24, 1)), layers.Conv3D(2, 3, padding="same")]
    assert levels(keras.Sequential(volume)) == [(24,) * 3, (12,) * 3]


def test_what_is_a_network_of_convolutions():
    assert of_images(functional(unet()))
    flat = keras.Sequential([keras.Input((8, 8)), layers.Flatten(), layers.Dense(2)])
    assert not of_images(functional(flat))


def test_the_plan_says_what_images_hold():
    plan = ms.plan(unet(), IMAGES, IMAGES**2, depth=3)
    assert (plan.depth, plan.visited) == (3, (3, 2, 1))
    sizes = ["48x48", "48x48, thin", "24x24, thin", "12x12, thin"]
    assert [one.sizes for one in plan.levels] == sizes
    assert plan.levels[1].targets_lost == 0 < plan.levels[2].targets_lost < 0.05
    whole, *others = [one.parameters for one in plan.levels]
    assert len(set(others)) == 1 and 2 * others[0] < whole
    assert "images of 12x12, thin hold" in plan.reason
    assert "kernels act on them by their stencils" in plan.reason
    noisy = IMAGES + RNG.normal(size=IMAGES.shape)
    other = ms.plan(unet(), noisy, IMAGES, depth=3, topology="stencils")
    assert "kernels act on them by their stencils" in other.reason
    sampled = ms.plan(unet(), noisy, IMAGES, depth=2)
    assert (sampled.depth, sampled.visited) == (2, (2, 1))
    assert [one.sizes for one in sampled.levels] == ["48x48", "24x24", "12x12"]
    assert len({one.parameters for one in sampled.levels}) == 1
    assert "coarse levels see every other pixel, down to 12x12" in sampled.reason
    with pytest.raises(ValueError, match="`depth` must be at most 2 here"):
        ms.plan(unet(), noisy, IMAGES, depth=3)
    assert "48x48" in str(plan)
    few = ms.plan(unet(), IMAGES, IMAGES, depth=1)
    assert "half the channels learn much of what all learn" in few.reason
    small = ms.plan(unet(20, channels=2), IMAGES[:, :20, :20], IMAGES[:, :20, :20])
    assert "plain training: no thinner network, nor one on smaller" in small.reason
    assert ms.plan(unet(), IMAGES, IMAGES, depth=0).reason.endswith("as asked.")


def test_the_shortest_side_is_that_of_images_which_are_smaller_on_a_level():
    assert images_of(functional(unet()), 3).least == [np.inf, np.inf, 12, 6]
    inputs = keras.Input((48, 48, 1))
    x = layers.Conv2D(4, 3, padding="same")(inputs)
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(x)  # a pixel at any level
    squeezed = keras.Model(inputs, layers.Multiply()([x, layers.Conv2D(4, 1)(pooled)]))
    assert images_of(squeezed, 3).least == [np.inf, 24, 12]


def test_the_depth_is_read_off_the_data(monkeypatch):
    def depth(model, y):
        return ms.plan(model, IMAGES, y).depth

    monkeypatch.setattr(level_plans, "speed", lambda: 5e9)  # whatever machine this is
    noise = RNG.normal(size=IMAGES.shape)
    labels = RNG.integers(3, size=300)
    assert depth(unet(), IMAGES) == 0  # that little takes no time as it is
    monkeypatch.setattr(images_plan, "MAKING_READY", 0.0)
    flat = keras.Sequential(
        [
            keras.Input((48, 48, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Conv2D(1, 3, padding="same"),
        ]
    )
    assert depth(flat, IMAGES) == 3  # on 12 x 12 pixels
    assert depth(unet(channels=16), IMAGES) == 2  # which have 6 x 6 inside of this one
    assert depth(unet(channels=16), noise) == 1  # smaller images hold nothing of it
    noisy = IMAGES + RNG.normal(size=IMAGES.shape)
    assert ms.plan(unet(channels=16), noisy, IMAGES).depth == 2  # on 12 x 12 pixels
    assert ms.plan(unet(channels=16), noise, noise).levels[1].sizes == "48x48, thin"
    assert depth(classifier(channels=64), labels) == 1
    masks = (IMAGES[..., 0] > 0).astype("int64")
    assert depth(unet(channels=16, last=3), masks) == 1


# ----------------------------------------------------------------------------- training


def error(model):
    return float(np.mean((model.predict(IMAGES[200:], verbose=0) - Y[200:]) ** 2))


@pytest.mark.thorough
@pytest.mark.parametrize(
    "depth",
    [
        1,
        pytest.param(
            3,
            marks=pytest.mark.skipif(
                keras.backend.backend() == "jax",
                reason="compiling three levels takes 20 s",
            ),
        ),
    ],
)
def test_a_warm_start_learns_an_operator(depth, tmp_path):
    model = compiled(unet())
    untrained = error(model)
    record = ms.warm_start(model, IMAGES[:200], Y[:200], depth=depth, **OPTIONS)
    assert [one.level for one in record.levels] == [3, 2, 1][-depth:]
    assert error(model) < 0.8 * untrained
    model.fit(IMAGES[:200], Y[:200], verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert error(loaded) == pytest.approx(error(model), rel=1e-4)


@pytest.mark.thorough
def test_a_start_on_samples_learns_to_take_off_noise():
    noisy = IMAGES + RNG.normal(size=IMAGES.shape).astype("float32")
    model = compiled(unet())
    untrained = model.evaluate(noisy[200:], IMAGES[200:], verbose=0)
    record = ms.warm_start(model, noisy[:200], IMAGES[:200], depth=2, **OPTIONS)
    assert [one.level for one in record.levels] == [2, 1]
    assert record.plan.levels[1].sizes == "24x24"
    started = model.evaluate(noisy[200:], IMAGES[200:], verbose=0)
    assert started < 0.7 * min(untrained, np.var(IMAGES[200:]))


@pytest.mark.thorough
def test_a_start_makes_as_many_steps_on_any_machine(monkeypatch):
    def start(speed):
        monkeypatch.setattr(level_plans, "speed", lambda: speed)
        options = {"depth": 1, "batch_size": 16, "verbose": 0}
        return ms.warm_start(compiled(unet()), IMAGES[:176], Y[:176], **options)

    slow, fast = start(1e3), start(1e4)
    whole, thin = (one.step_seconds for one in slow.plan.levels[:2])
    # 11 batches a pass, by which the plan counts; no error ends the level earlier.
    steps = level_plans.IMAGES.passes * 11 * whole / thin
    assert [one.steps for one in slow.levels] == [one.steps for one in fast.levels]
    assert slow.levels[0].steps == pytest.approx(steps, rel=0.05)


@pytest.mark.thorough
def test_images_may_be_standardised_first():
    norm = layers.Normalization(axis=-1)
    norm.adapt(3 + 5 * IMAGES)
    model = compiled(unet(front=[norm]))
    x, before = 3 + 5 * IMAGES, norm.get_weights()
    untrained = model.evaluate(x, Y, verbose=0)
    ms.warm_start(model, x, Y, depth=2, **OPTIONS | {"seconds": 6.0})
    assert model.evaluate(x, Y, verbose=0) < 0.7 * untrained
    for one, other in zip(before, norm.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.thorough
def test_statistics_are_those_of_whole_images():
    model = compiled(unet())
    ms.warm_start(model, IMAGES, Y, depth=1, **OPTIONS)
    before = model.get_layer("norm").get_weights()[2]
    model.get_layer("norm").momentum = 0.0
    model(IMAGES, training=True)
    after = model.get_layer("norm").get_weights()[2]
    np.testing.assert_allclose(before, after, rtol=0.3, atol=0.05)


@pytest.mark.thorough
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_head_is_prolonged(padding):
    labels = (IMAGES.mean(axis=(1, 2, 3)) > 0).astype("int64")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = compiled(classifier(padding=padding, end=2), loss)
    ms.warm_start(model, IMAGES, labels, depth=1, **OPTIONS)
    wrong = np.mean(model.predict(IMAGES, verbose=0).argmax(axis=1) != labels)
    assert wrong < 0.2
    model.fit(IMAGES, labels, verbose=0)
