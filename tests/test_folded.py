"""Units that a model reshapes to an image at its end: as good as flat ones."""

import keras
import numpy as np
import pytest
from coarsened import compiled as compiled_multilevel
from coarsened import fit
from keras import layers
from models import assert_equal
from smooth import images, started

import msann_keras as ms

IMAGES = images(300, 16)
FLAT = IMAGES.reshape(-1, 256)


def autoencoder(*end, hidden=64):
    """From images 16 x 16 to 256 units, and to what follows."""
    keras.utils.set_random_seed(4)
    stack = [
        layers.Flatten(name="flat"),
        layers.Dense(hidden, "gelu", name="hidden"),
        layers.Dense(256, name="out"),
    ]
    return keras.Sequential([keras.Input((16, 16)), *stack, *end])


def folded():
    return autoencoder(layers.Reshape((16, 16)))


def test_the_plan_is_that_of_flat_units():
    flat, image = (
        ms.plan(autoencoder(), IMAGES, FLAT**2),
        ms.plan(folded(), IMAGES, IMAGES**2),
    )
    assert image.topologies == flat.topologies
    for one, other in zip(image.levels, flat.levels, strict=True):
        assert one._replace(step_seconds=0) == other._replace(step_seconds=0)


@pytest.mark.thorough
def test_a_warm_start_learns_images():
    model = folded()
    model.compile("adam", "mse", metrics=["mae"])
    _, record = started(model, IMAGES[:200], IMAGES[:200] ** 2, depth=4)
    assert [one.level for one in record.levels] == [4, 2]
    loss, _ = model.evaluate(IMAGES[200:], IMAGES[200:] ** 2, verbose=0)
    assert loss < 0.3 * np.var(IMAGES**2)
    model.fit(IMAGES, IMAGES**2, verbose=0)


@pytest.mark.quick(1)
@pytest.mark.parametrize("batched", [False, True])
def test_a_fit_on_coarsened_data_is_that_of_flat_units(batched):
    trained = []
    for end, y in (((), FLAT), ((layers.Reshape((16, 16)),), IMAGES)):
        plain = autoencoder(*end, hidden=8)
        model = ms.multilevel(plain, 2, {"flat": ms.grid(16, 16)})
        model = compiled_multilevel(model=model)
        if batched:
            batches = [(IMAGES[i : i + 8], y[i : i + 8]) for i in (0, 8, 16)]
            fit(model, iter(batches), None, batch_size=None)
        else:
            fit(model, IMAGES[:24], y[:24])
        trained.append(model.get_weights())
        assert model.get_layer("out").output_topology == ms.grid(16, 16)
    assert_equal(*trained)


def test_an_image_without_an_image_in_front_has_the_asked_for_topology():
    stack = [layers.Dense(16, name="out"), layers.Reshape((4, 4)), layers.ReLU()]
    model = ms.multilevel(keras.Sequential([keras.Input((8,)), *stack]), 2, "path")
    assert model.get_layer("out").output_topology == ms.path(16)


def test_the_plan_knows_the_axes_of_an_image_that_is_made():
    keras.utils.set_random_seed(4)
    numbers = np.random.default_rng(3).normal(size=(300, 4)).astype("float32")
    waves = np.stack([IMAGES[i] for i in range(4)])
    stack = [layers.Dense(128, "gelu"), layers.Dense(256, name="out")]
    model = keras.Sequential([keras.Input((4,)), *stack, layers.Reshape((16, 16))])
    y = np.einsum("si,ijk->sjk", numbers, waves)
    plan = ms.plan(model, numbers, y, depth=2)
    assert plan.topologies["out"] == ms.grid(16, 16, prolongation="hat")


def test_a_softmax_over_rows_of_the_image_keeps_it_whole():
    model = autoencoder(layers.Reshape((16, 16)), layers.Softmax())
    model.compile("adam", "categorical_crossentropy")
    rows = keras.ops.convert_to_numpy(keras.ops.softmax(5 * IMAGES))
    _, record = started(model, IMAGES, rows, depth=2)
    assert [one.level for one in record.levels] == [2]
    assert np.allclose(model.predict(IMAGES, verbose=0).sum(axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (layers.Permute((2, 1)), "whose space it takes apart"),
        (layers.BatchNormalization(), "it reads one axis of what 'reshape"),
        (layers.Dense(3), "it reads one axis of what 'reshape"),
    ],
)
def test_what_takes_the_image_apart_is_refused(end, message):
    model = autoencoder(layers.Reshape((16, 16)), end)
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=message):
        ms.warm_start(model, IMAGES, np.ones((300, *model.output_shape[1:])), depth=2)
