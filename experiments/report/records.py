"""Run files as the report reads them.

`experiments.runs` writes these files and needs TensorFlow. Here they are only read.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from experiments.report.clock import comparisons
from msann import cost

#: The format of run files that this report reads.
FORMAT = 2
#: What a setting must be, where there is one, so that runs can be put in order.
KINDS = {"seed": int, "depth": int, "gamma": int, "smoothing_steps": int, "task": str}


class Point(NamedTuple):
    """An evaluation: C(t), gradient evaluations, seconds of training, MSE."""

    cost: float
    evaluations: float
    seconds: float
    mse: float


class Record(BaseModel):
    """A run file; keys that a later version adds do not matter here."""

    model_config = ConfigDict(extra="ignore")

    format: int
    settings: dict[str, Any]
    history: list[Point] = Field(min_length=1)
    compile_seconds: float = 0.0
    hierarchy: str = ""
    mean_mse: float | None = None
    data: str = ""
    provenance: dict[str, Any]

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
        """
        spent = [getattr(point, measure) for point in self.history]
        errors = [point.mse for point in self.history]
        if target is None:
            return cost.cost_to_fraction(spent, errors)
        return cost.cost_to_target(spent, errors, target)


class Found(NamedTuple):
    """What a folder holds.

    Attributes:
        runs: Records by file name.
        clock: Contents of the clock benchmark's files, by file name.
        damaged: Why a file is left out, by file name.
    """

    runs: dict[str, Record]
    clock: dict[str, dict]
    damaged: dict[str, str]


def read(folder: Path) -> Found:
    """Read all run files of a folder and the clock benchmark's in its `clock/`.

    A file that cannot be read is named with the reason, and the others are not lost.
    """
    runs, clock, damaged = {}, {}, {}
    for path in sorted(folder.glob("*.json")):
        try:
            runs[path.name] = _run(path)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            damaged[path.name] = _reason(error)
    for path in sorted((folder / "clock").glob("*.json")):
        name = f"clock/{path.name}"
        try:
            clock[name] = _clock(path)
        except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            damaged[name] = _reason(error)
    return Found(runs, clock, damaged)


def _run(path: Path) -> Record:
    values = json.loads(path.read_bytes())
    if values.get("format") != FORMAT:
        raise ValueError(f"format {values.get('format')}; this page reads {FORMAT}")
    record = Record.model_validate(values)
    for key, kind in KINDS.items():
        value = record.settings.get(key, kind())
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"settings.{key} is {value!r}")
    if "seed" not in record.settings:
        raise ValueError("settings have no seed")
    if not all(point.mse > 0 or math.isnan(point.mse) for point in record.history):
        raise ValueError("an MSE is not positive")
    if not math.isfinite(record.history[0].mse):
        raise ValueError("the first MSE is not finite")
    record.reached("cost")  # refuses costs that descend
    return record


def _clock(path: Path) -> dict:
    values = json.loads(path.read_bytes())
    for row in values["rows"]:
        if missing := {"task", "target", "scheme", "trial", "seconds"} - row.keys():
            raise ValueError(f"a row without {', '.join(sorted(missing))}")
    for lines in comparisons({path.name: values}).values():
        for line in lines:
            line.gain("plain")
    if not isinstance(values["provenance"], dict):
        raise ValueError("no provenance")
    return values


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        fault = error.errors()[0]
        return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
    if isinstance(error, KeyError):
        return f"no {error.args[0]}"
    return str(error).splitlines()[0]
