"""Wrong calls of layers, models, optimizers and callbacks."""

from __future__ import annotations

import keras
import numpy as np
from wrong_calls import (
    INF,
    NAN,
    Calls,
    flags,
    integers,
    names,
    numbers,
    objects,
)
from wrong_calls_fits import X, converted, fit_once, plain, state, trained
from wrong_calls_plain import NO_TOPOLOGIES

import msann_keras as ms
from msann_keras.focus import training

NO_KERAS_OBJECT = ("no such", 3, 1.5, [], object(), NAN, {"class_name": "No"}, {3}, 1j)
#: Of a model of depth 1: sizes and types by level, as JSON has them.
NO_PACKS = (
    *(3, "ab", [3], True, {"a": (4, "float32")}, {"0": (4, "float32")}, {1.5: (4, "")}),
    *(
        {"2": (4, "float32")},
        {"1": 3},
        {"1": (4,)},
        {"1": (-4, "float32")},
        {"1": None},
    ),
    *({"1": ("4", "float32")}, {"1": (4.5, "float32")}, {"1": (4, "no such")}),
    *({"1": (10**12, "float32")}, {"1": (NAN, "float32")}, object(), {"1": (4, 3)}),
)
NO_NAMES = (3, 1.5, object(), "a/b", b"ab", NAN, True, ["a"])
NO_FACTORS = (
    *objects(none=False),
    *("12", (1,), (1, 1, 1), (2, 1), (1, 0), (1, -1), (1, NAN), (1, INF), (1, "2")),
    *((1, True), (1, None), (1, 1j), [[1, 1]], {1: 1, 2: 2}, np.ones((2, 2)), "no"),
)
EMPTY = keras.Sequential([keras.layers.Dense(8)])  # has not seen its input


@keras.saving.register_keras_serializable("wrong_calls")
class Subclassed(ms.MultilevelModel):
    """Neither functional nor built."""

    def __init__(self):
        super().__init__()
        self.dense = ms.MultilevelDense(8, depth=1)

    def call(self, inputs):
        return self.dense(inputs)


def _layers():
    def make(units=8, depth=1, **options):
        return ms.MultilevelDense(units, depth, **options)(X)

    unknown = dict.fromkeys(
        [
            *("activation", "kernel_initializer", "bias_initializer"),
            *("kernel_regularizer", "bias_regularizer", "activity_regularizer"),
            *("kernel_constraint", "bias_constraint"),
        ],
        NO_KERAS_OBJECT,
    )
    ends = dict.fromkeys(("input_topology", "output_topology"), NO_TOPOLOGIES)
    sizes = {"units": integers(1), "depth": integers(0, most=3)}
    also = ("identifier", "initializer", "activation", "regularizer", "constraint")
    options = {"use_bias": flags(), "start": names()}
    yield "MultilevelDense", Calls(make, **options, **sizes, **ends)
    # Keras's own checks call them all "identifier".
    yield "MultilevelDense", Calls(make, **unknown, also=(*also, "deserialize"))
    layer = ms.MultilevelDense(8, depth=1)
    layer(X)
    before = {"watch": layer.get_weights}
    yield "MultilevelDense", Calls(layer.theta, without=integers(0, 1, none=False))
    kernels = [*objects(), np.zeros((7, 8)), np.zeros((8, 8)) * 1j, np.zeros((1, 8, 8))]
    kernels += [np.full((8, 8), "a"), [[1], [1, 2]], "ab"]
    biases = [*objects(), np.zeros(7), np.zeros((8, 1)), np.zeros(8) * 1j, ["a"] * 8]
    right = dict(zip(("kernel", "bias"), layer.theta(), strict=True))
    wrong = {"kernel": kernels, "bias": biases}
    calls = Calls(layer.set_theta, right, **before, **wrong, also=("shapes",))
    yield "MultilevelDense", calls

    def train(level):
        with training(level, [layer]):
            return layer(X)

    yield "MultilevelDense", Calls(train, {"level": 0}, level=integers(-1, 1))
    shapes = [
        X[:, :7],
        X[0],
        np.array(3.0),
        X[:0, :0],
        np.zeros((2, 8, 7)),
        X[..., None],
    ]
    also = ("input", "shape")
    yield "MultilevelDense", Calls(layer, {"inputs": X}, inputs=shapes, also=also)


