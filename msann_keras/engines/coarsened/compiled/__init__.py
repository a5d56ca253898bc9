"""What is compiled for coarsened data: a module for each backend, with the same names.

A program is written once, in `level` and `program`, as if variables changed in place.
These are the parts of it that backends do not share:

- `program(function, variables, model)`: a function of arrays that changes variables,
  compiled as the model is;
- `loop(condition, body, values, changes)`: calls `body` with what it returned last, as
  long as a condition of the same values holds; `changes` are the variables that it
  changes;
- `when(condition, function, values, changes)`: calls a function of values, which
  returns such values, or leaves them as they are;
- `value(variable)`: the present value, which stays when the variable changes;
- `gradient(function, tensors)`: `(result, gradients)` of a function of a list of
  tensors that returns `(loss, others)`, which is the result;
- `rows(array, indices)`: some rows of an array;
- `cut(vector, sizes)`: a vector in pieces;
- `compiled(function)`: a function of tensors that changes nothing, compiled;
- `on_device(array)`: a copy of an array;
- `tickets(count)`: what Keras's `fit` counts its batches on, `None` for no end;
- `train_function(model, train)`: the model's `train_function` as Keras calls it, from a
  function of the iterator that finds the variables as they are and changes them.

`here` is the module of the backend that Keras runs on.
"""

from importlib import import_module

import keras

here = import_module(f"{__name__}.{keras.backend.backend()}")
"""The module of the present backend."""
