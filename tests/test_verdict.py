"""The three lines that end a comparison: from its runs, and not reached stays so."""

import pytest
from config_files import ROOT, made

from experiments.config import load_config
from experiments.jobs import Job
from experiments.runfiles import Evaluation, Run
from experiments.runs import collect, save_run
from experiments.tables import brief, common_error, table
from experiments.verdict import verdict, with_compiling
from msann.cost import NOT_REACHED


@pytest.fixture
def config():
    return load_config(ROOT / "configs/mnist.yaml")


def save(config, folder, label, *states, first=0.25, compiling=1.0):
    """A run of a scheme: its cost, gradients, seconds and errors."""
    (scheme,) = (x for x in config.schemes if x.label == label)
    history = [Evaluation(0.0, 0, 0.0, first), *(Evaluation(*x) for x in states)]
    run = Run(history, compiling, "levels", 0.06)
    save_run(folder, Job(config, scheme, 618).settings, run, "tiny", "make test")


DEFAULT, GRIDS = "default", "multilevel on grids"
TUNED, CYCLES = "default, tuned", "cycles on coarsened data"


@pytest.fixture
def runs(config, tmp_path):
    """The paper's effect, and who is first on the clock depends on compiling."""
    save(config, tmp_path, DEFAULT, (9e3, 9e3, 1.0, 0.2), (9e4, 9e4, 9.0, 0.05))
    save(config, tmp_path, GRIDS, (8e3, 9e5, 60.0, 0.02), first=0.2604, compiling=14)
    save(config, tmp_path, TUNED, (5e3, 5e3, 2.04, 0.026), (6e3, 6e3, 3.0, 0.02))
    save(config, tmp_path, CYCLES, (5e3, 5e4, 0.5, 0.01), compiling=5.5)
    return tmp_path


def test_the_common_error_is_the_easiest_tenth(config, runs):
    error = common_error(collect(config, runs))
    assert error == pytest.approx(0.02604)
    assert brief(error) == "0.0261" and float(brief(error)) >= error
    assert common_error([]) is None


def test_what_was_reproduced_is_said_at_equal_cost(config, runs):
    line, _, _ = verdict(config, collect(config, runs))
    # 8,000 of each: the default's last evaluation that costs no more is its first.
    assert "on grids is below the default at equal C(t) (0.02 and 0.25 at 8," in line
    assert "its C(t) to a tenth of its first error: 8,000;" in line
    assert "the default's tenth: not reached within 90,000" in line
    assert "Table 3, grid: 50,950 in its best cell (3, 6, 128), default not" in line
    assert "C(t) of 96,000 at most, not 256,000" in line
    assert "5,000 images of MNIST's 70,000" in line
    assert "1 cell (gamma, L, k) of the 145 it swept" in line


def test_what_did_not_come_out_is_said_too(config, runs):
    save(config, runs, GRIDS, (9e3, 9e5, 60.0, 0.3))
    line, _, _ = verdict(config, collect(config, runs))
    assert "multilevel on grids is NOT below the default" in line
    assert "its C(t) to a tenth of its first error: not reached;" in line


def test_the_clock_is_read_off_the_runs(config, runs):
    _, line, _ = verdict(config, collect(config, runs))
    assert line == (
        "On the clock: first at an MSE of 0.0261 is cycles on coarsened data; with "
        "compiling it is default, tuned. Seconds of training (with compiling): cycles "
        "on coarsened data: 0.5 (6.0); default, tuned: 2.0 (3.0); multilevel on grids: "
        "60.0 (74.0); default: not reached."
    )
    save(config, runs, CYCLES, (5e3, 5e4, 0.5, 0.01), compiling=0.5)
    _, line, _ = verdict(config, collect(config, runs))
    assert "is cycles on coarsened data; with compiling too. Seconds" in line
    for label in (CYCLES, TUNED, GRIDS):
        save(config, runs, label, (5e3, 5e4, 0.5, 0.2))
    _, line, _ = verdict(config, collect(config, runs))
    assert line == "On the clock: no scheme reached an MSE of 0.025 here."


def test_a_start_has_compiled_for_itself(config, runs):
    """What `fit` compiles is counted from its first step on."""
    label = "warm start at L 3"
    start, later = (1e3, 1e4, 2.0, 0.03), (2e3, 2e4, 2.5, 0.01)
    save(config, runs, label, start, later, compiling=1.5)
    (run,) = next(x.runs for x in collect(config, runs) if x.scheme.label == label)
    assert with_compiling(run, 0.03) == 2.0
    assert with_compiling(run, 0.02) == 2.5 + 1.5
    assert with_compiling(run, 0.001) == NOT_REACHED
    (run,) = next(x.runs for x in collect(config, runs) if x.scheme.label == CYCLES)
    assert with_compiling(run, 0.02) == 0.5 + 5.5


def test_without_runs_nothing_is_claimed(config, tmp_path):
    first, second, third = verdict(config, collect(config, tmp_path))
    assert first.startswith("Reproduced: nothing:")
    assert second == "On the clock: nothing was timed here."
    assert "make report" in third


def test_the_table_has_its_parts(config, runs):
    cells = list(table(config, collect(config, runs)).columns[0].cells)
    heads = [cell for cell in cells if cell.startswith("[bold]")]
    assert heads == [
        "[bold]The paper's methods",
        "[bold]The same network, tuned",
        "[bold]What this library adds",
        "[bold]Table 3, grid, as published",
    ]


def test_a_start_that_was_not_made_is_told(config, runs):
    """The plan had said no, so the first state cost nothing."""
    save(config, runs, "warm start, auto", (0, 0, 0.1, 0.25), (2e3, 2e3, 0.5, 0.1))
    save(config, runs, "warm start at L 3", (1e3, 1e4, 2.0, 0.03))
    cells = list(table(config, collect(config, runs)).columns[0].cells)
    told = [cell.split()[0:3] for cell in cells if "the plan says: no start" in cell]
    assert told == [["warm", "start,", "auto"]]


def test_runs_that_were_made_alone_are_others(config, tmp_path):
    """Their seconds are; so none is taken from a sweep with runs beside it."""
    beside = config.model_copy(update={"alone": False})
    job, other = (Job(x, x.schemes[0], 618) for x in (config, beside))
    assert job.settings == other.settings | {"alone": True}
    made(other, tmp_path)
    assert not any(result.runs for result in collect(config, tmp_path))
    assert sum(len(result.runs) for result in collect(beside, tmp_path)) == 1
