"""`fit` on coarsened data: history, callbacks, every kind of input, refusals."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import msann_keras as ms
from msann.schedules import Growing, gamma_cycle
from msann_keras.engines.coarsened.data import Arrays, Batches
from msann_keras.engines.coarsened.network import coarsening

RNG = np.random.default_rng(21)
X = RNG.random((40, 8)).astype("float32")


def model_of(*layers, depth=2, optimizer="adam", loss="mse", topology=None, **options):
    keras.utils.set_random_seed(22)
    layers = layers or (keras.layers.Dense(4, "sigmoid"), keras.layers.Dense(8))
    model = ms.multilevel(
        keras.Sequential([keras.Input((8,)), *layers]), depth, topology
    )
    model.compile(optimizer, loss, jit_compile=False, **options)
    return model


def cycles(**options):
    return ms.CycleSchedule(**{"smoothing_steps": 2, "coarsen_data": True} | options)


def fit(model, x=X, y=X, callbacks=None, schedule=None, **options):
    options = {"batch_size": 5, "verbose": 0} | options
    callbacks = [schedule or cycles(), *(callbacks or [])]
    return model.fit(x, y, callbacks=callbacks, **options).history


def test_history_and_cost_are_those_of_whole_cycles():
    model = model_of(metrics=["mae"])
    history = fit(model, epochs=2, steps_per_epoch=3, validation_data=(X, X))
    assert {"loss", "mae", "val_loss", "val_mae", "level", "cost", "seconds"} <= {
        *history
    }
    visits = gamma_cycle(2, 1, 2)
    per_cycle = sum(
        5 * visits.batches_at(level) * share
        for level, share in enumerate(model.hierarchy.shares)
    )
    np.testing.assert_allclose(history["cost"], [3 * per_cycle, 6 * per_cycle])
    assert history["level"] == [0, 0]
    assert history["seconds"][1] > history["seconds"][0] > 0
    assert model.progress.position == 6 * visits.batches_per_cycle


def test_an_epoch_costs_about_a_pass_over_the_data():
    schedule = cycles(smoothing_steps=1)
    history = fit(model_of(), epochs=4, batch_size=2, schedule=schedule)
    costs = np.diff([0.0, *history["cost"]])
    assert np.allclose(costs, costs[0]) and 30 < costs[0] < 50  # of 40 samples


def test_training_lowers_the_error_and_begins_from_the_same_predictions():
    model = model_of(optimizer=keras.optimizers.Adam(0.02))
    before = model.predict(X, verbose=0)
    errors = []
    look = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: errors.append(np.abs(model(X) - before).max())
    )
    history = fit(model, epochs=30, callbacks=[look])
    assert errors[0] < 1e-6
    assert history["loss"][-1] < history["loss"][0] / 2


def test_the_model_is_left_as_it_was_found_also_by_an_exception():
    model = model_of(steps_per_execution=4)

    def fail(batch, logs):
        raise RuntimeError("from a callback")

    stop = keras.callbacks.LambdaCallback(on_train_batch_end=fail)
    with pytest.raises(RuntimeError, match="from a callback"):
        fit(model, callbacks=[stop])
    assert (model.level, model.session, model.steps_per_execution) == (-1, None, 4)
    assert model.optimizer.rate_factors == (1.0, 1.0, 1.0)
    fit(model)


def test_rates_follow_glorot_unless_told_otherwise():
    seen = []
    for factors in (None, (1, 3, 9)):
        model = model_of(optimizer=keras.optimizers.Adam(0.5))
        look = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs, m=model: seen.append(
                [float(x.learning_rate) for x in m.optimizer.levels]
            )
        )
        fit(model, callbacks=[look], schedule=cycles(rate_factors=factors), epochs=1)
    # Every size halves, so that Glorot's deviation grows by sqrt 2 a level.
    np.testing.assert_allclose(seen[0], 0.5 * np.sqrt([1, 2, 4]), rtol=1e-6)
    np.testing.assert_allclose(seen[-1], [0.5, 1.5, 4.5], rtol=1e-6)


def test_ordinary_callbacks_work(tmp_path):
    model = model_of()
    history = fit(
        model,
        epochs=50,
        validation_split=0.25,
        callbacks=[
            keras.callbacks.EarlyStopping(patience=0, min_delta=10.0),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.ModelCheckpoint(tmp_path / "best.keras"),
        ],
    )
    assert len(history["loss"]) == 2  # no epoch gains ten
    assert "cost" in (tmp_path / "log.csv").read_text().splitlines()[0]
    again = keras.models.load_model(tmp_path / "best.keras")
    np.testing.assert_allclose(again(X), model(X), atol=1e-6)


def test_a_saved_model_goes_on_with_the_same_optimizer_state(tmp_path):
    model = model_of()
    fit(model)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert [*again.optimizer.packed] == ["1", "2"]
    pairs = zip(model.optimizer.variables, again.optimizer.variables, strict=True)
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours, theirs)
    results = []
    for each in (model, again):
        keras.utils.set_random_seed(5)
        fit(each, schedule=cycles(resume=True))
        results.append(each.predict(X, verbose=0))
    np.testing.assert_allclose(*results, atol=1e-6)


class Sequence(keras.utils.PyDataset):
    num_batches = 8

    def __getitem__(self, i):
        return X[5 * i : 5 * i + 5], X[5 * i : 5 * i + 5]


def generator():
    while True:
        for i in range(8):
            yield X[5 * i : 5 * i + 5], X[5 * i : 5 * i + 5]


@pytest.mark.parametrize(
    "make",
    [lambda: tf.data.Dataset.from_tensor_slices((X, X)).batch(5), generator, Sequence],
    ids=["tf.data", "generator", "PyDataset"],
)
def test_batches_that_come_one_by_one_train_too(make):
    model = model_of(optimizer=keras.optimizers.Adam(0.02))
    history = fit(model, make(), None, batch_size=None, epochs=3, steps_per_epoch=4)
    assert history["loss"][-1] < history["loss"][0]


def test_data_beyond_the_memory_bound_come_in_chunks_that_use_every_sample():
    parts = coarsening(model_of())
    x = np.repeat(np.arange(12.0, dtype="float32"), 8).reshape(12, 8)
    arrays = Arrays(x, x, None, parts, 4 * 4 * x[:3].nbytes, np.random.default_rng(0))
    assert arrays.rows == 6
    chunks = arrays.chunks()
    seen = [next(chunks).levels[2][0][0].numpy()[:, 0] for _ in range(2)]
    assert sorted(np.concatenate(seen).round(5)) == list(range(12))

    stream = Batches(generator(), parts, 2**20, batches_per_call=2)
    first, second = (chunk for chunk, _ in zip(stream.chunks(), range(2), strict=False))
    got = np.concatenate([c.levels[0][0][0].numpy() for c in (first, second)])
    np.testing.assert_array_equal(got, X[:20])
    fit(model_of(), schedule=cycles(memory=2000), epochs=3)


def test_samples_of_weight_zero_do_not_count():
    model = model_of(optimizer=keras.optimizers.SGD(0.1))
    before = model.predict(X, verbose=0)
    fit(model, sample_weight=np.zeros(40))
    np.testing.assert_allclose(model.predict(X, verbose=0), before, atol=1e-6)
    fit(model, sample_weight=np.ones(40))
    assert np.abs(model.predict(X, verbose=0) - before).max() > 1e-3


def test_fewer_samples_than_a_batch_make_a_smaller_batch():
    model = model_of()
    fit(model, X[:3], X[:3], batch_size=32, steps_per_epoch=1)
    assert model.progress.examples == 3 * gamma_cycle(2, 1, 2).batches_per_cycle


def test_classes_stay_whole_and_random_layers_and_images_train():
    keras.utils.set_random_seed(3)
    plain = keras.Sequential(
        [
            keras.Input((4, 4)),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.1, seed=1),
            keras.layers.Dense(8, "relu", kernel_regularizer="l2"),
            keras.layers.Dense(3, "softmax"),
        ]
    )
    model = ms.multilevel(plain, 2, ms.grid(4, 4))
    model.compile(
        keras.optimizers.Adam(0.02),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    images = np.zeros((30, 4, 4), "float32")
    labels = np.arange(30) % 3
    for i, label in enumerate(labels):
        images[i, label] = 1
    history = fit(model, images, labels, epochs=20, steps_per_epoch=2)
    assert history["accuracy"][-1] > 0.9


def test_evaluate_notes_cost_and_seconds_at_its_own_pace():
    model = model_of()
    evaluate = ms.Evaluate(lambda m: float(np.mean(m(X))), cost=100)
    fit(model, epochs=3, steps_per_epoch=4, callbacks=[evaluate])
    costs = [row.cost for row in evaluate.history]
    assert costs[0] == 0 and min(np.diff(costs)) >= 100 and len(costs) > 2
    assert evaluate.history[-1].examples <= model.progress.examples
    assert evaluate.seconds > 0


@pytest.mark.parametrize("coarsen_data", [True, False])
def test_evaluate_leaves_the_history_alone(coarsen_data):
    def history(*callbacks):
        model = model_of(metrics=["mae"])
        schedule = ms.CycleSchedule(coarsen_data=coarsen_data)
        callbacks = [schedule, *callbacks]
        options = {"batch_size": 5, "epochs": 2, "steps_per_epoch": 4, "verbose": 0}
        keras.utils.set_random_seed(5)
        logs = model.fit(X, X, callbacks=callbacks, **options).history
        return [*logs["loss"], *logs["mae"]]

    spoiling = ms.Evaluate(lambda m: m.evaluate(X, 9 + X, verbose=0), cost=1)
    assert history(spoiling) == history()
    assert len(spoiling.history) > 2


def test_evaluate_goes_on_where_the_schedule_does():
    model = model_of()
    fit(model, steps_per_epoch=1)
    before = model.progress
    evaluate = ms.Evaluate(lambda m: None, cost=1)
    fit(model, steps_per_epoch=1, schedule=cycles(resume=True), callbacks=[evaluate])
    first, *_, last = evaluate.history
    assert (first.cost, first.examples) == (last.cost / 2, before.examples)


def test_evaluate_without_a_schedule_says_so():
    evaluate = ms.Evaluate(lambda m: None, cost=1)
    with pytest.raises(ValueError, match="`callbacks` must hold a `CycleSchedule`"):
        model_of().fit(X, X, verbose=0, callbacks=[evaluate])


def test_validation_data_and_batches_are_as_keras_has_them():
    for held_out, samples, batches in ((None, 30, 2), ((X, X), 40, 8)):
        model, trained, validated = model_of(), [], []
        note = keras.callbacks.LambdaCallback(
            on_train_begin=lambda logs, m=model, t=trained: t.append(
                m.session.engine.source.samples
            ),
            on_test_batch_end=lambda batch, logs, v=validated: v.append(batch),
        )
        options = {"validation_split": 0.25, "validation_data": held_out}
        assert "val_loss" in fit(model, callbacks=[note], **options)
        assert trained == [samples]  # with data to validate on, all samples train
        assert len(validated) == batches  # of five, as in training


def test_a_generator_shorter_than_a_cycle_trains_on_what_it_has():
    one = iter([(X[:5], X[:5])])
    history = fit(model_of(), one, None, batch_size=None, steps_per_epoch=1)
    assert np.isfinite(history["loss"]).all()


def test_layers_of_float64_train_at_packed_levels():
    model = model_of(*(keras.layers.Dense(n, dtype="float64") for n in (4, 8)))
    assert np.isfinite(fit(model, steps_per_epoch=2)["loss"]).all()


SIMULTANEOUS = ms.schedules.simultaneous()
REFUSED = {
    "class weight": ({"class_weight": {0: 1.0}}, {}, "`class_weight` has no effect"),
    "no shuffling": ({"shuffle": False}, {}, "`shuffle=False` is not for"),
    "no samples": ({"x": X[:0], "y": X[:0]}, {}, r"at least one. Received: \[0\]"),
    "lengths": ({"y": X[:3]}, {}, r"Received: \[3, 40\] samples"),
    "batch size of a generator": ({"x": generator(), "y": None}, {}, "batch_size=5"),
    "weights by output": (
        {"sample_weight": [np.ones(40), np.ones(40)]},
        {},
        "`sample_weight` must be one array",
    ),
    "split of batches": (
        {"x": generator(), "y": None, "batch_size": None, "validation_split": 0.5},
        {},
        "`validation_split` is for arrays",
    ),
    "batch size": ({"batch_size": 4.0}, {}, "`batch_size` must be an integer >= 1"),
    "coarse levels alone": (
        {},
        {"smoothing_steps": None, "schedule": ms.Schedule((ms.Visit(1, 3),))},
        "must train level 0 too",
    ),
    "every level": ({}, {"smoothing_steps": None, "schedule": SIMULTANEOUS}, "EVERY_L"),
    "rate factors": ({}, {"rate_factors": (1, 2)}, "`rate_factors` must be 3 positive"),
}


@pytest.mark.parametrize(
    ("options", "of_schedule", "message"), REFUSED.values(), ids=REFUSED
)
def test_what_has_no_meaning_here_is_refused(options, of_schedule, message):
    model = model_of()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        fit(model, schedule=cycles(**of_schedule), **options)
    for ours, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, old)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"consistency": -1}, "`consistency` must be an integer in 0 .. 1,000"),
        ({"memory": 0}, "`memory` must be an integer >= 1"),
        ({"coarsen_data": False, "memory": 9}, "`memory` is for `coarsen_data=True`"),
        ({"smoothing_steps": Growing(1, 2), "gamma": 0}, "`gamma` must be"),
    ],
)
def test_bad_options_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        cycles(**options)


@pytest.mark.parametrize(
    ("first", "factor", "named"), [(0, 2, "first"), (1, 0, "factor"), (1.5, 2, "first")]
)
def test_growth_must_be_positive(first, factor, named):
    with pytest.raises(ValueError, match=f"`{named}` must be an? .* Received: {named}"):
        Growing(first, factor)


@pytest.mark.parametrize("structure", [list, lambda x: {y.name: y for y in x}])
def test_inputs_and_targets_may_come_by_name(structure):
    keras.utils.set_random_seed(4)
    first, second = keras.Input((8,), name="first"), keras.Input((8,), name="second")
    joined = keras.layers.Add()(
        [keras.layers.Dense(4)(first), keras.layers.Dense(4)(second)]
    )
    outputs = keras.layers.Dense(8, name="out")(joined)
    model = ms.multilevel(keras.Model(structure([first, second]), outputs), 1)
    model.compile("adam", "mse", jit_compile=False)
    by_name = {"second": X[::-1], "first": X}
    fit(model, by_name, {"out": X}, steps_per_epoch=1)
    with pytest.raises(ValueError, match=r"without \['second'\]"):
        fit(model, {"first": X}, X)
