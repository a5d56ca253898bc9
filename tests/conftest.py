"""What all tests share: a Hypothesis profile, what is quick, garbage collection."""

import gc
from collections import Counter

import pytest
from hypothesis import settings

# Timing depends on the machine, and a red test must be red again tomorrow.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of a test marked `quick(n)`, all cases but the first n are thorough."""
    cases = Counter()
    for item in items:
        if (mark := item.get_closest_marker("quick")) is not None:
            name = item.nodeid.split("[")[0]
            cases[name] += 1
            if cases[name] > mark.args[0]:
                item.add_marker("thorough")


@pytest.fixture(autouse=True, scope="module")
def _old_objects_are_left_alone():
    """Programs of earlier files are a million objects that no collection need visit."""
    yield
    gc.collect()
    gc.freeze()
