"""Tables from run files: ours beside the paper's."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from experiments.config import Config
from experiments.published import TABLES
from experiments.runs import Result
from experiments.schemes import Scheme


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
        shape = (
            f"({scheme.gamma}, {scheme.depth}, {scheme.smoothing_steps})"
            if scheme.depth
            else ""
        )
        out.add_row(
            scheme.label + _origin(borrowed, len(runs)),
            shape,
            described(scheme),
            across([run.final_mse for run in runs], ".3e", "diverged"),
            across([run.reached("cost") for run in runs], ".3e"),
            across([run.reached("evaluations") for run in runs], ".3e"),
            across([run.reached("seconds") for run in runs], ".1f"),
            across([run.history[-1].evaluations for run in runs], ".3e"),
            across([run.history[-1].seconds for run in runs], ".1f"),
        )
    out.add_section()
    if config.published:
        paper = TABLES[config.published]
        for column in paper.final:
            out.add_row(
                f"paper: {column}",
                "",
                paper.optimizers[0] if len(paper.optimizers) == 1 else "",
                across([paper.final[column].value], ".3e"),
                across([paper.tenth[column].value], ".3e"),
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


def across(values: Sequence[float], form: str, infinite: str = "not reached") -> str:
    """Every seed's value, after their mean if there are several.

    Args:
        values: One a seed.
        form: Of a finite one.
        infinite: What an infinite one is called.

    >>> across([0.25, 0.75], ".2f"), across([0.25, math.inf], ".2f")
    ('0.50 (0.25, 0.75)', 'not reached (0.25, not reached)')
    >>> across([], ".2f")
    'no run'
    """
    if not values:
        return "no run"
    mean = math.fsum(values) / len(values)
    mean, *each = (
        format(value, form) if math.isfinite(value) else infinite
        for value in (mean, *values)
    )
    return f"{mean} ({', '.join(each)})" if len(each) > 1 else mean


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
