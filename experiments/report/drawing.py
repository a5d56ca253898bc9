"""What all pictures share: colours, text, ticks.

Lines are told apart in grey too: by dash, width and shade.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

#: Level 0 first: the darkest line is L = 0, as in the paper.
SHADES = ("#00224e", "#1f3a6e", "#43516f", "#61666f", "#7f7c75", "#9e9370", "#b3a45c")
INK, SOFT, FAINT = "#111111", "#6a6a6a", "#dcdcdc"
RC = {
    "font.size": 9,
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


class Picture(NamedTuple):
    """A figure, or the reason why there is none.

    Attributes:
        id: For links and file names.
        title: As the paper calls it.
        caption: What it shows, of which runs.
        figure: `None` if nothing was run.
    """

    id: str
    title: str
    caption: str
    figure: Figure | None


def ticks(axis, few=2.2):
    """Numbers at 1, 2, 5 below a `few` decades, else at each decade."""
    low, high = axis.get_view_interval()
    fine = math.log10(high / low) < few
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if fine else (1,)))
    axis.set_major_formatter(
        FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}")
    )
    axis.set_minor_formatter(NullFormatter())
