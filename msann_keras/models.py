"""A Keras model that trains one level at a time."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import cache, partial
from inspect import signature
from itertools import islice

import keras
import numpy as np
import tensorflow as tf
from keras.src.models.functional import Functional

from msann.hierarchy import Hierarchy, Weight
from msann.schedules import EVERY_LEVEL, Visit
from msann_keras.coarse_fit import CoarseFit
from msann_keras.engine import Cycles
from msann_keras.layers import MultilevelDense, at_level
from msann_keras.merge import merge
from msann_keras.multilevel_optimizer import MultilevelOptimizer, Progress, unwrapped

_FIT = signature(keras.Model.fit)


@keras.saving.register_keras_serializable("msann_keras")
class MultilevelModel(keras.Model):
    """A `keras.Model` with `MultilevelDense` layers, trained one level at a time.

    Made by `multilevel(model, ...)`, or by hand like any functional or subclassed
    model. It is compiled, fitted, evaluated and saved as always. What differs:

    - `compile` makes one copy of the optimizer for each level (`MultilevelOptimizer`).
    - A training step trains `level`; by default every level at once. `CycleSchedule`
      moves the level while `fit` runs. There is one compiled step for each level,
      traced once, however many cycles are made.
    - Weights of ordinary layers in the model belong to no level; they train with
      every level.

    Example:

    >>> import msann_keras as ms
    >>> inputs = keras.Input((8,))
    >>> hidden = ms.MultilevelDense(4, depth=1, activation="sigmoid")(inputs)
    >>> model = MultilevelModel(inputs, ms.MultilevelDense(8, depth=1)(hidden))
    >>> model.compile("adam", "mse")
    >>> history = model.fit(np.eye(8), np.eye(8), verbose=0,
    ...                     callbacks=[ms.CycleSchedule(gamma=1, smoothing_steps=2)])
    >>> model.merge()(np.eye(8)).shape
    TensorShape([8, 8])
    """

    def __init__(self, *args, **kwargs):
        if len(args) == 2 or "outputs" in kwargs:  # as Keras tells them apart
            self.__class__ = _functional(type(self))
        super().__init__(*args, **kwargs)
        self._level = EVERY_LEVEL
        self._training_level = EVERY_LEVEL
        self._cycles: dict[int, Cycles] = {}  # compiled ones, by consistency
        self._coarse_fit: CoarseFit | None = None
        #: The visits of the next call of `train_function`, for `CycleSchedule` to set.
        self.visits: tuple[Visit, ...] | None = None

    def __reduce__(self):
        # Pickle finds classes by name, and would not find what `_functional` makes.
        _, *rest = super().__reduce__()
        return (MultilevelModel._unpickle_model, *rest)

    @property
    def multilevel_layers(self) -> list[MultilevelDense]:
        """Every `MultilevelDense` in the model, nested ones too."""
        return [x for x in self._flatten_layers() if isinstance(x, MultilevelDense)]

    @property
    def depth(self) -> int:
        """L, the coarsest level of the model's layers.

        Raises:
            ValueError: There is no multilevel layer, or their depths differ.
        """
        depths = {layer.name: layer.depth for layer in self.multilevel_layers}
        if len(set(depths.values())) != 1:
            raise ValueError(
                "A MultilevelModel needs at least one MultilevelDense layer, and the "
                f"same `depth` in all of them. Received: depths {depths}"
            )
        return next(iter(depths.values()))

    @property
    def hierarchy(self) -> Hierarchy:
        """Sizes, parameters and costs of the levels; prints as a table."""
        layers = self.multilevel_layers
        self._check_built()
        ordinary = [v for v in self.trainable_weights if not hasattr(v, "level")]
        return Hierarchy(
            [Weight(x.name, x.input_chain, x.output_chain, x.use_bias) for x in layers],
            other_parameters=sum(int(np.prod(v.shape)) for v in ordinary),
        )

    @property
    def level(self) -> int:
        """The level that training steps train; `EVERY_LEVEL` (-1) for all at once."""
        return self._level

    @level.setter
    def level(self, level: int):
        levels = range(EVERY_LEVEL, self.depth + 1)
        if isinstance(level, bool | float) or level not in levels:
            raise ValueError(
                f"`level` must be in 0 .. {self.depth}, or EVERY_LEVEL = {EVERY_LEVEL}."
                f" Received: level={level!r}"
            )
        self._level = level

    @property
    def progress(self) -> Progress:
        """How far the current schedule has been walked; saved with the model."""
        self._assert_compile_called("progress")
        return unwrapped(self.optimizer).progress

    @property
    def cost(self) -> float:
        """C(t) of the current schedule so far (section 4.1)."""
        shares = self.hierarchy.shares
        return float(np.dot(shares, self.progress.level_examples))

    def merge(self, name: str | None = None) -> keras.Model:
        """The plain model with the same predictions: Dense layers with weights Theta.

        Returns:
            A new functional model, not compiled. Layers keep their names, and ordinary
            layers their weights.
        """
        return merge(self, name)

    @property
    def trainable_weights(self):
        """All of them; within a training step those of the level that trains."""
        return at_level(super().trainable_weights, self._training_level)

    @property
    def trainable_variables(self):
        """The same: custom training steps ask for either."""
        return at_level(super().trainable_variables, self._training_level)

    def compile(
        self, optimizer="rmsprop", loss=None, loss_weights=None, *args, **kwargs
    ):
        """As `keras.Model.compile`, with one copy of `optimizer` for each level."""
        with self.distribute_strategy.scope():  # the model's own, or the current one
            if tf.distribute.has_strategy():
                raise ValueError(
                    "MultilevelModel does not train under a tf.distribute strategy. "
                    f"Received: {self.distribute_strategy!r}"
                )
        depth = self.depth
        if not isinstance(unwrapped(optimizer), MultilevelOptimizer):
            optimizer = MultilevelOptimizer(optimizer, depth)
        if unwrapped(optimizer).depth != depth:
            raise ValueError(
                f"`optimizer` must have one copy for each of the model's {depth + 1} "
                f"levels. Received: one for {unwrapped(optimizer).depth + 1} levels"
            )
        self.loss_weights, self._cycles = loss_weights, {}
        # Keras's "auto" compiles no step on a CPU; a cycle is always worth it.
        self.jit_cycles = kwargs.get("jit_compile", "auto") is not False
        super().compile(optimizer, loss, loss_weights, *args, **kwargs)

    def compile_from_config(self, config):
        """Compile as a saved model was compiled."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def load_weights(self, *args, **kwargs):
        """As `keras.Model.load_weights`, the optimizers' slots included."""
        if self.compiled and self.built:
            self.optimizer.build(self.trainable_variables)
        return super().load_weights(*args, **kwargs)

    def fit(self, x=None, y=None, *args, **kwargs):
        """As `keras.Model.fit`. Ends with `level` as it was, whatever happens.

        Raises:
            ValueError: NaN in `x` or `y` (NumPy arrays are looked through).
        """
        for argument, data in (("x", x), ("y", y)):
            _refuse_nan(argument, data)
        bound = _FIT.bind(self, x, y, *args, **kwargs).arguments
        options = {name: bound[name] for name in bound if name != "self"}
        level = self.level
        try:
            schedule = _coarse_schedule(options.get("callbacks"))
            if schedule is not None:
                return self._fit_coarsened(schedule, options)
            return super().fit(**options)
        finally:
            self._level, self.visits, self._coarse_fit = level, None, None
            if self.compiled:
                unwrapped(self.optimizer).use_rates()

    def _fit_coarsened(self, callback, options):
        """`fit` for a `CycleSchedule` with `coarsen_data`."""
        self._assert_compile_called("fit")
        self.make_train_function()
        if callback.consistency not in self._cycles:
            self._cycles[callback.consistency] = Cycles(self, callback.consistency)
        cycles = self._cycles[callback.consistency]
        schedule = callback.schedule_for(self.depth)
        callback.set_rates(self)  # bad ones are refused before anything is changed
        self._coarse_fit = CoarseFit(cycles, schedule, options, callback.memory)
        self._coarse_fit.begin()
        return super().fit(**options)

    @property
    def compile_seconds(self) -> float:
        """What tracing and compiling cycles on coarsened data has taken so far."""
        return sum(cycles.compile_seconds for cycles in self._cycles.values())

    @property
    def averaging_seconds(self) -> float:
        """What averaging the data took before the first cycle of the present `fit`."""
        return self._coarse_fit.seconds if self._coarse_fit else 0.0

    def make_train_function(self, force=False):
        """Forget the compiled steps if need be; each is traced when first used."""
        if self.train_function is not None and not force:
            return
        self._check_built()
        self.optimizer.build(self.trainable_variables)
        self._level_functions = {}
        self.train_function = self._train

    def _check_built(self):
        if not self.built:
            raise ValueError(
                f"The model {self.name!r} must be built first, so that each level's "
                "variables are known: call it on a batch."
            )

    def _train(self, iterator):
        """Make the next visits; the logs of the last batch."""
        if self._coarse_fit is not None:
            return self._coarse_fit.run(self.visits)
        visits = self.visits or (Visit(self.level, self.steps_per_execution),)
        logs = None
        for level, steps in visits:
            if level not in self._level_functions:
                self._level_functions[level] = self._make_level_function(level)
            batches, visit_logs = self._level_functions[level](iterator, steps)
            logs = visit_logs if batches else logs
            if batches < steps:
                break
        if logs is None:
            raise StopIteration
        return logs

    def _make_level_function(self, level):
        """A function of `(iterator, steps)` that trains `level`; see `_visit`."""
        # Partials: TensorFlow counts traces by code, so closures would look like one
        # function that is traced again and again, and it would warn.
        merge, step = partial(self._merge, level), partial(self._step, level)
        if self.run_eagerly:
            return partial(self._visit_in_python, merge, step)
        compiled = {"jit_compile": self.jit_compile, "reduce_retracing": True}
        merge, step = tf.function(merge, **compiled), tf.function(step, **compiled)
        visit = tf.function(partial(self._visit, merge, step), reduce_retracing=True)

        def visit_on_device(iterator, steps):
            if not isinstance(iterator, tf.data.Iterator):
                return self._visit_in_python(merge, step, iterator, steps)
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
        if level == EVERY_LEVEL:
            return [None for _ in self.multilevel_layers]
        return [layer.theta(without=level) for layer in self.multilevel_layers]

    def _step(self, level, frozen, data):
        """One batch: `train_step`, with `level` as all that trains."""
        with self._training_at(level, frozen):
            logs = self.train_step(data)
            arrays = (x for x in keras.tree.flatten(data) if x is not None)
            unwrapped(self.optimizer).count(tf.shape(next(arrays))[0])
        return logs

    @staticmethod
    def _visit(merge, step, iterator, steps):
        """Up to `steps` batches; how many there were, and the logs of the last."""
        frozen = merge()
        data = iterator.get_next()
        batches, more = tf.constant(0), tf.constant(True)
        while more:
            # The only call of `step`: a second one would be compiled a second time.
            logs = step(frozen, _without_optionals(data))
            batches += 1
            more = batches < steps
            if more:
                following = iterator.get_next_as_optional()
                more = following.has_value()
                if more:
                    data = following.get_value()
        return batches, logs

    @staticmethod
    def _visit_in_python(merge, step, iterator, steps):
        """The same without a compiled loop, for any iterator."""
        frozen, batches, logs = merge(), 0, None
        for data in islice(iterator, steps):
            batches, logs = batches + 1, step(frozen, _without_optionals(data))
        return batches, logs

    @contextmanager
    def _training_at(self, level, merged):
        """Within it, the model's trainable weights are those of `level`."""
        optimizer = unwrapped(self.optimizer)
        with ExitStack() as stack:
            for layer, frozen in zip(self.multilevel_layers, merged, strict=True):
                stack.enter_context(layer.training_at(level, frozen))
            self._training_level = optimizer.level = level
            try:
                yield
            finally:
                self._training_level = optimizer.level = EVERY_LEVEL


