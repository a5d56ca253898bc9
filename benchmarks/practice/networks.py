"""Networks of the practice tasks: called, they make a new Keras model.

Keras is imported where it is needed, so that whoever only asks what tasks there are
need not wait for it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """A stack of dense layers.

    Attributes:
        sizes: Of the input and of each layer.
        activation: Of all layers but the last.
        last: Activation of the last one, which is linear by default.
    """

    sizes: tuple[int, ...]
    activation: str
    last: str | None = None

    def __call__(self, initializers=None):
        """A new Keras model.

        Args:
            initializers: Of the kernels, one a layer; Keras's default if `None`.
        """
        import keras

        units = self.sizes[1:]
        activations = [self.activation] * (len(units) - 1) + [self.last]
        kernels = initializers or ["glorot_uniform"] * len(units)
        layers = [
            keras.layers.Dense(n, activation=activation, kernel_initializer=kernel)
            for n, activation, kernel in zip(units, activations, kernels, strict=True)
        ]
        return keras.Sequential([keras.Input((self.sizes[0],)), *layers])


@dataclass(frozen=True)
class UNet:
    """Convolutions on images of several sizes, and ways past the smaller ones.

    Attributes:
        side: Of an image.
        channels: At each size, the largest image first.
    """

    side: int
    channels: tuple[int, ...]

    def __call__(self, initializers=None):
        """A new Keras model."""
        import keras
        from keras import layers

        def two(x, channels):
            for _ in range(2):
                x = layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
            return x

        inputs = keras.Input((self.side, self.side, 1))
        *larger, smallest = self.channels
        x, past = inputs, []
        for channels in larger:
            past.append(two(x, channels))
            x = layers.MaxPooling2D()(past[-1])
        x = two(x, smallest)
        for channels, other in zip(reversed(larger), reversed(past), strict=True):
            x = layers.Concatenate()([layers.UpSampling2D()(x), other])
            x = two(x, channels)
        return keras.Model(inputs, layers.Conv2D(1, 3, padding="same")(x))


@dataclass(frozen=True)
class Residual:
    """Convolutions on whole images, in pairs that add to what they are given.

    Attributes:
        side: Of an image.
        channels: Of each hidden image.
        blocks: Pairs of convolutions.
    """

    side: int
    channels: int
    blocks: int

    def __call__(self, initializers=None):
        """A new Keras model."""
        import keras
        from keras import layers

        def convolution(**options):
            return layers.Conv2D(self.channels, 3, padding="same", **options)

        inputs = keras.Input((self.side, self.side, 1))
        x = convolution()(inputs)
        for _ in range(self.blocks):
            x = layers.Add()([x, convolution()(convolution(activation="gelu")(x))])
        return keras.Model(inputs, layers.Conv2D(1, 3, padding="same")(x))


@dataclass(frozen=True)
class Classifier:
    """Pairs of convolutions, each pair at half the size of the last, and a head.

    Attributes:
        side: Of an image.
        channels: Of each pair.
        units: Of the layer behind them.
        classes: Logits.
    """

    side: int
    channels: tuple[int, ...]
    units: int
    classes: int = 10

    def __call__(self, initializers=None):
        """A new Keras model."""
        import keras
        from keras import layers

        x = inputs = keras.Input((self.side, self.side, 1))
        for channels in self.channels:
            for _ in range(2):
                x = layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
            x = layers.MaxPooling2D()(x)
        x = layers.Dense(self.units, activation="relu")(layers.Flatten()(x))
        return keras.Model(inputs, layers.Dense(self.classes)(x))
