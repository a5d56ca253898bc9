"""Tables from run files: ours beside the paper's."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.table import Table

from experiments.config import Config
from experiments.published import TABLES
from experiments.runs import Result
from experiments.schemes import OPTIMIZER_NAMES, Scheme

#: Headings of the parts of a comparison.
PARTS = {
    "paper": "The paper's methods",
    "tuned": "The same network, tuned",
    "ours": "What this library adds",
}
#: What the words of a table mean.
WORDS = (
    "default: the network trained as usual, without levels. (gamma, L, k): there are L "
    "coarser levels; a visit trains one level for k batches, and goes gamma times to "
    "the next coarser one on its way. C(t): the paper's cost, training examples, of "
    "which one at a coarse level counts as that level's share of the parameters. "
    "Gradients: the same, but each counts as one. To tenth: to a tenth of the row's "
    "own first error, as in the paper."
)


def table(config: Config, results: Sequence[Result]) -> Table:
    """A config's schemes, then the paper's numbers."""
    error = common_error(results)
    shown = "?" if error is None else brief(error)
    out = Table(
        title=config.title,
        title_justify="left",
        caption=_caption(config, results, shown),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    out.add_column("scheme", no_wrap=True)
    for name in (
        "final\nMSE",
        "to tenth\nC(t)",
        f"to {shown}\nC(t)",
        f"to {shown}\ngradients",
        f"to {shown}\nseconds",
        "compile\nseconds",
        "train\nseconds",
    ):
        # A number that is cut off would be a wrong one.
        out.add_column(name, justify="right", overflow="fold")
    part = None
    for result in results:
        if (scheme := result.scheme).part != part:
            part = scheme.part
            out.add_section()
            out.add_row(f"[bold]{PARTS[part]}" if part else "")
        out.add_row(*_row(result, error, clock=is_timed(config, result)))
    for name in config.published:
        paper = TABLES[name]
        out.add_section()
        out.add_row(f"[bold]{name}, as published")
        for column, cell in paper.final.items():
            tenth = paper.tenth[column]
            out.add_row(
                f"  {column}{_shapes(cell.shape, tenth.shape)}",
                across([cell.value], ".3g"),
                across([tenth.value], ",.0f"),
            )
    return out


def _row(result: Result, error: float | None, clock: bool) -> list[str]:
    scheme, runs, borrowed = result
    name = scheme.label + _origin(borrowed, len(runs))
    shape = f"{_shape(scheme)} " if scheme.depth else ""
    ends = f"\n    to {scheme.until:g} of its first error" if scheme.until else ""
    if scheme.warm_start and runs and not any(run.history[1].cost for run in runs):
        ends = "\n    the plan says: no start" + ends

    def seconds(values):
        if runs and not clock:
            return "not timed"
        return across(values, ".1f")

    return [
        f"  {name}\n    {shape}{described(scheme)}{ends}",
        across([run.final_mse for run in runs], ".3g", "diverged"),
        across([run.reached("cost") for run in runs], ",.0f"),
        across([run.reached("cost", error) for run in runs], ",.0f"),
        across([run.reached("evaluations", error) for run in runs], ",.0f"),
        seconds([run.reached("seconds", error) for run in runs]),
        seconds([run.compile_seconds for run in runs]),
        seconds([run.history[-1].seconds for run in runs]),
    ]


def is_timed(config: Config, result: Result) -> bool:
    """Whether a scheme's seconds may stand beside others: all made here, if asked."""
    return bool(result.runs) and not (config.alone and result.borrowed)


def common_error(results: Sequence[Result]) -> float | None:
    """One error for all: a tenth of the highest first one, so the easiest tenth."""
    firsts = [run.history[0].mse for result in results for run in result.runs]
    return max(firsts) / 10 if firsts else None


def brief(error: float) -> str:
    """An error in three digits, rounded up: what reaches the error reaches this.

    >>> brief(0.025651), brief(0.00041)
    ('0.0257', '0.00041')
    """
    digit = 10.0 ** (math.floor(math.log10(error)) - 2)
    return f"{math.ceil(round(error / digit, 6)) * digit:.3g}"


def _shape(scheme: Scheme) -> str:
    growth = f" x {scheme.growth:g}^l" if scheme.growth > 1 else ""
    return f"({scheme.gamma}, {scheme.depth}, {scheme.smoothing_steps}{growth})"


def _shapes(final, tenth) -> str:
    """The cells that the paper names."""
    if final is None:
        return ""
    return f" {final}" + (f",\n    tenth {tenth}" if tenth != final else "")


def _origin(borrowed: int, runs: int) -> str:
    if not borrowed:
        return ""
    return " (from results/)" if borrowed == runs else f" ({borrowed} from results/)"


def described(scheme: Scheme) -> str:
    """The optimizer and its learning rate, for a row or a legend."""
    return f"{OPTIMIZER_NAMES[scheme.optimizer]} {scheme.learning_rate:g}"


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


def _caption(config: Config, results: Sequence[Result], error: str) -> str:
    runs = [run for result in results for run in result.runs]
    if not runs:
        return "no finished runs"
    sources = "; ".join(sorted({run.data for run in runs}))
    seeds = sorted({run.settings["seed"] for run in runs})
    predictor = {f"{run.mean_mse:.3g}" for run in runs}
    seconds = (
        "are of runs made one at a time, on all cores"
        if config.alone
        else "compare only roughly if runs were made beside others or elsewhere"
    )
    return (
        f"{WORDS} To {error}: one error for all rows, a tenth of the highest first.\n"
        "Errors (MSE) are of the validation data, evaluated after training level 0 "
        f"unless the config says otherwise. Always answering the mean training target "
        f"has {', '.join(sorted(predictor))}. Seconds are of training, without "
        "evaluating and compiling (a warm start's with its own compiling), and "
        f"{seconds}.\n"
        f"Data: {sources}. Seeds: {', '.join(map(str, seeds))}. The paper's numbers "
        "for MNIST are of the full set; it gives no seconds and no repeats."
    )