def _models():
    model = trained()

    def set_level(level):
        model.level = level

    level = Calls(set_level, watch=state, level=integers(-1, 1))
    yield "MultilevelModel", level
    yield "MultilevelModel", Calls(model.merge, {}, name=NO_NAMES, watch=state)

    def set_factors(rate_factors):
        model.optimizer.rate_factors = rate_factors

    factors = [x for x in NO_FACTORS if x is not None]
    yield "MultilevelOptimizer", Calls(set_factors, rate_factors=factors, watch=state)
    fresh = converted()

    def compile_and_train(**options):
        target = converted()
        target.compile(
            **{"optimizer": "sgd", "loss": "mse", "run_eagerly": True} | options
        )
        return fit_once(target, steps_per_epoch=2)

    optimizers = [*NO_KERAS_OBJECT, "", True, keras.layers.Dense]
    optimizers += [ms.MultilevelOptimizer("sgd", 3), np.zeros(3), (), len]
    yield (
        "MultilevelModel",
        Calls(
            fresh.compile,
            {"optimizer": "sgd"},
            optimizer=optimizers,
            watch=lambda: (state(fresh)["weights"], fresh.level),
            also=("identifier", "deserialize"),
        ),
    )
    steps = (0, -1, NAN, INF, "2", 1.5, [2], {}, None, 10**30)
    yield (
        "MultilevelModel",
        Calls(compile_and_train, {"loss": "mse"}, steps_per_execution=steps),
    )
    models = [*objects(), "ab", EMPTY, Subclassed(), keras.layers.Dense(8), keras.Model]
    yield (
        "multilevel",
        Calls(
            ms.multilevel,
            {"model": plain(), "depth": 1},
            model=models,
            depth=integers(0, 2),
            topology=_topologies(),
            keep_weights=flags(),
            start=names(),
            name=NO_NAMES,
            watch=plain().get_weights,
            also=("layer", "functional", "size", "nodes"),
        ),
    )
    models = [*objects(), "ab", EMPTY, Subclassed(), plain(), keras.layers.Dense(8)]
    right = {"model": model, "level": 1}
    also = ("MultilevelDense", "functional")
    wrong = {"model": models, "level": integers(0, 1)}
    yield (
        "coarse_network",
        Calls(ms.coarse_network, right, **wrong, watch=state, also=also),
    )
    chain = model.multilevel_layers[0].input_chain
    data = [*objects(), "ab", X[:, :7], X[:, :0], X.astype(str), X * 1j, [[1], [1, 2]]]
    data = [x for x in data if x is not ...] + [np.array(3.0), None, X.astype(object)]
    chains = [*objects(), ms.path(8), "path", {}, ms.path, (ms.path(8),)]
    wrong = {"data": data, "chain": chains, "level": integers(0, 1)}
    right = {"data": X, "chain": chain, "level": 1}
    yield "coarse_data", Calls(ms.coarse_data, right, **wrong)


def _topologies():
    skip = (len, ms.path, ms.Topology)  # may be called with a size
    mine = [x for x in objects(none=False) if not any(x is y for y in skip)]
    mine += ["", "no such", "PATH", {"kind": "No"}, {"kind": "Path", "size": 7}]
    mine += [{"no such": "path"}, {"input": "no such"}, {"input": ms.path(7)}]
    mine += [{3: "path"}, {"input": 3}, {"dense": None, "no": None}]
    returns = (3, "no such", NAN, ms.path(7), ms.grid(2, 2), [], object())
    return mine + [lambda size, x=x: x for x in returns]


def _optimizers():
    right = {"optimizer": "sgd", "depth": 1}
    optimizers = [*NO_KERAS_OBJECT, None, "", True, keras.layers.Dense, len, ()]
    also = ("identifier", "deserialize")
    wrong = {"optimizer": optimizers, "rate_factors": NO_FACTORS}
    depths = [*integers(0), 10**9, 10**30]
    make = ms.MultilevelOptimizer
    yield "MultilevelOptimizer", Calls(make, right, **wrong, depth=depths, also=also)
    yield "MultilevelOptimizer", Calls(make, right, packed=NO_PACKS)
    rates = [x for x in numbers(-1e-3) if x is not len and not isinstance(x, dict)]
    wrong = {"learning_rate": rates, "rho": numbers(-0.1, 1), "epsilon": numbers(0, -1)}
    yield "TF1RMSprop", Calls(ms.TF1RMSprop, {"rho": 0.9}, **wrong)


def _callbacks():
    steps = [x for x in integers(1, none=False) if not isinstance(x, list | np.ndarray)]
    steps += [(), [], (0,), (1, 0), (1, 1.5), (1, "1"), [[1], [1]], np.zeros((2, 2))]
    schedules = [*objects(none=False), "V", ms.schedules.gamma_cycle, ms.Visit(0, 1)]
    schedules += [(ms.Visit(0, 1),), {"cycle": ((0, 1),)}, ms.Schedule]
    make = ms.CycleSchedule
    wrong = {"gamma": integers(1, none=False), "variant": names(none=False)}
    flagged = {"resume": flags(), "coarsen_data": flags()}
    flagged["warm_start"] = [x for x in flags() if x is not None]
    cycle = Calls(make, {}, **wrong, **flagged, smoothing_steps=steps)
    yield "CycleSchedule", cycle
    factors = [x for x in NO_FACTORS if not (isinstance(x, tuple) and x in LENGTHS)]
    wrong = {
        "schedule": schedules,
        "consistency": integers(0, 1000),
        "memory": integers(1, none=False),
        "rate_factors": factors,
    }
    yield "CycleSchedule", Calls(make, {"coarsen_data": True}, **wrong)
    functions = [x for x in objects() if not callable(x)] + ["f", {}]
    right = {"function": len, "cost": 1}
    wrong = {"function": functions, "cost": numbers(0, -1)}
    yield "Evaluate", Calls(ms.Evaluate, right, **wrong)
    seconds = numbers(0, -1)
    yield (
        "Evaluate",
        Calls(ms.Evaluate, {"function": len, "seconds": 1}, seconds=seconds),
    )


#: Of rate factors, which the callback cannot know before it sees the model.
LENGTHS = ((1,), (1, 1, 1))


def model_calls():
    """Name and calls of each function, in order."""
    for room in (_layers, _models, _optimizers, _callbacks):
        yield from room()
