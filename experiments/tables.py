"""Tables from run files: ours beside the paper's."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from experiments.config import Config, Scheme
from experiments.runs import Result, RunFile
from msann.cost import NOT_REACHED, cost_to_fraction


def final_mse(run: RunFile) -> float:
    """The MSE at the last evaluation."""
    return run.history[-1].mse


def to_tenth(run: RunFile, measure: str) -> float:
    """What it took to reach a tenth of the first MSE.

    Args:
        run: The run.
        measure: "cost", "evaluations" or "seconds".
    """
    return cost_to_fraction(
        [getattr(evaluation, measure) for evaluation in run.history],
        [evaluation.mse for evaluation in run.history],
    )


def table(config: Config, results: Sequence[Result]) -> Table:
    """A config's schemes, then the paper's numbers."""
    out = Table(title=config.title, title_justify="left", caption=_caption(results))
    for name in ("scheme", "(gamma, L, k)", "optimizer"):
        out.add_column(name, no_wrap=True)
    for name in (
        "final MSE",
        "C(t)\nto 1/10",
        "evaluations\nto 1/10",
        "seconds\nto 1/10",
        "evaluations\nin all",
        "seconds\nin all",
    ):
        out.add_column(name, justify="right")
    for scheme, runs, borrowed in results:
        cycle = (
            f"({scheme.gamma}, {scheme.depth}, {scheme.smoothing_steps})"
            if scheme.depth
            else ""
        )
        out.add_row(
            scheme.label + _origin(borrowed, len(runs)),
            cycle,
            described(scheme),
            across([final_mse(run) for run in runs], ".3e"),
            across([to_tenth(run, "cost") for run in runs], ".3e"),
            across([to_tenth(run, "evaluations") for run in runs], ".3e"),
            across([to_tenth(run, "seconds") for run in runs], ".1f"),
            across([run.history[-1].evaluations for run in runs], ".3e"),
            across([run.history[-1].seconds for run in runs], ".1f"),
        )
    out.add_section()
    for column, cell in config.published.items():
        out.add_row(
            f"paper: {column}",
            "",
            # For the synthetic tasks the text says Adam and the script RMSProp.
            "RMSProp 0.0005" if config.task.name == "mnist" else "",
            "" if cell.final_mse is None else f"{cell.final_mse:.3e}",
            _published(cell.cost_to_tenth),
        )
    return out


def _origin(borrowed: int, runs: int) -> str:
    if not borrowed:
        return ""
    return " (from results/)" if borrowed == runs else f" ({borrowed} from results/)"


def described(scheme: Scheme) -> str:
    """The optimizer and its learning rate, for a row or a legend."""
    name = {"adam": "Adam", "tf1_rmsprop": "RMSProp"}[scheme.optimizer]
    return f"{name} {scheme.learning_rate:g}"


def across(values: Sequence[float], form: str) -> str:
    """Every seed's value, after their mean if there are several.

    >>> across([0.25, 0.75], ".2f"), across([0.25, NOT_REACHED], ".2f")
    ('0.50 (0.25, 0.75)', 'not reached (0.25, not reached)')
    >>> across([], ".2f")
    'no run'
    """
    if not values:
        return "no run"
    mean = _value(math.fsum(values) / len(values), form)
    if len(values) == 1:
        return mean
    return f"{mean} ({', '.join(_value(value, form) for value in values)})"


def _value(value: float, form: str) -> str:
    return "not reached" if value == NOT_REACHED else format(value, form)


def _published(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.3e}"


def _caption(results: Sequence[Result]) -> str:
    runs = [run for result in results for run in result.runs]
    if not runs:
        return "no finished runs"
    sources = "; ".join(sorted({run.data for run in runs}))
    seeds = sorted({run.settings["seed"] for run in runs})
    predictor = {f"{run.mean_mse:.2e}" for run in runs}
    return (
        f"Data: {sources}. Seeds {', '.join(map(str, seeds))}. The mean training "
        f"target scores {', '.join(sorted(predictor))}. Errors are of the validation "
        "data, evaluated after smoothing at level 0 unless the config says otherwise. "
        "Evaluations are gradients, one for each example at any level; seconds are of "
        "training, without evaluating and compiling. The paper's numbers for MNIST are "
        "for the full set; it gives no seconds and no repeats."
    )
