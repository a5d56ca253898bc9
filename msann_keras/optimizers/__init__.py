"""One optimizer for each level, and the one that the paper's results need."""

from msann_keras.optimizers.multilevel import MultilevelOptimizer
from msann_keras.optimizers.progress import Progress
from msann_keras.optimizers.tf1_rmsprop import TF1RMSprop

__all__ = ["MultilevelOptimizer", "Progress", "TF1RMSprop"]
