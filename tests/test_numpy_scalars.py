"""NumPy's integers, numbers and flags are as good as Python's in public functions."""

import networkx as nx
import numpy as np
import pytest
from wrong_calls_fits import X, converted, fit_once

import msann_keras as ms

i, f, yes = np.int64, np.float32, np.True_
schedules, graphs, cost = ms.schedules, ms.graphs, ms.cost
CYCLE = schedules.gamma_cycle(2, 2, 3)

#: Called with NumPy's numbers, and the same with Python's.
PAIRS = {
    "gamma_cycle": lambda n: schedules.gamma_cycle(n(2), n(2), n(3)),
    "f_cycle": lambda n: schedules.f_cycle(n(2), n(3)),
    "sawtooth": lambda n: schedules.sawtooth(n(2), n(3)),
    "full_multigrid": lambda n: schedules.full_multigrid(n(2), n(2), n(3), n(2)),
    "start_steps": lambda n: schedules.full_multigrid(n(2), start_steps=n(3)),
    "steps by level": lambda n: schedules.gamma_cycle(2, 1, [n(1), n(2), n(3)]),
    "Growing": lambda n: schedules.Growing(n(4), n(2)).at(n(3)),
    "Schedule": lambda n: ms.Schedule(((n(0), n(3)), (n(1), n(2)))),
    "take": lambda n: CYCLE.take(n(3), n(9)),
    "to_cycle_end": lambda n: CYCLE.to_cycle_end(n(3), n(2)),
    "batches_at": lambda n: CYCLE.batches_at(n(1)),
    "cost": lambda n: cost.cost([ms.Visit(n(1), n(2))], [n(10), n(4)], n(8)),
    "shares": lambda n: cost.shares([n(10), n(4)]),
    "path": lambda n: ms.path(n(8)),
    "cycle": lambda n: ms.cycle(n(8)),
    "grid": lambda n: ms.grid(n(4), n(2)),
    "torus": lambda n: ms.torus(n(4), n(2)),
    "square_grid": lambda n: ms.square_grid(n(8)),
    "identity": lambda n: ms.identity(n(8)),
    "shuffled": lambda n: ms.shuffled(ms.path(n(8)), seed=n(1)),
    "random_orthogonal": lambda n: ms.random_orthogonal(n(8), seed=n(1)),
    "hierarchy": lambda n: converted().hierarchy.sizes(n(1)),
    "theta": lambda n: [x.shape for x in converted().layers[-1].theta(without=n(0))],
    "depth": lambda n: ms.multilevel(converted().merge(), depth=n(1)).depth,
    "coarse_network": lambda n: ms.coarse_network(converted(), n(1)).output_shape,
    "Evaluate": lambda n: ms.Evaluate(len, cost=n(4)).every,
    "optimizer": lambda n: len(ms.MultilevelOptimizer("sgd", n(1)).levels),
}


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize("name", PAIRS)
def test_integers(name, kind):
    result, expected = PAIRS[name](kind), PAIRS[name](int)
    assert result == expected
    assert repr(result) == repr(expected)  # no NumPy number is kept


def test_arrays_of_steps():
    expected = schedules.gamma_cycle(2, 1, [1, 2, 3])
    assert schedules.gamma_cycle(2, 1, np.array([1, 2, 3])) == expected
    assert schedules.gamma_cycle(2, 1, range(1, 4)) == expected
    options = {"smoothing_steps": np.array([1, 2]), "gamma": i(2), "consistency": i(1)}
    options |= {"rate_factors": np.array([1.0, 2.0]), "memory": i(2**20)}
    schedule = ms.CycleSchedule(coarsen_data=yes, resume=np.False_, **options)
    assert schedule.schedule_for(1) == schedules.gamma_cycle(1, 2, [1, 2])


def test_numbers_and_flags():
    graph = nx.path_graph(4), nx.path_graph(8)
    found = ms.optimal_prolongation(*graph, s=f(1), alpha=f(1), beta=f(0.5), seed=i(1))
    same = ms.optimal_prolongation(*graph, s=1, alpha=1.0, beta=0.5, seed=1)
    assert found.value == same.value
    assert (graphs.grid_graph(i(2), i(3)) != graphs.grid_graph(2, 3)).nnz == 0
    assert graphs.grid_graph(i(3), periodic=yes).sum() == 6
    optimizer = ms.TF1RMSprop(learning_rate=f(0.5), rho=f(0.5), epsilon=f(1e-3))
    assert float(optimizer.learning_rate) == 0.5
    start = ms.initializers.Multilevel(depth=i(1), seed=i(3))
    np.testing.assert_array_equal(
        start((i(8), i(4))), ms.initializers.Multilevel(depth=1, seed=3)((8, 4))
    )
    costs, errors = np.array([0.0, 128, 256]), np.array([0.25, 0.09, 0.02])
    assert cost.cost_to_target(costs, errors, target=f(0.025)) == 256
    assert cost.cost_to_fraction(costs, errors, f(0.1)) == 256


@pytest.mark.parametrize("use_bias", [np.True_, np.False_])
def test_layers(use_bias):
    layer = ms.MultilevelDense(i(4), i(1), use_bias=use_bias)
    layer(X)
    assert layer.count_params() == 8 * 4 + 4 * 2 + (6 if use_bias else 0)
    copy = ms.MultilevelDense.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()


@pytest.mark.quick(1)
@pytest.mark.parametrize("coarsen_data", [np.True_, np.False_])
def test_fits(coarsen_data):
    model = converted()
    model.level = i(1)
    model.compile("sgd", "mse", run_eagerly=True)
    options = {"batch_size": i(4), "epochs": i(2), "steps_per_epoch": i(2)}
    schedule = ms.CycleSchedule(coarsen_data=coarsen_data)
    history = fit_once(model, callbacks=[schedule], validation_split=f(0.25), **options)
    assert len(history.history["val_loss"]) == 2
    assert model.level == 1
