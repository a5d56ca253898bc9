"""Experiments: configs, stages, run files, tables and the command itself."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

import msann_keras as ms
from experiments import published
from experiments.__main__ import main
from experiments.budget import stages
from experiments.callbacks import Evaluation
from experiments.config import ConfigError, load_config
from experiments.jobs import jobs
from experiments.report import records
from experiments.runs import (
    Result,
    RunFileError,
    collect,
    file_name,
    find_run,
    load_run,
    save_run,
    settings,
)
from experiments.tables import across, final_mse, table, to_tenth
from experiments.tasks import load_task
from experiments.training import Run, Trainer
from msann.cost import NOT_REACHED, cost

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


@pytest.fixture
def config():
    return load_config(ROOT / "configs/table3_mnist_path.yaml")


def written(folder, changes):
    """A config file with some keys of the real one changed, or deleted by `None`."""
    text = (ROOT / "configs/table3_mnist_path.yaml").read_text()
    values = yaml.safe_load(text) | {"ways": None} | changes
    values = {k: v for k, v in values.items() if v is not None}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


# Configs


def ways(path):
    return list(yaml.safe_load(path.read_text()).get("ways", [])) or [None]


@pytest.mark.parametrize(
    ("path", "way"), [(path, way) for path in CONFIGS for way in ways(path)],
    ids=lambda value: getattr(value, "stem", value),
)  # fmt: skip
def test_every_config_is_valid_and_names_a_command_that_exists(path, way):
    config = load_config(path, way)
    target = config.command.removeprefix("make ")
    assert f"\n{target}: " in (ROOT / "Makefile").read_text()
    assert path.name in (ROOT / "Makefile").read_text()
    assert config.way == (way or "")
    # Every scheme fits into its budgets; this is found out before anything trains.
    for each in (config, config.quickly()):
        for scheme in each.schemes:
            parameters = [4 ** (10 - level) for level in range(7)]
            visits = scheme.visits(each.variant)
            next(stages(visits, parameters, each.batch_size, each.budget, 1.0))


def test_ways_replace_keys_and_their_tasks_are_merged(tmp_path):
    path = written(
        tmp_path,
        {
            "ways": {
                "a": {"variant": "script"},
                "b": {"task": {"validation": 5}, "budget": 7e5},
            }
        },
    )
    first, a, b = (load_config(path, way) for way in (None, "a", "b"))
    assert first == a and (a.way, a.variant, a.budget) == ("a", "script", 256000)
    assert (b.way, b.variant, b.budget) == ("b", "paper", 7e5)
    assert (b.task.validation, b.task.seed) == (5, 2019)
    with pytest.raises(ConfigError, match="config.yaml has: a, b. Received: way='c'"):
        load_config(path, "c")


@pytest.mark.parametrize(
    ("name", "paper"),
    [
        ("table1_one_object", published.ONE_OBJECT),
        ("table2_two_objects", published.TWO_OBJECTS),
        ("table3_mnist_path", published.MNIST_PATH),
        ("table3_mnist_grid", published.MNIST_GRID),
    ],
)
def test_configs_expect_what_the_report_says_the_paper_published(name, paper):
    config = load_config(ROOT / f"configs/{name}.yaml")
    assert set(config.published) == {"best", "worst", "default"}
    for column, cell in config.published.items():
        assert cell.final_mse == paper.final[column].value
        assert (cell.cost_to_tenth or NOT_REACHED) == paper.tenth[column].value


@pytest.mark.parametrize("name", ["table1_one_object", "table2_two_objects"])
@pytest.mark.parametrize(
    ("way", "optimizer"), [("paper", "adam"), ("script", "tf1_rmsprop")]
)
def test_the_grid_has_the_optimizer_of_its_way(name, way, optimizer):
    swept = load_config(ROOT / f"configs/{name}.yaml", way).swept()
    assert {scheme.optimizer for scheme in swept.schemes} == {optimizer}


def test_the_grid_is_the_papers():
    config = load_config(ROOT / "configs/table1_one_object.yaml").swept()
    cycles = {(x.gamma, x.depth, x.smoothing_steps) for x in config.schemes}
    # L = 0 once, and 3 gamma x 6 L x 8 k
    assert len(config.schemes) == len(cycles) == 1 + 3 * 6 * 8
    assert (3, 6, 128) in cycles and (1, 1, 1) in cycles
    with pytest.raises(ConfigError, match="Figure 7.*has no `grid`"):
        load_config(ROOT / "configs/figure7_choice_of_p.yaml").swept()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gamma": 3}, r"gamma: Extra inputs are not permitted. Received: 3"),
        ({"budget": None}, "budget: Field required"),
        ({"budget": -1}, r"budget: Input should be greater than 0. Received: -1"),
        ({"topology": "torus"}, "topology: Input should be 'path', 'grid'.*'torus'"),
        ({"variant": "text"}, "variant: Input should be 'paper' or 'script'.*'text'"),
        ({"seeds": []}, "seeds: Tuple should have at least 1 item"),
        (
            {"task": {"name": "mnist", "source": "web", "seed": 1}},
            "task.mnist.source.*Received: 'web'",
        ),
        ({"task": {"name": "cifar", "seed": 1}}, "task: Input tag 'cifar'"),
        (
            {"schemes": [{"label": "a", "depth": 2, "start_depth": 1}]},
            "schemes.0: .*`start_depth` is for `depth: 0`",
        ),
        (
            {"schemes": [{"label": "a", "coarsen_data": True}]},
            "`coarsen_data` needs `depth` >= 1",
        ),
        (
            {"schemes": [{"label": "a", "schedule": "nested"}]},
            "`schedule: nested` needs `depth` >= 1",
        ),
        (
            {
                "schemes": [
                    {
                        "label": "a",
                        "depth": 1,
                        "schedule": "simultaneous",
                        "coarsen_data": True,
                    }
                ]
            },
            "`schedule: simultaneous` needs the fine gradient",
        ),
        (
            {"schemes": [{"label": "a", "depth": 2, "gamma": 0}]},
            r"schemes.0.gamma: Input should be greater than or equal to 1. Received: 0",
        ),
        (
            {"schemes": [{"label": "a"}, {"label": "a", "depth": 1}]},
            r"labels of schemes must differ. Received: \['a', 'a'\]",
        ),
        (
            {"schemes": [{"label": "a", "depth": 30, "gamma": 9}]},
            "at most 1,000,000 visits.* Received: gamma=9 and depth=30",
        ),
        (
            {"published": {"mean": {}}},
            r"columns best, worst and default. Received: \['mean'\]",
        ),
    ],
)
def test_bad_configs_are_refused_by_key(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        load_config(written(tmp_path, changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ways": ["a"]}, r"  ways: Should be a mapping.*Received: \['a'\]"),
        ({"ways": {"a": None}}, r"  ways.a: Should be a mapping.*Received: None"),
        ({"ways": {"a": {"task": None}}}, "  ways.a.task: Should be.*Received: None"),
        ({"ways": {"a": {}}, "task": "mnist"}, "  task: Should be.*Received: 'mnist'"),
    ],
)
def test_bad_ways_are_refused_by_key(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        load_config(written(tmp_path, changes))


def test_unreadable_configs_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"readable YAML file.*none.yaml.*No such"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="bad.yaml is not YAML"):
        load_config(tmp_path / "bad.yaml")


def test_a_bad_config_ends_the_command_before_anything_runs(tmp_path, capsys):
    path = written(tmp_path, {"gamma": 3})
    assert main([str(path), "--runs", str(tmp_path / "runs")]) == 2
    assert "gamma: Extra inputs are not permitted" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


def test_missing_data_end_the_command_with_one_line(tmp_path, capsys):
    task = {"name": "mnist", "source": "idx", "folder": str(tmp_path / "none")}
    path = written(tmp_path, {"task": task | {"seed": 1}})
    assert main([str(path), "--runs", str(tmp_path / "runs"), "--workers", "1"]) == 2
    out = capsys.readouterr().out
    assert "data:" in out and "none" in out and "Traceback" not in out


# Stages

CYCLES = [
    ms.schedules.gamma_cycle(3, 2, 2),
    ms.schedules.gamma_cycle(2, 3, 1, "script"),
    ms.schedules.gamma_cycle(0, smoothing_steps=4),
    ms.schedules.full_multigrid(2),
    ms.schedules.plain(),
    ms.schedules.simultaneous(),
]


@pytest.mark.parametrize("schedule", CYCLES, ids=str)
@pytest.mark.parametrize("every", [1.0, 100.0, 1e6])
def test_stages_follow_the_schedule_end_at_level_0_and_keep_to_the_budget(
    schedule, every
):
    parameters, batch, budget = [1000, 250, 60, 15], 8, 5000.0
    plan = list(stages(schedule, parameters, batch, budget, every))
    visits = [visit for stage in plan for visit in stage]
    batches = sum(visit.steps for visit in visits)
    assert ms.schedules.merged(visits) == schedule.take(0, batches)
    assert all(stage[-1].level in (0, ms.EVERY_LEVEL) for stage in plan)
    costs = [cost(stage, parameters, batch) for stage in plan]
    assert (
        sum(costs)
        <= budget
        < sum(costs)
        + cost(schedule.take(batches, schedule.batches_per_cycle), parameters, batch)
    )
    assert all(stage_cost >= every for stage_cost in costs[:-1])


def test_a_budget_without_a_single_stage_is_refused():
    v_cycle = ms.schedules.gamma_cycle(1, smoothing_steps=10)
    with pytest.raises(ValueError, match="`budget` must allow.*budget=5"):
        list(stages(v_cycle, [10, 5], batch_size=1, budget=5, every=1))


# Run files

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


def test_coarsened_training_that_diverges_ends_its_history(tmp_path):
    scheme = {"label": "a", "depth": 1, "coarsen_data": True, "optimizer": "adam"}
    schemes = [scheme | {"label": "b", "learning_rate": 3e38}, scheme]
    task = {"name": "mnist", "image_size": 8, "seed": 1, "validation": 100}
    changes = {"task": task, "hidden": [8], "budget": 2560, "schemes": schemes}
    config = load_config(written(tmp_path, changes))
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


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "not a whole run file"), ('{"format": 2', "not a whole run file")],
)
def test_damaged_run_files_are_named_and_count_as_missing(
    tmp_path, config, capsys, text, message
):
    values, path = saved(tmp_path, config)
    path.write_text(text)
    with pytest.raises(RunFileError, match=message):
        load_run(path)
    assert find_run(tmp_path, values) is None
    assert path.name in capsys.readouterr().out.replace("\n", "")


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
    assert final_mse(run) == 0.02
    assert to_tenth(run, "cost") == 256.0
    assert to_tenth(run, "evaluations") == 512
    assert to_tenth(run, "seconds") == 1.5
    run.history.pop()
    assert to_tenth(run, "seconds") == NOT_REACHED
    assert across([to_tenth(run, "seconds"), 1.0], ".1f") == (
        "not reached (not reached, 1.0)"
    )


def test_the_table_stands_beside_the_papers(tmp_path, config):
    _, path = saved(tmp_path, config)
    own, missing = config.schemes[:2]
    out = table(config, [Result(own, [load_run(path)]), Result(missing, [])])
    cells = [list(column.cells) for column in out.columns]
    assert cells[0] == [
        config.schemes[0].label,
        config.schemes[1].label,
        "paper: best",
        "paper: worst",
        "paper: default",
    ]
    assert cells[3] == ["2.000e-02", "no run", "1.547e-02", "4.605e-02", "4.171e-02"]
    assert cells[4][2:] == ["7.207e+04", "not reached", "not reached"]


def test_a_committed_run_is_named_as_such_only_where_it_was_taken(tmp_path, config):
    scheme = next(scheme for scheme in config.schemes if scheme.committed)
    config = config.model_copy(update={"schemes": (scheme,), "seeds": (618, 31)})
    (borrowed,) = collect(config, tmp_path)
    assert (len(borrowed.runs), borrowed.borrowed) == (1, 1)
    label = table(config, [borrowed]).columns[0].cells
    assert next(label) == f"{scheme.label} (from results/)"

    saved(tmp_path, config, seed=31)
    (both,) = collect(config, tmp_path)
    assert (len(both.runs), both.borrowed) == (2, 1)
    label = table(config, [both]).columns[0].cells
    assert next(label) == f"{scheme.label} (1 from results/)"


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


# The whole command


def test_the_command_trains_reuses_and_reports(tmp_path, capsys):
    """A small network through the real runner, in worker processes."""
    path = written(
        tmp_path,
        {
            "task": {"name": "mnist", "image_size": 8, "seed": 1, "validation": 100},
            "hidden": [8],
            "budget": 2560,
            "evaluate_every": 640,
            "schemes": [
                {"label": "default", "learning_rate": 0.0005},
                {"label": "V", "depth": 1, "smoothing_steps": 2},
                {"label": "W", "depth": 1, "gamma": 2},
            ],
        },
    )
    command = [str(path), "--runs", str(tmp_path / "runs"), "--workers", "1"]
    command += ["--figure", str(tmp_path / "figure.png")]
    assert main(command) == 0
    first = capsys.readouterr().out
    files = sorted((tmp_path / "runs").glob("*.json"))
    assert len(files) == 3
    assert "not reached" in first and "1.547e-02" in first
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    for file in files:
        run = load_run(file)
        assert run.history[0][:3] == (0.0, 0, 0.0)
        costs = np.array([evaluation.cost for evaluation in run.history])
        assert np.all(np.diff(costs) > 0) and costs[-1] <= 2560
        assert 2560 - costs[-1] < 640
        assert run.history[-1].mse < run.history[0].mse
        assert run.history[-1].evaluations % 128 == 0

    before = [file.read_bytes() for file in files]
    assert main(command) == 0
    assert "reused: V (path, seed 618) is finished already" in capsys.readouterr().out
    assert [file.read_bytes() for file in files] == before

    # The database of the sweep still has it.
    files[1].unlink()
    assert main(command) == 0
    assert [file.read_bytes() for file in files] == before

    files[1].unlink()
    (tmp_path / "runs/sweep.db").unlink()
    assert main(command) == 0
    again, old = load_run(files[1]), json.loads(before[1])
    assert [e.mse for e in again.history] == [e[3] for e in old["history"]]
