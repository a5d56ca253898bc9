"""The table and the picture of runs."""

import math
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from benchmarks.practice.tuning import (
    SHARES,
    TUNING_SEED,
    Setting,
    error_at,
    lowest,
    read,
    seconds_to,
    settings_of,
)

#: What everything is compared with.
PLAIN = "fit, tuned"
#: Seconds that are written below the picture, as far as they are reached.
TICKS = (1, 2, 5, 10, 20, 40, 60)
#: How each method is drawn: its line, grey in print too, and its colour.
STYLES = {
    "fit, tuned": ("-", "black"),
    "fit, as written": (":", "0.45"),
    "multilevel start": ((0, (1, 1)), "tab:green"),
    "progressive resizing": ((0, (3, 2)), "tab:olive"),
    "warm start, stencils": ((0, (5, 1)), "tab:cyan"),
    "warm start, same kernels": ((0, (1, 2)), "tab:pink"),
    "warm start, as written": ((0, (4, 1, 1, 1, 1, 1)), "tab:purple"),
    "warm start, as tuned fit": ((0, (3, 1, 1, 1)), "tab:brown"),
    "warm start, 1e-3": ("-.", "tab:orange"),
    "warm start, tuned": ("--", "tab:blue"),
    "CycleSchedule, auto": ((0, (6, 2)), "tab:red"),
}


class Row(NamedTuple):
    """A method at one target; values of each seed, in the order of `seeds`."""

    share: float
    error: float
    method: str
    setting: Setting | None
    seeds: list
    seconds: list
    ratios: list


def load(folder):
    """All runs of a folder, by task and limit."""
    groups = {}
    for path in sorted(Path(folder).rglob("*.json")):
        run = read(path)
        groups.setdefault((run.task, run.limit), []).append(run)
    return groups


def ratio(plain, method):
    """How many times sooner a method is there than plain training.

    Infinite where only the method gets there, 0 where only plain training does, and
    no number where neither does.
    """
    if math.isinf(method):
        return math.nan if math.isinf(plain) else 0.0
    return plain / method if method > 0 else math.inf


def middle(values):
    """The median of what is a number; NaN if nothing is."""
    known = [value for value in values if not math.isnan(value)]
    return median(known) if known else math.nan


def rows(runs):
    """The table of one task: for each share of the budget, every method.

    A share at which plain training has no error yet is left out.
    """
    settings = settings_of(runs)
    for share in SHARES:
        traces = {
            method: _traces(runs, by_share[share])
            for method, by_share in settings.items()
        }
        plain = traces[PLAIN]
        error = middle([error_at(t, share * runs[0].limit) for t in plain.values()])
        if not math.isfinite(error):
            continue
        for method, by_seed in traces.items():
            seconds = {seed: seconds_to(t, error) for seed, t in by_seed.items()}
            ratios = [
                ratio(seconds_to(plain[seed], error), own)
                for seed, own in seconds.items()
                if seed in plain
            ]
            yield Row(
                share,
                error,
                method,
                settings[method][share],
                list(seconds),
                list(seconds.values()),
                ratios,
            )


def _traces(runs, setting):
    """By seed, those of a setting; never the seed that it was chosen on."""
    chosen = [x for x in runs if x.setting == setting and x.seed != TUNING_SEED]
    return {run.seed: run.trace for run in sorted(chosen, key=lambda run: run.seed)}


