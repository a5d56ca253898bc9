"""The modules of the library that need no framework, without loading one.

`import msann_keras` loads Keras and TensorFlow, since it registers layers that saved
models name. Its `schedules` and `cost` are plain Python, and a page of results needs no
more. So they are loaded under a package that stands in for the real one meanwhile.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType

PACKAGE = "msann_keras"


def load(*names: str) -> list[ModuleType]:
    """Modules of the library by name; the real package's, if it is loaded already."""
    if PACKAGE in sys.modules:
        return [importlib.import_module(f"{PACKAGE}.{name}") for name in names]
    stand_in = ModuleType(PACKAGE)
    stand_in.__path__ = find_spec(PACKAGE).submodule_search_locations
    sys.modules[PACKAGE] = stand_in
    try:
        return [importlib.import_module(f"{PACKAGE}.{name}") for name in names]
    finally:  # so that a later `import msann_keras` is the whole one
        for name in [x for x in sys.modules if x.partition(".")[0] == PACKAGE]:
            del sys.modules[name]


schedules, cost = load("schedules", "cost")
