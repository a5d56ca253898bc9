"""What a comparison came to, in three lines: each from the runs in hand alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from experiments.config import Config
from experiments.published import TABLES
from experiments.runfiles import RunFile
from experiments.runs import Result
from experiments.schemes import Grid
from experiments.tables import brief, common_error, is_timed

#: What `make report` makes.
REPORT = "figures/report.html"


def verdict(config: Config, results: Sequence[Result]) -> list[str]:
    """What was reproduced, what wins on the clock, and where there is more.

    With several seeds, values are medians.

    Args:
        config: A comparison: its schemes have a `part`.
        results: Of its schemes; without runs they are not spoken of.
    """
    made = [result for result in results if result.runs]
    return [
        f"Reproduced: {reproduced(config, made)}",
        f"On the clock: {on_the_clock(config, made)}",
        "More: `make report` writes every table and figure of the paper beside the "
        f"committed runs, full budgets on three seeds, to {REPORT}.",
    ]


def reproduced(config: Config, results: Sequence[Result]) -> str:
    """The paper's methods against its default at equal C(t), and what is smaller."""
    papers = [result for result in results if result.scheme.part == "paper"]
    defaults = [result for result in papers if not result.scheme.depth]
    multilevel = [result for result in papers if result.scheme.depth]
    if not defaults or not multilevel:
        return "nothing: no runs of the paper's default and of a method of the paper."
    (default, *_), said = defaults, []
    for result in multilevel:
        cost = min(run.history[-1].cost for run in (*result.runs, *default.runs))
        ours, theirs = (_error_at(x.runs, cost) for x in (result, default))
        holds = "below" if ours < theirs else "NOT below"
        tenth = _reached(result.runs, "cost")
        said.append(
            f"{result.scheme.label} is {holds} the default at equal C(t) "
            f"({ours:.3g} and {theirs:.3g} at {cost:,.0f}); its C(t) to a tenth of its "
            f"first error: {_or_not(tenth, ',.0f')}"
        )
    tenth = _reached(default.runs, "cost")
    spent = max(run.history[-1].cost for run in default.runs)
    said.append(f"the default's tenth: {_or_not(tenth, ',.0f')} within {spent:,.0f}")
    return f"{'; '.join(said)}{_in_the_paper(config)}. {_smaller(config)}"


def _in_the_paper(config: Config) -> str:
    """The paper's tenths."""
    told = []
    for name in config.published:
        best, default = (TABLES[name].tenth[x] for x in ("best", "default"))
        told.append(
            f"{name}: {_or_not(best.value, ',.0f')} in its best cell {best.shape}, "
            f"default {_or_not(default.value, ',.0f')}"
        )
    return f" (the paper's tenths, {'; '.join(told)})" if told else ""


def _smaller(config: Config) -> str:
    """What of the paper's setting this one does not have."""
    smaller = []
    if config.task.name == "mnist" and config.task.source == "bundled":
        smaller.append("5,000 images of MNIST's 70,000")
    budgets = [TABLES[name].budget for name in config.published]
    if config.budget_unit == "cost" and config.budget < max(budgets, default=0):
        smaller.append(f"C(t) of {config.budget:,.0f} at most, not {max(budgets):,.0f}")
    shapes = {x.depth and (x.gamma, x.depth, x.smoothing_steps) for x in config.schemes
              if x.part == "paper"} - {0}  # fmt: skip
    cells = "1 cell" if len(shapes) == 1 else f"{len(shapes)} cells"
    smaller.append(f"{cells} (gamma, L, k) of the {len(Grid().schemes())} it swept")
    if len(config.seeds) == 1:
        smaller.append("one seed")
    return f"Smaller than the paper's: {', '.join(smaller)}."


def on_the_clock(config: Config, results: Sequence[Result]) -> str:
    """Every timed scheme by its seconds to one error, and the first of them."""
    timed = [result for result in results if is_timed(config, result)]
    error = common_error(timed)
    if error is None:
        return "nothing was timed here."
    trained, counted = {}, {}
    for scheme, runs, _ in timed:
        trained[scheme.label] = _reached(runs, "seconds", error)
        counted[scheme.label] = median(with_compiling(run, error) for run in runs)
    order = sorted(trained, key=trained.get)
    first, soonest = order[0], min(counted, key=counted.get)
    if not math.isfinite(trained[first]):
        return f"no scheme reached an MSE of {brief(error)} here."
    listed = "; ".join(
        f"{label}: {trained[label]:.1f} ({counted[label]:.1f})"
        if math.isfinite(trained[label])
        else f"{label}: not reached"
        for label in order
    )
    other = "too" if soonest == first else f"it is {soonest}"
    return (
        f"first at an MSE of {brief(error)} is {first}; with compiling {other}. "
        f"Seconds of training (with compiling): {listed}."
    )


def with_compiling(run: RunFile, error: float) -> float:
    """Seconds to an error, with those of compiling.

    A warm start's hold its own compiling, and what `fit` compiles comes after it.
    """
    seconds = run.reached("seconds", error)
    is_started = "warm_start" in run.settings and seconds <= run.history[1].seconds
    return seconds if is_started else seconds + run.compile_seconds


def _error_at(runs: Sequence[RunFile], cost: float) -> float:
    """The median error at the last evaluation that costs no more."""
    return median(
        [state for state in run.history if state.cost <= cost][-1].mse for run in runs
    )


def _reached(runs, measure, error=None) -> float:
    return median(run.reached(measure, error) for run in runs)


def _or_not(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "not reached"
