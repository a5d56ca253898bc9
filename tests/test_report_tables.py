"""The report: what runs are called, which are chosen, and Tables 1 to 3."""

import math

import pytest
from run_files import cycle, groups_of, history, run_file, settings, sweep

from experiments import published
from experiments.report import numbers
from experiments.report.groups import common_seeds, final, ranked, tenth
from experiments.report.labels import described
from experiments.report.tables import tables


def table_of(contents, number=0):
    return tables(groups_of(contents))[number]


def rows_of(contents, number=0):
    return {row.label: row for row in table_of(contents, number).blocks[0].rows}


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "default, RMSProp 0.0005"),
        ({"optimizer": "adam", "learning_rate": 8e-3}, "default, Adam 0.008"),
        ({"batch_size": 64}, "default, RMSProp 0.0005, batch_size 64"),
        ({"hidden": [64, 32]}, "default, RMSProp 0.0005, hidden 64-32"),
        (
            {"depth": 0, "start_depth": 4, "topology": "path"},
            "default from the multilevel start (path), RMSProp 0.0005",
        ),
        (
            {"depth": 6, "schedule": "simultaneous", "topology": "grid"},
            "grid, all levels at once L 6, RMSProp 0.0005",
        ),
    ],
)
def test_names_without_cycles(changes, title):
    assert described(settings(**changes)).title == title


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "path (3, 4, 4), RMSProp 0.0005"),
        ({"variant": "script"}, "path, script's cycle (3, 4, 4), RMSProp 0.0005"),
        ({"evaluate_at": "cycle"}, "path (3, 4, 4), RMSProp 0.0005"),
        ({"evaluate_at": "visit"}, "path, any visit (3, 4, 4), RMSProp 0.0005"),
        ({"growth": 2}, "path (3, 4, 4 × 2^l), RMSProp 0.0005"),
        ({"coarsen_data": True}, "path, coarsened data (3, 4, 4), RMSProp 0.0005"),
        ({"schedule": "nested"}, "path, nested (3, 4, 4), RMSProp 0.0005"),
        (
            {"topology": "random_orthogonal"},
            "random orthogonal (3, 4, 4), RMSProp 0.0005",
        ),
    ],
)
def test_names_with_cycles(changes, title):
    assert described(cycle(**changes)).title == title


def test_older_files_are_of_mnist():
    """Those without a task, as the first committed ones."""
    old = {"depth": 0, "image_size": 32, "optimizer": "adam", "learning_rate": 1e-3}
    new = settings("mnist", optimizer="adam", learning_rate=1e-3)
    assert described(old | {"seed": 1}).task_title == described(new).task_title


@pytest.mark.parametrize("unit", ["cost", "evaluations", "seconds"])
def test_budgets_keep_runs_apart(unit):
    labels = {
        described(settings(budget=budget, budget_unit=unit)).budget
        for budget in (60.0, 61.0)
    }
    assert len(labels) == 2


def test_seeds_and_how_often_one_looks_do_not_keep_runs_apart():
    contents = [run_file(settings(seed=1)), run_file(settings(seed=2))]
    contents.append(run_file(settings(seed=3, evaluate_every=1.0)))
    (group,) = groups_of(contents)
    assert list(group.finals) == [1, 2, 3]


def test_evaluations_after_any_visit_keep_runs_apart_but_in_one_block():
    """The default has level 0 only, and compares with both."""
    contents = [run_file(settings())]
    contents += [run_file(cycle(evaluate_at=x)) for x in ("cycle", "visit")]
    assert len(groups_of(contents)) == 3
    assert len(table_of(contents).blocks) == 1


# --------------------------------------------------------------------- choice


def test_settings_are_compared_on_the_seeds_that_all_have():
    """A winner that ran more seeds is not judged by its bad luck on the others."""
    contents = [
        run_file(cycle(1, seed=1), final=2e-3),
        run_file(cycle(1, seed=2), final=9e-3),
        run_file(cycle(2, seed=1), final=3e-3),
    ]
    groups = groups_of(contents)
    assert common_seeds(groups) == [1]
    assert [x.labels.gamma for x in ranked(groups, final)] == [1, 2]


def test_not_reached_ranks_last():
    contents = [run_file(cycle(1), final=0.2), run_file(cycle(2), final=1e-3)]
    groups = groups_of(contents)
    assert [x.labels.gamma for x in ranked(groups, tenth)] == [2, 1]
    assert tenth(ranked(groups, tenth)[-1]) == {618: math.inf}


