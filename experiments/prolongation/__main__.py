"""`python -m experiments.prolongation figure1 figure2 figure3 report`."""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

from experiments.prolongation import figures, report

#: What there is to make, by name.
TASKS = {
    "figure1": figures.figure1,
    "figure2": figures.figure2,
    "figure3": figures.figure3,
    "report": report.write,
}


def main(arguments: list[str] | None = None) -> None:
    """Make the figures and pages that are asked for, and say where they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="+", choices=TASKS)
    parser.add_argument("--folder", type=Path, default=Path("figures"))
    options = parser.parse_args(arguments)
    matplotlib.use("Agg")
    for task in options.tasks:
        print(TASKS[task](options.folder))


if __name__ == "__main__":
    main()
