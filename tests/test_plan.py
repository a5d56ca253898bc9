"""What a plan says: of smooth data, of shuffled ones, of labels, of small networks."""

import re

import keras
import numpy as np
import pytest
from smooth import compiled, images, network, waves

import msann_keras as ms
from msann.topology.others import Slower

X, Y = waves(300, 1024)
ORDER = np.random.default_rng(0).permutation(1024)
BATCH = {"batch_size": 128}


@pytest.fixture(scope="module")
def plan():
    return ms.plan(network(1024, 512, 512, 1024), X, Y, **BATCH)


def test_smooth_data_are_coarsened_deep(plan):
    assert plan.depth >= 4
    assert plan.reason.startswith(f"L = {plan.depth} with hat")
    assert plan.topologies["input"] == ms.cycle(1024, prolongation="hat")


def test_it_visits_every_second_level_until_nothing_lacks(plan):
    assert plan.visited[0] == plan.depth
    assert set(np.diff(plan.visited)) <= {-2}
    *lacking, last = plan.visited
    assert not any(plan.levels[level].is_whole for level in lacking)
    assert plan.levels[last].is_whole or last <= 2


def test_deeper_levels_are_smaller_cheaper_and_hold_less(plan):
    for column in ("parameters", "step_seconds"):
        values = [getattr(one, column) for one in plan.levels]
        assert values == sorted(values, reverse=True)
    for column in ("inputs_lost", "targets_lost"):
        values = [getattr(one, column) for one in plan.levels]
        assert values == sorted(values)


def test_the_table_ends_with_the_sentence(plan):
    *rows, sentence = str(plan).splitlines()
    assert len(rows) == 1 + len(plan.levels)
    assert len({len(row) for row in rows}) == 1
    assert sentence == plan.reason
    stars = [row.split()[0] for row in rows if "*" in row]
    assert stars == [f"{level}*" for level in reversed(plan.visited)]


def test_shuffled_data_are_not_coarsened():
    model = network(1024, 512, 512, 1024)
    plan = ms.plan(model, X[:, ORDER], Y[:, ORDER], **BATCH)
    assert (plan.depth, plan.visited, plan.seconds) == (0, (), 0)
    assert "no more in common than nodes in random order" in plan.reason


def test_a_wrong_topology_is_told_so():
    model = network(1024, 512, 512, 1024)
    plan = ms.plan(model, X[:, ORDER], Y[:, ORDER], topology="path", **BATCH)
    assert plan.depth == 0
    assert "already loses" in plan.reason
    assert "of the targets' variance" in plan.reason


def test_a_small_network_is_not_worth_it():
    x, y = waves(100, 64)
    plan = ms.plan(network(64, 16, 64), x, y)
    assert plan.depth == 0
    assert "the coarsest that holds the data, still takes 1/" in plan.reason


def test_noise_in_the_inputs_is_no_loss_but_where_there_are_only_labels():
    noise = np.random.default_rng(7).normal(size=X.shape, scale=0.6 * X.std())
    noisy = (X + noise).astype("float32")
    plan = ms.plan(network(1024, 512, 512, 1024), noisy, Y, **BATCH)
    assert plan.depth >= 4
    assert plan.levels[plan.depth].inputs_lost > 0.2
    assert "(the rest may be white noise)" in plan.reason
    labels = np.arange(300) % 10
    assert ms.plan(network(1024, 2048, 2048, 10), noisy, labels, **BATCH).depth == 0


def test_what_is_lost_at_a_depth_that_was_asked_for_is_not_called_noise():
    x, y = waves(100, 64)
    plan = ms.plan(network(64, 64, 64), x, y, depth=5)
    assert plan.levels[5].inputs_lost > 0.2
    assert "noise" not in plan.reason


def test_labels_do_not_count():
    labels = np.arange(300) % 10
    plan = ms.plan(network(1024, 2048, 2048, 10), X, labels, **BATCH)
    assert plan.depth >= 4
    assert {one.targets_lost for one in plan.levels} == {0}
    assert all(one.sizes.endswith("-10") for one in plan.levels)


