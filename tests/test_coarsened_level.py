"""One level of the compiled program: variables packed or not, gradients, steps."""

import keras
import numpy as np
import pytest
from keras import ops
from models import EAGER
from precision import floatx
from restated import (
    BATCH,
    IN_TURN,
    OPTIMIZERS,
    SPACES,
    Adam,
    Run,
    batches_in_turn,
)
from stacks import assert_close

import msann_keras as ms
from msann.schedules import gamma_cycle
from msann_keras.engines.coarsened import level as level_module
from msann_keras.engines.coarsened.data import Chunk
from msann_keras.engines.coarsened.program import Program

# ---------------------------------------------------------------------- variables


@pytest.fixture(params=[False, True], ids=["apart", "packed"])
def packed(request, monkeypatch):
    """Whether the variables of coarse levels are joined to one."""
    monkeypatch.setattr(level_module, "PACKED_BELOW", 1000 * request.param)
    return request.param


def test_variables_are_assigned_added_to_and_cleared(packed):
    run = Run(SPACES["paths"], 1, "sgd")
    level = run.cycles().levels[1]
    assert level.joined == packed
    rng = np.random.default_rng(1)
    wanted = [rng.normal(size=shape).astype("float32") for shape in level.shapes]
    level.assign(wanted)
    assert_close(level.values(), wanted, 0)
    level.add(wanted)
    assert_close(level.values(), [2 * x for x in wanted], 0)
    level.clear()
    for layer in run.model.multilevel_layers:
        assert not np.any(layer.kernels[1]) and not np.any(layer.biases[1])


def test_tau_makes_the_gradient_what_is_wanted(packed):
    run = Run(SPACES["paths"], 1, "sgd")
    cycles = run.cycles(consistency=1)
    level, data = cycles.levels[1], run.chunk(cycles).levels[1]
    rng = np.random.default_rng(1)
    wanted = [rng.normal(size=shape).astype("float32") for shape in level.shapes]
    level.set_tau(wanted, data)
    assert_close(level.gradients(data), wanted, 1e-6)


# -------------------------------------------------------------------------- packing


@pytest.mark.thorough
@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize("packed", [(), (2,), (1, 2)])
def test_compiled_and_packed_with_tau_as_restated(monkeypatch, jit_compile, packed):
    monkeypatch.setattr(level_module, "PACKED_BELOW", {0: 0, 1: 20, 2: 40}[len(packed)])
    run = Run(SPACES["odd paths"], 2, Adam(0.05).keras(), jit_compile=jit_compile)
    visits = gamma_cycle(2, 2).cycle
    cycles, adams = run.cycles(1), [Adam(0.05) for _ in range(3)]
    assert [i for i, level in enumerate(cycles.levels) if level.joined] == [*packed]
    for _ in range(2):
        expected = run.restated(visits, adams, consistency=1)
        run.run(cycles, visits)
        assert_close(run.theta(), expected, 1e-4)


def test_packed_levels_train_in_float64():
    with floatx("float64"):
        run = Run(SPACES["paths"], 1, Adam(0.05).keras())
        visits = gamma_cycle(1).cycle
        expected = run.restated(visits, [Adam(0.05), Adam(0.05)])
        run.run(run.cycles(), visits)
        assert_close(run.theta(), expected, 1e-11)


def test_levels_are_not_packed_for_optimizers_that_look_at_the_whole():
    clipped, whole = keras.optimizers.SGD(0.1, clipnorm=1.0), keras.optimizers.Lamb(0.1)
    for optimizer in (clipped, whole):
        cycles = Run(SPACES["paths"], 1, optimizer).cycles()
        assert not cycles.levels[1].joined


# ------------------------------------------------------------ where nothing coarsens


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_without_coarsening_a_coarse_visit_is_plain_training(optimizer):
    spaces, make = [ms.identity(5), ms.identity(3)], OPTIMIZERS[optimizer]
    results = []
    for level in range(3):
        run = Run(spaces, 2, make().keras())
        run.run(run.cycles(), [ms.Visit(level, 6)])
        results.append(run.theta())
    start, plain = Run(spaces, 2, make().keras()), Run(spaces, 0, make().keras())
    plain.model.set_weights([part for pair in start.theta() for part in pair])
    for rows in batches_in_turn(6):
        plain.model.train_on_batch(start.x[rows], start.y[rows])
    for result in results:
        assert_close(result, plain.theta(), 1e-5)


def regularised(depth, **options):
    inputs = keras.Input((6,))
    ends = {"input_topology": "identity", "output_topology": "identity"}
    layer = ms.MultilevelDense(4, depth, activation="tanh", **ends, **options)
    model = ms.MultilevelModel(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(0.5), "mse", **EAGER)
    model.make_train_function()
    return model


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_regularizer": "l2"},
        {"bias_regularizer": "l1"},
        {"activity_regularizer": keras.regularizers.L2(0.5)},
    ],
)
@pytest.mark.parametrize("level", [0, 1])
def test_regularisers_act_in_cycles(options, level):
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(12, n)).astype("float32") for n in (6, 4))
    model, plain = regularised(1, **options), regularised(0, **options)
    (layer,), (other,) = model.multilevel_layers, plain.multilevel_layers
    other.set_weights([*map(ops.convert_to_numpy, layer.theta())])
    cycles = Program(model)
    cycles.begin()
    part = ((ops.array(x),), (ops.array(y),), ())
    cycles.run([ms.Visit(level, 3)], Chunk([part] * 2, 12, 12), BATCH, IN_TURN)
    for rows in batches_in_turn(3):
        plain.train_on_batch(x[rows], y[rows])
    assert_close(layer.theta(), other.theta(), 1e-5)
