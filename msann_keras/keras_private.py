"""What Keras has no public name for, in one place, each with its reason.

Written for Keras 3.14 and 3.15 (setup.cfg allows no untested minor). Whoever raises the
upper bound reads this file again.
"""

from __future__ import annotations

import keras


def layers_within(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layer itself and every layer inside it, at any depth.

    Tried: `model.layers` has a model's own layers alone, and what a custom layer or a
    subclassed model holds in its attributes has no public list.
    """
    return layer._flatten_layers()


def unpickle_model(contents):
    """A model from what `keras.Model.__reduce__` made of one.

    Tried: the default pickles a bound method of the model's class, by the name of the
    class; that of a functional `MultilevelModel` is made at run time and has none.
    """
    return keras.Model._unpickle_model(contents)


def variable_index(optimizer: keras.optimizers.Optimizer, variable) -> int:
    """The place of a variable among those that an optimizer was built with.

    Tried: nothing else; Keras's own optimizers find their slots in this way.
    """
    return optimizer._get_variable_index(variable)


def is_sparse(tensor) -> bool:
    """Whether a tensor that comes to a layer is sparse.

    Tried: `keras.ops` says nothing of it; only symbolic tensors have a `sparse`, and
    TensorFlow's are known by their class, which is not imported for that.
    """
    return type(tensor).__name__ == "SparseTensor" or getattr(tensor, "sparse", False)
