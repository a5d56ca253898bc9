"""A Keras model that trains one level at a time."""

from __future__ import annotations

import warnings
from inspect import signature
from typing import Any

import keras
import numpy as np

from msann import checks
from msann.hierarchy import Hierarchy, Weight
from msann.schedules import EVERY_LEVEL, MAX_STEPS, Visit
from msann_keras import focus
from msann_keras.backends import here
from msann_keras.callbacks import CycleSchedule
from msann_keras.engines.fine_gradient import FineGradient
from msann_keras.inputs import refuse_nan, symbolic
from msann_keras.keras_private import (
    build_from_a_batch,
    functional_class,
    unpickle_model,
)
from msann_keras.layers import MultilevelDense, at_level
from msann_keras.merge import merge
from msann_keras.optimizers.multilevel import MultilevelOptimizer, unwrapped
from msann_keras.optimizers.progress import Progress
from msann_keras.session import Session, progress_of
from msann_keras.spaces import multilevel_within

_COMPILE, _FIT = signature(keras.Model.compile), signature(keras.Model.fit)


@keras.saving.register_keras_serializable("msann_keras")
class MultilevelModel(keras.Model):
    """A Keras model that can train its `MultilevelDense` layers level by level.

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
            own: type = type(self)
            self.__class__ = functional_class(own)
        super().__init__(*args, **kwargs)
        self._level = EVERY_LEVEL
        self._is_distributed = here.in_scope()
        #: The present `fit` with a `CycleSchedule`; `None` outside of one.
        self.session: Session | None = None
        # What is compiled until `compile` is called again.
        self._fine_gradient: FineGradient | None = None
        self._programs: dict[int, Any] = {}

    def __reduce__(self):
        # Pickle finds classes by name, and not what `functional_class` makes.
        _, *rest = super().__reduce__()
        return (unpickle_model, *rest)

    def __dir__(self):
        # Keras loads weights by every name here, and would come to a layer again.
        return [name for name in super().__dir__() if name != "multilevel_layers"]

    _maybe_symbolic_build = build_from_a_batch  # what `fit` begins with
    optimizer: keras.optimizers.Optimizer | None  # as Keras sets it

    @property
    def multilevel_layers(self) -> list[MultilevelDense]:
        """List every `MultilevelDense` in the model, nested ones too."""
        return multilevel_within(self)

    @property
    def depth(self) -> int:
        """Return L, the coarsest level of the model's layers.

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
        """Show sizes, parameters and costs of the levels; it prints as a table."""
        layers = self.multilevel_layers
        self._check_built()
        ordinary = [v for v in self.trainable_weights if not hasattr(v, "level")]
        return Hierarchy(
            [Weight(x.name, x.input_chain, x.output_chain, x.use_bias) for x in layers],
            other_parameters=sum(int(np.prod(v.shape)) for v in ordinary),
        )

    @property
    def level(self) -> int:
        """Tell which level training steps train; `EVERY_LEVEL` (-1) is all at once."""
        return self._level

    @level.setter
    def level(self, level: int):
        self._level = checks.integer("level", level, EVERY_LEVEL, self.depth)

    @property
    def progress(self) -> Progress:
        """Tell how far the current schedule has been walked; saved with the model."""
        self._check_compiled()
        if self.session is not None:
            return self.session.progress
        return progress_of(self)

    @property
    def cost(self) -> float:
        """Return C(t) of the current schedule so far (section 4.1)."""
        return self.progress.cost(self.hierarchy.shares)

    def merge(self, name: str | None = None) -> keras.Model:
        """Make the plain model with the same predictions: `Dense` with weights Theta.

        Returns:
            A new functional model, not compiled. Layers keep their names, and ordinary
            layers their weights.
        """
        return merge(self, name)

    @property
    def _training_level(self) -> int:
        """The level that the present training step trains in this model.

        A stateless step is given all variables, and gives all back.
        """
        step = focus.present()
        if step.level == EVERY_LEVEL or here.IS_STATELESS:
            return EVERY_LEVEL
        return step.of(self.multilevel_layers[0])

    @property
    def trainable_weights(self):
        """List all trainable weights; within a training step, those that it trains."""
        return at_level(super().trainable_weights, self._training_level)

    @property
    def trainable_variables(self):
        """List what `trainable_weights` does: custom training steps ask for either."""
        return at_level(super().trainable_variables, self._training_level)

    def compile(
        self, optimizer="rmsprop", loss=None, loss_weights=None, *args, **kwargs
    ):
        """Compile as `keras.Model.compile` does, with a copy of `optimizer` a level."""
        given = _COMPILE.bind(self, optimizer, loss, loss_weights, *args, **kwargs)
        steps = given.arguments.get("steps_per_execution", 1)
        checks.integer("steps_per_execution", steps, least=1, most=MAX_STEPS)
        if here.in_scope() and not self._is_distributed:
            raise ValueError(
                f"The model {self.name!r} must be made inside of `with strategy.scope()"
                ":` too, if it is compiled there. Received: a model made outside of it"
            )
        # Without an optimizer, Keras compiles for evaluation; without layers yet, the
        # copies are made when training begins.
        if optimizer is not None and (self.built or self.multilevel_layers):
            optimizer = self._multilevel(optimizer)
        self.loss_weights = loss_weights
        self._fine_gradient, self._programs = None, {}
        # Keras's "auto" compiles no step on a CPU; a cycle is always worth it.
        self.jit_cycles = kwargs.get("jit_compile", "auto") is not False
        super().compile(optimizer, loss, loss_weights, *args, **kwargs)

    def _multilevel(self, optimizer) -> keras.optimizers.Optimizer:
        depth = self.depth
        if not isinstance(unwrapped(optimizer), MultilevelOptimizer):
            with here.place_of(self):
                optimizer = MultilevelOptimizer(optimizer, depth)
        if unwrapped(optimizer).depth != depth:
            raise ValueError(
                f"`optimizer` must have one copy for each of the model's {depth + 1} "
                f"levels. Received: one for {unwrapped(optimizer).depth + 1} levels"
            )
        return optimizer

    def compile_from_config(self, config):
        """Compile as a saved model was compiled; not if `compile` is a subclass's own.

        As with any Keras model, a class that overrides `compile` says for itself how
        to do it again, or it is loaded without being compiled.
        """
        if type(self).compile is not MultilevelModel.compile:
            warnings.warn(
                f"The model {self.name!r} is loaded without being compiled, since "
                f"{type(self).__name__} has a `compile` of its own. Compile it, or "
                "give the class `get_compile_config` and `compile_from_config`.",
                stacklevel=2,
            )
            return
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built and self.optimizer is not None:
            self._build_optimizer()

    def load_weights(self, *args, **kwargs):
        """Load weights as `keras.Model` does, the optimizers' slots included."""
        if self.compiled and self.built and self.optimizer is not None:
            self.optimizer = self._multilevel(self.optimizer)
            with here.place_of(self):
                self.optimizer.build(self.trainable_variables)
        return super().load_weights(*args, **kwargs)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Train as `keras.Model.fit` does; `level` ends as it was, whatever happens.

        Raises:
            ValueError: NaN in `x` or `y` (NumPy arrays are looked through), two
                `CycleSchedule` callbacks, or layers that were frozen or unfrozen since
                the model was first trained.
        """
        for argument, data in (("x", x), ("y", y)):
            refuse_nan(argument, data)
        bound = _FIT.bind(self, x, y, *args, **kwargs).arguments
        options = {name: bound[name] for name in bound if name != "self"}
        for name in {"epochs", "initial_epoch"} & options.keys():
            options[name] = checks.integer(name, options[name], least=0)
        if isinstance(callback := options.get("callbacks"), keras.callbacks.Callback):
            options["callbacks"] = [callback]  # on JAX Keras looks into lists alone
        callback = _cycle_schedule(options.get("callbacks"))
        level = self._level
        self._check_compiled()
        if not self.built and (inputs := symbolic(x)) is not None:
            with here.place_of(self):
                self(inputs)
        self._check_built()
        try:
            if callback is not None and callback.reads_data:
                self.make_train_function()
                self.session, options = callback.begin(self, options)
            return super().fit(**options)
        finally:
            if self.session is not None:
                self.session.end()
            self._level, self.session = level, None

    def fine_gradient(self) -> FineGradient:
        """Return the engine that trains with the fine gradient."""
        if self._fine_gradient is None:
            self._fine_gradient = FineGradient(self)
        return self._fine_gradient

    def program(self, consistency: int = 0) -> Any:
        """Return the compiled cycles on coarsened data; the first call makes them."""
        from msann_keras.engines.coarsened.program import Program  # not torch's

        if consistency not in self._programs:
            self._programs[consistency] = Program(self, consistency)
        return self._programs[consistency]

    @property
    def compile_seconds(self) -> float:
        """Tell how long tracing and compiling cycles on coarsened data took so far."""
        return sum(program.compile_seconds for program in self._programs.values())

    def make_train_function(self, force=False):
        """Build the optimizer and set `train_function`; `force` traces steps anew."""
        self._check_compiled()
        self._check_built()
        if force:
            self._fine_gradient, self._programs = None, {}
        self._build_optimizer()
        session = self.session
        engine = self.fine_gradient() if session is None else session.engine
        self.train_function = engine.function(self._train)

    def _train(self, iterator):
        """Make the next visits; the logs of the last batch."""
        if self.session is not None:
            return self.session.train(iterator)
        visits = (Visit(self.level, self.steps_per_execution),)
        logs = self.fine_gradient().run(visits, iterator)
        if logs is None:
            raise StopIteration
        return logs

    def _build_optimizer(self):
        """Give the optimizer its slots; refuse if it has them for other variables."""
        self.optimizer = self._multilevel(self.optimizer)
        optimizer, variables = unwrapped(self.optimizer), self.trainable_variables
        with here.place_of(self):
            self.optimizer.build(variables)
        if {id(v) for v in optimizer.built_for} != {id(v) for v in variables}:
            raise ValueError(
                f"Layers of the model {self.name!r} were frozen or unfrozen "
                "(`trainable`) since it was compiled and first trained. Call `compile` "
                "again, which takes that into account."
            )

    def _check_compiled(self):
        if not self.compiled or self.optimizer is None:
            raise ValueError(
                f"The model {self.name!r} must be compiled with an optimizer before it "
                "is trained: call `compile(optimizer, loss)`."
            )

    def _check_built(self):
        if not self.built:
            raise ValueError(
                f"The model {self.name!r} must be built first, so that each level's "
                "variables are known: call it on a batch."
            )


def _cycle_schedule(callbacks) -> CycleSchedule | None:
    """The callback that moves the model through the levels, if there is one."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    each = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    found = [callback for callback in each if isinstance(callback, CycleSchedule)]
    if len(found) > 1:
        raise ValueError(
            "`callbacks` may hold one CycleSchedule, since a model is at one level at "
            f"a time. Received: {len(found)} of them"
        )
    return found[0] if found else None
