"""The clock's table and picture."""

import numpy as np

from benchmarks.clock.bench import TARGETS
from benchmarks.clock.tuning import reached
from experiments.report.clock import SCHEMES


def rows(bench, chosen, outcomes):
    """For each scheme and target: trial, and medians of C(t), evaluations, seconds."""
    for scheme in SCHEMES:
        for i, target in enumerate(bench.targets):
            trial = chosen[scheme][i]
            runs = [x for x in outcomes if x.trial == trial]
            if trial is None:
                yield scheme, target, None, [], [], [], 0.0
                continue
            costs, examples, seconds = (
                [reached(x, bench.targets, column)[i] for x in runs]
                for column in (0, 1, 2)
            )
            compiling = runs[0].compile_seconds
            yield scheme, target, trial, costs, examples, seconds, compiling


def report(name, bench, chosen, outcomes):
    """Print a task's table, as Markdown; the same as plain values."""
    table = list(rows(bench, chosen, outcomes))
    print(f"\n### {name}\n")
    print(
        "| target | scheme | tuned | C(t) | gradients | seconds, each seed | seconds |"
        " / cycles | with compiling | / cycles |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for label, target in zip(TARGETS, bench.targets, strict=True):
        lines = [row for row in table if row[1] == target]
        cycles = _times(*lines[-1][5:]) if lines[-1][2] else (np.inf, np.inf)
        for scheme, _, trial, costs, examples, seconds, compiling in lines:
            if trial is None:
                print(f"| {label} | {scheme} | | | | not reached | | | | |")
                continue
            each = ", ".join(
                "not reached" if np.isinf(s) else f"{s:.2f}" for s in seconds
            )
            own = _times(seconds, compiling)
            ratios = [x / y if np.isfinite([x, y]).all() else np.nan
                      for x, y in zip(own, cycles, strict=True)]  # fmt: skip
            print(
                f"| {label} ({target:.4f}) | {scheme} | {trial.optimizer} "
                f"{trial.rate:g} {trial.schedule} | {np.median(costs):,.0f} "
                f"| {np.median(examples):,.0f} | {each} | {own[0]:.2f} "
                f"| {ratios[0]:.1f} | {own[1]:.1f} | {ratios[1]:.1f} |",
                flush=True,
            )
    return [
        {
            "task": name,
            "target": target,
            "scheme": scheme,
            "trial": trial and trial._asdict(),
            "costs": costs,
            "gradients": examples,
            "seconds": seconds,
            "compile_seconds": compiling,
        }
        for scheme, target, trial, costs, examples, seconds, compiling in table
    ]


def _times(seconds, compiling):
    """The median over seeds, without and with compiling."""
    return np.median(seconds), np.median(seconds) + compiling


def picture(panels, path):
    """MSE against seconds of training, a panel for each task."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    styles = {"fit": ":", "level0": "--", "start": "-.", "cycles": "-"}
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(4.6 * len(panels), 4), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axis, (name, bench, chosen, outcomes) in zip(axes[0], panels, strict=True):
        for scheme, style in styles.items():
            runs = [x for x in outcomes if x.trial == chosen[scheme][0]]
            for i, run in enumerate(runs):
                axis.loglog(
                    [row[2] for row in run.history[1:]],
                    [row[3] for row in run.history[1:]],
                    style,
                    color="black" if scheme == "cycles" else "0.5",
                    linewidth=1.6 if scheme == "cycles" else 1.2,
                    label=scheme if i == 0 else None,
                )
        for target in bench.targets:
            axis.axhline(target, color="0.85", linewidth=0.8, zorder=0)
        axis.set(title=name, xlabel="seconds of training", ylabel="validation MSE")
        axis.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
