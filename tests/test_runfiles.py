"""Run files: written whole, read once for all, and named when they are damaged."""

import json
import math
import os
import re
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from config_files import PATH, ROOT, changed
from matplotlib.colors import to_rgb
from run_files import run_file
from run_files import settings as run_settings

from experiments.config import load_config
from experiments.figures import figure6, style
from experiments.jobs import jobs
from experiments.report import records
from experiments.runfiles import Evaluation, Run, RunFile, RunFileError, load_run
from experiments.runs import Result, collect, file_name, find_run, save_run, settings
from experiments.tables import across, table
from experiments.tasks import load_task
from experiments.training import Trainer
from msann.cost import NOT_REACHED


@pytest.fixture
def config():
    return load_config(PATH)


HISTORY = [
    Evaluation(0.0, 0, 0.0, 0.25),
    Evaluation(128.0, 128, 0.5, 0.09),
    Evaluation(256.0, 512, 1.5, 0.02),
]


def saved(folder, config, seed=618, scheme=0):
    values = settings(config, config.schemes[scheme], seed)
    run = Run(HISTORY, 3.0, "level  sizes", 0.057)
    save_run(folder, values, run, "bundled", "make test")
    return values, folder / file_name(values)


def test_a_run_file_brings_back_the_run_and_its_provenance(tmp_path, config):
    values, path = saved(tmp_path, config)
    record = load_run(path)
    assert record.history == HISTORY
    assert record.settings == json.loads(json.dumps(values))
    assert record.provenance["command"] == "make test"
    assert {"keras", "tensorflow", "numpy"} <= set(record.provenance["versions"])
    assert not list(tmp_path.glob("*.part"))
    assert find_run(tmp_path, values) == record


def test_a_run_that_diverged_is_read_here_and_in_the_report(tmp_path, config):
    values = settings(config, config.schemes[0], 618)
    run = Run([*HISTORY, HISTORY[-1]._replace(mse=math.nan)], 3.0, "levels", 0.057)
    save_run(tmp_path, values, run, "bundled", "make test")
    record = find_run(tmp_path, values)
    assert record.history[:-1] == HISTORY and math.isnan(record.history[-1].mse)
    found = records.read(tmp_path)
    assert not found.damaged
    assert found.runs[file_name(values)].final_mse == math.inf


@pytest.mark.thorough
def test_coarsened_training_that_diverges_ends_its_history(tmp_path):
    scheme = {"label": "a", "depth": 1, "coarsen_data": True, "optimizer": "adam"}
    schemes = [scheme | {"label": "b", "learning_rate": 3e38}, scheme]
    task = {"name": "mnist", "image_size": 8, "seed": 1, "validation": 100}
    changes = {
        "task": task,
        "hidden": [8],
        "grid": None,
        "budget": 2560,
        "schemes": schemes,
    }
    config = load_config(changed(tmp_path, **changes))
    diverging, sound = config.schemes
    told = []
    trainer = Trainer(config, diverging, 1, load_task(config.task))
    history = trainer.run(config, diverging, 1, told.append).history
    assert math.isfinite(history[0].mse) and math.isnan(history[-1].mse)
    assert told == history
    history = trainer.run(config, sound, 1).history
    assert history[-1].mse < history[0].mse


def test_other_settings_are_another_run(tmp_path, config):
    values, path = saved(tmp_path, config)
    assert find_run(tmp_path, values | {"seed": 5}) is None
    other = values | {"batch_size": 64}
    assert file_name(other) != path.name
    assert find_run(tmp_path, other) is None


WHOLE = run_file(run_settings())
DAMAGED = [
    ("", "is not a whole run file (Expecting value"),
    ('{"format": 2', "is not a whole run file (Expecting ',' delimiter"),
    ("[1]", "is not a whole run file (a list, no mapping)"),
    ("[" * 10**5, "is not a whole run file (maximum recursion"),
    (b"\xff\xfe{", "is not a whole run file ("),
    ({"format": 1}, "has format 1; this version reads format 2"),
    ({"format": None}, "has format None; this version reads format 2"),
    ({"history": []}, "(history: List should have at least 1 item"),
    ({"history": [[0, 0, 0]]}, "(history.0."),
    ({"history": [[0, 0, 0, None]]}, "(history.0.3: Input should be a valid number"),
    ({"history": [[0, 0, 0, math.nan]]}, "the first MSE is not finite)"),
    ({"history": [[0, 0, 0, 1], [1, 1, 1, -1]]}, "an MSE is negative)"),
    ({"history": [[1, 0, 0, 1], [0, 1, 1, 1]]}, "(Value error"),
    ({"settings": {"task": "mnist"}}, "settings have no seed)"),
    ({"settings": {"seed": True}}, "settings.seed is True)"),
    ({"settings": {"seed": 1, "depth": "2"}}, "settings.depth is '2')"),
    ({"provenance": None}, "(provenance: "),
    ({"data": None}, "(data: "),
]


