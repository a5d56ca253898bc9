"""The report: sections of the docs, figures, and the page itself."""

import html
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from run_files import cycle, groups_of, run_file, settings, sweep, write

from experiments.report import figures
from experiments.report.__main__ import main
from experiments.report.page import ROOT, build, pictures
from experiments.report.readme import MissingSectionError, section
from experiments.report.records import read

RESULTS = ROOT / "results"


# ----------------------------------------------------------------------- docs


def test_html_of_the_docs_is_escaped():
    text = "## A\n\n| x |\n|---|\n| <script>1</script> `y` |\n\n## B\n"
    made = section(text, "A")
    assert "<td>&lt;script&gt;1&lt;/script&gt; <code>y</code></td>" in made


def test_a_missing_section_is_named():
    with pytest.raises(MissingSectionError, match="'Limits'"):
        section("## A\n", "Limits")


# -------------------------------------------------------------------- figures


def test_figures_without_runs_say_so():
    absent = [figures.figure5([]), figures.figure6([]), figures.figure7([])]
    assert [x.figure for x in absent] == [None] * 3
    assert all(x.caption.startswith("No multilevel run") for x in absent)


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


def test_strategies_of_figure7_are_told_apart_without_colour():
    dashes = [str(look["linestyle"]) for look in figures.STYLES.values()]
    assert len(set(dashes)) == len(dashes) == 6


# ----------------------------------------------------------------------- page


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


def test_the_table_of_differences_comes_from_the_docs(committed):
    text = (ROOT / "docs/differences.md").read_text(encoding="utf-8")
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
        assert f"<code>{name}</code>: {reason}</li>" in html.unescape(page.text)


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
import sys
from experiments.report.__main__ import main
assert not main(["--page", {str(tmp_path / "report.html")!r}])
assert not {{"keras", "tensorflow", "msann_keras"}} & set(sys.modules)
"""
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,  # seven seconds, on a machine that does nothing else
    )
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
