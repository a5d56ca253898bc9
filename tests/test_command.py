"""The command: it trains, reuses, reports, and refuses in one line."""

import json

import numpy as np
import pytest
from config_files import TINY, changed, made, tiny

from experiments import __main__ as command_line
from experiments.__main__ import main
from experiments.config import load_config
from experiments.jobs import jobs
from experiments.runfiles import load_run


def test_a_bad_config_ends_the_command_before_anything_runs(tmp_path, capsys):
    path = changed(tmp_path, **{"gamma": 3})
    assert main([str(path), "--runs", str(tmp_path / "runs")]) == 2
    assert "gamma: Extra inputs are not permitted" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


@pytest.mark.thorough
def test_missing_data_end_the_command_with_one_line(tmp_path, capsys):
    task = {"name": "mnist", "source": "idx", "folder": str(tmp_path / "none")}
    path = changed(tmp_path, **{"task": task | {"seed": 1}})
    assert main([str(path), "--runs", str(tmp_path / "runs"), "--workers", "1"]) == 2
    out = capsys.readouterr().out
    assert "data:" in out and "none" in out and "Traceback" not in out


@pytest.mark.thorough
def test_the_command_trains_reuses_and_reports(tmp_path, capsys):
    """A small network through the real runner, in worker processes."""
    path = changed(
        tmp_path,
        **{
            "task": {"name": "mnist", "image_size": 8, "seed": 1, "validation": 100},
            "hidden": [8],
            "grid": None,
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
    assert "not reached" in first and "0.0155" in first
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


@pytest.mark.thorough
def test_bad_files_and_old_ones_are_named_and_made_again(tmp_path, capsys):
    schemes = [*TINY["schemes"], {"label": "start", "start_depth": 1}]
    path, runs = tiny(tmp_path, seeds=[1], schemes=schemes), tmp_path / "runs"
    first, second, third, fourth = jobs([load_config(path)])
    record = made(first, runs)
    made(second, runs)
    (runs / second.name).write_text(record.model_dump_json()[:100])
    (runs / third.name).write_text('{"format": 1}')
    made(fourth, runs)
    others = json.loads((runs / fourth.name).read_text())
    others["settings"]["batch_size"] = 999
    (runs / fourth.name).write_text(json.dumps(others))
    (runs / "x.json.part").write_text("half")
    command = [str(path), "--runs", str(runs), "--workers", "1"]
    command += ["--figure", str(tmp_path / "figure.png")]
    assert main(command) == 0
    out = capsys.readouterr().out.replace("\n", "")
    assert f"skipped: {runs / second.name} is not a whole run file" in out
    assert f"skipped: {runs / third.name} has format 1" in out
    assert load_run(runs / first.name) == record
    assert load_run(runs / second.name).history[-1].cost > 1400
    assert load_run(runs / third.name).history[-1].cost > 1400
    assert load_run(runs / fourth.name).settings["batch_size"] == 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "0"], "`workers` must be at least 1. Received: workers=0"),
        (["--workers", "-1"], "`workers` must be at least 1. Received: workers=-1"),
        (
            ["--seeds", "3", "-1"],
            "seeds.1: Input should be greater than or equal to 0",
        ),
    ],
)
def test_bad_options_are_refused_by_name(tmp_path, capsys, options, message):
    runs = tmp_path / "runs"
    assert main([str(tiny(tmp_path)), "--runs", str(runs), *options]) == 2
    assert message in capsys.readouterr().out
    assert not runs.exists()


@pytest.mark.parametrize(
    ("alone", "quick", "workers"),
    [(True, [], 1), (True, ["--quick"], 3), (False, [], 3)],
)
def test_runs_whose_seconds_are_compared_are_made_one_at_a_time(
    tmp_path, monkeypatch, capsys, alone, quick, workers
):
    seen = []
    monkeypatch.setattr(command_line, "sweep", lambda *args: seen.append(args[2]))
    path = tiny(tmp_path, alone=alone)
    command = [str(path), "--runs", str(tmp_path / "runs"), "--workers", "3", *quick]
    assert main([*command, "--figure", str(tmp_path / "figure.png")]) == 0
    assert seen == [workers]
    out = " ".join(capsys.readouterr().out.split())
    # A comparison has parts; this config has none, so there is no verdict.
    assert "no finished runs" in out and "Reproduced:" not in out


def test_a_comparison_ends_with_its_verdict(tmp_path, capsys):
    schemes = [
        scheme | {"part": part}
        for scheme, part in zip(
            TINY["schemes"], ("paper", "paper", "ours"), strict=True
        )
    ]
    path, runs = tiny(tmp_path, seeds=[1], schemes=schemes), tmp_path / "runs"
    for job, mse in zip(jobs([load_config(path)]), (0.02, 0.2, 0.1), strict=True):
        made(job, runs, mse)
    command = [str(path), "--runs", str(runs), "--figure", str(tmp_path / "a.png")]
    assert main(command) == 0
    out = " ".join(capsys.readouterr().out.split())
    first = out.index("Reproduced: ")
    assert first < out.index("On the clock: ") < out.index("More: `make report`")
    assert out.index("figure: ") < first


@pytest.mark.slow
def test_budgets_in_evaluations_and_in_seconds(tmp_path):
    schemes = TINY["schemes"][1:]
    for unit, budget in (("evaluations", 3200), ("seconds", 0.3)):
        folder = tmp_path / unit
        folder.mkdir()
        path = tiny(folder, budget=budget, budget_unit=unit, seeds=[1],
                       schemes=schemes)  # fmt: skip
        command = [str(path), "--runs", str(folder / "runs"), "--workers", "1"]
        assert main([*command, "--figure", str(folder / "figure.png")]) == 0
        for job in jobs([load_config(path)]):
            run = load_run(folder / "runs" / job.name)
            spent = [getattr(x, unit) for x in run.history]
            if unit == "evaluations":
                assert 0.9 * budget < spent[-1] <= budget
            else:
                assert spent[-2] < budget <= spent[-1]
