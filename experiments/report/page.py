"""The page: everything put together and filled into the template."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from experiments import published
from experiments.report import figures, numbers
from experiments.report.charts import Picture, library, places, specifications
from experiments.report.clock import SCHEMES, comparisons
from experiments.report.clock_picture import clock_picture
from experiments.report.curves import MOST, address, curves
from experiments.report.findings import claim, findings
from experiments.report.groups import Group, grouped
from experiments.report.labels import told
from experiments.report.orderings import orderings
from experiments.report.records import Found
from experiments.report.sections import section
from experiments.report.tables import Table, tables
from experiments.runfiles import RunFile

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Line(NamedTuple):
    """A run file in the list of all."""

    file: str
    address: str
    task: str
    title: str
    seed: int
    final: str
    seconds: str
    finished: str


class Source(NamedTuple):
    """How, where and with what some files were made, and how many."""

    command: str
    revision: str
    machine: str
    versions: str
    files: int


def pictures(found: Found) -> list[Picture]:
    """Figures 4 to 7 and, last, the clock."""
    groups = grouped(found.runs)
    return [
        figures.figure4(),
        figures.figure5(groups),
        figures.figure6(groups),
        figures.figure7(groups),
        clock_picture(comparisons(found.clock)),
    ]


def build(found: Found, drawn: Sequence[Picture], docs: Path = ROOT / "docs") -> str:
    """The page as HTML that needs nothing beside itself.

    Args:
        found: What `experiments.report.records.read` returned.
        drawn: Its `pictures`.
        docs: Where the pages about the differences from the paper and the limits are.
    """

    def told_in(name, title):
        return Markup(section((docs / name).read_text(encoding="utf-8"), title))

    groups = grouped(found.runs)
    clock = comparisons(found.clock)
    made = tables(groups)
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(numbers=numbers, places=places, address=address)
    chosen = curves(groups)
    return environment.get_template("page.html").render(
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        library=Markup(library()),
        script=Markup((HERE / "page.js").read_text(encoding="utf-8")),
        data=Markup(_json(specifications([*drawn, chosen]))),
        paper=published.TITLE,
        claim=claim(),
        findings=findings(made, clock),
        tables=made,
        pictures=drawn[:-1],
        clock=clock,
        clock_picture=drawn[-1],
        curves=chosen,
        most=MOST,
        schemes=SCHEMES,
        orderings=orderings(groups),
        differences=told_in("differences.md", "Paper, script, and this library"),
        limits=told_in("limits.md", "Limits"),
        settings=_settings(found.runs),
        sources=_sources([*found.runs.values(), *found.clock.values()]),
        data_sources=sorted({run.data for run in found.runs.values() if run.data}),
        hierarchies=_deepest({run.hierarchy for run in found.runs.values()}),
        missing=_missing(made, drawn),
        lines=_lines(groups),
        damaged=found.damaged,
        runs=len(found.runs),
        clock_files=list(found.clock),
    )


def _json(values: dict[str, Any]) -> str:
    """JSON that may stand inside `<script>`: no `<` can end it."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _settings(runs: Mapping[str, RunFile]) -> list[tuple[str, list[tuple[str, int]]]]:
    """Every setting with the values that it takes, and how many runs have each."""
    values: dict[str, Counter] = {}
    for run in runs.values():
        for key, value in run.settings.items():
            values.setdefault(key, Counter())[told(value)] += 1
    return [
        (key, sorted(counts.items(), key=lambda item: (len(item[0]), item[0])))
        for key, counts in sorted(values.items())
    ]


def _deepest(hierarchies: set[str]) -> list[str]:
    """Tables of levels that are not the beginning of a deeper one."""
    levels = {text: text.splitlines()[:-1] for text in hierarchies if text}
    return sorted(
        text
        for text, rows in levels.items()
        if not any(rows == x[: len(rows)] for x in levels.values() if x != rows)
    )


def _sources(files: Sequence[RunFile | dict]) -> list[Source]:
    counts: Counter = Counter()
    for file in files:
        made = file.provenance if isinstance(file, RunFile) else file["provenance"]
        versions = made.get("versions", {})
        libraries = [f"{name} {number}" for name, number in sorted(versions.items())]
        parts = [made.get("processor", ""), made.get("machine", "")]
        cores = made.get("cores")
        counts[
            str(made.get("command", "unknown")),
            str(made.get("revision", "unknown")),
            ", ".join(filter(None, [*map(str, parts), cores and f"{cores} cores"])),
            ", ".join([f"Python {made.get('python', 'unknown')}", *libraries]),
        ] += 1
    return [Source(*key, count) for key, count in sorted(counts.items())]


def _missing(made: Sequence[Table], drawn: Sequence[Picture]) -> list[str]:
    """What no run file fills, in words."""
    lines = [f"{table.target.title}: {x}" for table in made for x in table.missing]
    lines += [f"{x.title}: {x.caption}" for x in drawn if not x.panels]
    for picture in drawn:
        if picture.panels and "Not run" in picture.caption:
            absent = picture.caption[picture.caption.index("Not run") :]
            lines.append(f"{picture.title}: {absent}")
    return lines


def _lines(groups: Sequence[Group]) -> list[Line]:
    return [
        Line(
            name,
            address(group, name),
            group.labels.task_title,
            group.labels.title,
            run.seed,
            numbers.mse(run.final_mse),
            numbers.seconds(run.history[-1].seconds),
            str(run.provenance.get("finished", ""))[:16].replace("T", " "),
        )
        for group in groups
        for name, run in group.runs.items()
    ]
