"""MultilevelModel: but for its levels a keras.Model, saved and copied as one."""

import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import (
    DATA,
    EAGER,
    EVERY,
    GRAPH,
    Subclassed,
    X,
    Y,
    assert_equal,
    compiled,
    dataset,
    fit,
    network,
)

import msann_keras as ms
from msann_keras.optimizers import Progress

# ------------------------------------------------------- at depth 0, a keras.Model


def ema():
    return keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)


def decay():
    return keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)


#: Options of `compile` and of `fit`; what is not here, `test_battery_trainer` has.
FITS = {
    "arrays": ({}, dict),
    **{kind: ({}, data) for kind, data in DATA.items()},
    "repeated": (
        {},
        lambda: {"x": dataset().repeat(), "y": None, "epochs": 3, "steps_per_epoch": 2},
    ),
    "steps_per_epoch": ({}, lambda: {"steps_per_epoch": 2}),
    "steps_per_execution": ({"steps_per_execution": 2}, dict),
    "ema": ({"optimizer": ema}, dict),
    "clipping": (
        {"optimizer": lambda: keras.optimizers.Adam(global_clipnorm=0.1)},
        dict,
    ),
    "decay": ({"optimizer": lambda: keras.optimizers.SGD(decay())}, dict),
}


@pytest.mark.quick(4)
@pytest.mark.parametrize("name", FITS)
def test_without_levels_it_is_a_keras_model(name):
    options, make = FITS[name]
    mode = GRAPH if name in ("steps_per_execution", "generator") else EAGER

    def run(depth):
        model = network(depth)
        made = {"optimizer": lambda: "adam"} | options
        optimizer = made.pop("optimizer")()
        model.compile(optimizer, "mse", **mode, **made)
        data = {"x": X, "y": Y, "epochs": 2, "shuffle": False, "verbose": 0} | make()
        if data["x"] is X:
            data["batch_size"] = 4
        return model.fit(**data).history, model.get_weights()

    (history, weights), (expected, expected_weights) = run(0), run(None)
    assert history.keys() == expected.keys()
    assert_equal([*history.values()], [*expected.values()])
    assert_equal(weights, expected_weights)


def test_single_batches_evaluation_and_prediction_are_a_keras_models():
    results = []
    for depth in (None, 0):
        model = network(depth)
        model.compile("adam", "mse", metrics=["mae"], **GRAPH)
        weights = np.arange(10.0)
        logs = [
            model.train_on_batch(X, Y),
            model.train_on_batch(X, Y, sample_weight=weights),
            model.test_on_batch(X, Y),
            model.evaluate(X, Y, verbose=0),
        ]
        results.append([*logs, model.predict(X, verbose=0), *model.get_weights()])
    assert_equal(*results)


def test_ordinary_layers_train_and_count_at_every_level():
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(4, name="ordinary")(inputs)  # 20 parameters
    hidden = keras.layers.BatchNormalization(name="norm")(hidden)  # 8 of 16
    outputs = ms.MultilevelDense(4, depth=1)(hidden)  # 20, 6
    model = ms.MultilevelModel(inputs, outputs)
    assert model.hierarchy.parameters == (48, 34)
    model.compile("adam", "mse", **EAGER)
    for level in (0, 1):
        model.level = level
        before = [model.get_layer(x).get_weights() for x in ("ordinary", "norm")]
        model.train_on_batch(X, Y)
        for name, old in zip(("ordinary", "norm"), before, strict=True):
            for a, b in zip(old, model.get_layer(name).get_weights(), strict=True):
                assert not np.array_equal(a, b)
    model.level = EVERY
    assert fit(model)["cost"] == [pytest.approx(4 + 4 * 34 / 48 + 2)]


def test_layers_that_do_not_train():
    inputs = keras.Input((4,))
    layers = [ms.MultilevelDense(4, depth=1, trainable=t) for t in (False, True)]
    model = ms.MultilevelModel(inputs, layers[1](layers[0](inputs)))
    model.compile("adam", "mse", **EAGER)
    before = [layer.get_weights() for layer in layers]
    fit(model)
    assert_equal(layers[0].get_weights(), before[0], rtol=0, atol=0)
    for old, new in zip(before[1], layers[1].get_weights(), strict=True):
        assert not np.array_equal(old, new)


@pytest.mark.thorough
def test_many_inputs_and_outputs():
    a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
    hidden = keras.layers.Add()(
        [ms.MultilevelDense(4, depth=1)(a), ms.MultilevelDense(4, depth=1)(b)]
    )
    outputs = {name: ms.MultilevelDense(4, 1, name=name)(hidden) for name in "cd"}
    model = ms.MultilevelModel({"a": a, "b": b}, outputs)
    model.compile("sgd", {"c": "mse", "d": "mae"}, metrics={"c": "mae"}, **GRAPH)
    x, y = {"a": X, "b": X[:, :2]}, {"c": Y, "d": Y}
    history = model.fit(
        x, y, batch_size=4, verbose=0, callbacks=[ms.CycleSchedule()]
    ).history
    assert {"loss", "c_loss", "d_loss", "c_mae", "level", "cost"} <= history.keys()
    assert model.progress == Progress(3, 10, (6, 4))
    assert model.predict(x, verbose=0)["d"].shape == (10, 4)


