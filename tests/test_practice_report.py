"""What the report of benchmarks/practice says of runs."""

import json
import math

import pytest

from benchmarks.practice import choices, report, tuning
from benchmarks.practice.run import write_whole
from benchmarks.practice.tuning import Run, Setting, error_at, seconds_to

NEVER = math.inf
A, B = (Setting("fit", rate, "cosine", 32) for rate in (1e-3, 2e-3))


def test_errors_and_seconds_go_by_the_lowest_so_far():
    trace = [(0, 3.0), (1, 0.5), (2, 0.9), (3, 0.2), (4, 0.4)]
    assert error_at(trace, 2) == 0.5
    assert error_at(trace, 2.99) == 0.2  # within the slack
    assert error_at(trace, 2.9) == 0.5
    assert error_at([(5, 1.0)], 1) == NEVER
    assert [seconds_to(trace, e) for e in (0.9, 0.5, 0.4, 0.1)] == [1, 1, 3, NEVER]
    assert tuning.lowest(trace) == [(0, 3), (1, 0.5), (2, 0.5), (3, 0.2), (4, 0.2)]


def test_an_untrained_network_is_no_target():
    late = runs_of(A, {seed: [(0, 9.0), (6, 0.5), (20, 0.3)] for seed in (0, 1)})
    assert error_at(late[0].trace, 5) == NEVER
    assert tuning.best_plain(late) == {0.25: None, 0.6: late[0], 1.0: late[0]}
    assert {row.share for row in report.rows(late)} == {0.6, 1.0}
    assert "25%" not in report.table({("t", 20.0): late})


def test_ratios_know_who_got_there():
    assert report.ratio(6, 2) == 3
    assert report.ratio(6, NEVER) == 0
    assert report.ratio(NEVER, 2) == NEVER
    assert math.isnan(report.ratio(NEVER, NEVER))
    assert report.middle([1, math.nan, 3, 8]) == 3
    assert math.isnan(report.middle([math.nan]))


def runs_of(setting, traces):
    """A run for each seed of a task with a budget of 20 s."""
    return [Run("t", setting, seed, 20.0, trace) for seed, trace in traces.items()]


def soon(early, late):
    """The errors that a run has at 5 s and at 20 s."""
    return [(0, 9.0), (5, early), (12, early), (20, late)]


WARM = tuning.WARM_DEFAULT
RUNS = [
    *runs_of(A, {0: soon(0.5, 0.3), 1: soon(0.6, 0.3), 2: soon(0.4, 0.2)}),
    *runs_of(A, {3: soon(0.5, 0.4)}),
    *runs_of(B, {0: soon(0.7, 0.1), 1: soon(0.9, 0.2), 2: soon(0.9, 0.1)}),
    *runs_of(B, {3: soon(0.9, 0.3)}),
    *runs_of(WARM, {0: [(0, 9.0), (1, 0.05)], 1: [(0, 9.0), (1, 0.5), (4, 0.2)]}),
    *runs_of(WARM, {2: [(0, 9.0), (2, 0.4)], 3: [(0, 9.0), (2.5, 0.45)]}),
]


def test_plain_training_has_its_best_setting_for_each_target():
    assert [run.setting for run in tuning.best_plain(RUNS).values()] == [A, A, B]
    settings = tuning.settings_of(RUNS)
    assert list(settings[report.PLAIN].values()) == [A, A, B]
    assert list(settings["multilevel start"].values()) == [
        setting._replace(method="start") for setting in (A, A, B)
    ]


def test_batches_are_tuned_and_known_by_the_file(tmp_path):
    trials = tuning.further_trials(A, 32)
    assert [one.batch for one in trials] == [None, None, None, 8, 2]
    small = trials[-1]
    assert small.file == "fit-0.001-cosine-32-jit1-batch2"
    assert "batches of 2" in str(small) and "batches" not in str(A)
    options = {"rate": 1e-3, "decay": "cosine", "steps_per_execution": 32, "jit": 1}
    record = {"task": "t", "method": "fit", "seed": 0, "trace": [[0.0, 1.0]]}
    for setting, more in ((A, {}), (small, {"batch": 2})):
        file = tmp_path / "run.json"
        whole = record | {"options": options | {"limit": 20.0} | more}
        file.write_text(json.dumps(whole))
        assert tuning.read(file).setting == setting


def test_the_summary_has_medians_and_how_many_times_sooner():
    head, _, quarter, *_ = report.summary({("task", 20.0): RUNS}).splitlines()
    columns = [cell.strip() for cell in head.strip("|").split("|")]
    cells = dict(
        zip(columns, map(str.strip, quarter.strip("|").split("|")), strict=True)
    )
    assert cells[report.PLAIN] == "5.00"
    assert cells["warm start, 1e-3"] == "2.00 (2.5)"
    assert cells["of the budget"] == "25% of 20 s"
    assert "multilevel start" not in columns


