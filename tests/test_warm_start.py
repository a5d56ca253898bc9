"""A plain model that begins where its coarse networks have come to."""

import keras
import numpy as np
import pytest
from keras import ops
from smooth import (
    OPTIONS,
    X_NEW,
    Y_NEW,
    X,
    Y,
    compiled,
    images,
    kick,
    loss,
    network,
    same,
    started,
)

import msann_keras as ms
from msann_keras.nested import iteration
from msann_keras.nested.handover import finer_weights
from msann_keras.nested.level import Level, loss_on, values_of
from msann_keras.nested.optimizer import moments


@pytest.fixture(scope="module")
def example():
    return started(validation_data=(X_NEW, Y_NEW))


def test_the_model_begins_far_below_its_draw(example):
    model, _ = example
    assert loss(model) < 0.2 * loss(compiled(64, 64, 64))


def test_it_is_where_its_last_level_was(example):
    """Of smooth data the coarse loss is the fine one."""
    model, record = example
    assert loss(model) == pytest.approx(record.levels[-1].left, rel=0.05)


def test_every_level_begins_where_the_one_before_ended(example):
    """But for what that one could not hold of the targets."""
    _, record = example
    assert [one.level for one in record.levels] == [3, 1]
    coarse, fine = record.levels
    lost = record.plan.levels[3].targets_lost * np.var(Y_NEW)
    assert fine.entered < 1.02 * coarse.left + 2 * lost
    assert fine.left <= fine.entered  # steps that raise it are taken back


def fine_loss(level):
    """The loss of the whole model that does what a level does, on what is held out."""
    values = values_of(level.layers), level.coarsening, level.level
    values = finer_weights(*values, 0, apart=False)
    model = level.coarsening.network(0)
    model.set_weights(values)
    model.compile("sgd", "mse")
    return loss_on(model, *FINE[model.input_shape[-1]])


#: New samples, by their size.
IMAGES = images(600, 16).reshape(-1, 256)
FINE = {64: (X_NEW, Y_NEW), 256: (IMAGES[400:], IMAGES[400:] ** 2)}


@pytest.mark.thorough
@pytest.mark.parametrize("task", ["waves", "images"])
def test_entering_a_level_raises_no_error(task, monkeypatch):
    """Of the whole model, by at most 2 %; a tenth in its first steps is noise."""
    if task == "waves":
        options = {"depth": 4}
    else:
        x = IMAGES[:400]
        options = {"x": x, "y": x**2, "model": compiled(256, 128, 256), "depth": 5}
        options["topology"] = ms.grid(16, 16)
    entered = []
    whole = Level.take_over

    def take_over(self, coarser, boost):
        before = fine_loss(coarser)
        whole(self, coarser, boost)
        at_once, state = fine_loss(self), self.state()
        self.fit(steps=8)
        entered.append((before, at_once, fine_loss(self)))
        self.restore(state)

    monkeypatch.setattr(Level, "take_over", take_over)
    started(**options)
    assert len(entered) >= 1
    for before, at_once, later in entered:
        assert at_once < 1.02 * before
        assert later < 1.1 * before


@pytest.mark.thorough
@pytest.mark.parametrize("optimizer", ["adam", "adamax", "rmsprop"])
def test_the_users_fit_begins_without_a_kick(optimizer):
    """With fresh moments the first step doubles the loss."""
    model = compiled(64, 64, 64, optimizer=optimizer)
    started(model, validation_data=(X_NEW, Y_NEW))
    weights, handed_on = model.get_weights(), kick(model)
    model.set_weights(weights)
    model.compile(optimizer, "mse")
    assert handed_on < max(0.05, kick(model) / 4)


@pytest.mark.thorough
def test_the_optimizer_knows_the_gradients():
    model, _ = started()
    m, v = (ops.convert_to_numpy(slot) for slot in moments(model.optimizer)[0])
    assert np.abs(m).max() > 0
    assert (v > 0).all()
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)


def test_a_plan_for_plain_training_leaves_the_model_alone():
    model = compiled(64, 32, 64)
    before = model.get_weights()
    record = ms.warm_start(model, X, Y, verbose=0)
    assert record.levels == ()
    assert record.plan.depth == 0
    same(model, before)


def batches():
    return zip(np.split(X, 10), np.split(Y, 10), strict=True)


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return np.split(X, 10)[index], np.split(Y, 10)[index]


@pytest.mark.thorough
@pytest.mark.parametrize("data", [batches, Sequence])
def test_batches_do_as_well(data):
    model, _ = started(x=data(), y=None)
    assert loss(model) < 0.3 * loss(compiled(64, 64, 64))


@pytest.mark.thorough
def test_a_dataset_of_tensorflow_does_as_well():
    tf = pytest.importorskip("tensorflow")
    model, _ = started(x=tf.data.Dataset.from_tensor_slices((X, Y)).batch(40), y=None)
    assert loss(model) < 0.3 * loss(compiled(64, 64, 64))


@pytest.mark.thorough
def test_batches_may_grow_on_coarse_levels(monkeypatch):
    sizes = {}

    class Watched(Level):
        def __init__(self, *args):
            super().__init__(*args)
            x, *_ = next(iter(self.batches()))
            sizes[self.level] = len(x)

    monkeypatch.setattr(iteration, "Level", Watched)
    options = OPTIONS | {"depth": 3, "batch_size": [8, 16, 32]}
    ms.warm_start(compiled(64, 64, 64), X, Y, **options)
    assert sizes == {3: 32, 1: 16}


