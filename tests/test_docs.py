"""The docs: no public name is missing, what they quote and name is there."""

import ast
import re
from pathlib import Path

import pytest

import msann.graphs
import msann.schedules
import msann.topology
import msann_keras as ms

ROOT = Path(__file__).parents[1]
PAGES = {
    str(page.relative_to(ROOT)): page.read_text(encoding="utf-8")
    for page in [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
}
DIRECTIVE = re.compile(
    r"^\.\. auto(?:function|class|data|module):: (\S+)$", re.MULTILINE
)
DOCUMENTED = {
    name
    for page, text in PAGES.items()
    if page.startswith("docs/api/")
    for name in DIRECTIVE.findall(text)
}
#: Names that are modules, whose own names are asked for in their turn.
MODULES = {"cost", "graphs", "initializers", "schedules"}


#: Where values stand that are no functions or classes, with what is said of them.
VALUES = "msann.schedules.schedule", "msann.schedules.cycles", "msann.topology.base"


def is_documented(name, *homes):
    return any(f"{home}.{name}" in DOCUMENTED for home in (*homes, *VALUES))


@pytest.mark.parametrize("name", sorted({*ms.__all__} - MODULES))
def test_every_name_of_the_library_is_in_the_docs(name):
    assert is_documented(name, "msann_keras")


@pytest.mark.parametrize("module", [msann.graphs, msann.schedules, msann.topology])
def test_every_name_of_the_mathematics_is_in_the_docs(module):
    homes = (
        module.__name__,
        module.__name__.replace("msann", "msann_keras"),
        ms.__name__,
    )
    missing = [name for name in module.__all__ if not is_documented(name, *homes)]
    assert not missing


def test_modules_without_a_list_of_names_are_in_the_docs_whole():
    whole = {"msann_keras.cost", "msann.energy", "msann.choice"}
    assert whole <= DOCUMENTED
    assert is_documented("Multilevel", "msann_keras.initializers")


def strings(folder):
    """Every text in the code of a package, f-strings in pieces."""
    for file in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def quoted():
    """The first cells of the table of messages, without their backticks."""
    rows = PAGES["docs/troubleshooting.md"].split("## Messages")[1].splitlines()
    cells = [row.split(" | ")[0].removeprefix("| ") for row in rows if row[:3] == "| `"]
    return [re.sub("^(`+) ?(.*?) ?\\1$", r"\2", cell) for cell in cells]


@pytest.mark.thorough
@pytest.mark.parametrize("message", quoted())
def test_messages_that_the_docs_explain_are_the_programs(message):
    known = [*strings("msann"), *strings("msann_keras")]
    assert any(message in text for text in known)


@pytest.mark.parametrize("page", PAGES)
def test_targets_of_make_that_a_page_names_are_there(page):
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.M)
    named = re.findall(r"(?<=[`\n])make ((?:[a-z0-9-]+ ?)+)", PAGES[page])
    unknown = {x for names in named for x in names.split()} - {*targets}
    assert not unknown


@pytest.mark.parametrize("page", PAGES)
def test_paths_that_a_page_names_are_there(page):
    text = re.sub(r"```.*?```", "", PAGES[page], flags=re.S)
    folders = "msann|msann_keras|experiments|benchmarks|tests|docs|configs|examples"
    paths = re.findall(rf"`((?:{folders})/[\w./]*)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", PAGES[page])
    own = [
        link for link in links if "://" not in link and not link.startswith("mailto:")
    ]
    assert [x for x in own if not (ROOT / page).parent.joinpath(x).exists()] == []
