"""The fine gradient on TensorFlow: whole visits run in one compiled call.

Under a `tf.distribute` strategy every replica takes its part of each batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice

import keras
import numpy as np
import tensorflow as tf

from msann.schedules import EVERY_LEVEL
from msann_keras import focus
from msann_keras.optimizers.multilevel import unwrapped
from msann_keras.optimizers.progress import Progress

#: Iterators that a compiled loop may take from.
ITERATORS = (tf.data.Iterator, tf.distribute.DistributedIterator)


class FineGradient:
    """An engine for a compiled, built `MultilevelModel`.

    Each level's function is traced when the level is first visited, once.
    """

    whole_cycles = False

    def __init__(self, model: keras.Model):
        self.model = model
        self._functions: dict[int, Callable] = {}

    @property
    def progress(self) -> Progress:
        """How far the schedule has been walked."""
        return unwrapped(self.model.optimizer).progress

    def function(self, train: Callable) -> Callable:
        """Keras calls it with the iterator, for logs."""
        return train

    def due(self, iterator) -> int:
        """Batches of a call; `run` finds out whether there are so many."""
        return self.model.steps_per_execution

    def run(self, visits, iterator) -> dict | None:
        """Make visits, until the data end."""
        logs = None
        for level, steps in visits:
            if level not in self._functions:
                self._functions[level] = self._function(level)
            batches, visit_logs = self._functions[level](iterator, steps)
            logs = visit_logs if batches else logs
            if batches < steps:
                break
        return logs

    def _function(self, level):
        """A function of `(iterator, steps)` that trains `level`; see `_visit`."""
        # Partials: TensorFlow counts traces by code, so closures would look like one
        # function that is traced again and again, and it would warn.
        merge, step = partial(self._merge, level), partial(self._on_replicas, level)
        if self.model.run_eagerly:
            return partial(_visit_in_python, merge, step)
        compiled = {"jit_compile": self.model.jit_compile, "reduce_retracing": True}
        merge, step = tf.function(merge, **compiled), tf.function(step, **compiled)
        visit = tf.function(partial(_visit, merge, step), reduce_retracing=True)

        def visit_on_device(iterator, steps):
            if not isinstance(iterator, ITERATORS):
                return _visit_in_python(merge, step, iterator, steps)
            try:
                batches, logs = visit(iterator, tf.constant(steps))
            except tf.errors.OutOfRangeError:  # not one batch was left
                return 0, None
            return int(batches), logs

        return visit_on_device

    def _merge(self, level):
        """The other levels' share of every layer's Theta.

        They are constant during a visit, so they are merged at its beginning and not
        in each step.
        """
        layers = self.model.multilevel_layers
        if level == EVERY_LEVEL:
            return [None for _ in layers]
        return self.model.distribute_strategy.run(
            lambda: [layer.theta(without=level) for layer in layers]
        )

    def _on_replicas(self, level, frozen, data):
        """One batch, a part of it on each replica; the mean of their logs."""
        strategy = self.model.distribute_strategy
        logs = strategy.run(partial(self._step, level), args=(frozen, data))
        mean = partial(strategy.reduce, tf.distribute.ReduceOp.MEAN, axis=None)
        return keras.tree.map_structure(mean, logs)

    def _step(self, level, frozen, data):
        """The model's `train_step` on a replica, with `level` as all that trains."""
        model, optimizer = self.model, unwrapped(self.model.optimizer)
        with focus.training(level, model.multilevel_layers, frozen):
            logs = model.train_step(data)
        arrays = (x for x in keras.tree.flatten(data) if x is not None)
        examples = tf.cast(tf.shape(next(arrays))[0], "int64")
        levels = range(model.depth + 1)
        trained = np.array([level in (x, EVERY_LEVEL) for x in levels], dtype="int64")
        optimizer.advance(tf.ones((), "int64"), examples, examples * trained)
        return logs


def _visit(merge, step, iterator, steps):
    """Up to `steps` batches; how many there were, and the logs of the last.

    All come as optionals: those of a strategy have another shape without.

    Raises:
        tf.errors.OutOfRangeError: Not one batch was left.
    """
    frozen = merge()
    batches, following = tf.constant(0), iterator.get_next_as_optional()
    more = following.has_value()
    if not more:
        iterator.get_next()  # which says so
    while more:
        # The only call of `step`: a second one would be compiled a second time.
        logs = step(frozen, _without_optionals(following.get_value()))
        batches += 1
        more = batches < steps
        if more:
            following = iterator.get_next_as_optional()
            more = following.has_value()
    return batches, logs


def _visit_in_python(merge, step, iterator, steps):
    """The same without a compiled loop, for any iterator."""
    frozen, batches, logs = merge(), 0, None
    for data in islice(iterator, steps):
        batches, logs = batches + 1, step(frozen, _without_optionals(data))
    return batches, logs


def _without_optionals(data):
    """Keras feeds a missing element of a generator as an empty `Optional`."""
    return keras.tree.map_structure(
        lambda x: None if isinstance(x, tf.experimental.Optional) else x, data
    )
