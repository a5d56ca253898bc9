"""The report: sections of README, figures, and the page itself."""

import html
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from urllib.parse import parse_qs

import pytest
import vl_convert
from run_files import cycle, groups_of, rows_of, run_file, settings, sweep, write

from experiments.report import figures
from experiments.report.__main__ import main
from experiments.report.charts import library
from experiments.report.curves import MENUS, address, curves
from experiments.report.groups import grouped
from experiments.report.page import ROOT, build, pictures
from experiments.report.readme import MissingSectionError, section
from experiments.report.records import read

RESULTS = ROOT / "results"


# --------------------------------------------------------------------- README


def test_html_of_readme_is_escaped():
    text = "## A\n\n| x |\n|---|\n| <script>1</script> `y` |\n\n## B\n"
    made = section(text, "A")
    assert "<td>&lt;script&gt;1&lt;/script&gt; <code>y</code></td>" in made


def test_a_missing_section_is_named():
    with pytest.raises(MissingSectionError, match="'Limits'"):
        section("## A\n", "Limits")


# -------------------------------------------------------------------- figures


def test_figures_without_runs_say_so():
    absent = [figures.figure5([]), figures.figure6([]), figures.figure7([])]
    assert [x.panels for x in absent] == [()] * 3
    assert all(x.caption.startswith("No multilevel run") for x in absent)


def panel_of(picture, number=0):
    """A panel's rows and its specification."""
    made = picture.panels[number].to_dict()
    return rows_of(made), made


def test_figure4_visits_every_level():
    """A V-cycle has 2L + 1 visits; W and gamma 3 have more, from level 0 to L."""
    picture = figures.figure4(depth=3)
    levels = [[x["level"] for x in panel_of(picture, i)[0]] for i in range(3)]
    assert levels[0] == [0, 1, 2, 3, 2, 1, 0]
    assert [x.count(3) for x in levels] == [1, 2**3, 3**3]


def test_figure5_draws_the_best_k_of_each_depth():
    picture = figures.figure5(groups_of(sweep() + sweep("two_objects")))
    assert len(picture.panels) == 3 * 4
    rows, made = panel_of(picture)
    names = list(dict.fromkeys(row["name"] for row in rows))
    assert names == ["L = 0, default", *(f"L = {x}, k = 4" for x in range(1, 7))]
    assert made["layer"][0]["title"] == "one object, γ = 1"
    assert "Not run" not in picture.caption


def test_figure5_names_what_was_not_run():
    picture = figures.figure5(groups_of(sweep(gammas=(2, 3))))
    assert len(picture.panels) == 2 * 2
    assert "Not run: one object, γ = 1; two objects, γ = 1, 2 and 3." in picture.caption


def test_a_curve_is_the_geometric_mean_over_seeds():
    """Errors .1 and .4: .2 in a band from one to the other."""
    contents = [run_file(settings("mnist", 1)), run_file(settings("mnist", 2))]
    for seed, error in ((1, 0.1), (2, 0.4)):
        rows = [[0, 0, 0.0, 1.0], [100, 100, seed, error]]
        contents.append(run_file(cycle(3, 6, 1, task="mnist", seed=seed)))
        contents[-1]["history"] = rows
    rows, _ = panel_of(figures.figure7(groups_of(contents)), 1)
    (point,) = [row for row in rows if row["name"] == "path"]
    assert point == {"name": "path", "x": 1.5, "y": 0.2, "low": 0.1, "high": 0.4}


def test_figure7_takes_the_papers_setting():
    contents = []
    for cell in ((3, 4, 8), (3, 6, 1)):
        for p in ("grid", "path"):
            contents.append(run_file(cycle(*cell, task="mnist", topology=p)))
    picture = figures.figure7(groups_of(contents))
    assert "γ = 3, L = 6, k = 1 (in the paper" in picture.caption
    assert "Not run at this setting: default, shuffled" in picture.caption


def lightness(colour):
    """CIE L* of "#rrggbb" or "rgb(r, g, b)", from 0 to 100."""
    if colour.startswith("#"):
        parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    else:
        parts = [int(x) for x in re.findall(r"\d+", colour)]
    linear = [
        x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4
        for x in (part / 255 for part in parts)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903 * luminance


def test_lightness_of_known_greys():
    assert lightness("#ffffff") == pytest.approx(100)
    assert lightness("rgb(119, 119, 119)") == pytest.approx(50, abs=0.1)


def greys_and_dashes(panel):
    """What the curves of a panel look like when it is drawn, without colour."""
    svg = vl_convert.vegalite_to_svg(panel.properties(width=600).to_dict())
    tags = re.findall(r"<path [^>]*line mark[^>]*>", svg)
    return {
        (re.search(r'stroke="([^"]+)"', tag)[1], dash[1] if dash else "")
        for tag in tags
        for dash in [re.search(r'stroke-dasharray="([^"]+)"', tag)]
    }


@pytest.mark.parametrize("number", range(4))
def test_curves_are_told_apart_in_grey(number):
    """No two share a lightness, nor a dash: all panels of Figures 5 to 7, and the last.

    The committed runs, and a sweep in which every depth was run.
    """
    committed = grouped(read(RESULTS).runs)
    full = groups_of(sweep())
    draw = (figures.figure5, figures.figure6, figures.figure7, curves)[number]
    drawn = [*draw(committed).panels, *draw(full).panels]
    most = 0
    for panel in drawn:
        looks = greys_and_dashes(panel)
        shades = sorted(lightness(colour) for colour, _ in looks)
        assert len({dash for _, dash in looks}) == len(looks)
        assert all(b - a > 4 for a, b in pairwise(shades))
        most = max(most, len(looks))
    assert most == (7, 2, 6, 8)[number]


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


def test_the_table_of_differences_comes_from_readme(committed):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    heading = "## Paper, script, and this library"
    body = text.split(heading)[1].split("\n## ")[0]
    rows = [x for x in body.splitlines() if x.startswith("|")]
    shown = committed.text.split('id="differences"')[1].split("</section>")[0]
    assert shown.count("<tr>") == len(rows) - 1  # without the rule under the head


def test_an_empty_folder_makes_a_page(tmp_path):
    page = page_of(tmp_path)
    assert json.loads(page.data).keys() == {f"figure-4-{i}" for i in (1, 2, 3)}
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
    assert any(row["task"].startswith(HOSTILE) for row in runs_of(page)[0])


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