@pytest.mark.parametrize(("content", "reason"), DAMAGED, ids=[x for _, x in DAMAGED])
def test_damaged_run_files_are_named_with_the_reason(
    tmp_path, config, capsys, content, reason
):
    """By the sweep, which makes them anew, and by the report, which leaves them out."""
    values, path = saved(tmp_path, config)
    if isinstance(content, dict):
        content = json.dumps(WHOLE | content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = path.read_bytes()
    with pytest.raises(RunFileError, match=re.escape(reason)) as caught:
        load_run(path)
    assert str(caught.value).startswith(f"{path} ")
    assert find_run(tmp_path, values) is None
    assert f"skipped: {caught.value}" in capsys.readouterr().out
    found = records.read(tmp_path)
    assert not found.runs and str(caught.value) == f"{path} {found.damaged[path.name]}"
    assert path.read_bytes() == before


def test_a_folder_in_the_place_of_a_run_file_is_named(tmp_path, config, capsys):
    values = settings(config, config.schemes[0], 618)
    (tmp_path / file_name(values)).mkdir()
    assert find_run(tmp_path, values) is None
    assert "cannot be read (Is a directory)" in capsys.readouterr().out
    with pytest.raises(OSError, match="directory"):
        saved(tmp_path, config)
    assert [path.name for path in tmp_path.iterdir()] == [file_name(values)]


def test_run_files_and_configs_are_read_without_a_framework():
    """And all that is printed of them; only training needs one."""
    program = """
import sys
from experiments import __main__, budget, config, jobs, published, queue, runs, tables
from experiments import quiet, verdict
from experiments.report import records
print(sorted({"keras", "tensorflow", "msann_keras"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_run_files_of_another_format_are_refused(tmp_path, config):
    _, path = saved(tmp_path, config)
    path.write_text(path.read_text().replace('"format": 2', '"format": 1'))
    with pytest.raises(RunFileError, match="has format 1; this version reads format 2"):
        load_run(path)


def test_a_failed_write_leaves_nothing_behind(tmp_path, config, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        saved(tmp_path, config)
    assert list(tmp_path.iterdir()) == []


def test_configs_share_what_is_equal(config):
    grid = load_config(ROOT / "configs/table3_mnist_grid.yaml")
    defaults = [scheme for scheme in config.schemes if not scheme.depth]
    both = jobs([config, grid])
    assert len(both) == len(config.schemes) + len(grid.schemes) - len(defaults)


# Tables


def test_table_values_come_from_the_history(tmp_path, config):
    _, path = saved(tmp_path, config)
    run = load_run(path)
    assert run.final_mse == 0.02
    measures = ("cost", "evaluations", "seconds")
    assert [run.reached(x) for x in measures] == [256.0, 512, 1.5]
    assert run.reached("cost", 0.09) == 128.0
    run.history.pop()
    assert run.reached("seconds") == NOT_REACHED
    assert across([run.reached("seconds"), 1.0], ".1f") == (
        "not reached (not reached, 1.0)"
    )


def test_the_table_stands_beside_the_papers(tmp_path, config):
    _, path = saved(tmp_path, config)
    own, missing = config.schemes[:2]
    out = table(config, [Result(own, [load_run(path)]), Result(missing, [])])
    cells = [list(column.cells) for column in out.columns]
    names = [cell.split("\n")[0].strip() for cell in cells[0]]
    assert names[:2] == [config.schemes[0].label, config.schemes[1].label]
    assert names[2:] == [
        "[bold]Table 3, path, as published",
        "best (3, 4, 8),",
        "worst",
        "default",
    ]
    assert cells[0][3].endswith("tenth (3, 5, 32)")
    assert cells[1] == ["0.02", "no run", "", "0.0155", "0.0461", "0.0417"]
    assert cells[2][:2] == ["256", "no run"]
    assert cells[2][3:] == ["72,070", "not reached", "not reached"]
    # To a tenth of the highest first error of all rows: C(t), gradients, seconds.
    assert "to 0.025\n" in out.columns[3].header
    assert [column[0] for column in cells[3:6]] == ["256", "512", "1.5"]
    assert [column[0] for column in cells[6:]] == ["3.0", "1.5"]


@pytest.mark.parametrize("schemes", [7, 150])
def test_every_scheme_has_a_line_of_its_own_in_grey(config, schemes):
    """Told apart by dash and mark alone; the paper's whole sweep is 145 schemes."""
    run = RunFile.model_validate(WHOLE)
    results = [Result(scheme, [run, run]) for scheme in config.schemes[:1] * schemes]
    for axis in (axes := figure6([(config, results)]).axes):
        looks = [(str(x._dash_pattern), x.get_marker()) for x in axis.lines]
        assert len(looks) == 2 * schemes and len(set(looks)) == schemes
    assert len(axes) == 2
    assert len(axes[1].get_legend().get_texts()) == schemes


def test_the_first_lines_are_other_greys_too():
    def lightness(colour):  # CIE's L*
        linear = [
            ((c + 0.055) / 1.055) ** 2.4 if c > 0.04045 else c / 12.92
            for c in to_rgb(colour)
        ]
        light = np.dot((0.2126, 0.7152, 0.0722), linear)
        return 116 * np.cbrt(light) - 16 if light > 0.008856 else 903.3 * light

    greys = [lightness(style(number)["color"]) for number in range(7)]
    assert all(later - earlier > 9 for earlier, later in pairwise(greys))
    assert greys[-1] < 80  # and seen on white


def test_of_runs_that_were_not_made_alone_there_are_no_seconds(tmp_path, config):
    config = config.model_copy(update={"alone": True})
    own, borrowed = config.schemes[0], config.schemes[-1]
    assert borrowed.committed
    saved(tmp_path, config)
    results = collect(config.model_copy(update={"schemes": (own, borrowed)}), tmp_path)
    assert [(len(x.runs), x.borrowed) for x in results] == [(1, 0), (1, 1)]
    cells = [list(column.cells) for column in table(config, results).columns]
    # to an error, to compile, in all
    assert [column[0] for column in cells[5:]] == ["1.5", "3.0", "1.5"]
    assert [column[1] for column in cells[5:]] == ["not timed"] * 3
    left, right = figure6([(config, results)]).axes
    assert (len(left.lines), len(right.lines)) == (2, 1)


def test_a_committed_run_is_named_as_such_only_where_it_was_taken(tmp_path, config):
    scheme = next(scheme for scheme in config.schemes if scheme.committed)
    config = config.model_copy(update={"schemes": (scheme,), "seeds": (618, 31)})
    (borrowed,) = collect(config, tmp_path)
    assert (len(borrowed.runs), borrowed.borrowed) == (1, 1)
    label, *_ = table(config, [borrowed]).columns[0].cells
    assert label.split("\n")[0].strip() == f"{scheme.label} (from results/)"

    saved(tmp_path, config, seed=31)
    (both,) = collect(config, tmp_path)
    assert (len(both.runs), both.borrowed) == (2, 1)
    label, *_ = table(config, [both]).columns[0].cells
    assert label.split("\n")[0].strip() == f"{scheme.label} (1 from results/)"


def test_run_files_hold_no_folder_of_the_machine(tmp_path, config):
    task = config.task.model_copy(update={"source": "idx", "folder": "/home/a/digits"})
    config = config.model_copy(update={"task": task})
    values = settings(config, config.schemes[0], 7)
    assert values["folder"] == "digits"


def test_other_images_in_a_folder_of_the_same_name_are_another_run(tmp_path, config):
    def name(number, validation, train, t10k):
        folder = tmp_path / str(number) / "raw"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "train-images-idx3-ubyte").write_text(train)
        (folder / "t10k-images.idx3-ubyte").write_text(t10k)
        changes = {"source": "idx", "folder": str(folder), "validation": validation}
        task = config.task.model_copy(update=changes)
        other = config.model_copy(update={"task": task})
        return file_name(settings(other, config.schemes[0], 7))

    digits, fashion = name(1, 100, "digits", "a"), name(2, 100, "fashion", "a")
    assert digits != fashion
    # The other file matters where it is read.
    assert name(3, 100, "digits", "b") == digits
    assert name(3, None, "digits", "b") != name(1, None, "digits", "a")


def test_committed_run_files_have_the_names_of_their_settings():
    for path in (ROOT / "results").glob("*.json"):
        assert file_name(json.loads(path.read_text())["settings"]) == path.name
