"""Networks in the structure of Keras's examples, with fewer channels, newly made."""

import keras
from keras import layers


def convolutional_autoencoder():
    """vision/autoencoder: noise is taken out of digits."""
    stack = [keras.Input((28, 28, 1))]
    for _ in range(2):
        stack += [layers.Conv2D(16, 3, activation="relu", padding="same")]
        stack += [layers.MaxPooling2D(2, padding="same")]
    for _ in range(2):
        up = {"strides": 2, "activation": "relu", "padding": "same"}
        stack += [layers.Conv2DTranspose(16, 3, **up)]
    stack += [layers.Conv2D(1, 3, activation="sigmoid", padding="same")]
    return keras.Sequential(stack)


def segmentation():
    """vision/oxford_pets_image_segmentation: a U-Net in the manner of Xception."""
    inputs = keras.Input((64, 64, 3))
    x = layers.Conv2D(16, 3, strides=2, padding="same")(inputs)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    before = x
    for filters in (32, 64):
        for _ in range(2):
            x = layers.Activation("relu")(x)
            x = layers.SeparableConv2D(filters, 3, padding="same")(x)
            x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        past = layers.Conv2D(filters, 1, strides=2, padding="same")(before)
        x = before = layers.add([x, past])
    for filters in (64, 32, 16):
        for _ in range(2):
            x = layers.Activation("relu")(x)
            x = layers.Conv2DTranspose(filters, 3, padding="same")(x)
            x = layers.BatchNormalization()(x)
        x = layers.UpSampling2D(2)(x)
        past = layers.Conv2D(filters, 1, padding="same")(layers.UpSampling2D(2)(before))
        x = before = layers.add([x, past])
    return keras.Model(inputs, layers.Conv2D(2, 3, padding="same")(x))


def resnet():
    """A small residual network with batch normalisation, and global pooling."""
    inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(16, 3, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        options = {"padding": "same", "use_bias": False}
        y = layers.Conv2D(filters, 3, strides=strides, **options)(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, **options)(y))
        if strides > 1:
            x = layers.Conv2D(filters, 1, strides=strides, padding="same")(x)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(4)(x))


def digits_convnet():
    """vision/mnist_convnet: convolutions without padding, `Flatten` and `Dense`."""
    stack = [keras.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu")]
    stack += [layers.MaxPooling2D(2), layers.Conv2D(64, 3, activation="relu")]
    stack += [layers.MaxPooling2D(2), layers.Flatten(), layers.Dropout(0.5)]
    return keras.Sequential([*stack, layers.Dense(4)])


def series_classifier():
    """timeseries/timeseries_classification_from_scratch."""
    inputs = x = keras.Input((256, 1))
    for _ in range(3):
        x = layers.Conv1D(32, 3, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))


def series_autoencoder():
    """timeseries/timeseries_anomaly_detection: strides down, and up again."""
    both = {"kernel_size": 7, "padding": "same", "strides": 2, "activation": "relu"}
    stack = [keras.Input((256, 1)), layers.Conv1D(32, **both), layers.Dropout(0.2)]
    stack += [layers.Conv1D(16, **both), layers.Conv1DTranspose(16, **both)]
    stack += [layers.Dropout(0.2), layers.Conv1DTranspose(32, **both)]
    return keras.Sequential([*stack, layers.Conv1DTranspose(1, 7, padding="same")])


def volumes():
    """vision/3D_image_classification."""
    stack = [keras.Input((32, 32, 16, 1))]
    for filters in (16, 16, 32):
        stack += [layers.Conv3D(filters, 3, activation="relu", padding="same")]
        stack += [layers.MaxPooling3D(2), layers.BatchNormalization()]
    stack += [layers.GlobalAveragePooling3D(), layers.Dense(64, activation="relu")]
    return keras.Sequential([*stack, layers.Dropout(0.3), layers.Dense(4)])