def test_averages_are_the_final_weights():
    model = compiled(1, keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    history = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: history.append(model.get_weights())
    )
    fit(model, callbacks=[note])  # levels 0 1 0
    first, second, third = history
    kernel_0 = 0.5 * first[0] + 0.5 * third[0]
    assert_equal([model.get_weights()[0]], [kernel_0])
    assert_equal([model.get_weights()[2]], [second[2]])


# --------------------------------------------------------------- saving and copying


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("make", "files"),
    [
        (lambda: keras.optimizers.Adam(0.1), ["all.keras", "all.weights.h5"]),
        (ms.TF1RMSprop, ["all.keras"]),
    ],
)
def test_a_broken_run_goes_on_as_the_unbroken_one(make, files, tmp_path):
    """Broken after 4 batches, in the middle of a cycle and of a visit."""
    options = {"x": X[:8], "y": Y[:8], "batch_size": 2, "epochs": 3}  # 000 111 000
    unbroken = compiled(1, make(), **GRAPH)

    def save(epoch, logs):
        if epoch == 0:
            unbroken.save(tmp_path / "all.keras")
            unbroken.save_weights(tmp_path / "all.weights.h5")

    saving = keras.callbacks.LambdaCallback(on_epoch_end=save)
    schedule = ms.CycleSchedule(smoothing_steps=3)
    fit(unbroken, schedule=schedule, callbacks=[saving], **options)
    for file in files:
        if file == "all.keras":
            model = keras.models.load_model(tmp_path / file)
        else:
            model = compiled(1, make(), **GRAPH)
            model.load_weights(tmp_path / file)
        schedule = ms.CycleSchedule(smoothing_steps=3, resume=True)
        history = fit(model, schedule=schedule, initial_epoch=1, **options)
        assert model.progress == unbroken.progress == Progress(12, 24, (18, 6))
        assert history["cost"][-1] == unbroken.cost
        assert_equal(model.get_weights(), unbroken.get_weights(), rtol=0)


def test_weights_saved_without_optimizer_load(tmp_path):
    path = tmp_path / "own.weights.h5"
    network(1, seed=2).save_weights(path)
    model = compiled(1, "adam")
    model.load_weights(path)
    assert_equal(model.get_weights()[:1], network(1, seed=2).get_weights()[:1])


def test_copies(tmp_path):
    model = compiled(1, "adam")
    fit(model)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    pickled = pickle.loads(pickle.dumps(model))
    for copy in (clone, loaded, pickled):
        assert isinstance(copy, ms.MultilevelModel)
        assert isinstance(copy.optimizer, ms.MultilevelOptimizer)
        assert copy.depth == 1
        np.testing.assert_array_equal(copy(X), model(X))
        fit(copy)
        assert copy.progress == Progress(3, 10, (6, 4))
    assert (clone.level, loaded.level) == (EVERY, EVERY)


def test_a_subclassed_model_beside_functional_ones():
    """Keras makes a class functional for ever, with its first functional model."""
    assert network(1).depth == 1
    model = Subclassed()
    model(X)
    model.compile("sgd", "mse", **EAGER)
    fit(model)
    assert model.progress == Progress(3, 10, (6, 4))
    assert model.cost == pytest.approx(6 + 4 * 0.3)
    assert str(model.hierarchy).startswith("level  sizes")


# ------------------------------------------------------------------------ refusals


def mixed_depths():
    inputs = keras.Input((4,))
    hidden = ms.MultilevelDense(4, depth=1, name="one")(inputs)
    return ms.MultilevelModel(inputs, ms.MultilevelDense(4, 2, name="two")(hidden))


def without_layers():
    inputs = keras.Input((4,))
    return ms.MultilevelModel(inputs, keras.layers.Dense(4)(inputs))


@pytest.mark.parametrize(
    ("make", "optimizer", "message"),
    [
        (mixed_depths, "sgd", r"same `depth` in all.*\{'one': 1, 'two': 2\}"),
        (
            lambda: network(1),
            ms.MultilevelOptimizer("sgd", depth=2),
            r"`optimizer` must have one copy.*2 levels. Received: one for 3 levels",
        ),
    ],
)
def test_compile_refuses(make, optimizer, message):
    model = make()
    with pytest.raises(ValueError, match=message):
        model.compile(optimizer, "mse")
    assert not model.compiled


def test_compile_refuses_a_built_model_without_multilevel_layers():
    """One that is not built may have no layers yet."""
    message = r"at least one MultilevelDense layer.*depths \{\}"
    with pytest.raises(ValueError, match=message):
        without_layers().compile("sgd", "mse", **EAGER)


def test_compile_refuses_a_strategy_that_the_model_was_not_made_under():
    model = network(1)
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope(), pytest.raises(ValueError, match="must be made inside of"):
        model.compile("sgd", "mse")


@pytest.mark.parametrize("level", [2, -2, True, 1.0, "fine", None])
def test_level_refuses(level):
    model = network(1)
    model.level = 1
    message = rf"`level` must be an integer in -1 .. 1.*level={level!r}"
    with pytest.raises(ValueError, match=message):
        model.level = level
    assert model.level == 1


def test_the_hierarchy_needs_a_built_model():
    with pytest.raises(ValueError, match="'subclassed.*must be built first"):
        _ = Subclassed().hierarchy


def test_progress_and_cost_need_a_compiled_model():
    for name in ("progress", "cost"):
        with pytest.raises(ValueError, match="call `compile"):
            getattr(network(1), name)
