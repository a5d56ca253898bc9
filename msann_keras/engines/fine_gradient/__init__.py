"""Training steps with the fine gradient: one compiled function for each level.

A coarse level gets the restriction of the whole network's gradient (section 3.4.2), so
a step at any level runs the whole network. There is a module for each backend, whose
`FineGradient` is an engine (see `msann_keras.engines`) and has one member more:

- `function(train)`: the model's `train_function` as Keras calls it on this backend,
  from a function of the iterator that returns the logs.
"""

from importlib import import_module

import keras

FineGradient = import_module(f"{__name__}.{keras.backend.backend()}").FineGradient
