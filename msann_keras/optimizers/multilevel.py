"""One optimizer for each level, behind the face of a single Keras optimizer."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from msann import checks
from msann.arrays import MAX_ENTRIES
from msann.schedules import EVERY_LEVEL
from msann.topology import MAX_DEPTH
from msann_keras import focus
from msann_keras.backends import here
from msann_keras.layers import at_level
from msann_keras.optimizers.progress import Progress
from msann_keras.optimizers.rates import LevelRate, is_schedule, schedule_of


@keras.saving.register_keras_serializable("msann_keras")
class MultilevelOptimizer(keras.optimizers.Optimizer):
    """Keeps a copy of an optimizer for each level, with slots and steps of its own.

    `MultilevelModel.compile` makes one; there is no need to do it by hand. Gradients
    go to the copy of the level whose variables they belong to; variables of no level
    go with the level that trains (`focus`). The learning rate reads as level 0's, and
    every other level's follows it, so that `LearningRateScheduler` and
    `ReduceLROnPlateau` reach them all.

    Each copy counts its own steps, so a `LearningRateSchedule` advances only while its
    level trains, and `global_clipnorm` is the norm of one level's gradients, also when
    every level trains. Copies are made from the config: what was set by a method
    (`exclude_from_weight_decay`) is lost; call it on each of `levels`.

    Training on coarsened data packs the variables of a small coarse level into one
    vector; such a level has another copy for that, with slots of its own.

    Args:
        optimizer: What to copy: a Keras optimizer, its name or config.
        depth: L; there are L + 1 copies.
        rate_factors: Learning rate of each level as a multiple of level 0's; all one
            by default.
        packed: Sizes and types of packed levels, as `get_config` has them.

    Attributes:
        levels: The copies, finest first.
        packed: Copies for packed variables, by level.
        vectors: The packed variables themselves, by level.
        built_for: The variables that the optimizer was built with.
        rate_variables: The present factors, which are not saved.

    Raises:
        ValueError: `optimizer` is missing, or a `LossScaleOptimizer`, which belongs
            outside, or its learning rate is a function; `depth` is no integer >= 0; or
            `rate_factors` are not L + 1 positive numbers that begin with 1; `packed` is
            not as `get_config` has it. In `build`: `use_ema` with weights of no level.
    """

    def __init__(
        self,
        optimizer,
        depth: int,
        rate_factors: Sequence[float] | None = None,
        packed: dict[str, tuple[int, str]] | None = None,
        name: str = "multilevel_optimizer",
    ):
        depth = checks.integer("depth", depth, least=0, most=MAX_DEPTH)
        if optimizer is None:
            raise ValueError(
                "`optimizer` must be a Keras optimizer, its name or its config. "
                "Received: optimizer=None"
            )
        super().__init__(learning_rate=0.0, name=name)
        self.depth = depth
        optimizer = keras.optimizers.get(optimizer)
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            raise ValueError(
                "There is one loss, so its scale cannot be a level's own; write "
                "`LossScaleOptimizer(MultilevelOptimizer(optimizer, depth))`. "
                f"Received: optimizer={optimizer!r}"
            )
        self.schedule = schedule_of(optimizer)
        self._rates = [LevelRate(self) for _ in range(self.depth + 1)]
        self.rate_variables = [rate.factor for rate in self._rates]
        self.levels = [type(optimizer).from_config(optimizer.get_config())]
        self.levels += [self._copy(level) for level in range(1, self.depth + 1)]
        self.packed: dict[str, keras.optimizers.Optimizer] = {}
        self.vectors: dict[str, keras.Variable] = {}
        self.built_for: list[keras.Variable] = []
        self.rate_factors = (
            (1.0,) * (self.depth + 1) if rate_factors is None else rate_factors
        )
        for level, (size, dtype) in _checked_packed(packed, depth).items():
            self.pack(level, size, dtype)
        # Replicas make one step together, each with examples of its own.
        self._progress = {
            name: self.add_variable(shape, "zeros", "int", aggregation, name=name)
            for name, shape, aggregation in (
                ("position", (), "only_first_replica"),
                ("examples", (), "sum"),
                ("level_examples", (self.depth + 1,), "sum"),
            )
        }

    def _copy(self, level):
        """Another copy for a level; the rate of all but level 0 follows level 0's."""
        config = self.levels[0].get_config()
        if level:
            config["learning_rate"] = self._rates[level]
        return type(self.levels[0]).from_config(config)

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
        self.built_for = list(variables)
        super().build(variables)

    @property
    def _own(self):
        """What is saved with this object, and not with the copies."""
        return [self.iterations, *self._progress.values()]

    @property
    def variables(self):
        """List the step count, the progress, and the variables of every copy."""
        copies = [*self.levels, *self.packed.values()]
        return self._own + [v for x in copies for v in x.variables]

    def pack(self, level: int, size: int, dtype: str | None = None):
        """Return the vector that a level is packed into, `size` long, and its copy."""
        key = str(level)  # as JSON has it
        if key not in self.packed:
            dtype = dtype or keras.config.floatx()
            vector = keras.Variable(np.zeros(size, dtype), name=f"level_{level}")
            copy = self._copy(level)
            copy.build([vector])
            self.packed[key], self.vectors[key] = copy, vector
        return self.vectors[key], self.packed[key]

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
        trains, variables = focus.present().level, trainable_variables or self.built_for
        present = {v.level for v in variables if hasattr(v, "level")}
        # Loss scaling under a strategy comes here in a thread, where nothing is known.
        is_clear = trains == EVERY_LEVEL and len(present) == 1
        homeless = present.pop() if is_clear else max(trains, 0)
        groups: dict[int, list] = {}
        pairs = zip(grads, variables, strict=True)
        for gradient, variable in pairs:
            level = getattr(variable, "level", homeless)
            if here.IS_STATELESS and trains not in (level, EVERY_LEVEL):
                continue  # every variable has a gradient
            groups.setdefault(level, []).append((gradient, variable))
        # Level 0 last: a constraint on Theta is its to fulfil, after the others' steps.
        for level, own in sorted(groups.items(), reverse=True):
            self.levels[level].apply(*map(list, zip(*own, strict=True)))
        self.iterations.assign_add(1)

    def advance(self, position, examples, level_examples) -> None:
        """Add batches of the schedule, examples, and examples of each level."""
        added = (position, examples, level_examples)
        for variable, value in zip(self._progress.values(), added, strict=True):
            here.add_to(variable, value)

    def progress_in(self, values: Sequence) -> Progress:
        """Find the progress among values of `variables`, as JAX has them in its state.

        Loss scaling has variables of its own in front.
        """
        own = zip(self.variables, values[-len(self.variables) :], strict=True)
        known = {id(variable): value for variable, value in own}
        each = {name: known[id(v)] for name, v in self._progress.items()}
        return Progress(**{name: _plain(np.array(x)) for name, x in each.items()})

    def with_progress(self, values: Sequence, progress: Progress) -> list:
        """Return such values with another progress among them."""
        names = {id(variable): name for name, variable in self._progress.items()}
        result = [*values]
        for place, variable in enumerate(reversed(self.variables), 1):
            if (name := names.get(id(variable))) is not None:
                most = np.iinfo(variable.dtype).max
                counted = np.minimum(getattr(progress, name), most)
                result[-place] = ops.cast(counted, variable.dtype)
        return result

    @property
    def progress(self) -> Progress:
        """Count batches and examples since `reset_progress`."""
        values = {k: v.numpy() for k, v in self._progress.items()}
        return Progress(**{name: _plain(value) for name, value in values.items()})

    def reset_progress(self) -> None:
        """Begin the schedule anew; slots and step counts stay."""
        for variable in self._progress.values():
            variable.assign(ops.zeros(variable.shape, variable.dtype))

    def begin_anew(self) -> None:
        """Give the slots and counts of every copy the values that they began with."""
        copies = [
            (level, copy, at_level(self.built_for, level))
            for level, copy in enumerate(self.levels)
        ]
        copies += [
            (int(level), copy, [self.vectors[level]])
            for level, copy in self.packed.items()
        ]
        for level, copy, variables in copies:
            fresh = self._copy(level)
            fresh.build(variables)
            for variable, start in zip(copy.variables, fresh.variables, strict=True):
                variable.assign(start)

    @property
    def learning_rate(self):
        """Return level 0's rate, which every other level's follows."""
        return self.levels[0].learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        self.levels[0].learning_rate = learning_rate
        self.schedule = learning_rate if is_schedule(learning_rate) else None

    @property
    def rate_factors(self) -> tuple[float, ...]:
        """Return the rate of each level as a multiple of level 0's."""
        return self._rate_factors

    @rate_factors.setter
    def rate_factors(self, factors):
        self._rate_factors = self.check_factors(factors)
        self.use_rates()

    def use_rates(self, factors: Sequence[float] | None = None) -> None:
        """Set the rate factors of the training to come, which are not saved.

        Args:
            factors: As `rate_factors`; `None` puts `rate_factors` back in force.
        """
        self.factors = self.check_factors(factors)
        for rate, factor in zip(self._rates, self.factors, strict=True):
            rate.factor.assign(factor)

    def check_factors(self, factors: Sequence[float] | None) -> tuple[float, ...]:
        """Check factors as `use_rates` takes them, and return them.

        Raises:
            ValueError: Not one positive number for each level, level 0's being 1.
        """
        if factors is None:
            return self._rate_factors
        values = checks.reals("rate_factors", factors, above=0)
        if len(values) != self.depth + 1 or values[0] != 1:
            raise ValueError(
                f"`rate_factors` must be {self.depth + 1} positive numbers, the first "
                f"of them 1. Received: rate_factors={factors!r}"
            )
        return values

    @property
    def loss_scale_factor(self):
        """Return level 0's; setting it sets all, as each unscales its gradients."""
        return self.levels[0].loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, factor):
        for optimizer in getattr(self, "levels", ()):  # none yet in __init__
            optimizer.loss_scale_factor = factor

    def finalize_variable_values(self, var_list):
        """Let each copy finish its averages, as `fit` asks at its end."""
        for level, optimizer in enumerate(self.levels):
            # Before the first step they are zero.
            if optimizer.use_ema and optimizer.iterations > 0:
                optimizer.finalize_variable_values(at_level(var_list, level))

    # The copies are saved as parts of this object, so it saves only what is its own.
    def save_own_variables(self, store):
        """Write the step count and the progress."""
        for i, variable in enumerate(self._own):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store):
        """Read the step count and the progress; a file of weights alone has none."""
        if not store.keys():
            return
        for i, variable in enumerate(self._own):
            variable.assign(store[str(i)])

    def get_config(self):
        """Return everything that `from_config` needs."""
        return {
            "name": self.name,
            "optimizer": keras.saving.serialize_keras_object(self.levels[0]),
            "depth": self.depth,
            "rate_factors": list(self._rate_factors),
            "packed": {
                level: [vector.shape[0], vector.dtype]
                for level, vector in self.vectors.items()
            },
        }


def _checked_packed(packed, depth) -> dict[int, tuple[int, str]]:
    """Sizes and types of packed levels by level, from a config."""

    def entry(level, size, dtype):
        level = int(level) if isinstance(level, str) else level  # as JSON has it
        size = checks.integer("size", size, least=1, most=MAX_ENTRIES)
        dtype = keras.backend.standardize_dtype(dtype)
        return checks.integer("level", level, least=1, most=depth), (size, dtype)

    if packed is None:
        return {}
    try:
        return dict(entry(level, *pair) for level, pair in dict(packed).items())
    except (TypeError, ValueError):
        checks.refuse(
            "packed", packed, f"None, or a dict of levels 1 .. {depth} to (size, dtype)"
        )


def unwrapped(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The optimizer inside Keras's loss scaling (mixed precision)."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _plain(value):
    return tuple(value.tolist()) if value.ndim else int(value)
