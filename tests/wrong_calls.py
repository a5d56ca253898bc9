"""Generated wrong calls, and what a good refusal of one is.

A table row (`Calls`) is a function, arguments that are right, and for some of them
values that are wrong. Each wrong value in the place of the right one makes one call.
"""

from __future__ import annotations

import re
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

NAN, INF = float("nan"), float("inf")
LIMIT = 5  # seconds that a refusal may take

#: Nothing that any of our numbers may be. (`None` is a default in many places.)
NO_NUMBERS = (
    *("3", b"3", "", "inf", [3], (), {"a": 1}, {3}, range(2), object(), len, ...),
    *(1j, np.complex64(2), NAN, INF, -INF, np.float32("nan"), np.float64("-inf")),
    *(True, False, np.True_, np.array([3]), np.zeros((2, 2)), np.array("3")),
)
NO_INTEGERS = (*NO_NUMBERS, 1.5, 2.0, np.float64(2), np.float32(0.5), 1e30, -0.0)


def integers(least: int = 0, most: int | None = None, none: bool = True) -> tuple:
    """What an integer of such bounds must not be; `none` whether `None` is wrong."""
    low = (least - 1, -(10**9), -(10**30), np.int64(least - 1), np.int8(-100))
    high = () if most is None else (most + 1, 10**9, 10**30, np.int64(2**62))
    return (*NO_INTEGERS, *low, *high, *([None] if none else []))


def numbers(*wrong: Any, none: bool = True) -> tuple:
    """What a finite number must not be, and numbers that are `wrong` in this place."""
    return (*NO_NUMBERS, *wrong, *(np.float64(x) for x in wrong), 10**400) + (
        (None,) if none else ()
    )


def flags() -> tuple:
    """What must be True or False and is not (1 and 0 may pass for them)."""
    return (
        *("no", "yes", "", "False", b"1", [], [True], {}, 2, -1, 0.5, NAN, INF, None),
        *(np.array([True, False]), np.array([]), object(), len, 1j, (), (False,)),
    )


def names(none: bool = True) -> tuple:
    """What must be one of some names and is not."""
    return (
        *("", "no such", " path", "PATH", b"path", 3, 1.5, NAN, True, [], ["path"]),
        *({}, {"path"}, (), object(), len, np.array(["path"]), 1j, -1),
        *((None,) if none else ()),
    )


def objects(none: bool = True) -> tuple:
    """What is no object of any class of ours, nor of Keras's."""
    return (
        *(3, 0, 1.5, NAN, True, b"x", [], [3], (), {3}, object(), 1j, ...),
        *(np.zeros(3), np.zeros((2, 2)), range(3), *((None,) if none else ())),
    )


#: What no matrix of weights of a connected graph of three nodes is.
NO_GRAPHS = (
    *(None, 3, 1.5, NAN, True, "path", "", b"path", object(), 1j, len, {3}, {}, ...),
    *([], (), [[]], [1, 2, 3], [[0, 1], [1]], ["01", "10"], [["a"]], [[None]]),
    *(np.zeros((0, 0)), np.zeros(3), np.array(3.0), np.zeros((2, 3)), np.zeros((2, 2))),
    *(np.ones((2, 2)), [[0, -1], [-1, 0]], [[0, NAN], [NAN, 0]], [[0, INF], [INF, 0]]),
    *([[0, 1], [2, 0]], [[0, 1j], [1j, 0]], np.ones((2, 2, 2)), np.array([["0"]])),
    *(np.array([[0, 1], [1, 0]], dtype=object) * 10**400, [[0, "b"], ["b", 0]]),
)


class Calls:
    """A function, right arguments by name, and wrong values for some of them.

    Args:
        function: Called with one argument replaced.
        right: All that the function needs.
        also: Other words than the argument's name that tell the user what is wrong.
        watch: What must be the same after each call.
        wrong: By argument, the wrong values.
    """

    def __init__(
        self,
        function: Callable,
        right: dict[str, Any] | None = None,
        /,
        *,
        also: Iterable[str] = (),
        watch: Callable = lambda: None,
        **wrong: Iterable,
    ):
        self.function, self.right, self.wrong = function, right or {}, wrong
        self.also, self.watch = tuple(also), watch

    def __len__(self):
        return sum(len(tuple(values)) for values in self.wrong.values())

    def faults(self) -> Iterator[str]:
        """A line for each wrong call that is not refused as it should be."""
        before = self.watch()
        name = getattr(self.function, "__name__", type(self.function).__name__)
        for argument, values in self.wrong.items():
            for value in values:
                fault = self._fault(argument, value)
                after = self.watch()
                if not same(before, after):
                    fault, before = f"{fault or 'refused'}, and left a change", after
                if fault:
                    yield f"{name}({argument}={_short(value)}): {fault}"

    def _fault(self, argument, value):
        began = time.perf_counter()
        try:
            with _alarm(LIMIT):
                result = self.function(**self.right | {argument: value})
        except Hang:
            return f"not refused within {LIMIT} s"
        except (ValueError, TypeError, OSError) as error:
            fault = _fault_of(error, (argument, *self.also), value)
        except Exception as error:
            fault = f"{type(error).__name__}: {_short(error)}"
        else:
            return f"accepted, gives {_short(result)}"
        if time.perf_counter() - began > LIMIT:
            return f"refused after more than {LIMIT} s"
        return fault


class Hang(BaseException):
    """Past the limit; no library catches it."""


def same(a: Any, b: Any) -> bool:
    """Equal plain values, arrays among them, NaN equal to NaN."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and np.array_equal(
            a, b, equal_nan=a.dtype.kind == "f"
        )
    return a == b


#: Who may raise a refusal. Keras's own checks of arguments are as good as ours.
OURS = re.compile(r"^(msann|msann_keras|experiments|keras)(\.|$)")


def _fault_of(error, words, value):
    """What is wrong with a refusal; `None` for a good one."""
    message, kind = str(error), type(error).__name__
    if isinstance(error, OSError):  # the system's, or h5py's, of a path
        return None
    frame, module = traceback.extract_tb(error.__traceback__)[-1], _module_of(error)
    if not OURS.match(module):
        return f"{kind} from {module}: {_short(message)}"
    if not (frame.line or "").startswith("raise"):  # Python's, which nobody foresaw
        return f"raw {kind} in {frame.name}: {_short(message)}"
    named = any(re.search(rf"\b{re.escape(word)}\b", message) for word in words)
    texts = "|".join(re.escape(text) for text in (repr(value), str(value)) if text)
    if not (named or re.search(f"(Received|identifier).*({texts})", message, re.S)):
        return f"does not name {words[0]}: {kind}: {_short(message)}"
    return None


def _module_of(error):
    tb = error.__traceback__
    while tb.tb_next is not None:
        tb = tb.tb_next
    return tb.tb_frame.f_globals.get("__name__", "?")


def _short(value) -> str:
    if isinstance(value, np.ndarray) and value.size > 6:
        return f"array{value.shape}"
    try:
        text = str(value) if isinstance(value, Exception | str) else repr(value)
    except Exception as error:  # a repr of a half-made object
        text = f"<{type(value).__name__}, no repr: {error}>"
    if isinstance(value, str):
        text = text if len(text) > 30 else repr(text)
    text = " ".join(re.sub(r" at 0x[0-9a-f]+", "", text).split())
    return text if len(text) <= 110 else text[:110] + ".."


@contextmanager
def _alarm(seconds):
    def ring(*_):
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
