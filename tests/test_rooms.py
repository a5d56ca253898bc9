"""Rooms: imports go one way, 1 and 2 know no framework, and all is documented."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Who may import whom: a room imports itself and the rooms before it.
ROOMS = [
    ["msann.checks", "msann.schedules", "msann.cost"],
    ["msann.arrays", "msann.graphs"],
    ["msann.prolongation"],
    ["msann.optimal"],
    ["msann.topology"],
    ["msann.hierarchy"],
    [
        "msann_keras.initializers",
        "msann_keras.layers",
        "msann_keras.optimizers",
        "msann_keras.multilevel_optimizer",
    ],
    [
        "msann_keras.merge",
        "msann_keras.coarse",
        "msann_keras.feeding",
        "msann_keras.engine",
        "msann_keras.coarse_fit",
        "msann_keras.models",
        "msann_keras.convert",
        "msann_keras.callbacks",
    ],
    ["msann", "msann_keras"],
    ["experiments"],
    ["benchmarks"],
]
ROOM_OF = {name: number for number, names in enumerate(ROOMS) for name in names}

#: What the pure package may import beside the standard library.
LIBRARIES = {"numpy", "scipy", "networkx", "pyamg", "platformdirs"}


def name_of(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    name_of(file): file
    for folder in ("msann", "msann_keras", "experiments", "benchmarks")
    for file in sorted((ROOT / folder).rglob("*.py"))
}
PURE = [name for name in FILES if name.partition(".")[0] == "msann"]
OURS = [name for name in FILES if name.startswith("msann")]


def room(module):
    """The room of a module or of the package that it is in; None for a stranger."""
    while module not in ROOM_OF and "." in module:
        module = module.rpartition(".")[0]
    return ROOM_OF.get(module)


def imports(module, source):
    """Modules that `source` imports anywhere, submodules of ours by full name."""
    found = set()
    is_package = module in FILES and FILES[module].name == "__init__.py"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: len(module.split(".")) - node.level + is_package]
            origin = ".".join([*base * (node.level > 0), *filter(None, [node.module])])
            for alias in node.names:
                full = f"{origin}.{alias.name}"
                found.add(full if full in FILES else origin)
    return found


IMPORTS = {name: imports(name, file.read_text()) for name, file in FILES.items()}


def test_no_import_hides():
    source = """
def lazy():
    import numpy.linalg as la
    from . import coarse
    from msann.topology.others import shuffled
    from msann import schedules
    from msann_keras import multilevel
"""
    assert imports("msann_keras.layers", source) == {
        "numpy.linalg",
        "msann_keras.coarse",
        "msann.topology.others",
        "msann.schedules",
        "msann_keras",
    }
    relative = "from ..cost import shares"
    assert imports("msann.topology.others", relative) == {"msann.cost"}
    assert imports("msann", "from .cost import shares") == {"msann.cost"}


@pytest.mark.parametrize("module", FILES)
def test_every_module_has_a_room(module):
    depth = 2 if module.startswith("msann") else 1
    assert ".".join(module.split(".")[:depth]) in ROOM_OF


@pytest.mark.parametrize("module", FILES)
def test_imports_go_down(module):
    uphill = {name for name in IMPORTS[module] if (room(name) or 0) > room(module)}
    assert not uphill


def test_no_cycles():
    graph = {name: IMPORTS[name] & FILES.keys() - {name} for name in FILES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(FILES)


@pytest.mark.parametrize("module", PURE)
def test_libraries_of_the_pure_package(module):
    outside = {name.partition(".")[0] for name in IMPORTS[module]} - {"msann"}
    assert outside <= LIBRARIES | sys.stdlib_module_names


@pytest.mark.parametrize("name", [name for name in PURE if room(name) == 0])
def test_the_first_room_is_plain_python(name):
    imported = {name.partition(".")[0] for name in IMPORTS[name]}
    assert imported <= sys.stdlib_module_names | {"msann"}


def test_the_pure_package_runs_without_keras():
    """In a fresh process, as anybody would import it."""
    program = f"""
import importlib, sys
for name in {PURE}:
    importlib.import_module(name)
print(*sorted(name for name in sys.modules if "." not in name))
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(run.stdout.split())
    assert "numpy" in loaded
    assert not loaded & {"keras", "tensorflow", "jax", "torch"}


def is_setter(node):
    return any(ast.unparse(d).endswith(".setter") for d in node.decorator_list)


@pytest.mark.parametrize("module", OURS)
def test_public_names_have_docstrings(module):
    def undocumented(node, name):
        if not ast.get_docstring(node):
            yield name
        if isinstance(node, ast.Module | ast.ClassDef):
            kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
            for child in node.body:
                if isinstance(child, kinds) and not (
                    child.name.startswith("_") or is_setter(child)
                ):
                    yield from undocumented(child, f"{name}.{child.name}")

    assert not list(undocumented(ast.parse(FILES[module].read_text()), module))
