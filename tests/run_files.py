"""Run files as a sweep would write them, without training."""

import json
import math

from experiments.report.groups import grouped
from experiments.runfiles import RunFile


def settings(task="one_object", seed=618, **changes):
    """Settings with today's keys; what does not apply is left out."""
    values = {
        "task": task,
        "optimizer": "tf1_rmsprop",
        "learning_rate": 5e-4,
        "batch_size": 128,
        "hidden": [256, 128, 256],
        "budget": 1.02e6,
        "budget_unit": "cost",
        "evaluate_every": 8000.0,
        "depth": 0,
        "seed": seed,
    }
    size = {"image_size": 32} if task == "mnist" else {"n": 1024}
    variant = {} if task == "mnist" else {"task_variant": "script"}
    return values | size | variant | changes


def cycle(gamma=3, depth=4, steps=4, **changes):
    """Settings of a multilevel run."""
    values = {"gamma": gamma, "depth": depth, "smoothing_steps": steps}
    values |= {"topology": "path", "schedule": "cycle", "variant": "paper"}
    values |= {"coarsen_data": False, "growth": 1}
    return settings(**(values | changes))


def history(final=3e-3, first=0.25, pace=1e-4, points=40, budget=1.02e6):
    """A power law from `first` to `final`, evaluated `points` times."""
    rows = [[0.0, 0, 0.0, first]]
    for i in range(1, points + 1):
        share = i / points
        mse = first * (final / first) ** (math.log1p(9 * share) / math.log(10))
        rows.append([budget * share, round(budget * share), pace * budget * share, mse])
    return rows


def run_file(values, **shape):
    """The content of a run file."""
    return {
        "format": 2,
        "settings": values,
        "history": history(**shape),
        "compile_seconds": 1.0,
        "hierarchy": "level  sizes  parameters  share\n    0  8-4-8  76  1\ngrid",
        "mean_mse": 0.06,
        "data": "one object, n = 1024",
        "provenance": {
            "finished": "2026-11-24T12:00:00+00:00",
            "command": "python -m experiments configs/table1_one_object.yaml",
            "revision": "0123456789ab",
            "python": "3.11.7",
            "versions": {"keras": "3.15.1"},
            "machine": "x86_64",
            "processor": "AMD EPYC",
            "cores": 2,
        },
    }


def write(folder, contents):
    """Write contents to a folder; the names of the files, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number, content in enumerate(contents):
        names.append(f"run-{number:04d}.json")
        (folder / names[-1]).write_text(json.dumps(content), encoding="utf-8")
    return names


def sweep(task="one_object", seeds=(618, 2357, 9041), gammas=(1, 2, 3), ks=(1, 4)):
    """A grid of (gamma, L, k) that gets better with each of them, and its default."""
    contents = []
    for i, seed in enumerate(seeds):
        wobble = 1 + 0.03 * i
        contents.append(run_file(settings(task, seed), final=3.6e-3 * wobble))
        for gamma in gammas:
            for depth in range(1, 7):
                for k in ks:
                    final = 3.6e-3 * wobble * 0.93 ** (gamma * depth) / k**0.05
                    values = cycle(gamma, depth, k, task=task, seed=seed)
                    contents.append(
                        run_file(values, final=final, pace=1e-4 * (1 + depth))
                    )
    return contents


def groups_of(contents):
    """Groups of contents that were never written."""
    runs = {f"{i}.json": RunFile.model_validate(x) for i, x in enumerate(contents)}
    return grouped(runs)


def rows_of(chart):
    """The rows that a chart of the report draws, from its specification."""
    return json.loads(chart["datasets"][chart["data"]["name"]])
