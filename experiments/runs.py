"""Run files: one JSON a run, written whole or not at all, with its provenance."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import subprocess
import tempfile
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from experiments.callbacks import Evaluation
from experiments.config import Config, Scheme
from experiments.mnist import idx_file
from experiments.training import Run

#: Changes when old run files can no longer be read.
FORMAT = 2
#: The committed runs.
RESULTS = Path(__file__).resolve().parent.parent / "results"


class RunFileError(ValueError):
    """A run file that is damaged, or of another format."""


class RunFile(BaseModel):
    """Everything that tables and figures may say about a run."""

    # NaN as NaN: of a run that diverged `null` could not be read.
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")

    format: int = FORMAT
    settings: dict[str, Any]
    history: list[Evaluation]
    compile_seconds: float
    hierarchy: str
    mean_mse: float
    data: str
    provenance: dict[str, Any]


class Result(NamedTuple):
    """The finished runs of a scheme.

    Attributes:
        scheme: What they ran.
        runs: One a seed, as far as there are any.
        borrowed: How many of them are committed ones, not made on this machine.
    """

    scheme: Scheme
    runs: list[RunFile]
    borrowed: int = 0


def settings(config: Config, scheme: Scheme, seed: int) -> dict[str, Any]:
    """All that determines a run's result, as plain values; what does not is absent.

    The label is not among them: a scheme is what it does, not what it is called.
    """
    task = config.task.model_dump(mode="json", exclude_none=True)
    values = {"task": task.pop("name"), "data_seed": task.pop("seed")}
    if "variant" in task:
        values["task_variant"] = task.pop("variant")
    if "folder" in task:
        parts = ("train",) if "validation" in task else ("train", "t10k")
        if digest := _digest(task["folder"], parts):
            task["images"] = digest
        # Its name; a run file names no one's machine.
        task["folder"] = Path(task["folder"]).name
    values |= task | {"depth": scheme.depth}
    if scheme.depth:
        values |= {"topology": config.topology_of(scheme), "schedule": scheme.schedule}
    if scheme.depth and scheme.schedule != "simultaneous":
        values |= {
            "smoothing_steps": scheme.smoothing_steps,
            "growth": scheme.growth,
            "coarsen_data": scheme.coarsen_data,
        }
        if scheme.schedule == "cycle":
            values |= {"gamma": scheme.gamma, "variant": config.variant}
    if not scheme.depth and scheme.start_depth:
        values |= {"start_depth": scheme.start_depth, "topology": config.topology}
    if values.get("topology") == "shuffled":  # it may be drawn anew at every use
        values["variant"] = config.variant
    if scheme.until:
        values["until"] = scheme.until
    if scheme.depth and not scheme.coarsen_data:
        values["evaluate_at"] = config.evaluate_at
    shared = {"hidden", "batch_size", "budget", "budget_unit", "evaluate_every"}
    return (
        values
        | config.model_dump(mode="json", include=shared)
        | {
            "optimizer": scheme.optimizer,
            "learning_rate": scheme.learning_rate,
            "seed": seed,
        }
    )


@functools.cache  # read once, however many runs there are
def _digest(folder: str, parts: tuple[str, ...]) -> str | None:
    """Of a folder's images; `None` without them, which is told when they are loaded."""
    digest = hashlib.sha256()
    try:
        for part in parts:
            file = idx_file(Path(folder), f"{part}-images", "idx3-ubyte")
            digest.update(file.read_bytes())
    except OSError:
        return None
    return digest.hexdigest()[:8]