def test_one_hot_labels_stay_whole_too():
    labels = np.eye(16)[np.arange(300) % 16].astype("float32")
    plan = ms.plan(network(1024, 2048, 2048, 16), X, labels, **BATCH)
    assert all(one.sizes.endswith("-16") for one in plan.levels)


def test_hidden_layers_are_never_narrower_than_the_coarsest_data():
    plan = ms.plan(network(1024, 512, 100, 512, 1024), X, Y, depth=2)
    assert plan.levels[2].sizes == "256-256-100-256-256"


def test_hidden_layers_coarsen_at_every_second_level():
    plan = ms.plan(network(1024, 512, 1024), X, Y, depth=5)
    hidden = [int(one.sizes.split("-")[1]) for one in plan.levels]
    assert hidden == [512, 512, 256, 256, 128, 128]
    assert any(isinstance(one, Slower) for one in plan.topologies.values())


def test_images_have_the_grid_of_their_axes():
    model = keras.Sequential(
        [
            keras.Input((8, 8)),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(64, "gelu"),
            keras.layers.Dense(64, name="out"),
        ]
    )
    x = images()
    plan = ms.plan(model, x, x.reshape(-1, 64), depth=2)
    grid = ms.grid(8, 8, prolongation="hat")
    assert (plan.topologies["flat"], plan.topologies["out"]) == (grid, grid)


def test_what_is_added_lives_where_it_is_added_to():
    inputs = keras.Input((1024,), name="input")
    hidden = keras.layers.Dense(512, "gelu")(inputs)
    change = keras.layers.Dense(1024, name="change")(hidden)
    both = keras.layers.Add()([inputs, change])
    model = keras.Model(inputs, keras.layers.Dense(1024, name="out")(both))
    plan = ms.plan(model, X, Y, depth=2)
    assert plan.topologies["change"] == plan.topologies["input"]


def test_named_spaces_are_as_the_user_says():
    model = network(1024, 512, 512, 1024)
    _, hidden, _ = model.layers
    wish = {"input": ms.path(1024), hidden.name: ms.path(512)}
    plan = ms.plan(model, X, Y, topology=wish, depth=2)
    assert plan.topologies["input"] == ms.path(1024, prolongation="hat")
    assert plan.topologies[hidden.name] == ms.path(512)


def test_a_family_of_the_users_stays():
    wish = ms.cycle(1024, prolongation="box")
    plan = ms.plan(network(1024, 512, 512, 1024), X, Y, topology=wish, depth=2)
    assert plan.topologies["input"] == wish


def test_batches_are_looked_at_as_arrays_are(plan):
    batches = [
        (X[begin : begin + 50], Y[begin : begin + 50]) for begin in range(0, 300, 50)
    ]
    again = ms.plan(network(1024, 512, 512, 1024), iter(batches), **BATCH)
    assert again.depth == plan.depth
    for one, other in zip(again.levels, plan.levels, strict=True):
        assert one.inputs_lost == pytest.approx(other.inputs_lost)


def test_the_model_is_not_changed():
    model = compiled(1024, 512, 512, 1024)
    before = model.get_weights()
    ms.plan(model, X, Y)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_depth_0_is_plain_training():
    plan = ms.plan(network(1024, 512, 512, 1024), X, Y, depth=0)
    assert (plan.depth, plan.reason) == (0, "plain training, as asked.")


def test_too_deep_a_depth_is_refused():
    with pytest.raises(ValueError, match="`depth` must be at most 10 for these data"):
        ms.plan(network(1024, 512, 512, 1024), X, Y, depth=11)
    with pytest.raises(ValueError, match="at most 0 for these data, of which nothing"):
        ms.plan(network(1024, 512, 512, 1024), X[:, ORDER], Y[:, ORDER], depth=1)


def test_a_layer_without_a_coarse_form_stays_as_it_is_and_is_named():
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64),
            keras.layers.UnitNormalization(name="normal"),
            keras.layers.Dense(64),
        ]
    )
    x, y = waves(50, 64)
    named = "'normal'.*UnitNormalization.*no coarse"
    assert re.search(named, ms.plan(model, x, y).reason)
    with pytest.raises(ValueError, match=named):
        ms.plan(model, x, y, topology="path")