def super_resolution():
    """Images of twice the sides, by a transposed convolution."""
    inputs = keras.Input((32, 32, 1))
    x = layers.Conv2D(32, 5, padding="same", activation="relu")(inputs)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    up = {"strides": 2, "padding": "same", "activation": "relu"}
    x = layers.Conv2DTranspose(16, 4, **up)(x)
    return keras.Model(inputs, layers.Conv2D(1, 3, padding="same")(x))


def efficient():
    """Blocks as EfficientNet has them: expand, a kernel a channel, squeeze, project."""
    inputs = keras.Input((32, 32, 3))

    def normal(x):
        return layers.Activation("swish")(layers.BatchNormalization()(x))

    x = normal(layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(inputs))
    for filters in (16, 24):
        wide = 4 * x.shape[-1]
        y = normal(layers.Conv2D(wide, 1, padding="same", use_bias=False)(x))
        y = normal(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y))
        weights = layers.Reshape((1, 1, wide))(layers.GlobalAveragePooling2D()(y))
        weights = layers.Conv2D(8, 1, activation="swish")(weights)
        weights = layers.Conv2D(wide, 1, activation="sigmoid")(weights)
        y = layers.multiply([y, weights])
        y = layers.Conv2D(filters, 1, padding="same", use_bias=False)(y)
        y = layers.BatchNormalization()(y)
        if filters == x.shape[-1]:
            y = layers.add([layers.Dropout(0.2)(y), x])
        x = y
    x = layers.GlobalAveragePooling2D()(normal(layers.Conv2D(64, 1)(x)))
    return keras.Model(inputs, layers.Dense(4)(x))


def mixer():
    """vision/mlp_image_classification: an MLP-Mixer, whose tokens are permuted."""
    inputs = keras.Input((32, 32, 1))
    x = layers.Reshape((64, 16))(inputs)
    x = layers.Dense(32)(x)
    for _ in range(2):
        y = layers.Permute((2, 1))(layers.LayerNormalization()(x))
        y = layers.Dense(64)(layers.Dense(64, activation="gelu")(y))
        x = layers.add([x, layers.Permute((2, 1))(y)])
        y = layers.Dense(64, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.add([x, layers.Dense(32)(y)])
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))


def recommender():
    """structured_data/collaborative_filtering: embeddings that are joined."""
    inputs = [keras.Input((1,), dtype="int32", name=name) for name in ("who", "what")]
    each = [layers.Flatten()(layers.Embedding(50, 32)(x)) for x in inputs]
    x = layers.Dense(64, activation="relu")(layers.Concatenate()(each))
    return keras.Model(inputs, layers.Dense(1)(x))


def siamese():
    """Two images that one network reads."""
    shared = [layers.Flatten(), layers.Dense(128, "relu"), layers.Dense(64, "relu")]
    inputs = [keras.Input((28, 28)), keras.Input((28, 28))]
    each = []
    for x in inputs:
        for layer in shared:
            x = layer(x)
        each.append(x)
    return keras.Model(inputs, layers.Dense(1)(layers.Subtract()(each)))


def transformer():
    """nlp/text_classification_with_transformer: attention stays whole."""
    inputs = keras.Input((40,), dtype="int32")
    x = layers.Embedding(50, 32)(inputs)
    y = layers.MultiHeadAttention(2, 16)(x, x)
    x = layers.LayerNormalization()(layers.add([x, y]))
    y = layers.Dense(32)(layers.Dense(128, activation="relu")(x))
    x = layers.LayerNormalization()(layers.add([x, y]))
    x = layers.Dense(64, activation="relu")(layers.GlobalAveragePooling1D()(x))
    return keras.Model(inputs, layers.Dense(4)(x))


def sub_pixels():
    """vision/super_resolution_sub_pixel: the image is unfolded by an operation."""
    inputs = keras.Input((32, 32, 1))
    x = layers.Conv2D(32, 5, padding="same", activation="relu")(inputs)
    x = layers.Conv2D(4, 3, padding="same")(x)
    x = keras.ops.reshape(x, (-1, 32, 32, 2, 2))
    x = keras.ops.transpose(x, (0, 1, 3, 2, 4))
    return keras.Model(inputs, keras.ops.reshape(x, (-1, 64, 64, 1)))
