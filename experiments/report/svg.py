"""Matplotlib's figures inside a page, in the page's colours."""

from __future__ import annotations

import io
import re

from matplotlib import rc_context
from matplotlib.figure import Figure

from experiments.report.drawing import FAINT, INK, RC, SHADES, SOFT

#: Colours that the page has its own values for, light and dark.
VARIABLES = {
    INK: "--ink",
    SOFT: "--soft",
    FAINT: "--faint",
    **{shade: f"--shade-{i}" for i, shade in enumerate(SHADES)},
}


def save(figure: Figure, target, form: str) -> None:
    """Write a figure the same way each time, with text as text.

    Args:
        figure: A figure.
        target: A path or a buffer.
        form: "svg" or "png".
    """
    metadata = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
    with rc_context(RC | {"svg.hashsalt": "report"}):
        figure.savefig(
            target, format=form, metadata=metadata, dpi=150, transparent=form == "svg"
        )


def inline(figure: Figure, name: str, label: str) -> str:
    """An `<svg>` element for a page that holds several.

    Args:
        figure: A figure.
        name: Put before its ids, which would else be those of every figure.
        label: What a screen reader says; plain text, without quotes or angle brackets.
    """
    buffer = io.StringIO()
    save(figure, buffer, "svg")
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    # Its width comes from the page, its proportions from the view box.
    width = round(figure.get_figwidth() * 96)
    start = f'<svg role="img" aria-label="{label}" style="--width: {width}px"'
    head, rest = text.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    return head.replace("<svg", start, 1) + ">" + rest
