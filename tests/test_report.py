"""The report: sections of the docs, and the page itself."""

import html
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import parse_qs

import pytest
from run_files import cycle, rows_of, run_file, settings, sweep, write

from experiments.report.__main__ import main
from experiments.report.charts import library
from experiments.report.curves import MENUS, address
from experiments.report.groups import grouped
from experiments.report.page import ROOT, build, pictures
from experiments.report.records import read
from experiments.report.sections import MissingSectionError, section

RESULTS = ROOT / "results"


# ----------------------------------------------------------------------- docs


def test_html_of_the_docs_is_escaped():
    text = "## A\n\n| x |\n|---|\n| <script>1</script> `y` |\n\n## B\n"
    made = section(text, "A")
    assert "<td>&lt;script&gt;1&lt;/script&gt; <code>y</code></td>" in made


def test_a_missing_section_is_named():
    with pytest.raises(MissingSectionError, match="'Limits'"):
        section("## A\n", "Limits")


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


def runs_of(page):
    """The rows behind the chart with menus, and its menus' options by name."""
    made = json.loads(page.data)["chart-1"]
    menus = {
        x["name"]: x["bind"]["options"]
        for x in made["params"]
        if x.get("bind", {}).get("input") == "select"
    }
    return rows_of(made), menus


def test_links_and_ids_resolve(committed):
    """To sections, or to choices that the menus have and that a run fits."""
    assert len(committed.ids) == len(set(committed.ids))
    rows, menus = runs_of(committed)
    chosen = 0
    for link in committed.links:
        assert link.startswith("#")
        if "=" not in link:
            assert link[1:] in committed.ids
            continue
        choice = {key: x for key, (x,) in parse_qs(link[1:], True).items()}
        assert choice.keys() == {*MENUS, "run"}
        assert all(choice[field] in menus[field] for field in MENUS)
        fitting = [row for row in rows if all(row[x] == choice[x] for x in MENUS)]
        assert len({row["name"] for row in fitting}) == 1
        assert sum(choice["run"] in row["file"] for row in fitting) >= 1
        chosen += 1
    assert chosen > len(rows)


def test_every_chart_has_a_place(committed):
    charts = json.loads(committed.data)
    assert {"figure-4-3", "figure-5-1", "figure-7-2", "clock-1"} < charts.keys()
    assert charts.keys() <= set(committed.ids)


def test_nothing_is_loaded(committed):
    assert not committed.loads
    assert not {"link", "img", "iframe", "base", "object", "embed"} & committed.tags
    own = committed.text.replace(library(), "")
    assert len(committed.text) - len(own) > 500_000
    assert "@import" not in own
    assert "url(" not in own
    for word in ("fetch(", "XMLHttpRequest", "import(", "WebSocket"):
        assert word not in own
    # A name that says which language a chart is in; nobody asks there.
    addresses = set(re.findall(r"https?://[^\s\"')<]+", own))
    assert all(x.startswith("https://vega.github.io/schema/") for x in addresses)


def test_every_run_is_embedded_whole(committed):
    rows, _ = runs_of(committed)
    drawn = {row["file"]: row for row in rows}
    found = read(RESULTS)
    assert not found.damaged
    assert drawn.keys() == found.runs.keys() > set()
    for name, run in found.runs.items():
        for i, field in enumerate(("cost", "evaluations", "seconds", "mse")):
            truth = [point[i] for point in run.history]
            assert drawn[name][field] == pytest.approx(truth, rel=1e-4)


def test_menus_and_names_tell_all_settings_apart(committed):
    groups = grouped(read(RESULTS).runs)
    assert len({address(x) for x in groups}) == len(groups)
    rows, _ = runs_of(committed)
    names = {(row["task"], row["name"]) for row in rows}
    assert len(names) == len(groups)


def test_the_table_of_differences_comes_from_the_docs(committed):
    text = (ROOT / "docs/differences.md").read_text(encoding="utf-8")
    heading = "## Paper, script, and this library"
    body = text.split(heading)[1].split("\n## ")[0]
    rows = [x for x in body.splitlines() if x.startswith("|")]
    shown = committed.text.split('id="differences"')[1].split("</section>")[0]
    assert shown.count("<tr>") == len(rows) - 1  # without the rule under the head


@pytest.mark.thorough
def test_an_empty_folder_makes_a_page(tmp_path):
    page = page_of(tmp_path)
    assert json.loads(page.data).keys() == {f"figure-4-{i}" for i in (1, 2, 3)}
    assert "No committed run says anything" in page.text


@pytest.mark.thorough
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


@pytest.mark.thorough
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
    assert any(row["task"].startswith(HOSTILE) for row in runs_of(page)[0])


@pytest.mark.thorough
def test_the_same_page_twice(committed):
    assert page_of(RESULTS).text == committed.text


@pytest.mark.thorough
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


@pytest.mark.thorough
def test_the_command_writes_figures_and_names_the_missing(tmp_path, capsys):
    runs, pictured = tmp_path / "runs", tmp_path / "docs"
    write(runs, sweep(seeds=(1, 2), gammas=(3,), ks=(4,)))
    page = tmp_path / "deep" / "page.html"
    arguments = ["--runs", str(runs), "--page", str(page), "--figures", str(pictured)]
    assert main(arguments) == 0
    assert page.exists()
    assert {x.name for x in pictured.iterdir()} == {
        "figure4.png",
        "figure5.png",
    }
    assert "not drawn: Figure 7" in capsys.readouterr().out


def test_the_command_refuses_a_missing_folder(tmp_path, capsys):
    assert main(["--runs", str(tmp_path / "none")]) == 2
    assert "`--runs` must be a folder" in capsys.readouterr().err
