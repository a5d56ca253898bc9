"""Wrong calls of every public name are refused, by name and at once.

A wrong call raises `ValueError` or `TypeError` (of a path, `OSError`) that a check of
ours or of Keras's raised, whose message names the argument or repeats the value, within
five seconds, and leaves weights, optimizers and folders as they were.
"""

import resource
from inspect import signature
from itertools import chain
from types import ModuleType

import keras
import pytest
from wrong_calls_files import file_calls
from wrong_calls_fits import fit_calls
from wrong_calls_models import model_calls
from wrong_calls_plain import plain_calls
from wrong_calls_prolongations import prolongation_calls
from wrong_calls_warm_start import warm_start_calls

import msann_keras as ms

ROOMS = (
    *(plain_calls, prolongation_calls, model_calls, fit_calls, file_calls),
    warm_start_calls,
)


def public(module, prefix=""):
    """What can be called wrongly in a module and in its modules, by name."""
    result = {}
    for name in getattr(module, "__all__", None) or _defined_in(module):
        value = getattr(module, name)
        if isinstance(value, ModuleType):
            inner = public(value, f"{name}.").items()
            result |= {k: v for k, v in inner if v not in result.values()}
        elif callable(value) and not _holds_anything(value):
            result[prefix + name] = value
    return result


def _defined_in(module):
    for name, value in vars(module).items():
        home = getattr(value, "__module__", None)
        if home == module.__name__ and not name.startswith("_"):
            yield name


def _holds_anything(value):
    """Without arguments, or a named tuple: checked by whom it is given to."""
    is_tuple = isinstance(value, type) and issubclass(value, tuple)
    return is_tuple or not signature(value).parameters


#: What can be called wrongly beside the public names of `msann_keras`.
OTHERS = [
    *("Topology", "topology.chain", "topology.resolve"),
    *("prolongation.closed_forms", "prolongation.closed_form", "prolongation.Identity"),
    *("prolongation.Aggregation", "prolongation.Matrix", "prolongation.Kronecker"),
    *("prolongation.apply", "prolongation.compose", "prolongation.permuted"),
    *("prolongation.as_aggregation", "optimal.Objective", "optimal.minimal_matching"),
    *("optimal.start", "optimal.minimise", "optimal.least_eigenvalue"),
    *("fit on coarsened data", "fit with the fine gradient", "callbacks of fit"),
    *("load_model", "load_weights", "set_weights", "save", "config"),
]
NAMES = [*public(ms), *OTHERS]


@pytest.fixture(scope="module")
def table():
    """The calls by name; made once, since models are trained for them."""
    rows = {name: [] for name in NAMES}
    for name, calls in chain(*(room() for room in ROOMS)):
        rows[name].append(calls)
    return rows


@pytest.fixture(autouse=True, scope="module")
def bounded():
    """Errors with their whole traceback, and an end to memory before the machine's."""
    keras.config.disable_traceback_filtering()
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 6 * 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)
    keras.config.enable_traceback_filtering()


@pytest.mark.quick(2)
@pytest.mark.parametrize("name", NAMES)
def test_wrong_calls_are_refused(name, table):
    faults = [fault for calls in table[name] for fault in calls.faults()]
    count = sum(map(len, table[name]))
    if faults:
        pytest.fail(f"{len(faults)} of {count}:\n" + "\n".join(faults), pytrace=False)


@pytest.mark.thorough
@pytest.mark.parametrize("name", NAMES)
def test_the_right_calls_are_right(name, table):
    for calls in table[name]:
        if calls.right:
            calls.function(**calls.right)


def test_the_table_is_large_and_has_every_public_name(table):
    assert all(table.values())
    assert sum(len(calls) for rows in table.values() for calls in rows) >= 1000


#: A name is Keras's to check, and another argument's name comes from our own code.
UNTRIED = {"name", "argument", "args", "kwargs"}


@pytest.mark.parametrize("name", public(ms))
def test_every_argument_is_tried(name, table):
    tried = {argument for calls in table[name] for argument in calls.wrong}
    assert signature(public(ms)[name]).parameters.keys() <= tried | UNTRIED