# --------------------------------------------------------------------- tables


def test_the_published_cells():
    """Table and cell by cell, against section 4 of the paper."""
    assert published.ONE_OBJECT.final["best"].value == 6.612e-4
    assert published.ONE_OBJECT.tenth["best"].shape == (3, 6, 4)
    assert published.TWO_OBJECTS.tenth["worst"].value == 262_300
    assert published.MNIST_GRID.final["default"].value == 4.132e-2
    assert math.isinf(published.MNIST_PATH.tenth["default"].value)
    cell = published.MNIST_PATH.final["best"]
    assert cell.source == "Table 3, path, Final MSE, best"


def test_a_table_without_runs_says_so_in_every_cell():
    table = table_of([])
    cells = [cell.mean for row in table.blocks[0].rows for cell in row.cells]
    assert set(cells) == {numbers.NOT_RUN}
    assert table.missing == [
        "best MsANN, worst MsANN, default, the paper's rate, default, tuned, "
        "default from the multilevel start, tuned, coarsened data, tuned"
    ]


def test_best_worst_and_default():
    rows = rows_of(sweep())
    assert rows["best MsANN"].group.labels.shape == "(3, 6, 4)"
    assert rows["worst MsANN"].group.labels.shape == "(1, 1, 1)"
    assert rows["default, the paper's rate"].cells[0].mean == "3.708e-3"
    assert rows["best MsANN"].paper_final.mean == "6.612e-4"
    assert rows["best MsANN"].note == (
        "of 36 settings, compared on seeds 618, 2357 and 9041"
    )
    assert rows["best MsANN"].least
    assert len(rows["best MsANN"].cells[0].seeds) == 3


def test_best_by_error_and_by_cost_may_differ():
    slow, fast = history(final=1e-3), history(final=2e-3, first=0.25)
    fast[1][3] = 0.02
    contents = [run_file(cycle(1)) | {"history": slow}]
    contents.append(run_file(cycle(2)) | {"history": fast})
    rows = rows_of(contents)
    assert rows["best MsANN: final MSE"].group.labels.gamma == 1
    assert rows["best MsANN: C(t) to 1/10"].group.labels.gamma == 2
    assert rows["best MsANN: final MSE"].paper_tenth.mean == ""


def test_ours_over_the_papers():
    """.004 over 3.654e-3; a tenth of the default's is not the paper's target."""
    cells = rows_of([run_file(settings(), final=4e-3)])[
        "default, the paper's rate"
    ].cells
    assert cells[0].against == "1.09 × the paper's"
    assert cells[1].against.endswith("× the paper's")
    assert not any(cell.against for cell in cells[2:])


def test_the_papers_best_setting_is_shown_where_it_is_not_ours():
    """Table 1: (3, 5, 4) by final MSE, (3, 6, 4) by C(t) to a tenth."""
    contents = [run_file(cycle(1, 1, 1), final=1e-4)]
    contents += [run_file(cycle(3, depth, 4), final=2e-3) for depth in (5, 6)]
    rows = rows_of(contents)
    by_error = rows["MsANN at the paper's best (3, 5, 4)"]
    by_cost = rows["MsANN at the paper's best (3, 6, 4)"]
    assert by_error.cells[0].against == "3.02 × the paper's"
    assert (by_error.paper_tenth.mean, by_cost.paper_tenth.mean) == ("", "7,342")


def test_one_setting_is_not_the_worst():
    rows = rows_of([run_file(cycle())])
    assert rows["worst MsANN"].group is None
    assert rows["worst MsANN"].note == "only one setting was run"


def test_tuned_rows_do_not_compete_with_the_published_ones():
    """Another rate, coarsened data and the start each have a row of their own."""
    contents = [
        run_file(settings(), final=4e-3),
        run_file(settings(optimizer="adam", learning_rate=8e-3), final=1e-3),
        run_file(cycle(), final=3e-3),
        run_file(cycle(learning_rate=4e-3), final=2e-4),
        run_file(cycle(coarsen_data=True, learning_rate=8e-3), final=1e-4),
        run_file(settings(start_depth=4, topology="path"), final=5e-4),
    ]
    finals = {label: row.cells[0].mean for label, row in rows_of(contents).items()}
    assert finals == {
        "best MsANN": "3.000e-3",
        "worst MsANN": numbers.NOT_RUN,
        "default, the paper's rate": "4.000e-3",
        "default, tuned": "1.000e-3",
        "default from the multilevel start, tuned": "5.000e-4",
        "coarsened data, tuned": "1.000e-4",
        "best MsANN otherwise tuned": "2.000e-4",
    }


