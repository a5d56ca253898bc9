"""Multilevel (multigrid-style) training of neural networks for Keras.

After Scott and Mjolsness, "Multilevel Artificial Neural Network Training for
Spatially Correlated Learning", SIAM, 2019, doi 10.1137/18M1191506.

`warm_start` starts a plain Keras model from its coarsest network, on every backend of
Keras. `multilevel` and `CycleSchedule` train by the paper's cycles, on TensorFlow and
JAX.
"""

import keras

from msann import cost, graphs, schedules
from msann.hierarchy import Hierarchy
from msann.optimal.search import optimal_prolongation
from msann.schedules import EVERY_LEVEL, Schedule, Visit
from msann.topology import (
    Topology,
    cycle,
    given,
    graph,
    grid,
    identity,
    path,
    random_orthogonal,
    shuffled,
    slower,
    square_grid,
    torus,
)
from msann_keras import initializers
from msann_keras.averages import coarse_data
from msann_keras.callbacks import CycleSchedule, Evaluate
from msann_keras.compile_cache import enable_compile_cache
from msann_keras.convert import multilevel
from msann_keras.layers import MultilevelDense
from msann_keras.level_plans import Plan
from msann_keras.model import MultilevelModel
from msann_keras.nested import Record, prolong, thinner, warm_start
from msann_keras.optimizers import MultilevelOptimizer, TF1RMSprop
from msann_keras.plan import plan

__version__ = "0.1.0"

__all__ = [
    "EVERY_LEVEL",
    "CycleSchedule",
    "Evaluate",
    "Hierarchy",
    "MultilevelDense",
    "MultilevelModel",
    "MultilevelOptimizer",
    "Plan",
    "Record",
    "Schedule",
    "TF1RMSprop",
    "Topology",
    "Visit",
    "coarse_data",
    "cost",
    "cycle",
    "enable_compile_cache",
    "given",
    "graph",
    "graphs",
    "grid",
    "identity",
    "initializers",
    "multilevel",
    "optimal_prolongation",
    "path",
    "plan",
    "prolong",
    "random_orthogonal",
    "schedules",
    "shuffled",
    "slower",
    "square_grid",
    "thinner",
    "torus",
    "warm_start",
]

if keras.backend.backend() != "torch":
    from msann_keras.engines.coarsened.network import coarse_network

    __all__ += ["coarse_network"]
else:

    def __getattr__(name):
        """Say what torch lacks, since that may be why a name is missing."""
        raise AttributeError(
            f"`msann_keras.{name}` is not there while Keras runs on torch. "
            "`coarse_network` and cycles need TensorFlow or JAX."
        )
