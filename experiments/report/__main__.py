"""Write the report: one HTML page from run files, without training.

python -m experiments.report --figures docs/
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.report.charts import Picture, save
from experiments.report.page import ROOT, build, pictures
from experiments.report.records import read


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.report", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--runs", type=Path, default=ROOT / "results", help="folder of run files"
    )
    parser.add_argument(
        "--page",
        type=Path,
        default=Path("figures/report.html"),
        help="what to write (default: %(default)s)",
    )
    parser.add_argument("--figures", type=Path, help="a folder for the figures, as PNG")
    options = parser.parse_args(arguments)
    if not options.runs.is_dir():
        print(
            f"`--runs` must be a folder. Received: {str(options.runs)!r}",
            file=sys.stderr,
        )
        return 2
    found = read(options.runs)
    for name, reason in found.damaged.items():
        print(f"left out: {name}: {reason}", file=sys.stderr)
    options.page.parent.mkdir(parents=True, exist_ok=True)
    drawn = pictures(found)
    options.page.write_text(build(found, drawn), encoding="utf-8")
    print(f"{options.page}: {len(found.runs)} runs")
    if options.figures:
        write_figures(drawn, options.figures)
    return 0


def write_figures(drawn: Sequence[Picture], folder: Path) -> None:
    """Write every figure that has runs as PNG, and name those that have none.

    Args:
        drawn: What `experiments.report.page.pictures` returned.
        folder: Made if it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for picture in drawn:
        if not picture.panels:
            print(f"not drawn: {picture.title}: {picture.caption}")
            continue
        path = folder / f"{picture.id.replace('-', '')}.png"
        save(picture, path)
        print(path)


if __name__ == "__main__":
    sys.exit(main())
