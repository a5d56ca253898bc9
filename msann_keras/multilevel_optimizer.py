"""One optimizer for each level, behind the face of a single Keras optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from msann.schedules import EVERY_LEVEL
from msann_keras.initializers import check_integer
from msann_keras.layers import at_level


class Progress(NamedTuple):
    """How far a schedule has been walked.

    Attributes:
        position: Batches since its beginning.
        examples: Examples since then, one gradient evaluation each.
        level_examples: Those that trained each level, finest first; with
            |M_l|/|M_0| they make C(t).
    """

    position: int
    examples: int
    level_examples: tuple[int, ...]


@keras.saving.register_keras_serializable("msann_keras")
class MultilevelOptimizer(keras.optimizers.Optimizer):
    """A copy of an optimizer for each level: own slots, own step count.

    `MultilevelModel.compile` makes one; there is no need to do it by hand. Gradients
    go to the copy of the level whose variables they belong to; variables of no level
    go with `level`. The learning rate reads as level 0's and sets every level's, so
    that `LearningRateScheduler` and `ReduceLROnPlateau` reach them all.

    Each copy counts its own steps, so a `LearningRateSchedule` advances only while its
    level trains, and `global_clipnorm` is the norm of one level's gradients, also when
    every level trains. Copies are made from the config: what was set by a method
    (`exclude_from_weight_decay`) is lost; call it on each of `levels`.

    Training on coarsened data (`engine.py`) packs the variables of a coarse level into
    one vector; such a level has another copy for that, with slots of its own.

    Args:
        optimizer: What to copy: a Keras optimizer, its name or config.
        depth: L; there are L + 1 copies.
        rate_factors: Learning rate of each level as a multiple of level 0's; all one
            by default.
        packed: Sizes and types of packed levels, as `get_config` has them.

    Attributes:
        levels: The copies, finest first.
        packed: Copies for packed variables, by level.
        level: The level that variables of no level train with.

    Raises:
        ValueError: `optimizer` is a `LossScaleOptimizer`, which belongs outside;
            `depth` is no integer >= 0; or `rate_factors` are not L + 1 positive numbers
            that begin with 1. In `build`: `use_ema` with weights of no level.
    """

    def __init__(
        self,
        optimizer,
        depth: int,
        rate_factors: Sequence[float] | None = None,
        packed: dict[str, tuple[int, str]] | None = None,
        name: str = "multilevel_optimizer",
    ):
        check_integer("depth", depth, least=0)
        super().__init__(learning_rate=0.0, name=name)
        optimizer = keras.optimizers.get(optimizer)
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            raise ValueError(
                "There is one loss, so its scale cannot be a level's own; write "
                "`LossScaleOptimizer(MultilevelOptimizer(optimizer, depth))`. "
                f"Received: optimizer={optimizer!r}"
            )
        self.depth = depth
        self.level = EVERY_LEVEL
        self.levels = [
            type(optimizer).from_config(optimizer.get_config())
            for _ in range(depth + 1)
        ]
        self.packed: dict[str, keras.optimizers.Optimizer] = {}
        self.rate_factors = (
            (1.0,) * (depth + 1) if rate_factors is None else rate_factors
        )
        for level, (size, dtype) in (packed or {}).items():
            self.pack(int(level), size, dtype)
        self._progress = {
            "position": self.add_variable((), dtype="int64", name="position"),
            "examples": self.add_variable((), dtype="int64", name="examples"),
            "level_examples": self.add_variable(
                (depth + 1,), dtype="int64", name="level_examples"
            ),
        }

    def build(self, variables):
        """Give each level's copy its slots."""
        if self.built:
            return
        homeless = [v.path for v in variables if not hasattr(v, "level")]
        if self.depth and homeless and self.levels[0].use_ema:
            raise ValueError(
                "`use_ema=True` needs a model whose every weight belongs to a level, "
                "since each copy would average and overwrite those of ordinary layers. "
                f"Received: {homeless}"
            )
        for level, optimizer in enumerate(self.levels):
            optimizer.build(at_level(variables, level))
        super().build(variables)

    @property
    def variables(self):
        """Step count, progress, and the variables of every copy."""
        copies = [*self.levels, *self.packed.values()]
        return self._variables + [v for x in copies for v in x.variables]

    def pack(self, level: int, size: int, dtype: str | None = None):
        """The vector of `size` entries that a level is packed into, and its copy."""
        if str(level) not in self.packed:
            dtype = dtype or keras.config.floatx()
            variable = keras.Variable(np.zeros(size, dtype), name=f"level_{level}")
            optimizer = self.levels[level]
            copy = type(optimizer).from_config(optimizer.get_config())
            copy.build([variable])
            self.packed[str(level)] = copy
            self._set_rate(level)
        copy = self.packed[str(level)]
        return copy._trainable_variables[0], copy

    def advance(self, steps: Sequence[int], batch_size: int) -> None:
        """Note so many steps at each level, made with batches of one size."""
        steps = np.asarray(steps, dtype="int64")
        # The backend's own variables: Keras's arithmetic takes a millisecond each.
        position, examples, level_examples = (x.value for x in self._progress.values())
        position.assign_add(steps.sum())
        examples.assign_add(steps.sum() * batch_size)
        level_examples.assign_add(steps * batch_size)
        self.iterations.value.assign_add(steps.sum())

    def apply(self, grads, trainable_variables=None):
        """Apply each gradient with its level's optimizer.

        Raises:
            ValueError: Not built. Unlike other optimizers it must see the variables of
                every level first, `build(model.trainable_variables)`.
        """
        if not self.built:
            raise ValueError(
                "`MultilevelOptimizer` must be built with the variables of every level "
                "before it is applied: `optimizer.build(model.trainable_variables)`."
            )
        homeless = max(self.level, 0)
        groups: dict[int, list] = {}
        pairs = zip(
            grads, trainable_variables or self._trainable_variables, strict=True
        )
        for gradient, variable in pairs:
            level = getattr(variable, "level", homeless)
            groups.setdefault(level, []).append((gradient, variable))
        for level, pairs in groups.items():
            self.levels[level].apply(*map(list, zip(*pairs, strict=True)))
        self.iterations.assign_add(1)

    def count(self, examples) -> None:
        """Note a batch of so many examples at the current `level`."""
        examples = ops.cast(examples, "int64")
        trained = np.ones(self.depth + 1, dtype="int64")
        if self.level != EVERY_LEVEL:
            trained = np.eye(self.depth + 1, dtype="int64")[self.level]
        self._progress["position"].assign_add(ops.ones((), dtype="int64"))
        self._progress["examples"].assign_add(examples)
        self._progress["level_examples"].assign_add(examples * trained)

    @property
    def progress(self) -> Progress:
        """Batches and examples since `reset_progress`."""
        values = {k: ops.convert_to_numpy(v) for k, v in self._progress.items()}
        return Progress(**{name: _plain(value) for name, value in values.items()})

    def reset_progress(self) -> None:
        """Begin the schedule anew; slots and step counts stay."""
        for variable in self._progress.values():
            variable.assign(ops.zeros_like(variable))

    @property
    def learning_rate(self):
        """Level 0's; setting it sets every level's."""
        return self.levels[0].learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        self.levels[0].learning_rate = learning_rate
        for level in range(self.depth + 1):
            self._set_rate(level)

    @property
    def rate_factors(self) -> tuple[float, ...]:
        """Learning rate of each level as a multiple of level 0's."""
        return self._rate_factors

    @rate_factors.setter
    def rate_factors(self, factors):
        self._rate_factors = self._checked(factors)
        self.use_rates()

    def use_rates(self, factors: Sequence[float] | None = None) -> None:
        """Train with other factors for a while, which are not saved.

        Args:
            factors: As `rate_factors`, which without any are in force again.
        """
        self._factors = (
            self._rate_factors if factors is None else self._checked(factors)
        )
        for level in range(self.depth + 1):
            self._set_rate(level)

    def _checked(self, factors):
        try:
            values = tuple(float(x) for x in factors)
        except (TypeError, ValueError):
            values = ()
        if (
            len(values) != self.depth + 1
            or values[0] != 1
            or not all(0 < x < float("inf") for x in values)
        ):
            raise ValueError(
                f"`rate_factors` must be {self.depth + 1} positive numbers, the first "
                f"of them 1. Received: rate_factors={factors!r}"
            )
        return values

    def _set_rate(self, level):
        """Level 0's rate times the level's factor, for every copy of the level."""
        factor, rate = self._factors[level], self.levels[0]._learning_rate
        copies = self.levels[level : level + 1] if level else []
        if str(level) in self.packed:
            copies = [*copies, self.packed[str(level)]]
        for copy in copies:
            if not isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
                copy.learning_rate = factor * self.levels[0].learning_rate
                continue
            if getattr(copy._learning_rate, "schedule", None) is not rate:
                copy.learning_rate = Scaled(rate, factor)
            # A variable: compiled steps hold the object that they were traced with.
            copy._learning_rate.factor.assign(factor)

    @property
    def loss_scale_factor(self):
        """Level 0's; setting it sets every level's, each unscales its gradients."""
        return self.levels[0].loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, factor):
        for optimizer in getattr(self, "levels", ()):  # none yet in __init__
            optimizer.loss_scale_factor = factor

    def finalize_variable_values(self, var_list):
        """Let each copy finish its averages, as `fit` asks at its end."""
        for level, optimizer in enumerate(self.levels):
            if optimizer.iterations > 0:  # before the first step they are zero
                optimizer.finalize_variable_values(at_level(var_list, level))

    # The copies are saved as parts of this object, so it saves only what is its own.
    def save_own_variables(self, store):
        """Write the step count and the progress."""
        for i, variable in enumerate(self._variables):
            store[str(i)] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store):
        """Read the step count and the progress; a file of weights alone has none."""
        if not store.keys():
            return
        for i, variable in enumerate(self._variables):
            variable.assign(store[str(i)])

    def get_config(self):
        """Everything that `from_config` needs."""
        return {
            "name": self.name,
            "optimizer": keras.saving.serialize_keras_object(self.levels[0]),
            "depth": self.depth,
            "rate_factors": list(self._rate_factors),
            "packed": {
                level: [vector.shape[0], vector.dtype]
                for level, copy in self.packed.items()
                for vector in copy._trainable_variables
            },
        }


@keras.saving.register_keras_serializable("msann_keras")
class Scaled(keras.optimizers.schedules.LearningRateSchedule):
    """A learning-rate schedule times a constant."""

    def __init__(self, schedule, factor: float):
        is_config = isinstance(schedule, dict)
        deserialize = keras.saving.deserialize_keras_object
        self.schedule = deserialize(schedule) if is_config else schedule
        self.factor = keras.Variable(factor, trainable=False, name="factor")

    def __call__(self, step):
        """The rate after so many steps."""
        return self.factor * self.schedule(step)

    def get_config(self):
        """Everything that `from_config` needs."""
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "factor": float(self.factor)}


def begin_anew(optimizer: keras.optimizers.Optimizer, variables: list) -> None:
    """Give an optimizer's slots and counts the values that they began with."""
    fresh = type(optimizer).from_config(optimizer.get_config())
    fresh.build(variables)
    for variable, start in zip(optimizer.variables, fresh.variables, strict=True):
        variable.assign(start)


def unwrapped(optimizer) -> MultilevelOptimizer:
    """The multilevel optimizer inside Keras's loss scaling (mixed precision)."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _plain(value):
    return tuple(value.tolist()) if value.ndim else int(value)
