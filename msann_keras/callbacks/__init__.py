"""The callback that moves a model through a schedule, and one that evaluates it."""

from msann_keras.callbacks.cycle_schedule import CycleSchedule
from msann_keras.callbacks.evaluate import Evaluate, Evaluation

__all__ = ["CycleSchedule", "Evaluate", "Evaluation"]
