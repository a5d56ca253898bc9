"""The optimizers of a warm start: copies of the user's that hand on what they know."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from msann.topology import Chain
from msann_keras.nested.handover import prolonged_moments
from msann_keras.optimizers.multilevel import unwrapped
from msann_keras.optimizers.rates import schedule_of

#: What optimizers that divide a gradient, or its mean, by its size call the mean, if
#: they have one, and the size: each is a variable for each weight.
MOMENTS = {
    "Adam": ("momentum", "velocity"),
    "AdamW": ("momentum", "velocity"),
    "Adamax": ("momentum", "norm"),
    "RMSprop": ("velocity",),
    "TF1RMSprop": ("mean_square",),
}
#: Sizes that are no squares.
ROOTS = ("norm",)
#: Optimizers whose steps are as long as the rate says, whatever the gradient is. The
#: weights of smaller layers are larger, and so are the steps that suit them.
OF_ONE_LENGTH = (*MOMENTS, "Nadam", "Lion")


def copy_of(
    optimizer: keras.optimizers.Optimizer, factor: float = 1.0, batches: float = 1.0
) -> keras.optimizers.Optimizer:
    """A fresh optimizer of the same kind, at the rate where this one stands now.

    Args:
        optimizer: The user's.
        factor: How much larger weights are here (Glorot's standard deviation over
            that at level 0); the rate is multiplied by it where steps are of one
            length.
        batches: How many times larger batches are here; the rate is multiplied by the
            root of it where steps are of one length, by itself elsewhere.

    >>> decay = keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.1)
    >>> float(copy_of(keras.optimizers.SGD(decay), factor=2).learning_rate)
    0.5
    >>> float(copy_of(keras.optimizers.Adam(0.5), factor=2, batches=4).learning_rate)
    2.0
    """
    config = optimizer.get_config()
    inner = config.get("inner_optimizer", {"config": config})["config"]
    inner["use_ema"] = False  # averages of weights are for the model itself
    is_scaled = type(unwrapped(optimizer)).__name__ in OF_ONE_LENGTH
    times = factor * batches**0.5 if is_scaled else batches
    inner["learning_rate"] = rate_of(optimizer) * times
    return type(optimizer).from_config(config)


def rate_of(optimizer: keras.optimizers.Optimizer) -> float:
    """The learning rate of the next step."""
    return float(ops.convert_to_numpy(unwrapped(optimizer).learning_rate))


def set_rate(optimizer: keras.optimizers.Optimizer, rate: float) -> None:
    """Set the learning rate of a copy."""
    unwrapped(optimizer).learning_rate = rate


def hand_over_state(
    source: keras.optimizers.Optimizer,
    target: keras.optimizers.Optimizer,
    axes: Sequence[tuple[Sequence[Chain], int]],
    coarse: int,
    fine: int,
) -> bool:
    """Move what an optimizer knows of the gradients to that of a finer level.

    Args:
        source: Of the coarser level.
        target: Of the finer one, built for the same weights in the same order.
        axes: What the axes of each of these weights live on, and which is of units.
        coarse, fine: The two levels.

    Returns:
        Whether anything was moved: optimizers that are not in `MOMENTS` start afresh.
    """
    source, target = unwrapped(source), unwrapped(target)
    names = MOMENTS.get(type(source).__name__)
    if names is None:
        return False
    power = 1 if names[-1] in ROOTS else 2
    each = zip(axes, moments(source), moments(target), strict=True)
    for (chains, units), own, slots in each:
        values = [ops.convert_to_numpy(slot) for slot in own]
        moved = prolonged_moments(values, chains, coarse, fine, power, units)
        for variable, value in zip(slots, moved, strict=True):
            variable.assign(value)
    # A schedule would begin in its midst, and averages of weights are begun with the
    # weights of the first step.
    if schedule_of(target) is None and not target.use_ema:
        counter_of(target).assign(counter_of(source))
    return True


def counter_of(optimizer: keras.optimizers.Optimizer) -> keras.Variable:
    """The variable that counts its steps; `iterations` may be a share of it."""
    return next(v for v in optimizer.variables if v.name == "iteration")


def begin_anew(optimizer: keras.optimizers.Optimizer, variables: list) -> None:
    """Build an optimizer, or forget what a built one knows of other weights."""
    if not optimizer.built:
        optimizer.build(variables)
        return
    fresh = type(optimizer).from_config(optimizer.get_config())
    fresh.build(variables)
    for variable, first in zip(optimizer.variables, fresh.variables, strict=True):
        variable.assign(first)


def moments(optimizer: keras.optimizers.Optimizer) -> list[tuple]:
    """For each weight, in their order, the variables that `MOMENTS` names."""
    names = MOMENTS.get(type(optimizer).__name__, ())
    every = optimizer.variables
    slots = ([v for v in every if v.name.endswith(f"_{name}")] for name in names)
    return [*zip(*slots, strict=True)]
