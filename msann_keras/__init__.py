"""Multilevel (multigrid-style) training of neural networks for Keras.

After Scott and Mjolsness, "Multilevel Artificial Neural Network Training for
Spatially Correlated Learning", SIAM Multiscale Modeling & Simulation, 2019.
"""

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
    square_grid,
    torus,
)
from msann_keras import initializers
from msann_keras.averages import coarse_data
from msann_keras.callbacks import CycleSchedule, Evaluate
from msann_keras.convert import multilevel
from msann_keras.engines.coarsened.network import coarse_network
from msann_keras.layers import MultilevelDense
from msann_keras.model import MultilevelModel
from msann_keras.optimizers import MultilevelOptimizer, TF1RMSprop

__version__ = "0.1.0.dev0"

__all__ = [
    "EVERY_LEVEL",
    "CycleSchedule",
    "Evaluate",
    "Hierarchy",
    "MultilevelDense",
    "MultilevelModel",
    "MultilevelOptimizer",
    "Schedule",
    "TF1RMSprop",
    "Topology",
    "Visit",
    "coarse_data",
    "coarse_network",
    "cost",
    "cycle",
    "given",
    "graph",
    "graphs",
    "grid",
    "identity",
    "initializers",
    "multilevel",
    "optimal_prolongation",
    "path",
    "random_orthogonal",
    "schedules",
    "shuffled",
    "square_grid",
    "torus",
]
