"""What differs between the backends of Keras: a module for each, with the same names.

- `JITS`: whether the steps of a level are jitted;
- `STEPS_PER_CALL`: most steps that one call of a level makes;
- `batches(..)`: how samples come to a level;
- `KEEPS_PROGRAMS`: whether there is `keep_programs(folder)`, which keeps compiled ones;
- `IS_STATELESS`: whether training steps are functions of the state;
- `synchronise(model)`: let variables have the values that a running `fit` has come to;
- `add_to(variable, counts)`: add to a variable that counts;
- `in_scope()`: whether this is inside of a strategy's scope;
- `no_cycles(model)`: why there are no cycles on coarsened data for a model, or `None`;
- `check_place(model)`: refuse a place from where a model cannot be started;
- `place_of(model)`: a context in which variables are made where the model's are, and
  `spread(model)`: the same for a network of its own that trains there, if that can be;
- `alone()`: a context in which everything else trains on one device;
- `leads(model)`: whether this process is the one that trains coarse levels, and
  `share(model)`: gives what it has made of the model to the other processes.

`here` is the module of the backend that Keras runs on.
"""

from importlib import import_module

import keras

here = import_module(f"{__name__}.{keras.backend.backend()}")
"""The module of the present backend."""