def test_budgets_are_not_mixed():
    contents = [run_file(settings()), run_file(cycle(), final=3e-3)]
    contents.append(run_file(cycle(1, budget=60.0, budget_unit="seconds"), final=1e-4))
    one, two = table_of(contents).blocks
    assert one.rows[0].group.labels.gamma == 3
    assert two.title.endswith("60 seconds")
    assert [row.label for row in two.rows] == ["best MsANN"]
    assert two.rows[0].paper_final.mean == ""


def test_the_block_with_the_tables_budget_comes_first():
    """However many settings were run with another one."""
    contents = [run_file(settings()), run_file(cycle(), final=3e-3)]
    short = cycle(budget=2e4), cycle(1, budget=2e4), cycle(2, budget=2e4)
    contents += [run_file(x, budget=2e4) for x in (settings(budget=2e4), *short)]
    table = table_of(contents)
    one, two = table.blocks
    assert one.title.endswith("1,020,000 C(t)")
    assert one.rows[0].paper_final.mean == "6.612e-4"
    assert two.title.endswith("20,000 C(t)")
    assert all(row.group for row in two.rows)
    assert not any(" 20,000 C(t)" in x for x in table.missing)


def test_the_absolute_target_is_a_tenth_of_the_default():
    """The default starts at .25, the other run at 1."""
    rows = [[0, 0, 0, 1.0], [100, 100, 1, 0.09], [200, 200, 2, 0.026]]
    rows += [[300, 300, 3, 0.024]]
    contents = [run_file(settings(), first=0.25), run_file(cycle()) | {"history": rows}]
    cells = rows_of(contents)["best MsANN"].cells
    assert [cell.mean for cell in cells[1:4]] == ["100", "100", "1.00"]
    assert [cell.mean for cell in cells[4:]] == ["300", "3.00"]


def test_not_reached_and_diverged_are_values():
    contents = [run_file(settings(seed=s), final=x) for s, x in ((1, 0.2), (2, 1e-3))]
    cells = rows_of(contents)["default, the paper's rate"].cells
    assert cells[1].mean == "not reached on 1 of 2"
    assert cells[1].seeds[0] == "1: not reached"
    ended = run_file(settings())
    ended["history"][-1][3] = math.nan
    row = rows_of([ended])["default, the paper's rate"]
    assert row.cells[0].mean == numbers.DIVERGED
    assert not row.least


def test_runs_that_end_at_a_tenth_have_no_final_mse():
    """They compete for C(t) to a tenth alone."""
    short = cycle(gamma=3, depth=6, steps=4, until=0.1)
    contents = [
        run_file(settings(), final=4e-3),
        run_file(cycle(), final=3e-3),
        run_file(short, final=2e-2, budget=5e3),
    ]
    rows = rows_of(contents)
    final, tenth = rows["best MsANN: final MSE"], rows["best MsANN: C(t) to 1/10"]
    assert final.cells[0].mean == "3.000e-3"
    assert tenth.cells[0].mean == "ended at 1/10"
    assert tenth.group.labels.ends and tenth.cells[1].number < 5e3
    assert not any(row.least and row.group.labels.ends for row in rows.values())


def test_a_run_that_ended_before_the_absolute_target_did_not_miss_it():
    """The default's tenth is .025; these end at .1, at .02, and never."""
    contents = [run_file(settings(), first=0.25)]
    ends = {1: (1.0, 0.09), 2: (0.25, 0.02), 3: (0.25, 0.2)}

    def cells(*seeds):
        files = [
            run_file(cycle(seed=seed, until=0.1))
            | {"history": [[0, 0, 0.0, ends[seed][0]], [100, 100, 1.0, ends[seed][1]]]}
            for seed in seeds
        ]
        return rows_of(contents + files)["best MsANN"].cells[4:]

    assert [x.mean for x in cells(1)] == ["ended at its own 1/10"] * 2
    assert [x.mean for x in cells(3)] == [numbers.NOT_REACHED] * 2
    cost, seconds = cells(1, 2)
    assert cost.mean == seconds.mean == "ended at its own 1/10 on 1 of 2"
    assert cost.seeds == ("1: ended at its own 1/10", "2: 100")
    assert cells(1, 3)[0].mean == (
        "ended at its own 1/10 on 1 of 2, not reached on 1 of 2"
    )
