"""Wrong calls of `plan`, `warm_start` and the compile cache."""

from __future__ import annotations

import os
from functools import cache

import keras
from wrong_calls import INF, NAN, Calls, integers, numbers, objects
from wrong_calls_fits import NO_DATA, NO_HELD_OUT, NO_WEIGHTS, UNTARGETED, X, trained
from wrong_calls_models import EMPTY, _topologies

import msann_keras as ms


@cache
def model():
    """A compiled plain model of 8-4-8."""
    layers = (keras.layers.Dense(4), keras.layers.Dense(8))
    result = keras.Sequential([keras.Input((8,)), *layers])
    result.compile("adam", "mse", run_eagerly=True)
    result.optimizer.build(result.trainable_variables)
    return result


def uncompiled():
    return keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])


def subclassed():
    class Mine(keras.Model):
        def call(self, x):
            return x

    return Mine()


def state():
    """All that a refused call must leave as it was."""
    return [v.numpy() for v in (*model().variables, *model().optimizer.variables)]


DEPTHS = [x for x in integers(0, 3) if not isinstance(x, str)] + ["deep", "", "AUTO"]
#: A list of rows is an array, and one without rows is not; `None` stands for batches.
ALSO = ("input", "inputs", "targets", "sample", "topology", "size", "nodes")


def warm_start_calls():
    """Name and calls of each function."""
    models = [*objects(), "ab", EMPTY, subclassed(), keras.layers.Dense(8), keras.Model]
    shared = {
        "x": [*NO_DATA, None, UNTARGETED],
        "y": NO_DATA,
        "topology": _topologies(),
        "depth": DEPTHS,
    }
    right = {"model": model(), "x": X, "y": X, "depth": 1, "batch_size": 4}
    right["topology"] = "path"  # these data are noise, which lives nowhere
    also = (*ALSO, "layer", "functional", "built")

    plan, start = ms.plan, ms.warm_start
    wrong = shared | {"model": models, "batch_size": integers(1, none=False)}
    yield "plan", Calls(plan, right, watch=state, also=also, **wrong)
    alone = [UNTARGETED, 3, iter([X]), iter([]), iter([(X, X, X, X)]), "ab"]
    for function in (plan, start):

        def without_targets(x, function=function):
            return function(model(), x, depth=1)

        yield function.__name__, Calls(without_targets, also=also, x=alone)
    strangers = [*models, uncompiled(), trained()]
    wrong = shared | {
        "model": strangers,
        "batch_size": [
            *(x for x in integers(1, none=False) if not isinstance(x, list)),
            *(17, 10**9, [], [4, 0], [4, "8"], [4, None], [[4]], [4, 17]),
        ],
        "sample_weight": NO_WEIGHTS,
        "validation_data": [x for x in NO_HELD_OUT if x is not None],
        "seconds": numbers(0, -1, none=False),
        "callbacks": [3, "ab", [3], [None], ["no"], object(), {"a": 3}, True, 1.5],
        "verbose": [*integers(0, 2, none=False), "no", "", "AUTO"],
    }
    right = right | {"seconds": 0.01, "verbose": 0}
    yield (
        "warm_start",
        Calls(start, right, watch=state, also=(*also, "compiled"), **wrong),
    )
    wide = keras.layers.Dense(16, "relu"), keras.layers.Dense(8)
    part = keras.Sequential([keras.Input((8,)), *wide])
    parts = [*models, uncompiled()]
    yield "thinner", Calls(ms.thinner, part=parts, also=also)
    right = {"thin": ms.thinner(part), "part": part}
    wrong = {"thin": [*models, uncompiled(), part], "part": [*parts, right["thin"]]}
    yield "prolong", Calls(ms.prolong, right, also=(*also, "thin"), **wrong)
    folders = [3, 1.5, NAN, INF, True, b"x", [], {}, object(), len, 1j]
    folders += ["/proc/no such/folder", os.devnull, "a\0b"]
    yield "enable_compile_cache", Calls(ms.enable_compile_cache, folder=folders)
    bases = [*objects(), "path", ms.path, 8, {}]
    yield (
        "slower",
        Calls(ms.slower, {"base": ms.path(8)}, base=bases, least=integers(1)),
    )