def test_the_warm_start_is_tuned_by_seconds_to_the_target():
    slower = WARM._replace(rate=2e-3)
    runs = [*RUNS, *runs_of(slower, {0: [(0, 9.0), (0.5, 0.4), (9, 0.04)]})]
    chosen = [run.setting for run in tuning.best_warm(runs).values()]
    assert chosen == [slower, slower, WARM]


def test_rows_pair_the_seeds():
    rows = {(row.share, row.method): row for row in report.rows(RUNS)}
    plain, warm = rows[0.25, report.PLAIN], rows[0.25, "warm start, 1e-3"]
    assert plain.error == 0.5
    assert plain.seconds == [20, 5, 5] and plain.ratios == [1, 1, 1]
    assert warm.seconds == [1, 2, 2.5] and warm.ratios == [20, 2.5, 2]
    last = rows[1.0, "warm start, 1e-3"]
    assert last.error == 0.2
    assert last.seconds == [4, NEVER, NEVER]
    assert last.ratios[:2] == [5, 0] and math.isnan(last.ratios[2])
    assert rows[1.0, "fit, as written"].seconds == []


def test_the_table_says_what_was_not_reached():
    lines = report.table({("t", 20.0): RUNS}).splitlines()
    assert (
        "| t | 100% of 20 s | 0.2000 | warm start, 1e-3 | 0.001, cosine, 32 a call "
        "| 4.00, not reached, not reached | not reached | 2.5 |"
    ) in lines
    # Seven methods have none; the warm start has one at A's setting, not at B's.
    assert sum("| no run |" in line for line in lines) == 7 * 3 + 1


def test_a_curve_is_the_median_of_the_lowest():
    traces = [[(0, 9), (1, e), (2, 2 * e), (4, e / 2)] for e in (1.0, 3.0, 2.0)]
    moments, errors = report.middle_curve(traces, points=3)
    assert moments == pytest.approx([1, 2, 4])
    assert errors == pytest.approx([2, 2, 1])
    assert len(report.middle_curve([[(0, 9)]])[0]) == 0


def test_files_are_read_as_they_were_written(tmp_path):
    options = {"rate": 1e-3, "decay": "cosine", "steps_per_execution": 32, "jit": 1}
    record = {"task": "t", "method": "fit", "seed": 3, "trace": [[0, 2.0], [1, None]]}
    path = tmp_path / "t" / "run.json"
    write_whole(path, record | {"options": options | {"limit": 20.0}})
    assert [file.name for file in path.parent.iterdir()] == ["run.json"]
    assert report.load(tmp_path) == {
        ("t", 20.0): [Run("t", A, 3, 20.0, [(0, 2.0), (1, NEVER)])]
    }
    with pytest.raises(ValueError):
        write_whole(path, {"error": math.nan})
    assert json.loads(path.read_text())["seed"] == 3
    assert [file.name for file in path.parent.iterdir()] == ["run.json"]


def test_the_picture_is_drawn(tmp_path):
    path = tmp_path / "new" / "practice.png"
    report.picture({("t", 20.0): RUNS}, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert set(report.STYLES) == set(tuning.settings_of(RUNS))


def test_choices_are_compared_by_the_median_one():
    def choice(lost, *errors):
        trace = [[float(i), error] for i, error in enumerate((1.0, *errors))]
        return {"topology": "Path(size=8)", "depth": 4, "lost": lost, "trace": trace}

    task = {
        "plain": [[0.0, 1.0], [3.0, 0.4]],
        "choices": [choice(0, 0.2, 0.1), choice(0.1, 0.9, 0.2), choice(0.5, None, 0.8)],
        "plan": choice(0.1, 0.9, 0.2),
    }
    rows = [*choices.rows_of({"seconds": 3.0, "tasks": {"t": task}})]
    assert [row.error for row in rows] == [0.1, 0.2, 0.8, 0.2]
    assert [row.gain for row in rows] == pytest.approx([4, 2, 0.5, 2])
    assert [row.seconds for row in rows] == [1, 2, NEVER, 2]
    assert choices.rank(rows[:3]) == pytest.approx(-1)
    assert "| t | plan: Path(size=8), L = 4 | 0.1000 | 0.2 | 2 | 2.00 |" in (
        text := choices.table(rows)
    )
    assert "t: regret 1.00 s; the plan's gain is 2, the best one 4; rank" in text


def test_the_search_is_over_one_grid_of_each_number_of_axes():
    names = [repr(one) for one in choices.candidates(64)]
    assert names == [
        *("Path(size=64)", "Cycle(size=64)"),
        *("Grid(shape=(8, 8))", "Grid(shape=(4, 4, 4))"),
    ]
