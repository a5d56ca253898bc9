"""One optimizer for each level, behind the face of a single Keras optimizer."""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from msann_keras.layers import at_level
from msann_keras.schedules import EVERY_LEVEL


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

    Args:
        optimizer: What to copy: a Keras optimizer, its name or config.
        depth: L; there are L + 1 copies.

    Attributes:
        levels: The copies, finest first.
        level: The level that variables of no level train with.

    Raises:
        ValueError: `optimizer` is a `LossScaleOptimizer`, which belongs outside.
    """

    def __init__(self, optimizer, depth: int, name: str = "multilevel_optimizer"):
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
        for level, optimizer in enumerate(self.levels):
            optimizer.build(at_level(variables, level))
        super().build(variables)

    @property
    def variables(self):
        """Step count, progress, and the variables of every copy."""
        return self._variables + [v for o in self.levels for v in o.variables]

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
        for optimizer in self.levels:
            optimizer.learning_rate = learning_rate

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
        }


def unwrapped(optimizer) -> MultilevelOptimizer:
    """The multilevel optimizer inside Keras's loss scaling (mixed precision)."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _plain(value):
    return tuple(value.tolist()) if value.ndim else int(value)
