"""The chart of every run: menus choose what it draws."""

from __future__ import annotations

import math
import re
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
    ticks,
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
    first = next((x for x in groups if x.labels.kind != "default"), groups[0])
    menus = [_menu(field, rows, choice(first)) for field in MENUS]
    axis = alt.param(
        name="axis",
        value="cost",
        bind=alt.binding_select(
            options=list(MEASURES), labels=list(MEASURES.values()), name="cost axis"
        ),
    )
    beside = alt.param(
        name="beside", value=True, bind=alt.binding_checkbox(name="defaults, too")
    )
    run = alt.param(
        name="run", value="", bind=alt.binding(input="text", name="run file (or part)")
    )
    chart = (
        alt.Chart(
            inline(rows),
            title=alt.TitleParams(
                text=alt.expr(f"'{ERROR} against ' + {dict(MEASURES)}[axis]")
            ),
            height=420,
        )
        .add_params(*menus, axis, beside, run)
        .transform_filter("datum.task == task")
        .transform_calculate(
            reference="beside && datum.reference && "
            f"(budget == '{ANY}' || datum.budget == budget)",
            chosen=_chosen(),
        )
        .transform_filter("datum.reference || datum.chosen")
        .transform_calculate(order="datum.order - (datum.reference ? 1e6 : 0)")
        .transform_window(
            place="dense_rank()", sort=[alt.SortField("order")], frame=[None, None]
        )
        .transform_filter(f"datum.place <= {MOST}")
    )
    return Picture(
        "chart",
        title,
        "",
        (alt.layer(_nothing(chart), _trivial(chart), _lines(chart)),),
    )


def _rows(group: Group, groups: Sequence[Group]) -> list[dict]:
    """A row for each run, with the evaluations as lists; five digits are enough."""
    rivals = [x for x in groups if x.labels.task_title == group.labels.task_title]
    shared = choice(group) | {
        "name": _name(group),
        "order": ranked(rivals, final).index(group),
        "reference": group in _references(group, rivals),
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


def _menu(field: str, rows: Sequence[dict], first: dict[str, str]) -> alt.Parameter:
    values = sorted({row[field] for row in rows}, key=_in_order)
    options = values if field == "task" else [ANY, *values]
    value = first[field] if field in ("task", "way") else ANY
    bind = alt.binding_select(options=options, name=MENUS[field])
    return alt.param(name=field, value=value, bind=bind)


def _in_order(text: str) -> list[tuple[bool, float, str]]:
    """Numbers by size, and before words."""
    parts = re.split(r"([0-9]+(?:\.[0-9]+)?)", text)
    return [
        (not x[:1].isdigit(), float(x) if x[:1].isdigit() else 0.0, x)
        for x in parts
        if x
    ]


def _chosen() -> str:
    menus = [f"({x} == '{ANY}' || datum.{x} == {x})" for x in MENUS if x != "task"]
    return " && ".join([*menus, "indexof(datum.file, run) >= 0"])


def _lines(chart: alt.Chart) -> alt.Chart:
    sort = alt.EncodingSortField("order", op="min")
    return (
        chart.transform_flatten([*MEASURES, "mse"])
        .transform_calculate(spent="datum[axis]")
        .transform_filter("datum.spent > 0 && datum.mse > 0")
        .mark_line(strokeWidth=2, point=TOUCH)
        .encode(
            x=alt.X(
                "spent:Q",
                scale=alt.Scale(type="log", nice=False),
                axis=ticks(None, (1,)),
            ),
            y=alt.Y(
                "mse:Q",
                scale=alt.Scale(type="log", nice=False),
                axis=ticks(ERROR, (1, 2, 5)),
            ),
            color=alt.Color(
                "name:N",
                sort=sort,
                scale=alt.Scale(scheme=SCHEME),
                legend=key(columns=1),
            ),
            strokeDash=alt.StrokeDash(
                "name:N", sort=sort, scale=alt.Scale(range=DASHES)
            ),
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
    rule = chart.transform_aggregate(trivial="min(trivial)", groupby=["task"]).encode(
        y="trivial:Q"
    )
    return rule.mark_rule(strokeDash=[2, 4]) + rule.mark_text(
        text="the mean training target", align="right", dy=-6
    ).encode(x=alt.value("width"))


def _nothing(chart: alt.Chart) -> alt.Chart:
    """A sentence where there is no curve."""
    return (
        chart.transform_aggregate(count="count()")
        .transform_filter("datum.count == 0")
        .mark_text(fontSize=14, text="No run fits these choices.")
        .encode(x=alt.value(170), y=alt.value(60))
    )


def _short(value: float) -> float | None:
    """Five digits; JSON has no infinity."""
    if not math.isfinite(value):
        return None
    return float(f"{value:.5g}") if value != int(value) else int(value)
