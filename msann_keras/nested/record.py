"""What a warm start did, to look at afterwards and while it runs."""

from __future__ import annotations

from typing import NamedTuple

import keras

from msann_keras.level_plans import Plan


class LevelRecord(NamedTuple):
    """Tells what one level did.

    Attributes:
        level: l.
        steps: That it trained; the coarsest one's trials of the rate are among them.
        seconds: That these took, without compiling.
        entered: The loss on what is held out, at the level, before its first step
            (after the trials).
        left: The same after its last step; if that is more, the steps are taken back,
            and it is `entered`.
    """

    level: int
    steps: int
    seconds: float
    entered: float
    left: float


class Record(NamedTuple):
    """Tells what `warm_start` did, level by level; `print` shows it.

    Attributes:
        plan: What it had planned.
        levels: What each level did, coarsest first; none were trained if the plan or
            the first level said that it would not pay.
        seconds: Of the whole call.
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
