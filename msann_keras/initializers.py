"""Spatially correlated weights: a start that is a sum over levels, (3.6) to (3.8)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from msann import checks
from msann.topology import MAX_DEPTH, Topology, chain, resolve
from msann_keras.transfer import sum_of_levels

__all__ = ["Multilevel"]


@keras.saving.register_keras_serializable("msann_keras")
class Multilevel(keras.initializers.Initializer):
    """Draws a kernel as the sum of prolonged levels, for any dense layer.

    `Theta = theta_0 + Pro theta_1 + .. + Pro theta_L`, each theta_l drawn with the
    fan-in and fan-out of its own level: the Theta that a `MultilevelDense` starts
    from, in a plain `keras.layers.Dense`. Weights that are near in both spaces share
    their coarse terms, so they are correlated; the entries' variance grows as well,
    to nearly twice the base's where both spaces halve at each level.

    Args:
        depth: L, the coarsest level; 0 is `base` itself.
        base: Draws every level: a Keras initializer, its name or its config.
        input_topology: What the rows live on: a topology such as `grid(32, 32)`, or
            the name of one that its size determines ("path", "cycle", "grid",
            "identity"). Path by default.
        output_topology: The same for the columns.
        seed: Integer >= 0 to take the place of the seed of `base`, if it has one. As
            with any Keras initializer, one instance draws the same at every call,
            seeded or not, unless its base has a `keras.random.SeedGenerator`.

    Call arguments:
        shape: `(rows, columns)`, as `Dense` has it: `(input_dim, units)`.
        dtype: Of the weights; Keras's `floatx` by default.

    Returns:
        From a call, a tensor of that shape.

    Raises:
        ValueError: Depth or seed not integers >= 0, or no base; from a call, a shape
            that is no matrix's, or topologies that are unknown or do not fit the shape
            or the depth.

    Example:

    >>> from msann_keras import grid
    >>> start = Multilevel(depth=2, input_topology=grid(4, 4), seed=1)
    >>> layer = keras.layers.Dense(8, kernel_initializer=start)
    >>> layer(np.ones((2, 16))).shape
    TensorShape([2, 8])
    >>> Multilevel(depth=2, base="ones")((4, 4)).numpy()[0]
    array([1.75, 1.75, 1.75, 1.75], dtype=float32)
    """

    def __init__(
        self,
        depth: int,
        base: Any = "glorot_normal",
        input_topology: Topology | str | dict | None = None,
        output_topology: Topology | str | dict | None = None,
        seed: int | None = None,
    ):
        depth = checks.integer("depth", depth, least=0, most=MAX_DEPTH)
        if seed is not None:
            seed = checks.integer("seed", seed, least=0)
        if base is None or base == {}:
            checks.refuse("base", base, "a Keras initializer, its name or its config")
        self.depth = depth
        self.base = _seeded(keras.initializers.get(base), seed)
        self.input_topology = input_topology
        self.output_topology = output_topology
        self.seed = seed
        # Once and not at each call: an unseeded initializer takes its seed when it is
        # made, and Keras's draw the same at every call.
        self._levels = [for_level(self.base, level) for level in range(depth + 1)]

    def __call__(self, shape, dtype=None):
        """Draw the kernel."""
        shape = checks.integers("shape", shape, least=1)
        try:
            dtype = keras.backend.standardize_dtype(dtype)  # the floatx of None
        except (ValueError, TypeError):
            checks.refuse("dtype", dtype, "a dtype of Keras, such as 'float32'")
        if len(shape) != 2:
            raise ValueError(
                "`shape` must be (rows, columns): `Multilevel` is for the kernel of "
                "`keras.layers.Dense` and of other layers whose kernel is a matrix, "
                f"not for biases or convolutions. Received: shape={shape}"
            )
        ends = ("input_topology", "output_topology")
        chains = [
            chain(resolve(getattr(self, end), size, end), self.depth)
            for end, size in zip(ends, shape, strict=True)
        ]
        shapes = zip(*(one.sizes for one in chains), strict=True)
        return sum_of_levels(
            [
                draw(level_shape, dtype=dtype)
                for draw, level_shape in zip(self._levels, shapes, strict=True)
            ],
            chains,
        )

    def get_config(self):
        """Return everything that `from_config` needs."""
        topologies = {
            name: value.get_config() if isinstance(value, Topology) else value
            for name in ("input_topology", "output_topology")
            for value in [getattr(self, name)]
        }
        return {
            "depth": self.depth,
            "base": keras.saving.serialize_keras_object(self.base),
            **topologies,
            "seed": self.seed,
        }


def for_level(initializer: Any, level: int) -> Any:
    """The initializer of a level: its own draw, so that levels are independent.

    Args:
        initializer: A Keras initializer, or any callable, which stays as it is.
        level: 0, where `initializer` itself draws, or a coarser one.

    Returns:
        An initializer with a seed of its own if `initializer` has a seed.
    """
    if not isinstance(initializer, keras.initializers.Initializer) or level == 0:
        return initializer
    if isinstance(getattr(initializer, "seed", None), keras.random.SeedGenerator):
        return initializer  # moves on at every draw
    config = initializer.get_config()
    if isinstance(config.get("seed"), int):
        sequence = np.random.SeedSequence([config["seed"], level])
        config["seed"] = int(sequence.generate_state(1)[0])
    return type(initializer).from_config(config)


def _seeded(initializer, seed):
    """The initializer with `seed` for its own, if it has one and one is given."""
    if seed is None or not isinstance(initializer, keras.initializers.Initializer):
        return initializer
    config = initializer.get_config()
    if "seed" not in config:
        return initializer
    return type(initializer).from_config(config | {"seed": seed})
