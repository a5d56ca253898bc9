"""Nested iteration on a plain Keras model: the coarsest network learns first.

Each level is an ordinary Keras model on coarser data. It trains until its gain slows
down, then its weights and what its optimizer has learned of the gradients are prolonged
to the next finer one. At the end the user's own model holds the weights.
"""

from msann_keras.nested.parts import prolong, thinner
from msann_keras.nested.record import LevelRecord, Record
from msann_keras.nested.warm_start import warm_start

__all__ = ["LevelRecord", "Record", "prolong", "thinner", "warm_start"]