def table(groups):
    """The Markdown of all tasks."""
    lines = [
        "| task | of the budget | error | method | setting | seconds, each seed "
        "| seconds | plain / it |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (task, limit), runs in groups.items():
        for row in rows(runs):
            if row.seconds:
                each = ", ".join(map(_shown, row.seconds))
                last = _shown(middle(row.seconds)), _times(middle(row.ratios))
            else:
                each, last = "no run", ("", "")
            lines.append(
                f"| {task} | {row.share:.0%} of {limit:g} s | {row.error:.4f} "
                f"| {row.method} | {row.setting or ''} | {each} "
                f"| {last[0]} | {last[1]} |"
            )
    return "\n".join(lines)


def summary(groups):
    """The Markdown of medians: seconds, and how many times sooner than tuned plain.

    A method has a column if it has a run.
    """
    every = {key: list(rows(runs)) for key, runs in groups.items()}
    ran = {row.method for some in every.values() for row in some if row.seconds}
    methods = [method for method in STYLES if method in ran]
    lines = [
        "| " + " | ".join(["task", "of the budget", "error", *methods]) + " |",
        "|---" * (3 + len(methods)) + "|",
    ]
    for (task, limit), some in every.items():
        for share in SHARES:
            cells = {row.method: row for row in some if row.share == share}
            if cells:
                first = [
                    task,
                    f"{share:.0%} of {limit:g} s",
                    f"{cells[PLAIN].error:.4f}",
                ]
                cells = [*first, *(_cell(cells[method]) for method in methods)]
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row):
    if not row.seconds:
        return ""
    seconds = middle(row.seconds)
    if math.isinf(seconds):
        return "-"
    times = middle(row.ratios)
    known = row.method != PLAIN and math.isfinite(times)
    return f"{seconds:.2f}" + (f" ({times:.2g})" if known else "")


def _shown(seconds):
    return "not reached" if math.isinf(seconds) else f"{seconds:.2f}"


def _times(value):
    if math.isnan(value):
        return "neither reached"
    if math.isinf(value):
        return "plain not reached"
    return f"{value:.1f}" if value else "not reached"


def middle_curve(traces, points=200):
    """Seconds, and the median over traces of the lowest error so far.

    Every trace has its first evaluation, of the untrained network, at 0 s; the curve
    begins where all have one after it, and ends with the shortest.
    """
    first = max(next((t for t, _ in trace if t > 0), math.inf) for trace in traces)
    last = min(trace[-1][0] for trace in traces)
    if not first < last:
        return np.array([]), np.array([])
    moments = np.geomspace(first, last, points)
    errors = []
    for trace in traces:
        seconds, least = np.transpose(lowest(trace))
        errors.append(np.interp(moments, seconds, least))
    return moments, np.median(errors, axis=0)


def picture(groups, path, methods=tuple(STYLES)):
    """Error against seconds, a panel for each task, of all methods or of some."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter, NullLocator

    lines = math.ceil(len(groups) / 4)
    columns = math.ceil(len(groups) / lines)
    figure, axes = pyplot.subplots(
        lines,
        columns,
        figsize=(max(6.4, 4.2 * columns), 3.4 * lines + 0.5),
        squeeze=False,
        layout="constrained",
    )
    labelled = {}
    for axis, ((task, limit), runs) in zip(axes.flat, groups.items(), strict=False):
        for method, by_share in settings_of(runs).items():
            if method not in methods:
                continue
            style, colour = STYLES[method]
            traces = list(_traces(runs, by_share[SHARES[-1]]).values())
            for trace in traces:
                axis.plot(*_drawn(trace), color=colour, linewidth=0.4, alpha=0.5)
            if traces:
                moments, errors = middle_curve(traces)
                labelled[method] = axis.plot(
                    moments, errors, linestyle=style, color=colour, linewidth=1.8
                )[0]
        axis.set(xscale="log", yscale="log", title=f"{task}, {limit:g} s")
        axis.set(xlabel="seconds, everything counted", ylabel="validation error")
        axis.set_xticks([t for t in TICKS if 0.9 <= t <= limit])
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_minor_formatter(NullFormatter())
    for axis in axes.flat[len(groups) :]:
        axis.axis("off")
    figure.legend(
        labelled.values(), labelled, loc="outside lower center", ncols=columns + 1
    )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _drawn(trace):
    """The lowest error so far, without the untrained network at 0 s."""
    points = [(t, e) for t, e in lowest(trace) if t > 0]
    return [t for t, _ in points], [e for _, e in points]
