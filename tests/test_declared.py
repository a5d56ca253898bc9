"""What each package imports is declared in setup.cfg, for those who install it."""

import ast
import configparser
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"msann", "msann_keras", "experiments", "benchmarks"}
#: The extras that users of each folder install.
EXTRAS = {
    "msann": ["prolongation"],
    "msann_keras": ["prolongation", "tensorflow", "jax"],
    "experiments": ["tensorflow", "experiments", "benchmarks"],
    "benchmarks": ["tensorflow", "experiments", "benchmarks"],
    "docs": ["docs"],
    "tests": [
        "tensorflow",
        "experiments",
        "prolongation",
        "benchmarks",
        "docs",
        "dev",
        "jax",
    ],
}


def names(requirements):
    """Of distributions, one a line, as package indexes compare them."""
    lines = [line for line in requirements.splitlines() if re.match(r"\w", line)]
    return {normal(re.match(r"[\w.-]+", line)[0]) for line in lines}


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(folder):
    """Top-level modules from elsewhere that any file of a folder imports."""
    files = list((ROOT / folder).rglob("*.py"))
    beside = [*files, *(ROOT / "examples").glob("*.py")] if folder == "tests" else []
    own = OURS | {file.stem for file in beside}
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.partition(".")[0])
    return found - own - set(sys.stdlib_module_names)


@pytest.mark.parametrize("folder", EXTRAS)
def test_imports_are_declared(folder):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    declared = names(setup["options"]["install_requires"])
    for extra in EXTRAS[folder]:
        declared |= names(setup["options.extras_require"][extra])
    distributions = packages_distributions()
    # What is not here is another backend, called as its distribution is.
    needed = {module: set(map(normal, distributions.get(module, [module])))
              for module in imported(folder)}  # fmt: skip
    assert needed
    assert not {module for module, names in needed.items() if not names & declared}


def test_make_installs_every_extra():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    installed = re.search(r"--editable '\.\[(.*)\]'", makefile)[1]
    # PostgreSQL's driver is among the tools, too, and a backend has its own .venv.
    elsewhere = {"postgresql", "jax", "torch"}
    assert {*installed.split(","), *elsewhere} == set(setup["options.extras_require"])
