"""What Keras has no public name for, in one place, each with its reason.

Written for Keras 3.14 and 3.15 (setup.cfg allows no untested minor). Whoever raises the
upper bound reads this file again.
"""

from __future__ import annotations

from functools import cache

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


def build_from_a_batch(model: keras.Model, iterator=None, data_batch=None) -> None:
    """Stands for `_maybe_symbolic_build` of a model that trains under a strategy.

    Tried: Keras's own takes the mean of a first batch over replicas, which several
    workers refuse for a tuple of tensors, so that `fit` never begins
    (keras-team/keras#20585). The part of one replica tells as much.
    """
    strategy = model._distribute_strategy
    if strategy is None:
        return
    if iterator is not None:
        _, _, batches = next(iter(iterator))
        data_batch = keras.tree.map_structure(
            lambda part: strategy.experimental_local_results(part)[0], next(batches)
        )
    with strategy.scope():
        model._symbolic_build(data_batch=data_batch)


@cache
def functional_class(cls: type) -> type:
    """A subclass of `keras.Model`, for functional models.

    Tried: nothing. Left alone, Keras changes the bases of `cls` itself, and from the
    first functional model on nobody can subclass it any more.
    """
    nothing = keras.Input((), name="nothing")
    functional = type(keras.Model(nothing, nothing))
    if issubclass(cls, functional):
        return cls
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    result = type(cls.__name__, (cls, functional), names | {"__doc__": cls.__doc__})
    package, separator, name = keras.saving.get_registered_name(cls).rpartition(">")
    if separator:  # a saved model is revived as what it was
        keras.saving.register_keras_serializable(package, name)(result)
    return result
