"""What every table of docs/prolongation.md is made with."""

from __future__ import annotations


def number(value: float) -> str:
    """Eight digits; what is only rounding is 0."""
    return f"{value:.8g}" if abs(value) > 1e-7 else "0"


def table(title: str, text: str, head: list[str], rows: list[list[str]]) -> str:
    """A section of the page: a title, a text and a table."""
    lines = [f"## {title}\n", f"{text}\n", "| " + " | ".join(head) + " |"]
    lines.append("|" + "---|" * len(head))
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
