"""Which level trains in a step: said once, heard by the layers that it concerns."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from models import EVERY, X, Y, compiled, network

import msann_keras as ms
from msann_keras.focus import Focus, present, training


def built(depth=2):
    layer = ms.MultilevelDense(4, depth, bias_initializer="random_normal")
    layer.build((None, 4))
    return layer


def trained(*layers):
    """Which levels of each layer a gradient reaches."""
    with tf.GradientTape() as tape:
        loss = sum(tf.reduce_sum(layer(X) ** 2) for layer in layers)
    kernels = [[kernel.value for kernel in layer.kernels] for layer in layers]
    gradients = tape.gradient(loss, kernels)
    return [[i for i, g in enumerate(own) if g is not None] for own in gradients]


# -------------------------------------------------------------------- whom it concerns


def test_outside_of_a_step_every_level_trains():
    layer = built()
    assert present() == Focus(EVERY, {})
    assert present().of(layer) == EVERY
    assert trained(layer) == [[0, 1, 2]]


@pytest.mark.parametrize("level", [0, 1, 2, EVERY])
def test_inside_the_level_trains_alone_in_its_layers(level):
    own, other = built(), built()
    levels = [0, 1, 2] if level == EVERY else [level]
    with training(level, [own]):
        assert (present().of(own), present().of(other)) == (level, EVERY)
        assert trained(own, other) == [levels, [0, 1, 2]]
    assert trained(own, other) == [[0, 1, 2], [0, 1, 2]]


def test_an_inner_step_is_all_that_counts_until_it_ends():
    one, two = built(), built()
    with training(0, [one]):
        with training(1, [two]):
            assert trained(one, two) == [[0, 1, 2], [1]]
        assert trained(one, two) == [[0], [0, 1, 2]]
        with pytest.raises(KeyError), training(2, [one, two]):
            raise KeyError
        assert trained(one, two) == [[0], [0, 1, 2]]
    assert present().level == EVERY


def test_another_thread_is_in_no_step():
    with training(1, [built()]), ThreadPoolExecutor(1) as pool:
        assert pool.submit(present).result().level == EVERY


class Student(ms.MultilevelModel):
    """Learns from another model, which it trains in the same step."""

    def train_step(self, data):
        x, y = data[:2]
        teacher = self.teacher()
        with tf.GradientTape() as tape:
            taught = teacher(x)
            loss = tf.reduce_mean((self(x) - taught) ** 2 + (taught - y) ** 2)
        own, others = self.trainable_variables, teacher.trainable_variables
        gradients = tape.gradient(loss, [v.value for v in own + others])
        assert None not in gradients
        self.optimizer.apply(gradients[: len(own)], own)
        teacher.optimizer.apply(gradients[len(own) :], others)
        return {"loss": loss}


@pytest.mark.parametrize("level", [0, 1])
def test_layers_of_another_model_train_whole(level):
    teacher, student = compiled(1), compiled(1, "sgd", Student)
    student.teacher = lambda: teacher  # no layer of the student
    student.set_weights([w + 1 for w in student.get_weights()])  # both begin alike
    teacher.optimizer.build(teacher.trainable_variables)
    before = teacher.get_weights(), student.get_weights()
    student.level = level
    student.train_on_batch(X, Y)
    changed = [
        [not np.array_equal(a, b) for a, b in zip(old, m.get_weights(), strict=True)]
        for old, m in zip(before, (teacher, student), strict=True)
    ]
    own = [v.level == level for v in student.weights]
    assert changed == [[True] * 4, own]


def test_a_models_weights_are_those_of_the_level():
    model, other = network(1), network(1)
    with training(1, model.multilevel_layers):
        assert [v.level for v in model.trainable_weights] == [1, 1]
        assert len(other.trainable_weights) == 4
    assert len(model.trainable_weights) == 4


# ---------------------------------------------------------------- the rest, given along


def test_the_other_levels_share_may_be_given():
    layer = built()
    expected = layer(X)
    share = layer.theta(without=1)
    with training(1, [layer], [share]):
        np.testing.assert_allclose(layer(X), expected, atol=1e-6)
    with training(1, [layer], [(share[0] + 1.0, share[1])]):
        difference = np.broadcast_to(X.sum(axis=1)[:, None], (10, 4))
        np.testing.assert_allclose(layer(X) - expected, difference, atol=1e-5)


# ------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("level", [3, -2, True, 1.0, "fine", None])
def test_refuses_a_level_that_is_not_there(level):
    message = rf"`level` must be an integer in -1 .. 2.*level={level!r}"
    with pytest.raises(ValueError, match=message), training(level, [built()]):
        pytest.fail("a step of a level that there is not")
    assert present().level == EVERY


def test_refuses_a_level_that_one_layer_does_not_have():
    layers, message = [built(2), built(1)], "in -1 .. 1.*level=2"
    with pytest.raises(ValueError, match=message), training(2, layers):
        pytest.fail("a step of a level that a layer does not have")
