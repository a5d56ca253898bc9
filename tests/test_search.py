"""The search for gamma, L and k: proposals, words, and the command."""

import optuna
import pytest
import yaml
from config_files import TINY
from run_files import run_file

from experiments.config import Config
from experiments.runfiles import RunFile, load_run
from experiments.search import in_words, kind, main, propose, search


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"L": 0, "optimizer": "adam", "rate": 4e-3}, "level 0 only, adam 0.004"),
        (
            {"L": 2, "optimizer": "adam", "rate": 4e-3, "gamma": 2, "log2 k": 3,
             "coarsened": True},
            "coarsened, gamma 2, L 2, k 8, adam 0.004",
        ),
        (
            {"L": 2, "optimizer": "tf1_rmsprop", "rate": 1e-3, "gamma": 1,
             "log2 k": 1, "coarsened": True, "growth": 1.5},
            "coarsened, gamma 1, L 2, k 2 x 1.5^l, tf1_rmsprop 0.001",
        ),
        (
            {"L": 6, "optimizer": "adam", "rate": 1e-3, "gamma": 3, "log2 k": 0,
             "coarsened": False},
            "fine gradient, gamma 3, L 6, k 1, adam 0.001",
        ),
    ],
)  # fmt: skip
def test_a_proposal_is_what_it_is_called(params, words):
    scheme = propose(optuna.trial.FixedTrial(params))
    assert in_words(scheme) == words
    assert kind(scheme) == words.split(",")[0]
    assert scheme.until == 0.1


def test_an_unknown_config_ends_with_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "none.yaml"), "--runs", str(tmp_path)]) == 2
    assert "none.yaml" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seconds", "nan"], "`seconds` must be a finite number > 0. Received"),
        (["--seconds", "inf"], "`seconds` must be a finite number > 0. Received"),
        (["--seconds", "-1"], "`seconds` must be a finite number > 0. Received"),
        (["--trials", "0"], "`trials` must be an integer >= 1. Received: trials=0"),
    ],
)
def test_bad_options_are_refused_by_name(tmp_path, capsys, options, message):
    runs = tmp_path / "runs"
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "none.yaml"), "--runs", str(runs), *options])
    assert message in capsys.readouterr().err
    assert not runs.exists()


class Found:
    """In place of a runner: every run reaches its target at once."""

    config = Config.model_validate(TINY)

    def __call__(self, scheme, seed):
        return RunFile.model_validate(run_file({"seed": seed}, final=0.01))


def test_a_search_that_goes_on_does_not_repeat_its_trials(tmp_path):
    storage = f"sqlite:///{tmp_path / 'search.db'}"
    for trials in (2, 4):
        schemes = search(Found(), trials, storage)
    rates = [scheme.learning_rate for scheme in schemes]
    assert len(set(rates)) == 4
    # A new search with this seed begins as ever.
    sampler = optuna.samplers.TPESampler(seed=TINY["seeds"][0])
    first = propose(optuna.create_study(sampler=sampler).ask())
    assert first in schemes


@pytest.mark.slow
def test_a_search_leaves_run_files_and_goes_on(tmp_path, capsys):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({"ways": {"ours": {}}} | TINY, sort_keys=False))
    command = [str(path), "--trials", "3", "--seconds", "0.3"]
    command += ["--runs", str(tmp_path / "runs"), "--figure", str(tmp_path / "a.png")]
    assert main(command) == 0
    files = {file: file.read_bytes() for file in (tmp_path / "runs").glob("*.json")}
    assert len(files) >= 3
    for file in files:
        run = load_run(file)
        assert run.settings["budget_unit"] == "seconds"
        assert "experiments.search configs/tiny.yaml" in run.provenance["command"]
    first = capsys.readouterr().out
    assert "seconds to a tenth" in first and (tmp_path / "a.png").exists()
    assert main(command) == 0
    assert {x: x.read_bytes() for x in (tmp_path / "runs").glob("*.json")} == files
