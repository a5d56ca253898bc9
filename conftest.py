"""Code in the docs is run: a page's blocks in order, in one namespace."""

import os

from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser


class CommandParser(CodeBlockParser):
    """Commands are not run, and a page says why."""

    def evaluate(self, example):
        """Fail, since no `skip` stands before the block."""
        raise AssertionError(
            'A block of commands needs `<!-- skip: next "why" -->` before it. '
            f"Received:\n{example.parsed}"
        )


def tell_slow(names):
    """Let pages ask whether slow blocks are run: `skip: next if(not slow, ..)`."""
    names["slow"] = bool(os.environ.get("SLOW_BLOCKS"))


pytest_collect_file = Sybil(
    parsers=[SkipParser(), PythonCodeBlockParser(), CommandParser("sh")],
    patterns=["docs/*.md"],
    setup=tell_slow,
).pytest()
