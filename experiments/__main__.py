"""Run experiments, print their tables and draw their figure.

python -m experiments configs/mnist.yaml
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from experiments.config import ConfigError, load_config
from experiments.figures import figure6, save
from experiments.runs import collect
from experiments.sweep import sweep
from experiments.tables import table
from experiments.verdict import verdict


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments", description=__doc__.splitlines()[0]
    )
    parser.add_argument("configs", nargs="+", type=Path, help="YAML files")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="folder of runs"
    )
    parser.add_argument(
        "--figure", type=Path, default=Path("figures/figure6.png"), help="PNG to draw"
    )
    parser.add_argument("--way", help="which of a config's ways (default: its first)")
    parser.add_argument(
        "--grid", action="store_true", help="every (gamma, L, k) of the paper: days"
    )
    parser.add_argument(
        "--storage",
        help="address of a database, to share the runs with other machines "
        "(default: a file in the folder of runs)",
    )
    parser.add_argument("--seeds", type=int, nargs="+", help="in place of the config's")
    parser.add_argument(
        "--workers",
        type=int,
        default=min(2, os.cpu_count() or 1),
        help="runs at a time, each with its share of the cores (default: %(default)s)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a small budget, to see that it works"
    )
    options = parser.parse_args(arguments)
    # A table is wider than a pipe's 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 150)
    try:
        configs = [load_config(path, options.way) for path in options.configs]
        if options.grid:
            configs = [config.swept() for config in configs]
        if options.quick:
            configs = [config.quickly() for config in configs]
        if options.seeds:
            configs = [config.with_seeds(options.seeds) for config in configs]
        for config in configs:
            about = f" (about {config.minutes:g} minutes)" * (not options.quick)
            console.print(f"{config.title}{about}: {config.claim}", highlight=False)
        command = _command(options)
        alone = any(config.alone for config in configs)
        sweep(
            configs,
            options.runs,
            min(options.workers, 1) if alone else options.workers,
            command,
            console,
            options.storage,
        )
    except ConfigError as error:
        console.print(str(error), style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        console.print("interrupted: finished runs are kept; the same command goes on")
        return 130
    panels = [(config, collect(config, options.runs)) for config in configs]
    for config, results in panels:
        console.print()
        console.print(table(config, results))
    console.print(f"\nfigure: {save(figure6(panels), options.figure)}")
    for config, results in panels:
        if any(scheme.part for scheme in config.schemes):
            for line in verdict(config, results):
                console.print(f"\n{line}", highlight=False)
    if options.quick:
        console.print("\nA quick run shows that all of it works, and no more.")
    return 0


def _command(options) -> str:
    """What makes the runs, for their files: no folder of this machine in it."""
    parts = ["python -m experiments", *(f"configs/{x.name}" for x in options.configs)]
    if options.way:
        parts += ["--way", options.way]
    if options.grid:
        parts += ["--grid"]
    if options.seeds:
        parts += ["--seeds", *map(str, options.seeds)]
    return " ".join(parts + options.quick * ["--quick"])


if __name__ == "__main__":
    sys.exit(main())
