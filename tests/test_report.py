"""The report: names, tables, orderings, sentences, and the page itself."""

import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from run_files import cycle, history, run_file, settings, sweep, write

from experiments import published
from experiments.report import figures, numbers
from experiments.report.__main__ import main
from experiments.report.clock import comparisons
from experiments.report.clock_picture import clock_picture
from experiments.report.findings import claim, findings
from experiments.report.groups import common_seeds, final, grouped, ranked, tenth
from experiments.report.labels import described
from experiments.report.orderings import orderings
from experiments.report.page import ROOT, build, pictures
from experiments.report.readme import MissingSectionError, section
from experiments.report.records import Record, read
from experiments.report.tables import tables

RESULTS = ROOT / "results"


def groups_of(contents):
    runs = {f"{i}.json": Record.model_validate(x) for i, x in enumerate(contents)}
    return grouped(runs)


def table_of(contents, number=0):
    return tables(groups_of(contents))[number]


def rows_of(contents, number=0):
    return {row.label: row for row in table_of(contents, number).blocks[0].rows}


# --------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "default, RMSProp 0.0005"),
        ({"optimizer": "adam", "learning_rate": 8e-3}, "default, Adam 0.008"),
        ({"batch_size": 64}, "default, RMSProp 0.0005, batch_size 64"),
        ({"hidden": [64, 32]}, "default, RMSProp 0.0005, hidden 64-32"),
        (
            {"depth": 4, "start": "multilevel", "topology": "path"},
            "plain from the multilevel start (path) L 4, RMSProp 0.0005",
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


# -------------------------------------------------------------------- choice


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


# -------------------------------------------------------------------- tables


def test_the_published_cells():
    """Table and cell by cell, against section 4 of the paper."""
    assert published.ONE_OBJECT.final["best"].value == 6.612e-4
    assert published.ONE_OBJECT.tenth["best"].cycle == (3, 6, 4)
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
        "plain from the multilevel start, tuned, coarsened data, tuned"
    ]


