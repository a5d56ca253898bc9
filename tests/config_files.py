"""Config files for tests: a tiny experiment of its own, and changes of a real one."""

from pathlib import Path

import yaml

from experiments.runfiles import Evaluation, Run
from experiments.runs import save_run

ROOT = Path(__file__).parent.parent
PATH = ROOT / "configs/table3_mnist_path.yaml"

TINY = {
    "title": "Tiny",
    "claim": "none",
    "command": "make test",
    "minutes": 1,
    "task": {
        "name": "one_object",
        "variant": "paper",
        "n": 32,
        "samples": 256,
        "validation": 64,
        "seed": 1,
    },
    "hidden": [8],
    "topology": "path",
    "batch_size": 16,
    "budget": 1600,
    "evaluate_every": 200,
    "seeds": [1, 2],
    "schemes": [
        {"label": "default"},
        {"label": "V", "depth": 1, "smoothing_steps": 2},
        {"label": "coarsened", "depth": 1, "coarsen_data": True},
    ],
    "quick": {"budget": 400, "evaluate_every": 100},
}


def tiny(folder, **changes):
    """The file of the tiny experiment, with some keys changed."""
    return _written(folder / "tiny.yaml", TINY | changes)


def changed(folder, **changes):
    """A file with some keys of the real one changed, or deleted by `None`."""
    values = yaml.safe_load(PATH.read_text()) | {"ways": None} | changes
    values = {key: value for key, value in values.items() if value is not None}
    return _written(folder / "config.yaml", values)


def _written(path, values):
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def made(job, folder, mse=0.1):
    """A run file of a job that was never trained."""
    history = [Evaluation(0.0, 0, 0.0, 0.25), Evaluation(1600.0, 1600, 1.0, mse)]
    run = Run(history, 1.0, "levels", 0.2)
    return save_run(folder, job.settings, run, "tiny", "make test")
