"""Rooms: imports go one way, 1 and 2 know no framework, and all is documented."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {
    1: ["schedules", "cost", "graphs"],
    2: ["prolongation"],
    3: ["initializers", "layers", "optimizers", "multilevel_optimizer"],
    4: [
        "merge",
        "coarse",
        "feeding",
        "engine",
        "coarse_fit",
        "models",
        "convert",
        "callbacks",
    ],
}
ROOM_OF = {
    f"msann_keras.{name}": room for room, names in ROOMS.items() for name in names
}
ROOM_OF |= {"msann_keras": 4, "experiments": 5, "benchmarks": 5}

#: What a room may import beside the standard library and the rooms below it.
NUMERICS = {"numpy", "scipy", "networkx"}
LIBRARIES = {
    1: NUMERICS,
    2: NUMERICS | {"pyamg", "platformdirs", "pymanopt"},
    3: {"numpy", "keras"},
}


def name_of(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    name_of(file): file
    for folder in ("msann_keras", "experiments", "benchmarks")
    for file in sorted((ROOT / folder).rglob("*.py"))
}
LOW = [name for name in FILES if name.startswith("msann_keras.")]


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
    from . import cost
    from .prolongation.families import path
    from msann_keras import schedules, multilevel
"""
    assert imports("msann_keras.layers", source) == {
        "numpy.linalg",
        "msann_keras.cost",
        "msann_keras.prolongation.families",
        "msann_keras.schedules",
        "msann_keras",
    }
    relative = "from ..cost import shares"
    assert imports("msann_keras.prolongation.families", relative) == {
        "msann_keras.cost"
    }
    assert imports("msann_keras", "from .cost import shares") == {"msann_keras.cost"}


@pytest.mark.parametrize("module", FILES)
def test_every_module_has_a_room(module):
    ours = module.startswith("msann_keras.")
    assert ".".join(module.split(".")[: 2 if ours else 1]) in ROOM_OF


@pytest.mark.parametrize("module", FILES)
def test_imports_go_down(module):
    uphill = {name for name in IMPORTS[module] if (room(name) or 0) > room(module)}
    assert not uphill


def test_no_cycles():
    graph = {name: IMPORTS[name] & FILES.keys() - {name} for name in FILES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(FILES)


@pytest.mark.parametrize("module", [name for name in LOW if room(name) in LIBRARIES])
def test_libraries_of_a_room(module):
    outside = {name.partition(".")[0] for name in IMPORTS[module] if not room(name)}
    assert outside <= LIBRARIES[room(module)] | sys.stdlib_module_names


@pytest.mark.parametrize("name", ["schedules", "cost"])
def test_schedules_and_cost_are_plain_python(name):
    imported = {name.partition(".")[0] for name in IMPORTS[f"msann_keras.{name}"]}
    assert imported <= sys.stdlib_module_names | {"msann_keras"}


def test_rooms_1_and_2_run_without_keras():
    """In a fresh process, the package's own `__init__` left out."""
    modules = [name for name in LOW if room(name) < 3]
    program = f"""
import importlib, sys, types
package = sys.modules["msann_keras"] = types.ModuleType("msann_keras")
package.__path__ = [{str(ROOT / "msann_keras")!r}]
for name in {modules}:
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


@pytest.mark.parametrize("module", [name for name in FILES if "msann_keras" in name])
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
