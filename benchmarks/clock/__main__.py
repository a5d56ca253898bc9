"""Seconds to a target: training on coarsened data against training without, both tuned.

    python -m benchmarks.clock [--quick] [--task one-object-1024 ...]

Three baselines and the multilevel run, on the same data, to the same absolute targets:
a tenth, a twentieth and a fiftieth of the plain network's first validation MSE (the
last, strict one is .010 for MNIST, where nothing reaches a fiftieth).

    fit       keras.Model.fit, jit_compile on or off, whichever is faster
    level0    this library's compiled engine, level 0 only
    start     the same from the multilevel start (weights drawn on every level)
    cycles    on coarsened data, from the multilevel start

So fit/level0 is what the engine gives, level0/start what the start gives, and
start/cycles what the cycles give. Every scheme is tuned with as many trials: at most
fourteen, of which a trial that has used up the best one's seconds is cut off, and one
that seems better is made on a second seed before it counts. For the first two they are
seven rates of two optimizers; for the cycles four rates of Adam, and then, at those
that were best for the first and for the last target, or at the best one and its double,
five more schedules. (The six are the pick of some fifty that were tried on the same two
seeds of four tasks.) `fit` trains as `level0` does, but for the small last batch of
each pass, so it takes over its optimizer and rate. The medians are over three other
seeds. Seconds are of averaging the data and of training: without evaluation, and
without compiling, which stands in a column of its own.
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from benchmarks.clock.bench import (
    SEEDS,
    TASKS,
    TUNING_SEEDS,
    Bench,
    network,
    task,
)
from benchmarks.clock.report import picture, report
from benchmarks.clock.tuning import tuned
from experiments.runs import provenance


def measure(name, limit, quick):
    """All schemes of a task; rows of the table, and the outcomes."""
    data = task(name)
    bench = Bench(data, limit)
    keras.utils.set_random_seed(TUNING_SEEDS[0])
    first = bench.mse(network(bench.size))
    bench.targets = [first / 10, first / 20, data.strict or first / 50]
    print(f"{name}: first MSE {first:.4f}, targets {np.round(bench.targets, 5)}")
    outcomes, chosen = [], {}
    for scheme in ("level0", "start", "cycles"):
        chosen[scheme] = tuned(bench, scheme, quick)
    chosen["fit"] = [
        trial and trial._replace(scheme="fit") for trial in chosen["level0"]
    ]
    for best in chosen.values():
        for trial in dict.fromkeys(filter(None, best)):
            for seed in SEEDS[:1] if quick else SEEDS:
                outcomes.append(bench.run(trial, seed))
    return bench, chosen, outcomes


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="n = 1024, one seed")
    parser.add_argument("--task", nargs="+", default=None)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of a run")
    parser.add_argument("--figure", type=Path, default=Path("figures/clock.png"))
    parser.add_argument("--json", type=Path, default=Path("runs/clock.json"))
    options = parser.parse_args()
    names = options.task or (TASKS[:1] if options.quick else TASKS)
    limit = 15.0 if options.quick else options.limit
    panels, values = [], []
    for name in names:
        parts = measure(name, limit, options.quick)
        values += report(name, *parts)
        panels.append((name, *parts))
        picture(panels, options.figure)
        options.json.parent.mkdir(parents=True, exist_ok=True)
        command = f"python -m benchmarks.clock --limit {limit:g} --task "
        command += " ".join(names) + " --quick" * options.quick
        record = {"provenance": provenance(command), "rows": values}
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\nfigure: {options.figure}; numbers: {options.json}")


if __name__ == "__main__":
    main()
