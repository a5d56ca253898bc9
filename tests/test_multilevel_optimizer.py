"""One optimizer a level behind one face: slots, routing, progress, state."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import msann_keras as ms
from msann_keras import focus
from msann_keras.optimizers import Progress

EVERY = ms.EVERY_LEVEL


def variable_of(level=None, value=0.0):
    variable = keras.Variable(np.full(2, value, "float32"))
    if level is not None:
        variable.level = level
    return variable


class Bench:
    """An optimizer over a variable of no level and one of each of two levels."""

    def __init__(self, optimizer, value=0.0):
        self.homeless = variable_of(value=value)
        self.own = [variable_of(0, value), variable_of(1, value)]
        self.optimizer = ms.MultilevelOptimizer(optimizer, depth=1)
        self.optimizer.build(self.variables)

    @property
    def variables(self):
        return [self.own[0], self.homeless, self.own[1]]

    def values(self):
        return [float(v.numpy()[0]) for v in self.variables]

    def step(self, level, gradient=1.0):
        """As the model does it: with the variables of a level and of none."""
        trained = [
            v for v in self.variables if level in (EVERY, getattr(v, "level", level))
        ]
        with focus.training(level, []):
            self.optimizer.apply([tf.fill([2], gradient)] * len(trained), trained)

    def steps(self):
        return [int(copy.iterations) for copy in self.optimizer.levels]


# ------------------------------------------------------------- who trains with whom


@pytest.mark.parametrize(
    ("level", "steps", "values"),
    [
        (0, [1, 0], [-1, -1, 0]),
        (1, [0, 1], [0, -1, -1]),
        (EVERY, [1, 1], [-1, -1, -1]),  # the homeless one moves once, not twice
    ],
)
def test_one_optimizer_moves_each_variable(level, steps, values):
    bench = Bench(keras.optimizers.SGD(1.0))
    bench.step(level)
    assert bench.values() == values
    assert bench.steps() == steps
    assert int(bench.optimizer.iterations) == 1


def test_each_level_has_slots_of_its_own():
    """Momentum is 1, then 1.5; level 1 begins at 1 again."""
    bench = Bench(keras.optimizers.SGD(1.0, momentum=0.5))
    for level in (0, 0, 1):
        bench.step(level)
    assert bench.values() == [-2.5, -3.5, -1]


def test_each_level_counts_its_own_steps():
    """A schedule of rates 1, 0.5, 0.5 .. begins at 1 on every level."""
    rates = keras.optimizers.schedules.PiecewiseConstantDecay([0], [1.0, 0.5])
    bench = Bench(keras.optimizers.SGD(rates))
    for level in (0, 0, 1):
        bench.step(level)
    assert bench.steps() == [2, 1]
    assert bench.values() == [-1.5, -2.5, -1]


def test_same_steps_as_separate_optimizers():
    levels = [0, 1, 1, EVERY, 0, 1]
    bench = Bench(keras.optimizers.Adam(0.1))
    alone = [variable_of(), variable_of()]
    adams = [keras.optimizers.Adam(0.1), keras.optimizers.Adam(0.1)]
    for number, level in enumerate(levels):
        bench.step(level, float(number))
        for own in range(2):
            if level in (own, EVERY):
                adams[own].apply([tf.fill(2, float(number))], [alone[own]])
    for actual, expected in zip(bench.own, alone, strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_refuses_to_apply_before_it_is_built():
    optimizer = ms.MultilevelOptimizer("sgd", depth=1)
    with pytest.raises(ValueError, match="must be built with the variables of every"):
        optimizer.apply([tf.ones(2)], [variable_of(0)])


# ------------------------------------------------------ what Keras asks of optimizers


def test_learning_rate_reaches_every_level():
    bench = Bench(keras.optimizers.SGD(0.5))
    assert float(bench.optimizer.learning_rate) == 0.5
    bench.optimizer.learning_rate = 0.25
    assert float(bench.optimizer.learning_rate) == 0.25
    bench.step(EVERY)
    assert bench.values() == [-0.25, -0.25, -0.25]


def test_options_of_the_copied_optimizer_stay():
    bench = Bench(keras.optimizers.SGD(1.0, clipvalue=0.5, weight_decay=0.25), value=4)
    bench.step(1, gradient=9.0)
    assert bench.values() == [4, 4 - 1 - 0.5, 4 - 1 - 0.5]


def test_a_loss_scale_is_taken_out_again():
    bench = Bench(keras.optimizers.SGD(1.0, loss_scale_factor=8.0))
    assert float(bench.optimizer.scale_loss(tf.constant(2.0))) == 16
    bench.step(EVERY, gradient=8.0)
    assert bench.values() == [-1, -1, -1]


def test_refuses_a_loss_scale_for_each_level():
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    with pytest.raises(ValueError, match=r"LossScaleOptimizer\(MultilevelOptimizer"):
        ms.MultilevelOptimizer(scaled, depth=1)


@pytest.mark.parametrize("scale", [None, 8.0])
def test_inside_a_loss_scale_optimizer(scale):
    """Whose scale is the only one."""
    sgd = keras.optimizers.SGD(1.0, loss_scale_factor=scale)
    bench = Bench(sgd)
    outer = keras.optimizers.LossScaleOptimizer(bench.optimizer, initial_scale=4.0)
    outer.build(bench.variables)
    assert float(outer.scale_loss(tf.constant(1.0))) == 4
    with focus.training(1, []):
        outer.apply([tf.fill(2, 4.0)], [bench.own[1]])
        outer.apply([tf.fill(2, np.inf)], [bench.own[1]])  # skipped
    assert bench.values() == [0, 0, -1]
    assert bench.steps() == [0, 1]


def test_trains_under_mixed_float16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        inputs = keras.Input((4,))
        model = ms.MultilevelModel(inputs, ms.MultilevelDense(4, depth=1)(inputs))
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
        x = np.eye(4, dtype="float32").repeat(4, axis=0)
        schedule = ms.CycleSchedule(smoothing_steps=2)
        options = {"batch_size": 4, "callbacks": [schedule], "verbose": 0}
        losses = model.fit(x, x, epochs=6, **options).history["loss"]
    finally:
        keras.config.set_dtype_policy(before)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    # 24 batches of cycles of 2, 2, 2: four whole cycles.
    assert [int(o.iterations) for o in model.optimizer.inner_optimizer.levels] == [
        16,
        8,
    ]
    assert model.progress == Progress(24, 96, (64, 32))
    assert losses[-1] < losses[0]


def test_averages_replace_the_levels_that_trained():
    """A level without a step has no average yet, and must stay as it is."""
    own = [variable_of(0, value=4.0), variable_of(1, value=4.0)]
    averaging = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    optimizer = ms.MultilevelOptimizer(averaging, depth=1)
    optimizer.build(own)
    for _ in range(2):
        optimizer.apply([tf.ones(2)], own[:1])
    assert [float(v.numpy()[0]) for v in own] == [2, 4]
    optimizer.finalize_variable_values(own)
    assert [float(v.numpy()[0]) for v in own] == [2.5, 4]  # of 3 and 2


def test_refuses_averages_of_weights_that_belong_to_no_level():
    averaging = keras.optimizers.SGD(1.0, use_ema=True)
    with pytest.raises(ValueError, match="every weight belongs to a level"):
        Bench(averaging)


# -------------------------------------------------------------- progress and state


def test_progress_counts_and_begins_anew():
    optimizer = Bench("sgd").optimizer
    assert optimizer.progress == Progress(0, 0, (0, 0))
    optimizer.advance(1, 8, (8, 0))
    optimizer.advance(3, 15, np.array([2, 15]))
    assert optimizer.progress == Progress(4, 23, (10, 15))
    optimizer.reset_progress()
    assert optimizer.progress == Progress(0, 0, (0, 0))


def test_a_new_schedule_keeps_slots_and_steps():
    bench = Bench(keras.optimizers.SGD(1.0, momentum=0.5))
    bench.step(1)
    bench.optimizer.reset_progress()
    bench.step(1)
    assert bench.steps() == [0, 2]
    assert bench.values() == [0, -2.5, -2.5]


@pytest.mark.parametrize(
    "optimizer", ["adam", {"class_name": "SGD", "config": {"momentum": 0.5}}]
)
def test_serialisation(optimizer):
    optimizer = ms.MultilevelOptimizer(optimizer, depth=2, name="mine")
    config = keras.optimizers.serialize(optimizer)
    copy = keras.optimizers.deserialize(config)
    assert isinstance(copy, ms.MultilevelOptimizer)
    assert copy.get_config() == optimizer.get_config()
    assert len(copy.levels) == 3
    rates = [float(x.learning_rate) for x in (copy.levels[2], optimizer.levels[0])]
    assert rates[0] == rates[1]
    configs = [x.get_config() | {"learning_rate": 0} for x in copy.levels]
    assert configs[2] == configs[0]


def test_saved_state_goes_on_where_it_was(tmp_path):
    inputs = keras.Input((4,))
    model = ms.MultilevelModel(inputs, ms.MultilevelDense(4, depth=1)(inputs))
    model.compile(ms.TF1RMSprop(0.1), "mse", run_eagerly=True)
    x = np.eye(4)
    for level in (0, 1, 1):
        model.level = level
        model.train_on_batch(x, x)
    model.optimizer.learning_rate = 0.02
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [int(o.iterations) for o in loaded.optimizer.levels] == [1, 2]
    assert loaded.progress == model.progress == Progress(3, 12, (4, 8))
    for one, other in zip(
        loaded.optimizer.variables, model.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(one, other)
    for each in (model, loaded):
        each.level = 1
        each.train_on_batch(x, x)
    for one, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


# ------------------------------------------------------ rates by level, packed levels


def test_rate_factors_multiply_level_0s_rate():
    bench = Bench(keras.optimizers.SGD(0.5))
    bench.optimizer.rate_factors = (1, 4)
    bench.step(EVERY)
    assert bench.values() == [-0.5, -0.5, -2]
    bench.optimizer.learning_rate = 0.25  # factors stay
    assert [float(o.learning_rate) for o in bench.optimizer.levels] == [0.25, 1]
    bench.optimizer.rate_factors = (1, 1)
    assert [float(o.learning_rate) for o in bench.optimizer.levels] == [0.25, 0.25]


def test_rate_factors_scale_a_schedule_of_rates():
    rates = keras.optimizers.schedules.PiecewiseConstantDecay([0], [1.0, 0.5])
    bench = Bench(keras.optimizers.SGD(rates))
    bench.optimizer.rate_factors = (1, 4)
    for level in (0, 0, 1, 1):
        bench.step(level)
    assert bench.values() == [-1.5, -1.5 - 6, -6]
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(bench.optimizer))
    assert copy.rate_factors == (1, 4)
    assert float(copy.levels[1].learning_rate) == 4


def test_a_compiled_step_follows_the_factors_of_a_schedule_of_rates():
    bench = Bench(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(1.0, 99)))
    step = tf.function(lambda: bench.step(1))
    step()
    one = bench.values()[2]
    bench.optimizer.use_rates((1, 100))
    step()
    assert bench.values()[2] < 50 * one
    bench.optimizer.use_rates()
    before = bench.values()[2]
    step()
    assert bench.values()[2] == pytest.approx(before + one, rel=1e-2)


def test_factors_for_a_while_are_not_saved():
    bench = Bench(keras.optimizers.SGD(1.0))
    bench.optimizer.rate_factors = (1, 2)
    bench.optimizer.use_rates((1, 4))
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(bench.optimizer))
    assert [float(o.learning_rate) for o in bench.optimizer.levels] == [1, 4]
    assert [float(o.learning_rate) for o in copy.levels] == [1, 2]
    bench.optimizer.use_rates()
    assert [float(o.learning_rate) for o in bench.optimizer.levels] == [1, 2]


@pytest.mark.parametrize(
    "factors", [2.0, [], (1,), (2, 1), (1, 0), (1, -1), (1, float("inf"))]
)
def test_refuses_other_rate_factors(factors):
    optimizer = Bench("sgd").optimizer
    with pytest.raises(ValueError, match="`rate_factors"):
        optimizer.rate_factors = factors
    assert optimizer.rate_factors == (1, 1)


def test_a_packed_level_has_a_copy_with_slots_and_the_levels_rate():
    bench = Bench(keras.optimizers.SGD(0.5, momentum=0.9))
    bench.optimizer.rate_factors = (1, 4)
    count = len(bench.optimizer.variables)
    variable, copy = bench.optimizer.pack(1, size=3)
    assert len(bench.optimizer.variables) > count
    assert bench.optimizer.pack(1, size=3)[1] is copy  # made once
    copy.apply([tf.ones(3)], [variable])
    np.testing.assert_array_equal(variable, [-2, -2, -2])
    bench.optimizer.learning_rate = 1.0
    assert float(copy.learning_rate) == 4
    again = keras.optimizers.deserialize(keras.optimizers.serialize(bench.optimizer))
    assert again.pack(1, size=3)[0].shape == (3,)
    assert [*again.packed] == ["1"]
