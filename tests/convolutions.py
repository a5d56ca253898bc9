"""Networks of convolutions, and images that coarse ones hold."""

import keras
import numpy as np
from keras import layers, ops
from smooth import images

RNG = np.random.default_rng(8)
IMAGES = images(300, 48)[..., None]
OPTIONS = {"batch_size": 16, "seconds": 3.0, "verbose": 0}


def unet(side=48, last=1, channels=8, front=()):
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


def classifier(side=48, padding="same", end=3, channels=4):
    keras.utils.set_random_seed(6)
    stack = [
        layers.Conv2D(channels, 3, padding=padding, activation="relu"),
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


#: What a convolution makes of the images.
Y = (IMAGES - np.roll(IMAGES, 4, axis=1)) ** 2
