"""Rooms: imports go down, the mathematics knows no framework, all is documented."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: From low to high: a module imports from its own room and from those before it.
ROOMS = [
    *("msann.checks", "msann.schedules", "msann.cost"),  # plain Python
    *("msann.arrays", "msann.graphs", "msann.prolongation", "msann.optimal"),
    *("msann.topology", "msann.hierarchy", "msann.energy", "msann.choice", "msann"),
    *("msann_keras.keras_private", "msann_keras.focus", "msann_keras.transfer"),
    "msann_keras.backends",
    *("msann_keras.inputs", "msann_keras.initializers", "msann_keras.layers"),
    *("msann_keras.kinds", "msann_keras.spaces", "msann_keras.topologies"),
    *("msann_keras.averages", "msann_keras.coarse_networks"),
    *("msann_keras.coarsening", "msann_keras.coarse_forms", "msann_keras.samples"),
    "msann_keras.level_plans",
    *("msann_keras.images.stencils", "msann_keras.images.channels"),
    *("msann_keras.images.fields", "msann_keras.images.views"),
    *("msann_keras.images.chains", "msann_keras.images.levels"),
    *("msann_keras.images.plan", "msann_keras.images"),
    *("msann_keras.looks", "msann_keras.lost", "msann_keras.plan"),
    *("msann_keras.compile_cache", "msann_keras.optimizers"),
    *("msann_keras.nested.statistics", "msann_keras.nested.data"),
    *("msann_keras.nested.handover", "msann_keras.nested.optimizer"),
    *("msann_keras.nested.level", "msann_keras.nested.ahead"),
    "msann_keras.nested.parts",
    *("msann_keras.nested.leaving", "msann_keras.nested.mean"),
    *("msann_keras.nested.audience", "msann_keras.nested.record"),
    *("msann_keras.nested.iteration", "msann_keras.nested.warm_start"),
    *("msann_keras.nested.multilevel", "msann_keras.nested"),
    "msann_keras.session",
    *("msann_keras.engines", "msann_keras.engines.fine_gradient"),
    *("msann_keras.engines.coarsened", "msann_keras.engines.coarsened.compiled"),
    "msann_keras.engines.coarsened.averages",
    "msann_keras.engines.coarsened.network",
    "msann_keras.engines.coarsened.data",
    "msann_keras.engines.coarsened.level",
    "msann_keras.engines.coarsened.program",
    "msann_keras.engines.coarsened.engine",
    *("msann_keras.callbacks", "msann_keras.merge", "msann_keras.model"),
    *("msann_keras.convert", "msann_keras"),
    "experiments",
    "benchmarks",
]
ROOM_OF = {name: number for number, name in enumerate(ROOMS)}
#: The last room without a library.
PLAIN = ROOM_OF["msann.cost"]

#: Most lines of a file.
LONGEST = 350

#: What the pure package may import beside the standard library.
LIBRARIES = {"numpy", "scipy", "networkx", "pyamg", "platformdirs"}


def name_of(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FOLDERS = ("msann", "msann_keras", "experiments", "benchmarks")
FILES = {
    name_of(file): file
    for folder in FOLDERS
    for file in sorted((ROOT / folder).rglob("*.py"))
}
TESTS = sorted(Path(__file__).parent.rglob("*.py"))
PURE = [name for name in FILES if name.partition(".")[0] == "msann"]
OURS = [name for name in FILES if name.startswith("msann")]


def room(module):
    """The room of a module or of the package that it is in; None for a stranger."""
    while module not in ROOM_OF and "." in module:
        module = module.rpartition(".")[0]
    return ROOM_OF.get(module)


def is_divided(name):
    """Whether a package has rooms for its modules."""
    return any(other.startswith(f"{name}.") for other in ROOMS)


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
    from . import spaces
    from msann.topology.others import shuffled
    from msann import schedules
    from msann_keras import multilevel
"""
    assert imports("msann_keras.merge", source) == {
        "numpy.linalg",
        "msann_keras.spaces",
        "msann.topology.others",
        "msann.schedules",
        "msann_keras",
    }
    relative = "from ..cost import shares"
    assert imports("msann.topology.others", relative) == {"msann.cost"}
    assert imports("msann", "from .cost import shares") == {"msann.cost"}


@pytest.mark.parametrize("module", FILES)
def test_every_module_has_a_room(module):
    """Of its own, or that of a package which has one for all."""
    listed = ROOMS[room(module)]
    assert module == listed or not is_divided(listed)


@pytest.mark.parametrize("name", ROOMS)
def test_no_room_is_empty(name):
    assert name in FILES or any(module.startswith(f"{name}.") for module in FILES)


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


@pytest.mark.parametrize("name", [name for name in PURE if room(name) <= PLAIN])
def test_the_lowest_rooms_are_plain_python(name):
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


def test_no_test_imports_another():
    names = {file.stem for file in TESTS if file.stem.startswith("test_")}
    found = {file.stem: imports(file.stem, file.read_text()) & names for file in TESTS}
    assert not {name: others for name, others in found.items() if others}


def test_no_file_is_long():
    lines = {
        str(file.relative_to(ROOT)): len(file.read_text().splitlines())
        for file in [*FILES.values(), *TESTS]
    }
    assert not {name: count for name, count in lines.items() if count > LONGEST}


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
