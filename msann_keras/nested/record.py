"""What a warm start did, to look at afterwards and while it runs."""

from __future__ import annotations

from typing import NamedTuple

import keras

from msann_keras.level_plans import Plan


class LevelRecord(NamedTuple):
    """Tells what one level did.

    Attributes:
        level: Its number; 0 is the model itself, larger ones are coarser.
        steps: How many training steps it made. Those by which the coarsest level tried
            several learning rates are among them.
        seconds: How many seconds these took, without compiling.
        entered: The loss on held-out samples before the first step (after the trials).
        left: That loss after the last step. If it is larger, the steps are taken back,
            and `left` is `entered`.
    """

    level: int
    steps: int
    seconds: float
    entered: float
    left: float


class Record(NamedTuple):
    """Tells what `warm_start` did, level by level; `print` shows it.

    Attributes:
        plan: The `Plan` that it went by.
        levels: A `LevelRecord` for each level that trained, coarsest first; empty if
            the plan is plain training. If a level learned nothing, it is the last one.
        seconds: How many seconds the whole call took.
        outcome: What came of it, in a sentence.
    """

    plan: Plan
    levels: tuple[LevelRecord, ...]
    seconds: float
    outcome: str

    def __str__(self):
        lines = [
            f"level {one.level}: {one.steps} steps in {one.seconds:.1f} s, "
            f"loss {one.entered:.4g} -> {one.left:.4g}"
            for one in self.levels
        ]
        return "\n".join([*lines, f"{self.outcome} ({self.seconds:.1f} s in all)"])


class Display:
    """Keras's progress bar for each level; silent if `verbose` is 0."""

    def __init__(self, verbose: int):
        self.verbose, self.bar = verbose, None

    def say(self, text: str) -> None:
        """Print a line."""
        if self.verbose:
            print(text)

    def begin(self, level: int) -> None:
        """A level begins."""
        if self.verbose:
            print(f"Level {level}")
            self.bar = keras.utils.Progbar(None, stateful_metrics=["loss"])

    def update(self, steps: int, loss: float) -> None:
        """A level has made so many steps."""
        if self.bar is not None:
            self.bar.update(steps, values=[("loss", loss)])

    def end(self, steps: int, loss: float) -> None:
        """A level is left."""
        if self.bar is not None:
            self.bar.update(steps, values=[("loss", loss)], finalize=True)
            self.bar = None
