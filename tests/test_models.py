"""MultilevelModel: one level at a time, one trace a level, else a keras.Model."""

import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

import msann_keras as ms
from msann_keras.optimizers import Progress

EVERY = ms.EVERY_LEVEL
RNG = np.random.default_rng(0)
X = RNG.normal(size=(10, 4)).astype("float32")  # batches of 4, 4 and 2
Y = RNG.normal(size=(10, 4)).astype("float32")
CLASSES = np.arange(10) % 4
EAGER, GRAPH, XLA = {"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}


def network(depth, cls=ms.MultilevelModel, seed=1):
    """4-4, a MultilevelDense; of depth `None` a Dense."""
    inputs = keras.Input((4,))
    options = {"kernel_initializer": keras.initializers.GlorotNormal(seed)}
    if depth is None:
        return keras.Model(inputs, keras.layers.Dense(4, **options)(inputs))
    return cls(inputs, ms.MultilevelDense(4, depth=depth, **options)(inputs))


def compiled(depth=1, optimizer="sgd", cls=ms.MultilevelModel, **options):
    model = network(depth, cls)
    model.compile(optimizer, "mse", **(options or EAGER))
    return model


def fit(model, x=X, y=Y, schedule=None, **options):
    arrays = {"batch_size": 4} if isinstance(x, np.ndarray) else {}
    callbacks = [schedule or ms.CycleSchedule(), *options.pop("callbacks", [])]
    options = arrays | {"shuffle": False, "verbose": 0} | options
    return model.fit(x, y, callbacks=callbacks, **options).history


def assert_equal(actual, expected, **tolerance):
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, **{"rtol": 1e-6, "atol": 1e-7} | tolerance)


class Recording(ms.MultilevelModel):
    """Notes what trains in every execution of `train_step` in Python."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.record = []

    def train_step(self, data):
        levels = {v.level for v in self.trainable_weights}
        self.record.append(levels.pop() if len(levels) == 1 else EVERY)
        return super().train_step(data)


# ---------------------------------------------------------------------- one trace


def test_fifty_cycles_trace_each_level_once():
    inputs = keras.Input((33,))
    layer = ms.MultilevelDense(2, depth=6, output_topology="identity")
    model = Recording(inputs, layer(inputs))
    model.compile("sgd", "mse", **GRAPH)
    x, y = np.ones((13, 33)), np.ones((13, 2))
    fit(model, x, y, batch_size=1, epochs=50)  # a V-cycle has 13 batches
    assert model.progress == Progress(650, 650, (100,) * 6 + (50,))
    assert sorted(model.record) == [*range(7)]
    model.steps_per_execution = 7
    fit(model, x, y, batch_size=1, schedule=ms.CycleSchedule(gamma=2), epochs=2)
    assert len(model.record) == 7


@pytest.mark.parametrize("options", [GRAPH | {"steps_per_execution": 2}, XLA])
def test_partial_batches_and_every_kind_of_fit_share_a_trace(options):
    model = compiled(1, "adam", Recording, **options)
    fit(model, epochs=3)
    fit(model, X[:9], Y[:9], validation_split=0.2)
    assert sorted(model.record) == [0, 1]


class ByTheGuide(ms.MultilevelModel):
    """`train_step` as Keras's guide has it."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        self._loss_tracker.update_state(loss)
        return self.get_metrics_result()


@pytest.mark.parametrize("options", [EAGER, GRAPH])
def test_a_training_step_of_ones_own_trains_one_level_at_a_time(options):
    ours = compiled(1, keras.optimizers.Adam(0.1), **options)
    own = compiled(1, keras.optimizers.Adam(0.1), ByTheGuide, **options)
    own.set_weights(ours.get_weights())
    fit(ours), fit(own)
    assert_equal(own.get_weights(), ours.get_weights())
    assert own.progress == ours.progress


# ------------------------------------------------------- at depth 0, a keras.Model


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        rows = slice(4 * index, 4 * index + 4)
        return X[rows], Y[rows]


def batches():
    for index in range(len(Sequence())):
        yield Sequence()[index]


def dataset():
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)


def ema():
    return keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)


def decay():
    return keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)


