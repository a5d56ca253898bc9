"""Training on several devices and in several processes is training on one."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

TESTS = Path(__file__).parent
EXAMPLES = TESTS.parent / "examples"
sys.path.append(str(EXAMPLES))

from launch import addresses, start  # noqa: E402

BACKEND = keras.backend.backend()
if BACKEND == "torch":
    pytest.skip("Keras distributes nothing on torch", allow_module_level=True)

# On TensorFlow four processes train for a minute or more; `make test-kill` runs them.
pytestmark = [pytest.mark.slow] if BACKEND == "tensorflow" else []

PLACES = {
    "tensorflow": ["replicas", "worker 0", "worker 1"],
    "jax": ["replicas", "parts"],
}
CASES = [
    *("every level", "level 0", "level 1", "level 2", "W-cycles", "rates of levels"),
    *("three steps a call", "an optimizer with momentum", "depth 0"),
    *("warm start", "warm start, then fit"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the script has saved, by the place where it ran."""
    folder, script = tmp_path_factory.mktemp("replicas"), TESTS / "on_replicas.py"
    environment = os.environ | {"PYTHONPATH": str(TESTS.parent)}
    places = ["one", *dict.fromkeys(x.partition(" ")[0] for x in PLACES[BACKEND])]
    running = []
    for place in places:
        arguments = [place, str(folder / place)]
        if place == "worker":
            running += start(script, ["workers", folder / "worker "], addresses(2))
        else:
            command = [sys.executable, script, *arguments]
            running.append(subprocess.Popen(command, env=environment))
    assert [one.wait(timeout=900) for one in running] == [0] * len(running)
    return {
        place: np.load(folder / f"{place}.npz") for place in ["one", *PLACES[BACKEND]]
    }


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("place", PLACES[BACKEND])
def test_several_devices_are_as_one(results, place, case):
    if "worker" in place and "fit" in case:
        pytest.skip("Keras does not train plain models there (keras#20585)")
    expected = results["one"][case]
    assert np.ptp(expected) > 0.1  # it has trained something
    np.testing.assert_allclose(results[place][case], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("place", ["one", *PLACES[BACKEND]])
def test_a_dear_level_learns_on_all_devices(results, place):
    assert results[place]["error after a start on all devices"] < 0.02


@pytest.mark.parametrize("place", ["one", *PLACES[BACKEND]])
def test_cycles_on_coarsened_data_are_refused_by_the_name_of_the_place(results, place):
    names = {"jax": {"replicas": "DataParallel", "parts": "ModelParallel"}}
    name = names.get(BACKEND, {}).get(place, "MirroredStrategy")
    message = str(results[place]["refusal"])
    if place == "one":
        assert not message
    else:
        assert "on one device" in message
        assert name in message


@pytest.mark.skipif(BACKEND != "tensorflow", reason="there are workers on TensorFlow")
def test_workers_that_start_in_their_own_time_go_on_with_the_same(results):
    one, two = (results[f"worker {index}"]["auto"] for index in range(2))
    assert np.ptp(one) > 0.1
    np.testing.assert_array_equal(one, two)
