"""Training steps with the fine gradient: one compiled function for each level.

A coarse level gets the restriction of the whole network's gradient (section 3.4.2), so
a step at any level runs the whole network. There is a module for each backend, whose
`FineGradient` is an engine (see `msann_keras.engines`).
"""

from importlib import import_module

import keras

FineGradient = import_module(f"{__name__}.{keras.backend.backend()}").FineGradient