def test_best_worst_and_default():
    rows = rows_of(sweep())
    assert rows["best MsANN"].group.labels.cycle == "(3, 6, 4)"
    assert rows["worst MsANN"].group.labels.cycle == "(1, 1, 1)"
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
        run_file(settings(depth=4, start="multilevel", topology="path"), final=5e-4),
    ]
    finals = {label: row.cells[0].mean for label, row in rows_of(contents).items()}
    assert finals == {
        "best MsANN": "3.000e-3",
        "worst MsANN": numbers.NOT_RUN,
        "default, the paper's rate": "4.000e-3",
        "default, tuned": "1.000e-3",
        "plain from the multilevel start, tuned": "5.000e-4",
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


# ----------------------------------------------------------------- orderings


def test_orderings_count_pairs_and_seeds():
    """36 settings: 5 x 3 x 2 neighbours in depth, 2 x 6 x 2 in gamma."""
    found = {x.claim: x for x in orderings(groups_of(sweep()))}
    deeper = found["deeper is lower (path, 30 pairs of neighbours)"]
    higher = found["higher γ is lower (path, 24 pairs of neighbours)"]
    assert deeper.verdict == higher.verdict == "holds"
    # Each level multiplies the error by .93^gamma, each gamma by .93^L.
    assert deeper.result.ratio == pytest.approx(0.93**2)
    assert higher.result.ratio == pytest.approx(0.93**3.5)
    assert found["path (3, 6, 4) below the default"].result.smaller == 3


def test_choice_of_p_and_all_levels_at_once():
    contents = []
    for seed, wobble in ((1, 1.0), (2, 1.1), (3, 0.95)):
        for p, error in (("grid", 1e-2), ("path", 2e-2), ("shuffled", 1e-2 * wobble)):
            values = cycle(3, 6, 1, task="mnist", topology=p, seed=seed)
            contents.append(run_file(values, final=error * wobble))
        values = settings("mnist", seed, depth=6, topology="grid")
        values |= {"schedule": "simultaneous"}
        contents.append(run_file(values, final=4e-2 * wobble))
        contents.append(run_file(settings("mnist", seed), final=4e-2))
    verdicts = {x.claim: x.verdict for x in orderings(groups_of(contents))}
    assert verdicts["grid below path at (3, 6, 1)"] == "holds"
    assert verdicts["path below shuffled at (3, 6, 1)"] == "reversed"
    assert verdicts["grid below shuffled at (3, 6, 1)"] == "undecided"
    assert (
        verdicts["grid, all levels at once, L 6, on par with the default"]
        == "no difference found"
    )


# ----------------------------------------------------------------- sentences


@pytest.mark.parametrize(("tuned", "loses"), [(1e-3, True), (9e-3, False)])
def test_who_wins_is_computed(tuned, loses):
    contents = [
        run_file(settings(), final=4e-3),
        run_file(settings(learning_rate=8e-3), final=tuned),
        run_file(cycle(), final=3e-3),
    ]
    found = findings(tables(groups_of(contents)), {})
    sentence = next(x for x in found.wins + found.loses if "tuned rate" in x)
    assert (sentence in found.loses) == loses
    assert ("RMSProp 0.008" in sentence) == loses
    assert any("3.000e-3" in x for x in found.wins)


def test_seconds_at_equal_cost():
    contents = [run_file(settings()), run_file(cycle(), pace=3e-3, final=3e-3)]
    found = findings(tables(groups_of(contents)), {})
    assert any("takes 30.0 times the seconds" in x for x in found.limits)


def test_the_claim_has_the_papers_factors():
    """1.266e5 / 7.342e3 and 2.216e5 / 2.433e4."""
    assert "17.2 (Table 1)" in claim()
    assert "9.1 (Table 2)" in claim()


def clock_rows(**seconds):
    return {
        "clock/mnist.json": {
            "provenance": {},
            "rows": [
                {
                    "task": "mnist",
                    "target": 0.02,
                    "scheme": scheme,
                    "trial": {"optimizer": "Adam", "rate": 0.01, "schedule": ""},
                    "seconds": values,
                    "compile_seconds": 1.0 if scheme == "plain" else 4.0,
                }
                for scheme, values in seconds.items()
            ],
        }
    }


def test_the_clock_by_hand():
    rows = clock_rows(plain=[2.0, 6.0, 4.0], start=[1.0] * 3, cycles=[0.5, 0.25, 9.0])
    (line,) = comparisons(rows)["MNIST, grid"]
    assert line.median("plain") == 4
    assert line.gain("plain") == 8
    assert line.gain_compiled("plain") == pytest.approx(5 / 4.5)
    assert line.median("fit") == math.inf
    assert math.isnan(line.gain("fit"))


def test_the_clock_names_losses():
    rows = clock_rows(plain=[1.0], start=[1.0], cycles=[3.0])
    found = findings([], comparisons(rows))
    assert "the cycles take 3.00, level 0 only 1.00" in found.loses[0]
    assert not found.wins


def test_a_clock_that_nothing_reaches_is_drawn():
    rows = clock_rows(plain=[math.inf], cycles=[math.inf])
    assert clock_picture(comparisons(rows)).figure is not None


# -------------------------------------------------------------------- README


def test_html_of_readme_is_escaped():
    text = "## A\n\n| x |\n|---|\n| <script>1</script> `y` |\n\n## B\n"
    html = section(text, "A")
    assert "<td>&lt;script&gt;1&lt;/script&gt; <code>y</code></td>" in html


def test_a_missing_section_is_named():
    with pytest.raises(MissingSectionError, match="'Limits'"):
        section("## A\n", "Limits")


# ------------------------------------------------------------------- figures


def test_figures_without_runs_say_so():
    absent = [figures.figure5([]), figures.figure6([]), figures.figure7([])]
    assert [x.figure for x in absent] == [None] * 3
    assert figures.figure4().figure is not None


def test_figure4_visits_every_level():
    """A V-cycle has 2L + 1 visits; W and gamma 3 have more, from level 0 to L."""
    axes = figures.figure4(depth=3).figure.axes
    levels = [list(axis.lines[0].get_ydata()) for axis in axes]
    assert levels[0] == [0, 1, 2, 3, 2, 1, 0]
    assert [x.count(3) for x in levels] == [1, 2**3, 3**3]


def test_figure5_draws_the_best_k_of_each_depth():
    picture = figures.figure5(groups_of(sweep() + sweep("two_objects")))
    axes = picture.figure.axes
    assert len(axes) == 3 * 4
    labels = [line.get_label() for line in axes[0].lines]
    assert labels == ["L = 0, default", *(f"L = {x}, k = 4" for x in range(1, 7))]
    looks = [(x.get_linewidth(), str(x._dash_pattern)) for x in axes[0].lines]
    assert len(set(looks)) == 7  # told apart without colour


def test_figure7_takes_the_papers_setting():
    contents = []
    for cell in ((3, 4, 8), (3, 6, 1)):
        for p in ("grid", "path"):
            contents.append(run_file(cycle(*cell, task="mnist", topology=p)))
    picture = figures.figure7(groups_of(contents))
    assert "γ = 3, L = 6, k = 1 (in the paper" in picture.caption
    assert "Not run at this setting: default, shuffled" in picture.caption


# ---------------------------------------------------------------------- page


class Page(HTMLParser):
    """What a page refers to, and its embedded data."""

    def __init__(self, text):
        super().__init__()
        self.text, self.ids, self.links, self.loads = text, [], [], []
        self.tags, self._data, self.data = set(), False, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        attrs = dict(attrs)
        self._data = attrs.get("type") == "application/json"
        if "id" in attrs:
            self.ids.append(attrs["id"])
        for key, value in attrs.items():
            if key in ("href", "xlink:href"):
                self.links.append(value)
            elif key in ("src", "srcset", "data", "poster", "action"):
                self.loads.append(value)

    def handle_data(self, data):
        if self._data:
            self.data += data

    def handle_endtag(self, tag):
        self._data = False


def page_of(folder):
    found = read(folder)
    return Page(build(found, pictures(found)))


@pytest.fixture(scope="module")
def committed():
    return page_of(RESULTS)


def test_links_and_ids_resolve(committed):
    assert len(committed.ids) == len(set(committed.ids))
    data = json.loads(committed.data)
    groups = {x["id"] for x in data["groups"]}
    files = {run["file"] for x in data["groups"] for run in x["runs"]}
    for link in committed.links:
        kind, _, name = link.lstrip("#").partition("=")
        assert link.startswith("#")
        if kind == "group":
            assert name in groups
        elif kind == "run":
            assert unquote(name) in files
        else:
            assert link[1:] in committed.ids
    used = re.findall(r"url\(#([^)]+)\)", committed.text)
    assert set(used) <= set(committed.ids)


def test_nothing_is_loaded(committed):
    assert not committed.loads
    assert not {"link", "img", "iframe", "base", "object", "embed"} & committed.tags
    style = re.search(r"<style>(.*?)</style>", committed.text, re.DOTALL)[1]
    assert "@import" not in committed.text
    assert "url(" not in style
    for word in ("fetch(", "XMLHttpRequest", "import(", "WebSocket"):
        assert word not in committed.text
    # Names of XML name spaces are not addresses.
    addresses = set(re.findall(r"https?://[^\s\"')<]+", committed.text))
    assert all(x.startswith("http://www.w3.org/") for x in addresses)


def test_every_run_is_embedded_whole(committed):
    drawn = {
        run["file"]: run["points"]
        for group in json.loads(committed.data)["groups"]
        for run in group["runs"]
    }
    found = read(RESULTS)
    assert not found.damaged
    assert drawn.keys() == found.runs.keys() > set()
    for name, run in found.runs.items():
        flat = [x for point in drawn[name] for x in point]
        truth = [x for point in run.history for x in point]
        assert flat == pytest.approx(truth, rel=1e-4)


def test_choices_tell_all_settings_apart(committed):
    fields = ("taskTitle", "way", "gamma", "L", "k", "optimizer", "budget")
    groups = json.loads(committed.data)["groups"]
    assert len({tuple(x[f] for f in fields) for x in groups}) == len(groups)


def test_the_table_of_differences_comes_from_readme(committed):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    heading = "## Paper, script, and this library"
    body = text.split(heading)[1].split("\n## ")[0]
    rows = [x for x in body.splitlines() if x.startswith("|")]
    shown = committed.text.split('id="differences"')[1].split("</section>")[0]
    assert shown.count("<tr>") == len(rows) - 1  # without the rule under the head


def test_an_empty_folder_makes_a_page(tmp_path):
    page = page_of(tmp_path)
    assert json.loads(page.data) == {"groups": []}
    assert "No committed run says anything" in page.text


def test_damaged_files_are_named_and_the_others_kept(tmp_path):
    good, *bad = write(
        tmp_path,
        [
            run_file(settings()),
            {"format": 7},
            run_file(settings()) | {"history": []},
            run_file(settings()) | {"history": [[0, 0, 0.0, 0.0]]},
            run_file(settings()) | {"history": [[0, 0, 0, math.nan]]},
            run_file(settings()) | {"history": [[9, 0, 0.0, 0.5], [1, 1, 1.0, 0.1]]},
            run_file(settings(gamma="3")),
            run_file({"task": "mnist"}),
            [],
        ],
    )
    (tmp_path / "half.json").write_text('{"format": 1, "sett', encoding="utf-8")
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "rows.json").write_text('{"rows": [{}]}', encoding="utf-8")
    found = read(tmp_path)
    assert found.damaged.keys() == {*bad, "half.json", "clock/rows.json"}
    assert list(found.runs) == [good]
    page = page_of(tmp_path)
    for name, reason in found.damaged.items():
        assert f"<code>{name}</code>" in page.text
        assert reason


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