def file_name(values: dict[str, Any]) -> str:
    """A name that a person can read, with a digest of all the settings at its end.

    >>> file_name({"task": "mnist", "depth": 0, "optimizer": "adam", "seed": 7,
    ...            "learning_rate": 0.002, "budget": 256000.0, "budget_unit": "cost"})
    'mnist-default-adam-0.002-cost256000-seed7-81b8ebb2.json'
    """
    parts = [values["task"], values.get("task_variant")]
    if values["depth"]:
        parts += [values["topology"], values.get("variant", values["schedule"])]
        parts += ["coarsened" if values.get("coarsen_data") else None]
        parts += [f"g{values['gamma']}" if "gamma" in values else None]
        parts += [f"L{values['depth']}"]
        if "smoothing_steps" in values:
            growth = f"x{values['growth']:g}" if values["growth"] > 1 else ""
            parts += [f"k{values['smoothing_steps']}{growth}"]
    else:
        start = values.get("start_depth")
        parts += [f"start{start}" if start else "default"]
    text = json.dumps(values, sort_keys=True)
    parts += [
        values["optimizer"],
        f"{values['learning_rate']:g}",
        f"{values['budget_unit']}{values['budget']:.0f}",
        f"seed{values['seed']}",
        hashlib.sha256(text.encode()).hexdigest()[:8],
    ]
    return "-".join(filter(None, parts)) + ".json"


def save_run(
    folder: Path, values: dict[str, Any], run: Run, data: str, command: str
) -> RunFile:
    """Write what a run left behind; see `write_run`."""
    record = RunFile(
        settings=values, **run._asdict(), data=data, provenance=provenance(command)
    )
    write_run(folder, record)
    return record


def write_run(folder: Path, record: RunFile) -> Path:
    """Write a run file: all of it under its name, or nothing.

    Raises:
        OSError: It cannot be written; the folder is as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(record.settings)
    with tempfile.NamedTemporaryFile(
        "w", dir=folder, suffix=".part", delete=False, encoding="utf-8"
    ) as part:
        try:
            part.write(record.model_dump_json(indent=1) + "\n")
            part.flush()
            os.fsync(part.fileno())
            os.replace(part.name, path)
        except BaseException:
            os.unlink(part.name)
            raise
    return path


def load_run(path: Path) -> RunFile:
    """Read a run file.

    Raises:
        RunFileError: Damaged, incomplete, or of another format; the file is named.
    """
    try:
        text = path.read_bytes()
        found = json.loads(text).get("format")
        # Asked first: a file of another format has other fields, too.
        if found == FORMAT:
            return RunFile.model_validate_json(text)
    except (ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise RunFileError(f"{path} is not a whole run file ({reason})") from None
    raise RunFileError(f"{path} has format {found}; this version reads format {FORMAT}")


def find_run(folder: Path, values: dict[str, Any]) -> RunFile | None:
    """The finished run with these settings, if the folder has one.

    A damaged file is reported on the screen and counts as missing.
    """
    record = load_or_skip(folder / file_name(values))
    if record is None or record.settings != json.loads(json.dumps(values)):
        return None
    return record


def load_or_skip(path: Path) -> RunFile | None:
    """A run file if it is there and whole; else it is named and counts as missing."""
    if not path.exists():
        return None
    try:
        return load_run(path)
    except RunFileError as error:
        print(f"skipped: {error}")
        return None


def folders(folder: Path, scheme: Scheme) -> tuple[Path, ...]:
    """Where a scheme's runs may be: in a folder, and the committed ones in results/."""
    return (folder, RESULTS) if scheme.committed else (folder,)


def collect(config: Config, folder: Path) -> list[Result]:
    """The finished runs of a config, by scheme, in the config's order of seeds."""
    results = []
    for scheme in config.schemes:
        runs, borrowed = [], 0
        for seed in config.seeds:
            for place in folders(folder, scheme):
                if run := find_run(place, settings(config, scheme, seed)):
                    runs.append(run)
                    borrowed += place is not folder
                    break
        results.append(Result(scheme, runs, borrowed))
    return results


def provenance(command: str) -> dict[str, Any]:
    """When, with what and on what a run was made."""
    return {
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "revision": REVISION,
        "python": platform.python_version(),
        "versions": {
            name: version(name)
            for name in ("msann-keras", "keras", "tensorflow", "numpy")
        },
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def _revision() -> str:
    """The git commit of the code, with a mark if files differ from it."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


#: Asked when the code is loaded: by a run's end another may be checked out.
REVISION = _revision()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()
