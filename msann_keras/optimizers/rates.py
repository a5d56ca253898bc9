"""The learning rates of coarse levels, which follow level 0's."""

from __future__ import annotations

import keras

from msann import checks


class LevelRate(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of level 0 times a factor, at a level's own step.

    `optimizer` is a `MultilevelOptimizer`, which has level 0's rate or its `schedule`.
    The factor is a variable, since compiled steps hold what they were traced with.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer):
        self.optimizer = optimizer
        self.factor = keras.Variable(1.0, trainable=False, name="factor")

    def __call__(self, step):
        """The rate of a level that has made so many steps."""
        schedule = self.optimizer.schedule
        rate = self.optimizer.learning_rate if schedule is None else schedule(step)
        return self.factor * rate

    def get_config(self):
        """The factor alone."""
        # For the eye: a level's rate is saved as its optimizer's `rate_factors`.
        return {"factor": float(self.factor)}


def is_schedule(rate) -> bool:
    """Whether a learning rate changes with the step."""
    return isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)


def schedule_of(optimizer):
    """The optimizer's learning-rate schedule, if it has one.

    Raises:
        ValueError: The rate is a Python function, which no copy could be given.
    """
    rate = optimizer.get_config()["learning_rate"]
    if not isinstance(rate, dict):
        return None
    if rate["class_name"] in ("function", "__lambda__"):
        wanted = "a number or a LearningRateSchedule, since copies are made of it"
        checks.refuse("learning_rate", "a function", wanted)
    rate = keras.saving.deserialize_keras_object(rate)
    return rate if is_schedule(rate) else None
