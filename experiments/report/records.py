"""What a folder of run files holds, for the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from experiments.report.clock import comparisons
from experiments.runfiles import RunFile, RunFileError, parsed

#: What reading a file of the clock's may raise: it has no format to check it by.
_UNREADABLE = (
    *(OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError),
)


class Found(NamedTuple):
    """What a folder holds.

    Attributes:
        runs: By file name.
        clock: Contents of the clock benchmark's files, by file name.
        damaged: Why a file is left out, by file name.
    """

    runs: dict[str, RunFile]
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
        except (OSError, RunFileError) as error:
            damaged[path.name] = str(error)
    for path in sorted((folder / "clock").glob("*.json")):
        name = f"clock/{path.name}"
        try:
            clock[name] = _clock(path)
        except _UNREADABLE as error:
            damaged[name] = _reason(error)
    return Found(runs, clock, damaged)


def _run(path: Path) -> RunFile:
    run = parsed(path.read_bytes())
    if not all(evaluation.mse for evaluation in run.history):
        raise RunFileError("has an MSE of zero, and errors are compared as ratios")
    return run


def _clock(path: Path) -> dict:
    values = json.loads(path.read_bytes())
    for row in values["rows"]:
        if missing := {"task", "target", "scheme", "trial", "seconds"} - row.keys():
            raise ValueError(f"a row without {', '.join(sorted(missing))}")
    for lines in comparisons({path.name: values}).values():
        for line in lines:
            line.gain("level0")
    if not isinstance(values["provenance"], dict):
        raise ValueError("no provenance")
    return values


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"no {error.args[0]}"
    return str(error).splitlines()[0]
