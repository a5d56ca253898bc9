"""Code in the docs is run: a page's blocks in order, in one namespace."""

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


pytest_collect_file = Sybil(
    parsers=[SkipParser(), PythonCodeBlockParser(), CommandParser("sh")],
    patterns=["docs/*.md"],
).pytest()