@pytest.mark.thorough
def test_sample_weights_count():
    """Half of the samples have no weight and wrong targets."""
    x, y = np.concatenate([X, X]), np.concatenate([Y, -9 * Y])
    weights = np.repeat([1.0, 0.0], len(X))
    model, _ = started(x=x, y=y, sample_weight=weights)
    assert loss(model) < 0.3 * loss(compiled(64, 64, 64))


@pytest.mark.thorough
@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.optimizers.RMSprop(1e-3),
        keras.optimizers.AdamW(1e-3, weight_decay=1e-4, clipnorm=1.0),
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, 1000)),
    ],
    ids=lambda one: one.name,
)
def test_other_optimizers(optimizer):
    model, _ = started(compiled(64, 64, 64, optimizer=optimizer))
    assert loss(model) < 0.5 * loss(compiled(64, 64, 64))
    model.fit(X, Y, verbose=0)


@pytest.mark.thorough
def test_regularisers_and_loss_weights_are_used():
    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(64, "gelu", kernel_regularizer="l2")(inputs)
    ends = [keras.layers.Dense(64, name=name)(hidden) for name in ("one", "two")]
    model = keras.Model(inputs, ends)
    model.compile("adam", ["mse", "mae"], loss_weights=[1.0, 1e-6])
    _, record = started(model, y=[Y, -Y])
    one, _ = model.predict(X_NEW, verbose=0)
    assert np.mean((one - Y_NEW) ** 2) < 0.5 * np.var(Y_NEW)
    kernels = sum(np.square(x).sum() for x in model.layers[1].get_weights()[:1])
    assert record.levels[-1].left < 0.01 * kernels + 0.5 * np.var(Y_NEW)


@pytest.mark.thorough
def test_constraints_hold_afterwards():
    model = network(64, 64, 64)
    model = keras.models.clone_model(
        model,
        clone_function=lambda layer: type(layer).from_config(
            layer.get_config() | {"kernel_constraint": "NonNeg"}
        ),
    )
    model.compile("adam", "mse")
    started(model)
    for layer in model.layers:
        assert ops.convert_to_numpy(layer.kernel).min() >= 0


@pytest.mark.thorough
def test_labels():
    labels = (X[:, 0] > 0).astype("int32")
    model = network(64, 64, 2, last=None)
    cross = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", cross)
    started(model, y=labels)
    right = model.predict(X, verbose=0).argmax(axis=1) == labels
    assert right.mean() > 0.9


@pytest.mark.thorough
def test_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = compiled(64, 64, 64)
        started(model)
    finally:
        keras.config.set_dtype_policy("float32")
    assert loss(model) < 0.5 * loss(compiled(64, 64, 64))


def test_its_time_is_kept():
    _, record = started(seconds=0.3)
    assert sum(one.seconds for one in record.levels[1:]) < 0.6


def test_the_record_prints_a_line_a_level(example):
    _, record = example
    *levels, last = str(record).splitlines()
    assert [line.partition(":")[0] for line in levels] == ["level 3", "level 1"]
    assert last.startswith("The model has what its coarse networks learned. (")


def test_it_shows_what_it_does(capsys):
    started(verbose=1)
    shown = capsys.readouterr().out
    assert "L = 3 with hat" in shown
    assert "Level 3" in shown
    assert "loss" in shown


def test_it_is_silent_if_asked(capsys):
    started()
    assert capsys.readouterr().out == ""


def with_a_stranger():
    layers = [keras.layers.Dense(64), keras.layers.UnitNormalization(name="normal")]
    model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(64)])
    model.compile("adam", "mse")
    return model


def frozen():
    model = compiled(64, 64, 64)
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    return model


def by_function():
    def rate():
        return 1e-3

    return compiled(64, 64, 64, optimizer=keras.optimizers.Adam(rate))


REFUSALS = {
    "not compiled": ({"model": network(64, 64, 64)}, "`model` must be compiled"),
    "without coarse form": ({"model": with_a_stranger()}, "'normal'.*no coarse form"),
    "frozen": ({"model": frozen()}, "does not train"),
    "rate": ({"model": by_function()}, "`learning_rate` must be a number or a Learn"),
    "few samples": ({"batch_size": 401}, "`batch_size` must be at most the 400 samp"),
    "few samples on a level": (
        {"batch_size": [8, 401]},
        r"`batch_size` must be at most the 400 samples. Received: batch_size=\[8, 401",
    ),
    "no batch": ({"batch_size": []}, "`batch_size` must be an integer, or a sequence"),
    "no samples": ({"x": X[:0], "y": Y[:0]}, "same number of samples, at least one"),
    "infinite": ({"x": np.where(X > 1, np.inf, X)}, "`x` must hold finite numbers"),
    "NaN": ({"y": np.full_like(Y, np.nan)}, "`y` must not contain NaN"),
    "widths": ({"x": X[:, :60]}, "`x` must have samples of shape \\(64,\\)"),
    "topology": ({"topology": ms.path(60)}, "`topology` must have as many nodes as"),
    "depth": ({"depth": 7}, "`depth` must be at most 6"),
    "callbacks": ({"callbacks": ["no"]}, r"`callbacks\[0\]` must be a callback"),
    "validation": ({"validation_data": X}, "`validation_data` must be"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_leave_the_model_alone(name):
    options, message = REFUSALS[name]
    options = {"x": X, "y": Y, "model": compiled(64, 64, 64)} | OPTIONS | options
    model = options.pop("model")
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        ms.warm_start(model, options.pop("x"), options.pop("y"), **options)
    same(model, before)
