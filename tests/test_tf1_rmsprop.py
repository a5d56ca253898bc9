"""TF1RMSprop: its formula, TensorFlow 1's own, and what Keras adds."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from msann_keras import TF1RMSprop


def steps(optimizer, gradients, start):
    """The variable after each step."""
    variable = keras.Variable(start, dtype="float64")
    values = []
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient, "float64")], [variable])
        values.append(variable.numpy())
    return values


def test_three_steps_by_hand():
    # s: 1 -> .75 + .25 * 13 = 4 -> .75 * 4 + .25 * 24 = 9 -> .75 * 9 + .25 * 9 = 9
    optimizer = TF1RMSprop(0.5, rho=0.75, epsilon=1e-12)
    values = steps(optimizer, [13**0.5, -(24**0.5), 3.0], start=1.0)
    moves = [-0.5 * 13**0.5 / 2, 0.5 * 24**0.5 / 3, -0.5 * 3 / 3]
    np.testing.assert_allclose(values, 1 + np.cumsum(moves), rtol=1e-10)


def test_epsilon_stands_inside_the_root():
    # s: 1 -> 0.25 * 1 + .75 * 4 = 3.25, and 3.25 + 5.75 = 9.
    (value,) = steps(TF1RMSprop(1.0, rho=0.25, epsilon=5.75), [2.0], start=0.0)
    assert value == pytest.approx(-2 / 3)


def test_defaults_are_the_papers():
    config = TF1RMSprop().get_config()
    assert config["learning_rate"] == pytest.approx(5e-4)
    assert (config["rho"], config["epsilon"]) == (0.9, 1e-10)


def test_same_as_tensorflow_1():
    """Which casts its hyperparameters to float32."""
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=3), rng.normal(size=(10, 3))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable("v", initializer=start)
        gradient = tf.compat.v1.placeholder(tf.float64, 3)
        train = tf.compat.v1.train.RMSPropOptimizer(0.01).apply_gradients(
            [(gradient, variable)]
        )
        session.run(tf.compat.v1.global_variables_initializer())
        expected = []
        for value in gradients:
            session.run(train, {gradient: value})
            expected.append(session.run(variable))
    actual = steps(TF1RMSprop(0.01), gradients, start)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_rows_of_an_embedding_add_up():
    """Keras passes slices; a row may be in them twice."""
    slices = tf.IndexedSlices(tf.ones((2, 2)), tf.constant([1, 1]), tf.constant([3, 2]))
    dense = tf.constant([[0.0, 0.0], [2.0, 2.0], [0.0, 0.0]])
    values = []
    for gradient in (slices, dense):
        variable = keras.Variable(np.ones((3, 2)))
        TF1RMSprop(0.1).apply([gradient], [variable])
        values.append(variable.numpy())
    np.testing.assert_array_equal(*values)


# ------------------------------------------------------- what every optimizer has


def test_serialisation():
    optimizer = TF1RMSprop(0.01, rho=0.8, epsilon=1e-5, weight_decay=0.1, clipnorm=2.0)
    config = keras.optimizers.serialize(optimizer)
    copy = keras.optimizers.deserialize(config)
    assert isinstance(copy, TF1RMSprop)
    assert copy.get_config() == optimizer.get_config()
    gradients = np.random.default_rng(0).normal(size=(5, 3))
    values = [steps(o, gradients, np.ones(3)) for o in (optimizer, copy)]
    np.testing.assert_array_equal(*values)


def test_learning_rate_schedule():
    halving = keras.optimizers.schedules.PiecewiseConstantDecay([0], [1.0, 0.5])
    # With gradients of one, s stays at one, and each step is the rate.
    values = steps(TF1RMSprop(halving), [1.0, 1.0, 1.0], start=0.0)
    np.testing.assert_allclose(values, [-1, -1.5, -2], rtol=1e-7)


@pytest.mark.parametrize(
    ("options", "gradient", "expected"),
    [
        ({"clipvalue": 1.0}, 50.0, 2 - 0.5),
        ({"clipnorm": 1.0}, 50.0, 2 - 0.5),
        ({"weight_decay": 0.1}, 0.0, 2 - 0.5 * 0.1 * 2),
    ],
)
def test_clipping_and_weight_decay(options, gradient, expected):
    (value,) = steps(TF1RMSprop(0.5, **options), [gradient], start=2.0)
    assert value == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("rho", [-0.1, 1.0, float("nan")])
def test_refuses_rho(rho):
    with pytest.raises(ValueError, match="`rho` must be a finite number >= 0 and < 1"):
        TF1RMSprop(rho=rho)


@pytest.mark.parametrize("epsilon", [0.0, -1e-10, float("nan")])
def test_refuses_epsilon(epsilon):
    with pytest.raises(ValueError, match="`epsilon` must be a finite number > 0"):
        TF1RMSprop(epsilon=epsilon)