SPARSE = {"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
LABELS = {"y": CLASSES}
FITS = {
    "arrays": ({}, {}),
    "tf.data": ({}, {"x": dataset, "y": None}),
    "generator": ({}, {"x": batches, "y": None, "steps_per_epoch": 3}),
    "PyDataset": ({}, {"x": Sequence, "y": None}),
    "repeated": ({}, {"x": lambda: dataset().repeat(), "y": None, "epochs": 3,
                      "steps_per_epoch": 2}),
    "sample_weight": ({}, {"sample_weight": np.arange(10.0)}),
    "class_weight": (SPARSE, LABELS | {"class_weight": {0: 1, 1: 2, 2: 0, 3: 5}}),
    "metrics": (
        SPARSE | {"metrics": ["accuracy"], "weighted_metrics": ["accuracy"]},
        LABELS | {"sample_weight": np.arange(10.0)},
    ),
    "validation_data": ({"metrics": ["mae"]}, {"validation_data": (X[:3], Y[:3])}),
    "validation_split": ({}, {"validation_split": 0.25}),
    "steps_per_epoch": ({}, {"steps_per_epoch": 2}),
    "initial_epoch": ({}, {"initial_epoch": 1}),
    "steps_per_execution": ({"steps_per_execution": 2}, {}),
    "ema": ({"optimizer": ema}, {}),
    "clipping": ({"optimizer": lambda: keras.optimizers.Adam(global_clipnorm=0.1)}, {}),
    "decay": ({"optimizer": lambda: keras.optimizers.SGD(decay())}, {}),
}  # fmt: skip


def made(options):
    return {k: v() if callable(v) else v for k, v in options.items()}


@pytest.mark.parametrize("name", FITS)
def test_without_levels_it_is_a_keras_model(name):
    compile_options, fit_options = FITS[name]
    run_eagerly = name not in ("steps_per_execution", "generator")
    results = []
    for depth in (None, 0):
        model = network(depth)
        losses = {} if callable(compile_options.get("loss")) else {"loss": "mse"}
        options = {"optimizer": "adam", "jit_compile": False} | losses
        own = {k: v for k, v in compile_options.items() if k != "optimizer"}
        if "optimizer" in compile_options:
            own["optimizer"] = compile_options["optimizer"]()
        model.compile(**options | own, run_eagerly=run_eagerly)
        options = {"x": X, "y": Y, "epochs": 2, "shuffle": False, "verbose": 0}
        options |= made(fit_options)
        if isinstance(options["x"], np.ndarray):
            options["batch_size"] = 4
        history = model.fit(**options).history
        results.append((history, model.get_weights()))
    (history, weights), (expected, expected_weights) = results[1], results[0]
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


# ------------------------------------------------- with levels, the same every way


@pytest.fixture(scope="module")
def expected():
    """The weights after two epochs, run eagerly, step by step."""
    model = compiled(1, keras.optimizers.Adam(0.1), **EAGER)
    assert fit(model, epochs=2)["level"] == [0, 0]  # cycles of 0 1 0
    assert model.progress == Progress(6, 20, (12, 8))
    return model.get_weights()


@pytest.mark.parametrize(
    ("mode", "steps"),
    [(EAGER, 2), (EAGER, 5), (GRAPH, 1), (GRAPH, 5), (XLA, 2)],
)
def test_modes_and_executions_agree(expected, mode, steps):
    """Executions of 2 or 5 batches do not divide the 3 of an epoch."""
    model = compiled(1, keras.optimizers.Adam(0.1), steps_per_execution=steps, **mode)
    fit(model, epochs=2)
    assert model.progress == Progress(6, 20, (12, 8))
    assert_equal(model.get_weights(), expected)


@pytest.mark.parametrize("kind", ["tf.data", "generator", "PyDataset"])
def test_kinds_of_data_agree(expected, kind):
    options = made(FITS[kind][1])
    model = compiled(1, keras.optimizers.Adam(0.1), steps_per_execution=2, **GRAPH)
    if kind == "generator":  # one pass
        fit(model, **options)
        options = made(FITS[kind][1])
        fit(model, **options, schedule=ms.CycleSchedule(resume=True))
    else:
        fit(model, **options, epochs=2)
    assert model.progress == Progress(6, 20, (12, 8))
    assert_equal(model.get_weights(), expected)


def test_class_weights_are_sample_weights_at_every_level():
    weights = []
    factors = {0: 1.0, 1: 2.0, 2: 0.0, 3: 5.0}
    for options in (
        {"class_weight": factors},
        {"sample_weight": np.array([factors[c] for c in CLASSES])},
    ):
        model = network(1)
        model.compile("adam", **SPARSE, **EAGER)
        fit(model, X, CLASSES, epochs=2, **options)
        weights.append(model.get_weights())
    assert_equal(*weights)
    assert not np.allclose(weights[0][0], network(1).get_weights()[0])


# ----------------------------------------------------------------- one level trains


def with_slots(model):
    """Every variable of a level, its optimizer's included, as arrays."""
    return [
        [
            v.numpy()
            for v in [w for w in model.weights if w.level == level] + copy.variables
        ]
        for level, copy in enumerate(model.optimizer.levels)
    ]


@pytest.mark.parametrize(
    ("level", "mode"), [(EVERY, EAGER), (0, EAGER), (1, EAGER), (2, EAGER), (1, XLA)]
)
def test_a_visit_changes_its_level_only(level, mode):
    model = compiled(2, "adam", Recording, **mode)
    model.optimizer.build(model.trainable_variables)
    model.level = level
    before = with_slots(model)
    model.fit(X, Y, verbose=0)
    assert model.record == [level]
    for number, states in enumerate(zip(before, with_slots(model), strict=True)):
        changed = [not np.array_equal(a, b) for a, b in zip(*states, strict=True)]
        # Kernel, bias, step count, two moments each; level 0 has the learning rate too.
        trained = [True, True, True, *[False][number:], True, True, True, True]
        here = level in (number, EVERY)
        assert changed == (trained if here else [False] * len(trained))


@pytest.mark.parametrize(("level", "fine"), [(EVERY, True), (0, True), (1, False)])
def test_a_coarse_step_forms_no_fine_gradient(level, fine):
    """Which is the only product of the shape of a fine kernel, 32 x 16."""
    inputs = keras.Input((32,))
    model = ms.MultilevelModel(inputs, ms.MultilevelDense(16, depth=1)(inputs))
    model.compile("sgd", "mse")
    model.make_train_function()

    @tf.function
    def step(x, y):
        engine = model.fine_gradient()
        return engine._step(level, engine._merge(level), (x, y))

    graph = step.get_concrete_function(tf.ones((3, 32)), tf.ones((3, 16))).graph
    products = [op for op in graph.get_operations() if op.type == "MatMul"]
    shapes = [tuple(op.outputs[0].shape) for op in products]
    assert (3, 16) in shapes  # the forward product
    assert ((32, 16) in shapes) == fine


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


class Subclassed(ms.MultilevelModel):
    def __init__(self):
        super().__init__()
        self.dense = ms.MultilevelDense(4, depth=1)

    def call(self, x):
        return self.dense(x)


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


def of_a_strategy():
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        return network(1)


@pytest.mark.parametrize(
    ("make", "optimizer", "message"),
    [
        (without_layers, "sgd", r"at least one MultilevelDense layer.*depths \{\}"),
        (mixed_depths, "sgd", r"same `depth` in all.*\{'one': 1, 'two': 2\}"),
        (of_a_strategy, "sgd", "does not train under a tf.distribute.*OneDevice"),
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


def test_compile_refuses_within_a_strategy():
    model = network(1)
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope(), pytest.raises(ValueError, match="under a tf.distribute"):
        model.compile("sgd", "mse")


@pytest.mark.parametrize("level", [2, -2, True, 1.0, "fine", None])
def test_level_refuses(level):
    model = network(1)
    model.level = 1
    message = rf"`level` must be an integer in -1 .. 1.*level={level!r}"
    with pytest.raises(ValueError, match=message):
        model.level = level
    assert model.level == 1


def test_refuses_to_train_before_it_is_built():
    model = Subclassed()
    model.compile("sgd", "mse", **EAGER)
    for use in (lambda: model.fit(X, Y, verbose=0), lambda: model.hierarchy):
        with pytest.raises(ValueError, match="'subclassed.*must be built first"):
            use()
    assert not model.built


def test_progress_and_cost_need_a_compiled_model():
    for name in ("progress", "cost"):
        with pytest.raises(ValueError, match="call `compile"):
            getattr(network(1), name)


@pytest.mark.parametrize("argument", ["x", "y"])
@pytest.mark.parametrize("nested", [False, True])
def test_fit_refuses_nan(argument, nested):
    model = compiled(1)
    before = model.get_weights()
    bad = X.copy()
    bad[3, 1] = bad[5, 2] = np.nan
    data = {"x": X, "y": Y} | {argument: {"name": bad} if nested else bad}
    message = rf"`{argument}` must not contain NaN.*\(10, 4\) with 2 NaN"
    with pytest.raises(ValueError, match=message):
        model.fit(**data, verbose=0)
    assert_equal(model.get_weights(), before, rtol=0, atol=0)
    assert model.progress.position == 0
