"""What the weights of a network of convolutions live on: channels, and pixels too.

Kernels have one size at all levels, so weights are prolonged along channels alone. What
stands behind a `Flatten` lives on pixels times channels.
"""

from __future__ import annotations

import math

import keras

from msann.topology import Chain, chain, identity
from msann.topology.pixels import Pixels
from msann_keras.coarse_networks import Hidden
from msann_keras.images.stencils import DEPTHWISE, SEPARABLE, TRANSPOSED
from msann_keras.initializers import for_level

#: The share of a draw that tells prolonged channels apart. They are few, and with less
#: of it the whole network learns slowly after a start.
APART = 1.0


def pixels_of(tensors) -> Chain:
    """What an image lives on, from its tensors at all levels; labels have no pixels."""
    sides = tuple(tuple(tensor.shape[1:-1]) for tensor in tensors)
    has_pixels = sides[0] and None not in sides[0]
    return chain(Pixels(sides) if has_pixels else identity(1), len(sides) - 1)


def chains_of(layer, views) -> list[tuple[Chain, ...]]:
    """What the axes of a layer's weights live on."""
    depth = len(views) - 1
    made = [view.network.get_layer(layer.name).weights for view in views]
    flattened = [view.flattened.get(layer.name) for view in views]
    result = []
    for weights in zip(*made, strict=True):
        sizes = zip(*(weight.shape for weight in weights), strict=True)
        axes = [[(size,) for size in levels] for levels in sizes]
        is_bias = isinstance(layer, keras.layers.Dense) and len(axes) == 1
        counts = [(math.prod(sides),) for sides in flattened if sides is not None]
        if axes and axes[0] == counts and not is_bias:  # it reads what was flattened
            axes[0] = flattened
        result.append(
            tuple(
                chain(
                    Pixels(tuple(sides))
                    if len(set(sides)) > 1
                    else identity(math.prod(sides[0])),
                    depth,
                )
                for sides in axes
            )
        )
    return result


def roles_of(layer, place, chains) -> tuple[int, Hidden | None]:
    """Which axis of a weight is of its layer's units, and the hidden ones it reads."""
    if len(chains) < 2:
        return -1, None
    if isinstance(layer, (*DEPTHWISE, *SEPARABLE)) and place == 0:
        return -2, None  # each channel has a kernel of its own
    units, reads = (-2, -1) if isinstance(layer, TRANSPOSED) else (-1, -2)
    one = chains[reads]
    if not isinstance(one.topology, Pixels) or one.sizes[1] == one.sizes[0]:
        return units, None
    fine, thin, *_ = one.topology.sides
    if thin[-1] == fine[-1]:  # its pixels coarsen, and these are not alike
        return units, None
    # The channels alone of pixels times channels: only these are equal in pairs.
    channels = Pixels((fine, *[thin] * (len(one.sizes) - 1)))
    initializer = getattr(layer, "kernel_initializer", None)
    if isinstance(layer, SEPARABLE):
        initializer = layer.pointwise_initializer
    draw, levels = for_level(initializer, 1), chain(channels, len(one.sizes) - 1)
    return units, Hidden(levels, draw, reads, APART)
