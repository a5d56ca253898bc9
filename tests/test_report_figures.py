"""The report: Figures 4 to 7, and curves that a grey print tells apart."""

import re
from itertools import pairwise

import pytest
import vl_convert
from PIL import ImageColor
from run_files import cycle, groups_of, rows_of, run_file, settings, sweep

from experiments.report import figures
from experiments.report.curves import curves
from experiments.report.groups import grouped
from experiments.report.page import ROOT
from experiments.report.records import read


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


def looks_of(panel):
    """The grey, from 0 to 255, and the dash of every curve of a panel when drawn."""
    svg = vl_convert.vegalite_to_svg(panel.properties(width=600).to_dict())
    curves = re.findall(r'<path [^>]*aria-roledescription="line mark"[^>]*>', svg)
    found = set()
    for curve in curves:
        colour = re.search(r'stroke="([^"]+)"', curve)[1]
        dash = re.search(r'stroke-dasharray="([^"]+)"', curve)
        found.add((ImageColor.getcolor(colour, "L"), dash and dash[1]))
    return found


@pytest.mark.quick(1)
@pytest.mark.parametrize("number", range(4))
def test_curves_are_told_apart_in_grey(number):
    """No two share a grey, nor a dash: Figures 5 to 7, and the chart with menus.

    The committed runs, and a sweep in which every depth was run.
    """
    committed = grouped(read(ROOT / "results").runs)
    full = groups_of(sweep() + sweep("mnist"))
    draw = (figures.figure5, figures.figure6, figures.figure7, curves)[number]
    # Every other panel has the same curves against seconds.
    drawn = [*draw(committed).panels[::2], draw(full).panels[0]]
    most = 0
    for panel in drawn:
        looks = looks_of(panel)
        greys = sorted(grey for grey, _ in looks)
        assert len({dash for _, dash in looks}) == len(looks)
        assert all(b - a > 9 for a, b in pairwise(greys))
        most = max(most, len(looks))
    assert most == (7, 7, 6, 8)[number]