def test_labels_are_escaped(tmp_path):
    write(tmp_path, [run_file(settings(HOSTILE, optimizer=HOSTILE, note=HOSTILE))])
    content = run_file(cycle(task="mnist", topology=HOSTILE))
    content["data"] = content["provenance"]["command"] = HOSTILE
    (tmp_path / "<script>alert(2)<script>.json").write_text(json.dumps(content))
    page = page_of(tmp_path)
    assert "img" not in page.tags
    assert not page.loads
    assert "<script>alert" not in page.text
    assert not set("<>&") & set(page.data)  # nothing in it can end its script
    assert json.loads(page.data)["groups"][0]["task"] == HOSTILE


def test_the_same_page_twice(committed):
    assert page_of(RESULTS).text == committed.text


def test_without_a_framework_and_in_seconds(tmp_path):
    """In a fresh process; what a later `import msann_keras` gets is the whole of it."""
    program = f"""
import sys, time
began = time.perf_counter()
from experiments.report.__main__ import main
assert not main(["--page", {str(tmp_path / "report.html")!r}])
assert not {{"keras", "tensorflow", "msann_keras"}} & set(sys.modules)
print(time.perf_counter() - began)
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert float(result.stdout.split()[-1]) < 60
    assert (tmp_path / "report.html").stat().st_size > 100_000


def test_the_command_writes_figures_and_names_the_missing(tmp_path, capsys):
    runs, pictured = tmp_path / "runs", tmp_path / "docs"
    write(runs, sweep(seeds=(1, 2), gammas=(3,), ks=(4,)))
    page = tmp_path / "deep" / "page.html"
    arguments = ["--runs", str(runs), "--page", str(page), "--figures", str(pictured)]
    assert main(arguments) == 0
    assert page.exists()
    assert {x.name for x in pictured.iterdir()} == {
        f"{name}.{form}" for name in ("figure4", "figure5") for form in ("png", "svg")
    }
    assert "not drawn: Figure 7" in capsys.readouterr().out


def test_the_command_refuses_a_missing_folder(tmp_path, capsys):
    assert main(["--runs", str(tmp_path / "none")]) == 2
    assert "`--runs` must be a folder" in capsys.readouterr().err
