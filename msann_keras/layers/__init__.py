"""Layers that hold a weight of every level."""

from msann_keras.layers.dense import MultilevelDense, at_level

__all__ = ["MultilevelDense", "at_level"]
