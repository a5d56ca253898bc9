"""The clock benchmark's rows as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import altair as alt

from experiments.report.charts import Picture, inline, log_axis, looks
from experiments.report.clock import SCHEMES, Comparison

MARKS = ("cross", "square", "triangle-up", "circle")


def clock_picture(comparisons: Mapping[str, Sequence[Comparison]]) -> Picture:
    """Seconds to each target, a panel for each task: every seed, and the median."""
    title = "The clock as a picture"
    if not comparisons:
        return Picture("clock", title, "No run of the clock is committed.")
    return Picture(
        "clock",
        title,
        "Seconds of training until each target. A large mark is the median of the "
        "seeds, the small ones are the seeds; further left is faster. A large hollow "
        "mark at the right edge means that the target was not reached.",
        tuple(_panel(task, lines) for task, lines in comparisons.items()),
        columns=3,
    )


def _panel(task: str, lines: Sequence[Comparison]) -> alt.LayerChart:
    rows = [
        {"scheme": name, "target": line.target, "x": x, "what": what}
        for line in lines
        for scheme, name in SCHEMES.items()
        for what, values in (
            ("seed", line.seconds[scheme]),
            ("median", [line.median(scheme)]),
        )
        for x in values
        if math.isfinite(x)
    ]
    missed = [
        {"scheme": name, "target": line.target, "what": "not reached"}
        for line in lines
        for scheme, name in SCHEMES.items()
        if math.isinf(line.median(scheme))
    ]
    times = [row["x"] for row in rows] or [1.0]
    shades, _ = looks(len(SCHEMES))
    names = list(SCHEMES.values())
    chart = alt.Chart(inline(rows + missed), title=task).encode(
        y=alt.Y("target:O", sort=[x.target for x in lines], title="target"),
        yOffset=alt.YOffset("scheme:N", sort=names, scale=alt.Scale(paddingOuter=0.4)),
        color=alt.Color(
            "scheme:N",
            scale=alt.Scale(domain=names, range=shades[::-1]),
            legend=alt.Legend(columns=1, symbolSize=80),
        ),
        shape=alt.Shape("scheme:N", scale=alt.Scale(domain=names, range=list(MARKS))),
    )
    where = log_axis(alt.X("x:Q"), "seconds", (0.9 * min(times), 1.6 * max(times)))
    told = [alt.Tooltip(x) for x in ("scheme:N", "target:O", "what:N")]
    seconds = alt.Tooltip("x:Q", title="seconds", format=".3~r")
    return alt.layer(
        chart.transform_filter("datum.what == 'seed'")
        .mark_point(size=20, strokeWidth=1)
        .encode(x=where, tooltip=[*told, seconds]),
        chart.transform_filter("datum.what == 'median'")
        .mark_point(size=90, filled=True, opacity=1)
        .encode(x=where, tooltip=[*told, seconds]),
        chart.transform_filter("datum.what == 'not reached'")
        .mark_point(size=90)
        .encode(x=alt.value("width"), tooltip=told),
    ).properties(height=70 * len(lines))
