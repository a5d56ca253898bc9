"""Layers and data that networks of convolutions may have, and what is refused."""

import keras
import numpy as np
import pytest
from convolutions import IMAGES, OPTIONS, Y, compiled, outputs, unet
from keras import layers, ops
from smooth import same

import msann_keras as ms
from msann_keras.images.levels import images_of
from msann_keras.nested import level as nested_level
from msann_keras.spaces import functional


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
    "reshaped": (lambda: of(layers.Reshape((64, 32))), "`depth` must be at most 0"),
    "rows": (
        lambda: of(layers.LayerNormalization(axis=(1, 2, 3))),
        "LayerNormalization layer has no coarse",
    ),
    "inner": (lambda: of(of(side=32)), "Sequential layer has no coarse form"),
    "frozen": (frozen, "does not train"),
    "frozen, called again": (called_again, "does not train"),
    "a mean a pixel": (
        lambda: of(layers.Normalization(axis=(1, 2, 3))),
        "a mean for each pixel",
    ),
    "beside others": (beside_others, "`depth` must be at most 0"),
    "any size": (of_any_size, "`depth` must be at most 0.*no images of one known size"),
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


@pytest.mark.thorough
def test_labels_of_pixels_have_no_averages():
    labels = np.zeros(IMAGES.shape[:3], "int64")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = compiled(unet(last=3), loss)
    with pytest.raises(ValueError, match="`y` must have samples of shape"):
        ms.warm_start(model, IMAGES, labels, depth=2, **OPTIONS)
    # A thinner network takes them as they are.
    record = ms.warm_start(
        model, IMAGES, labels, depth=1, validation_data=(IMAGES, labels), **OPTIONS
    )
    assert record.levels[0].left < 0.9 * record.levels[0].entered


def test_activations_need_not_be_registered():
    def mine(x):
        return ops.maximum(x, 0.1 * x)

    stack = [layers.Conv2D(2, 3, padding="same", activation=mine)]
    stack += [layers.Conv2D(1, 3, padding="same"), layers.Activation(mine)]
    model = compiled(keras.Sequential([keras.Input((48, 48, 1)), *stack]))
    record = ms.warm_start(model, IMAGES, Y, depth=2, **OPTIONS)
    assert len(record.levels) == 2


def test_the_loss_on_some_images_at_a_time_is_that_on_all(monkeypatch):
    model = compiled(unet())
    expected = model.evaluate(IMAGES, Y, verbose=0)
    monkeypatch.setattr(nested_level, "IMAGES_AT_ONCE", 77)
    assert nested_level.loss_on(model, IMAGES, Y) == pytest.approx(expected, rel=1e-4)


def test_images_of_whole_numbers_are_averaged_all_the_same():
    keras.utils.set_random_seed(6)
    inputs = keras.Input((48, 48, 1), dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    model = keras.Model(inputs, layers.Conv2D(1, 3, padding="same")(x))
    whole = (127 + 127 * IMAGES).astype("uint8")
    coarsening = images_of(functional(model), 1)
    coarse, _ = coarsening.data([whole], [whole], 1)
    network = coarsening.network(1)
    layer = network.layers[1]
    actual = outputs(keras.Model(network.input, layer.output), coarse)
    np.testing.assert_allclose(actual, coarse / 255, rtol=1e-5)


def test_images_have_their_own_topology_and_depth():
    with pytest.raises(ValueError, match="`topology` must be None or one of"):
        ms.plan(unet(), IMAGES, Y, topology="grid")
    with pytest.raises(
        ValueError, match="`depth` must be at most 3 here.*images of 48x48 do not"
    ):
        ms.plan(unet(), IMAGES, Y, depth=4)
    with pytest.raises(ValueError, match="`x` must have finite|`x` must be finite"):
        ms.plan(unet(), np.where(IMAGES > 0.9, np.inf, IMAGES), Y)