def _coarse_schedule(callbacks):
    """The callback that asks for coarsened data, if one does."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    for callback in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
        if getattr(callback, "coarsen_data", False):
            return callback
    return None


@cache
def _functional(cls):
    """`cls` for functional models.

    Left alone, Keras would change the bases of `cls` itself, and from the first
    functional model on nobody could subclass `MultilevelModel` any more.
    """
    if issubclass(cls, Functional):
        return cls
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    result = type(cls.__name__, (cls, Functional), names | {"__doc__": cls.__doc__})
    package, separator, name = keras.saving.get_registered_name(cls).rpartition(">")
    if separator:  # a saved model is revived as what it was
        keras.saving.register_keras_serializable(package, name)(result)
    return result


def _without_optionals(data):
    """Keras feeds a missing element of a generator as an empty `Optional`."""
    return keras.tree.map_structure(
        lambda x: None if isinstance(x, tf.experimental.Optional) else x, data
    )


def _refuse_nan(argument, data):
    for array in keras.tree.flatten(data):
        # The minimum is NaN if any entry is, and needs no copy.
        if (
            isinstance(array, np.ndarray)
            and array.dtype.kind == "f"
            and array.size
            and np.isnan(array.min())
        ):
            raise ValueError(
                f"`{argument}` must not contain NaN. Received: an array of shape "
                f"{array.shape} with {np.count_nonzero(np.isnan(array))} NaN"
            )
