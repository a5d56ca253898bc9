"""The gallery's scripts and the notebook run as they stand, and say what is so."""

import json
import math
import os
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="CI has TensorFlow for them"
    ),
]

#: Runs a script; then says how bright the lines of its picture are, one list an axis.
RUN = """
import json, runpy, sys
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb
runpy.run_path(sys.argv[1], run_name="__main__")
greys = [
    [sum(w * c for w, c in zip((.299, .587, .114), to_rgb(line.get_color())))
     for line in axes.lines]
    for axes in plt.gcf().axes
]
print(json.dumps(greys))
"""
#: What a number of errors looks like in the output, and what an untrained model has.
ERROR = r"error ([\d.naif]+)"


def run(name, folder):
    """Lines that a script prints, when its picture is there and its greys differ."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, ROOT / "examples" / f"{name}.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0
    *lines, greys = done.stdout.splitlines()
    assert lines[-1] == f"figures/{name}.png"
    assert (folder / lines[-1]).read_bytes().startswith(b"\x89PNG")
    for axes in json.loads(greys):
        assert all(abs(a - b) > 0.05 for a, b in combinations(axes, 2)), axes
    return lines[:-1]


def errors(lines):
    """Every error that is printed, one list a line."""
    found = [[float(x) for x in re.findall(ERROR, line)] for line in lines]
    assert all(math.isfinite(x) for each in found for x in each)
    return [each for each in found if each]


@pytest.mark.parametrize("name", ["pde_surrogate", "denoising", "own_graph", "unet"])
def test_both_ways_learn(name, tmp_path):
    """An untrained network has an error of 1 or more: that of saying nothing."""
    both = [line for line in run(name, tmp_path) if " after " in line]
    assert len(both) == 2
    assert all(0 < error < 0.5 for [error] in errors(both))


def test_a_classifier_is_left_as_it_is(tmp_path):
    lines = run("classifier", tmp_path)
    assert "plain training" in lines[0]
    assert "The model is unchanged." in lines[1]
    wrong = [float(x) for x in re.findall(r"([\d.]+) % wrong", "\n".join(lines))]
    assert len(wrong) == 2
    assert all(0 < one < 20 for one in wrong)  # 90 by chance


def test_saved_weights_do_on_the_fine_grid_what_they_did(tmp_path):
    [coarse], started, new = errors(run("saved_weights", tmp_path))
    assert abs(started[0] - coarse) < 0.05 * coarse
    assert started[1] < started[0]
    assert started[1] < new[1] < new[0]


def test_a_sweep_tries_every_setting(tmp_path):
    *by_depth, best = run("sweep", tmp_path)
    assert len(by_depth) == 3
    assert "of 6 trials" in best
    depth = best.partition("'depth': ")[2].partition(",")[0]
    least = min(by_depth, key=lambda line: errors([line])[0])
    assert least.startswith(f"L = {depth}:")


def test_cycles_reach_a_tenth_at_less_cost(tmp_path):
    lines = run("cycles", tmp_path)
    costs = [float(line.split("C(t) = ")[1].split(", ")[0].replace(",", ""))
             for line in lines]  # fmt: skip
    plain, fine, coarsened = costs
    assert max(fine, coarsened) < plain < math.inf


def test_the_notebook_runs():
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "examples" / "first_run.ipynb", as_version=4)
    kept = kinds_of_outputs(notebook)
    where = {"metadata": {"path": ROOT}}
    NotebookClient(notebook, timeout=120, resources=where).execute()
    assert kinds_of_outputs(notebook) == kept


def kinds_of_outputs(notebook):
    """Of each cell, without what libraries log, which machines do differently."""
    return [
        [one.output_type for one in cell.outputs if one.get("name") != "stderr"]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
