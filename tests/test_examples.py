"""The examples run as they stand, and two workers outlive being killed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
BACKEND = keras.backend.backend()
EXAMPLES = {"tensorflow": ["mirrored"], "jax": ["jax_data_parallel"]}


def start(name, *arguments):
    return subprocess.Popen(
        [sys.executable, ROOT / "examples" / f"{name}.py", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def finished(process):
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return out


def test_examples_are_short():
    for file in (ROOT / "examples").glob("*.py"):
        assert len(file.read_text().splitlines()) < 60, file.name


@pytest.mark.thorough
@pytest.mark.parametrize("name", EXAMPLES.get(BACKEND, []))
def test_an_example_starts_and_trains(name):
    out = finished(start(name))
    assert "level 3: " in out
    started, cycles = (
        float(line.partition("loss ")[2].split()[0])
        for line in out.splitlines()
        if ": loss " in line
    )
    assert started < cycles < 0.1


def weights(folder):
    """Of both workers, which must be the same."""
    one, two = (np.load(folder / f"weights-{index}.npz") for index in range(2))
    for name in one.files:
        np.testing.assert_array_equal(one[name], two[name])
    return [one[name] for name in one.files]


def children(process):
    """The processes that a process has started."""
    file = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(child) for child in file.read_text().split()]


def wait_until_new(file, process):
    """Until a file is written, or written anew, or the process has ended."""

    def written():
        return file.stat().st_mtime_ns if file.exists() else None

    before = written()
    while process.poll() is None and written() in (None, before):
        time.sleep(0.01)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="its strategies are TensorFlow's")
@pytest.mark.slow
def test_workers_that_are_killed_ten_times_train_what_unbroken_ones_do(tmp_path):
    finished(start("two_workers", tmp_path / "unbroken"))
    expected, draw = weights(tmp_path / "unbroken"), random.Random(3)
    backup = tmp_path / "broken/backup.weights.h5"
    kills = resumed = 0
    while kills < 10:
        process = start("two_workers", tmp_path / "broken")
        while kills < 10 and process.poll() is None:
            if kills % 2:  # at any time, by turns with the end of an epoch
                time.sleep(draw.uniform(1, 12))
            else:
                wait_until_new(backup, process)
            if process.poll() is None and (victims := children(process)):
                os.kill(draw.choice(victims), signal.SIGKILL)
                kills += 1
        out = finished(process)
        resumed += "epochs 0 to" not in out
        for one, other in zip(weights(tmp_path / "broken"), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
    print(f"{kills} kills; {resumed} runs were resumed in their midst")
    assert resumed
