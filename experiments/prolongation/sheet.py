"""Sheets of matrices: every entry a whole number of pixels, one grey scale for all."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

DPI = 100
#: Pixels: between panels, of a line of a caption, of the sheet's title.
GAP, LINE, TITLE = 24, 15, 34


class Panel(NamedTuple):
    """A matrix and the lines under it."""

    matrix: np.ndarray
    caption: str


def draw(rows: list[list[Panel]], file: Path, title: str, height: int = 256) -> None:
    """Draw absolute values of matrices, white for zero and black for one.

    Args:
        rows: Of panels.
        file: A PNG.
        title: Over the sheet.
        height: Pixels that the tallest matrix of a row should have.
    """
    scales = [
        max(1, height // max(panel.matrix.shape[0] for panel in row)) for row in rows
    ]
    widths = [
        max(
            max(scale * row[i].matrix.shape[1], _text_width(row[i].caption))
            for row, scale in zip(rows, scales, strict=True)
            if i < len(row)
        )
        for i in range(max(map(len, rows)))
    ]
    heights = [
        scale * max(panel.matrix.shape[0] for panel in row)
        + LINE * max(panel.caption.count("\n") + 1 for panel in row)
        for row, scale in zip(rows, scales, strict=True)
    ]
    total = (
        max(sum(widths) + GAP * (len(widths) + 1), _text_width(title) * 3 // 2),
        sum(heights) + GAP * (len(heights) + 1) + TITLE,
    )
    figure = plt.figure(figsize=(total[0] / DPI, total[1] / DPI), dpi=DPI)
    figure.text(GAP / total[0], 1 - GAP / total[1], title, fontsize=11, va="top")
    top = GAP + TITLE
    for row, scale, row_height in zip(rows, scales, heights, strict=True):
        left = GAP
        for panel, width in zip(row, widths, strict=False):
            _panel(figure, panel, left, top, scale, total)
            left += width + GAP
        top += row_height + GAP
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=DPI)
    plt.close(figure)


def _panel(figure, panel, left, top, scale, total):
    rows, columns = panel.matrix.shape
    box = [
        left / total[0],
        1 - (top + scale * rows) / total[1],
        scale * columns / total[0],
        scale * rows / total[1],
    ]
    axes = figure.add_axes(box)
    picture = np.abs(panel.matrix)
    axes.imshow(
        picture, cmap="gray_r", vmin=0, vmax=1, interpolation="none", aspect="auto"
    )
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color="0.6", linewidth=0.6)
    figure.text(
        box[0], box[1] - 5 / total[1], panel.caption, fontsize=7.5, va="top",
        linespacing=1.25,
    )  # fmt: skip


def _text_width(text):
    return max(6 * len(line) for line in text.split("\n"))
