"""Charts of the page, made by Vega-Lite through altair.

It is chosen over plotly since a chart is then plain data, which tests can read, which
the page draws and which is a PNG file without a browser, and since its library, which
the page carries so that it needs no network, weighs .9 MB (plotly's more than 4).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt
import vl_convert

from experiments.report.labels import MEASURES

#: From dark to light, evenly: in grey, too, no two are the same.
SHADES = ("#0d0887", "#3c049b", "#6100a7", "#8405a7", "#a31e9a", "#bd3786", "#d35171",
          "#e56b5d", "#f48849", "#fca636")  # fmt: skip
#: The same colours, where Vega counts the curves itself.
SCHEME = alt.SchemeParams(name="plasma", extent=[0, 0.8])
#: Lengths of line and gap, for as many curves as a chart may have.
DASHES = ([1, 0], [8, 3], [2, 2], [10, 3, 2, 3], [5, 2], [14, 4], [6, 2, 2, 2, 2, 2],
          [1, 3])  # fmt: skip
SOFT = "#6a6a6a"
ERROR = "validation MSE E(t)"
#: Points that are not seen, only pointed at.
TOUCH = alt.OverlayMarkDef(fillOpacity=0, strokeOpacity=0, size=100)
_NUMBER = "format(datum.value, datum.value < 1e4 ? '~g' : '~s')"
#: Pixels of a panel that has no page around it.
_WIDTH = 280


class Picture(NamedTuple):
    """A figure, or the reason why there is none.

    Attributes:
        id: For links and file names.
        title: As the paper calls it.
        caption: What it shows, of which runs.
        panels: Charts side by side; none if nothing was run.
        columns: How many of them fit side by side in a wide window.
    """

    id: str
    title: str
    caption: str
    panels: tuple[alt.TopLevelMixin, ...] = ()
    columns: int = 1


@alt.theme.register("report", enable=True)
def _theme() -> alt.theme.ThemeConfig:
    text = {"labelFontSize": 11, "titleFontSize": 11}
    return {
        "config": {
            "background": "transparent",
            "font": "system-ui, sans-serif",
            "view": {"stroke": None},
            "title": {"fontSize": 12, "anchor": "start", "fontWeight": "normal"},
            "axis": text | {"gridColor": "#dcdcdc", "titleFontWeight": "normal"},
            "legend": text | {"orient": "bottom", "labelLimit": 320, "title": None},
        }
    }


def inline(rows: Sequence[Mapping[str, Any]]) -> alt.InlineData:
    """Rows as the data of a chart: one text, since altair takes long over lists.

    >>> inline([{"x": 1}]).values
    '[{"x":1}]'
    """
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return alt.InlineData(values=text, format=alt.JsonDataFormat(type="json"))


def looks(count: int) -> tuple[list[str], list[list[int]]]:
    """Shades and dashes of so many curves, as different as they can be.

    >>> looks(2)
    (['#0d0887', '#fca636'], [[1, 0], [8, 3]])
    """
    last = len(SHADES) - 1
    places = [round(i * last / max(1, count - 1)) for i in range(count)]
    return [SHADES[i] for i in places], list(DASHES[:count])


class Line(NamedTuple):
    """A curve of a panel.

    Attributes:
        name: In the legend.
        look: Its place among `looks`.
        points: Rows with `x`, `y` and, over several seeds, `low` and `high`.
    """

    name: str
    look: int
    points: list[dict[str, float]]


def log_log(
    lines: Sequence[Line],
    title: str,
    measure: str,
    heights: tuple[float, float],
    of: int,
) -> alt.LayerChart:
    """Errors against what they cost, with bands from the least seed to the largest.

    A click in the legend leaves one line, pointing at a line reads its numbers.

    Args:
        lines: At least one.
        title: Above the panel.
        measure: A key of `MEASURES`.
        heights: Least and largest error of the axis.
        of: How many looks the figure has.
    """
    shades, dashes = looks(of)
    names = [line.name for line in lines]
    rows = [{"name": line.name} | point for line in lines for point in line.points]
    # Names of its own, or altair would count on from page to page.
    name = re.sub(r"\W+", "_", f"{title} {measure}", flags=re.ASCII)
    picked = alt.selection_point(f"picked_{name}", fields=["name"], bind="legend")
    spent = [row["x"] for row in rows]
    chart = alt.Chart(inline(rows), title=title).encode(
        log_axis(alt.X("x:Q"), MEASURES[measure], (min(spent), max(spent))),
        alt.Color("name:N", legend=key(columns=2)).scale(
            domain=names, range=[shades[x.look] for x in lines]
        ),
        opacity=alt.when(picked).then(alt.value(1)).otherwise(alt.value(0.1)),
    )
    band = chart.mark_area(fillOpacity=0.18).encode(
        log_axis(alt.Y("low:Q"), ERROR, heights), alt.Y2("high:Q")
    )
    curve = chart.mark_line(strokeWidth=2, point=TOUCH).encode(
        alt.Y("y:Q"),
        alt.StrokeDash("name:N").scale(
            domain=names, range=[dashes[x.look] for x in lines]
        ),
        tooltip=[
            alt.Tooltip("name:N", title="curve"),
            alt.Tooltip("y:Q", title="MSE", format=".3e"),
            alt.Tooltip("x:Q", title=MEASURES[measure], format=",.4~r"),
        ],
    )
    picking = curve.properties(name=name).add_params(picked)
    return alt.layer(band, picking).properties(height=230)


def key(columns: int) -> alt.Legend:
    """A legend that shows a piece of each line."""
    return alt.Legend(
        columns=columns, symbolType="stroke", symbolSize=900, symbolStrokeWidth=2,
        symbolFillColor="transparent", symbolOpacity=1,
    )  # fmt: skip


def log_axis(
    channel: alt.X | alt.Y, title: str | None, span: tuple[float, float] | None = None
) -> alt.X | alt.Y:
    """Make an axis logarithmic: over a span, or over what is drawn."""
    wide = span is not None and span[1] > 50 * span[0]
    values = [
        float(f"{m}e{e}") for e in range(-9, 10) for m in ((1,) if wide else (1, 2, 5))
    ]
    return channel.scale(type="log", nice=False, domain=span or alt.Undefined).axis(
        title=title, values=values, labelExpr=_NUMBER
    )


def specifications(pictures: Iterable[Picture]) -> dict[str, dict[str, Any]]:
    """Every panel as Vega-Lite, by the id of its place, which gives it its width."""
    return {
        name: panel.properties(width="container").to_dict()
        for picture in pictures
        for name, panel in places(picture).items()
    }


def places(picture: Picture) -> Mapping[str, alt.TopLevelMixin]:
    """The ids under which a page has the panels of a picture."""
    return {f"{picture.id}-{i}": panel for i, panel in enumerate(picture.panels, 1)}


def save(picture: Picture, path: Path) -> None:
    """Write a picture that has panels as PNG, these side by side."""
    width = _WIDTH if picture.columns > 1 else 3 * _WIDTH
    panels = [panel.properties(width=width) for panel in picture.panels]
    chart = alt.concat(*panels, columns=picture.columns, background="white")
    apart = chart.resolve_scale(color="independent", strokeDash="independent")
    apart.save(path, format="png", scale_factor=2)


def library() -> str:
    """Vega, Vega-Lite and vega-embed as one script, which defines `vegaEmbed`."""
    version = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", version)
