"""What every test shares: one Hypothesis profile, and quick garbage collection."""

import gc

import pytest
from hypothesis import settings

# Timing depends on the machine, and a red test must be red again tomorrow.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")


@pytest.fixture(autouse=True, scope="module")
def _old_objects_are_left_alone():
    """Programs of earlier files are a million objects that no collection need visit."""
    yield
    gc.collect()
    gc.freeze()
