"""Runs of configs: what determines each, the file it has, and which are finished."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from experiments.config import Config
from experiments.mnist import idx_file
from experiments.provenance import provenance
from experiments.runfiles import Run, RunFile, load_or_skip, write_run
from experiments.schemes import Scheme

#: The committed runs.
RESULTS = Path(__file__).resolve().parent.parent / "results"


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
    if scheme.warm_start:
        values["warm_start"] = scheme.warm_start
    if config.alone and not scheme.committed:  # so the seconds are other ones
        values["alone"] = True
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
        start, warm = values.get("start_depth"), values.get("warm_start")
        parts += [f"start{start}" if start else f"warm-{warm}" if warm else "default"]
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
    """Write what a run left behind, under the name of its settings.

    Raises:
        OSError: It cannot be written; the folder is as it was.
    """
    record = RunFile(
        settings=values, **run._asdict(), data=data, provenance=provenance(command)
    )
    write_run(folder / file_name(values), record)
    return record


def find_run(folder: Path, values: dict[str, Any]) -> RunFile | None:
    """The finished run with these settings, if the folder has one.

    A damaged file is reported on the screen and counts as missing.
    """
    record = load_or_skip(folder / file_name(values))
    if record is None or record.settings != json.loads(json.dumps(values)):
        return None
    return record


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
