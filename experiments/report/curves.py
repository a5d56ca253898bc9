"""The chart of every run: menus choose what it draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from urllib.parse import urlencode

import altair as alt

from experiments.report.charts import (
    DASHES,
    ERROR,
    SCHEME,
    TOUCH,
    Picture,
    inline,
    key,
    log_axis,
)
from experiments.report.groups import Group, final, ranked
from experiments.report.labels import MEASURES
from experiments.report.tables import TARGETS, as_published, same

ANY = "any"
#: What can be chosen, by field, and what its menu says.
MENUS = {
    "task": "task",
    "way": "way of training",
    "gamma": "γ",
    "L": "L",
    "k": "k",
    "optimizer": "optimizer",
    "budget": "budget",
}
#: As many settings as can be told apart.
MOST = 8


def choice(group: Group) -> dict[str, str]:
    """What the menus say when they choose one setting."""
    x = group.labels
    k = str(x.steps) if x.growth == 1 else f"{x.steps} × {x.growth:g}^l"
    return {
        "task": x.task_title,
        "way": x.way,
        "gamma": str(x.gamma or "–"),
        "L": str(x.depth or "–"),
        "k": k if x.steps else "–",
        "optimizer": x.optimizer,
        "budget": ", ".join(filter(None, (x.budget, x.other))),
    }


def address(group: Group, file: str = "") -> str:
    """A link to a setting's curves, or to that of one run file."""
    return "#" + urlencode(choice(group) | {"run": file})


def curves(groups: Sequence[Group]) -> Picture:
    """Every run's error against its cost, with menus for what is drawn."""
    title = "Curves to choose"
    if not groups:
        return Picture("chart", title, "No run is committed.")
    rows = [row for group in groups for row in _rows(group, groups)]
    cost = alt.binding_select(
        options=list(MEASURES), labels=list(MEASURES.values()), name="cost axis"
    )
    said = alt.binding_checkbox(name="defaults, too")
    typed = alt.binding(input="text", name="run file (or part)")
    text = alt.expr(f"'{ERROR} against ' + {dict(MEASURES)}[axis]")
    chart = (
        alt.Chart(inline(rows), title=alt.TitleParams(text=text), height=420)
        .add_params(
            *(_menu(field, rows) for field in MENUS),
            alt.param("axis", value="cost", bind=cost),
            alt.param("beside", value=True, bind=said),
            alt.param("run", value="", bind=typed),
        )
        .transform_calculate(
            chosen=" && ".join(["datum.task == task", *map(_fits, list(MENUS)[1:]),
                                "indexof(datum.file, run) >= 0"]),
            # Under a name of its own: it is calculated again from the same row.
            reference="beside && datum.is_default && datum.task == task && "
            + _fits("budget"),
        )
    )  # fmt: skip
    shown = (
        chart.transform_filter("datum.reference || datum.chosen")
        .transform_calculate(order="datum.rank - (datum.reference ? 1e6 : 0)")
        .transform_window(
            place="dense_rank()", sort=[alt.SortField("order")], frame=[None, None]
        )
        .transform_filter(f"datum.place <= {MOST}")
    )
    layers = alt.layer(_nothing(chart), _trivial(shown), _lines(shown))
    return Picture("chart", title, "", (layers,))


def _rows(group: Group, groups: Sequence[Group]) -> list[dict]:
    """A row for each run, with the evaluations as lists; five digits are enough."""
    rivals = [x for x in groups if x.labels.task_title == group.labels.task_title]
    shared = choice(group) | {
        "name": _name(group),
        "rank": ranked(rivals, final).index(group),
        "is_default": group in _references(group, rivals),
    }
    return [
        shared
        | {"file": file, "seed": run.seed, "trivial": _short(run.mean_mse)}
        | {
            field: [_short(getattr(x, field)) for x in run.history]
            for field in (*MEASURES, "mse")
        }
        for file, run in group.runs.items()
    ]


def _name(group: Group) -> str:
    """For the legend: the budget, too, where it is not that of the paper's table."""
    x = group.labels
    usual = any(t.task == x.task and t.compares(x) for t in TARGETS)
    return x.title if usual or not x.budget else f"{x.title}, {x.budget}"


def _references(group: Group, rivals: Sequence[Group]) -> list[Group]:
    """The defaults to compare with: at the paper's rate, and the best."""
    alike = [x for x in rivals if x.labels.kind == "default" and same(x) == same(group)]
    targets = [t for t in TARGETS if t.task == group.labels.task]
    paper = [x for x in alike if any(as_published(x, t) for t in targets)]
    return [*paper, *ranked(alike, final)[:1]]


def _menu(field: str, rows: Sequence[dict]) -> alt.Parameter:
    values = {row[field] for row in rows}
    # Words by the alphabet, then numbers, the shorter ones first.
    options = sorted(values, key=lambda x: (len(x) if x[0].isdigit() else 0, x))
    if field != "task":
        options.insert(0, ANY)
    bind = alt.binding_select(options=options, name=MENUS[field])
    return alt.param(field, value=options[0], bind=bind)


def _fits(field: str) -> str:
    return f"({field} == '{ANY}' || datum.{field} == {field})"


def _lines(chart: alt.Chart) -> alt.Chart:
    sort = alt.EncodingSortField("order", op="min")
    return (
        chart.transform_flatten([*MEASURES, "mse"])
        .transform_calculate(spent="datum[axis]")
        .transform_filter("datum.spent > 0 && datum.mse > 0")
        .mark_line(strokeWidth=2, point=TOUCH)
        .encode(
            log_axis(alt.X("spent:Q"), None),
            log_axis(alt.Y("mse:Q"), ERROR),
            alt.Color("name:N", sort=sort, legend=key(columns=1)).scale(scheme=SCHEME),
            alt.StrokeDash("name:N", sort=sort).scale(range=DASHES),
            detail="file:N",
            tooltip=[
                alt.Tooltip("name:N", title="setting"),
                "seed:N",
                alt.Tooltip("mse:Q", title="MSE", format=".3e"),
                *(
                    alt.Tooltip(f"{x}:Q", title=title, format=",.4~r")
                    for x, title in MEASURES.items()
                ),
                alt.Tooltip("file:N", title="run file"),
            ],
        )
    )


def _trivial(chart: alt.Chart) -> alt.LayerChart:
    """What the mean training target scores: no curve above it has learned anything."""
    least = chart.transform_aggregate(trivial="min(trivial)", groupby=["task"])
    rule = least.mark_rule(strokeDash=[2, 4]).encode(alt.Y("trivial:Q"))
    words = rule.mark_text(text="the mean training target", align="right", dy=-6)
    return rule + words.encode(x=alt.value("width"))


def _nothing(chart: alt.Chart) -> alt.Chart:
    """A sentence where nothing was run."""
    return (
        chart.transform_aggregate(chosen="max(chosen)")
        .transform_filter("!datum.chosen")
        .mark_text(fontSize=14, text="No run fits these choices.")
        .encode(x=alt.value(170), y=alt.value(60))
    )


def _short(value: float) -> float | None:
    """Five digits; JSON has no infinity."""
    if not math.isfinite(value):
        return None
    return float(f"{value:.5g}") if value != int(value) else int(value)
