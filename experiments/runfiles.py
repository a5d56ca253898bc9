"""Run files: one JSON a run, read by everything, written whole or not at all.

Nothing here needs TensorFlow, so that a report can be made without it.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from msann.cost import cost_to_fraction, cost_to_target

#: Changes when old run files can no longer be read.
FORMAT = 2
#: What a setting must be, where there is one, so that runs can be put in order.
KINDS = {"seed": int, "depth": int, "gamma": int, "smoothing_steps": int, "task": str}


class RunFileError(ValueError):
    """A run file that is damaged, or of another format; the message says how."""


class Evaluation(NamedTuple):
    """The state of a run: before training, or between two compiled calls.

    Attributes:
        cost: C(t), section 4.1.
        evaluations: Examples whose gradient was computed, at any level.
        seconds: Of training, without evaluation and compilation.
        mse: On the validation data.
    """

    cost: float
    evaluations: int
    seconds: float
    mse: float


class Run(NamedTuple):
    """What a run leaves behind.

    Attributes:
        history: From the untrained network on; the MSE of one that diverged is NaN.
        compile_seconds: To build, trace and compile the program; shared by all runs
            of a `Trainer`.
        hierarchy: The table of levels.
        mean_mse: What the mean training target scores: the trivial predictor.
    """

    history: list[Evaluation]
    compile_seconds: float
    hierarchy: str
    mean_mse: float


class RunFile(BaseModel):
    """Everything that tables and figures may say about a run.

    Keys that a later version adds do not matter.
    """

    # NaN as NaN: of a run that diverged `null` could not be read.
    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="constants")

    format: int = FORMAT
    settings: dict[str, Any]
    history: Annotated[list[Evaluation], Field(min_length=1)]
    compile_seconds: float
    hierarchy: str
    mean_mse: float
    data: str
    provenance: dict[str, Any]

    @model_validator(mode="after")
    def _can_be_compared(self):
        if "seed" not in self.settings:
            raise ValueError("settings have no seed")
        for key, kind in KINDS.items():
            value = self.settings.get(key, kind())
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ValueError(f"settings.{key} is {value!r}")
        if not math.isfinite(self.history[0].mse):
            raise ValueError("the first MSE is not finite")
        if any(evaluation.mse < 0 for evaluation in self.history):
            raise ValueError("an MSE is negative")
        self.reached("cost")  # refuses costs that descend
        return self

    @property
    def seed(self) -> int:
        """Of weights and batches."""
        return self.settings["seed"]

    @property
    def final_mse(self) -> float:
        """At the last evaluation; infinite if training diverged."""
        last = self.history[-1].mse
        return last if math.isfinite(last) else math.inf

    def reached(self, measure: str, target: float | None = None) -> float:
        """What it took to an error; by default to a tenth of the first one.

        Args:
            measure: "cost", "evaluations" or "seconds".
            target: The error.

        Returns:
            Infinity if it was not reached.
        """
        spent = [getattr(evaluation, measure) for evaluation in self.history]
        errors = [evaluation.mse for evaluation in self.history]
        if target is None:
            return cost_to_fraction(spent, errors)
        return cost_to_target(spent, errors, target)


def parsed(text: str | bytes) -> RunFile:
    """A run file's content, checked.

    Raises:
        RunFileError: No JSON, another format, or something missing or impossible.

    >>> parsed('{"format": 1}')
    Traceback (most recent call last):
    experiments.runfiles.RunFileError: has format 1; this version reads format 2
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RunFileError(f"is not a whole run file ({error})") from None
    if not isinstance(values, dict):
        kind = type(values).__name__
        raise RunFileError(f"is not a whole run file (a {kind}, no mapping)")
    # Asked first: a file of another format has other fields, too.
    if values.get("format") != FORMAT:
        raise RunFileError(
            f"has format {values.get('format')}; this version reads format {FORMAT}"
        )
    try:
        return RunFile.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        reason = ": ".join(filter(None, [place, fault["msg"]]))
        raise RunFileError(f"is not a whole run file ({reason})") from None


def load_run(path: Path) -> RunFile:
    """Read a run file.

    Raises:
        RunFileError: It cannot be read, or is damaged, incomplete, or of another
            format; the file is named.
    """
    try:
        return parsed(path.read_bytes())
    except OSError as error:
        raise RunFileError(f"{path} cannot be read ({error.strerror})") from None
    except RunFileError as error:
        raise RunFileError(f"{path} {error}") from None


def load_or_skip(path: Path) -> RunFile | None:
    """A run file if it is there and whole; else it is named and counts as missing."""
    if not path.exists():
        return None
    try:
        return load_run(path)
    except RunFileError as error:
        print(f"skipped: {error}")
        return None


def write_run(path: Path, record: RunFile) -> None:
    """Write a run file: all of it under its name, or nothing.

    Raises:
        OSError: It cannot be written; the folder is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8"
    ) as part:
        try:
            part.write(record.model_dump_json(indent=1) + "\n")
            part.flush()
            os.fsync(part.fileno())
            os.replace(part.name, path)
        except BaseException:
            os.unlink(part.name)
            raise
