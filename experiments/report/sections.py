"""Sections of the docs as HTML, so that the report says nothing twice."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt


class MissingSectionError(ValueError):
    """A page of the docs has no section of that name."""


def section(text: str, title: str) -> str:
    """A section's HTML, without its heading; HTML in the text is escaped.

    Args:
        text: Markdown.
        title: Of a heading of level two.

    Raises:
        MissingSectionError: No such heading.

    Example:

    >>> print(section("## One\\n\\n*a*\\n\\n## Two\\n\\n<b>\\n", "Two"))
    <p>&lt;b&gt;</p>
    """
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    bodies = dict(zip(parts[1::2], parts[2::2], strict=True))
    if title not in bodies:
        raise MissingSectionError(
            f"The docs must have the section {title!r}. Received: {list(bodies)}"
        )
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    return markdown.render(bodies[title]).strip()
