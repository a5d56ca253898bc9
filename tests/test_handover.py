"""From one level to the next: no output changes, units come apart, steps go on."""

import keras
import numpy as np
import pytest
from keras import ops
from precision import EXACT, floatx
from smooth import compiled, network

import msann_keras as ms
from msann.topology import chain
from msann_keras.averages import averaged
from msann_keras.coarse_forms import coarsened
from msann_keras.nested.handover import (
    complement,
    finer_weights,
    lifted,
    prolonged_moments,
)
from msann_keras.nested.level import values_of, weights_of
from msann_keras.nested.optimizer import (
    MOMENTS,
    copy_of,
    hand_over_state,
    moments,
    rate_of,
)
from msann_keras.spaces import walk

RNG = np.random.default_rng(7)
ACTIVATIONS = (
    *("relu", "sigmoid", "tanh", "elu", "selu", "gelu", "softplus", "softsign"),
    *("silu", "leaky_relu", "hard_sigmoid", "mish", "exponential", "linear"),
)
#: Of the input, the hidden units and the output.
SPACES = {
    "pairs": (ms.path(16), ms.path(8), ms.path(16)),
    "hat": (ms.path(16, prolongation="hat"), ms.path(8), ms.grid(4, 4)),
    "rings": (ms.cycle(16, prolongation="hat"), ms.path(6), ms.torus(2, 8)),
    "odd": (ms.path(13), ms.path(7), ms.path(9)),
    "odd hat": (ms.grid(3, 5, prolongation="hat"), ms.path(5), ms.path(11)),
    "slower": (ms.path(16), ms.slower(ms.path(8)), ms.path(16)),
    "band": (ms.path(16, prolongation="band"), ms.path(8), ms.path(4)),
    "logits": (ms.path(16), ms.path(8), ms.identity(3)),
}


def made(name, depth=2, activation="gelu", last=None, use_bias=True):
    """A network, how it is coarsened, and chains of its three spaces."""
    spaces = [chain(topology, depth) for topology in SPACES[name]]
    sizes = [one.sizes[0] for one in spaces]
    model = network(*sizes[:2], *sizes[1:], activation=activation, last=last)
    if not use_bias:
        config = model.get_config()
        for layer in config["layers"][1:]:
            layer["config"]["use_bias"] = False
        model = keras.Sequential.from_config(config)
    first, hidden, outputs = model.layers
    ends = {
        first.name: (spaces[0], spaces[1]),
        hidden.name: (spaces[1], spaces[1]),
        outputs.name: (spaces[1], spaces[2]),
    }
    return model, coarsened(walk(model), lambda layer: ends[layer.name]), spaces


def filled(coarsening, level):
    """The network of a level with random weights."""
    coarse = coarsening.network(level)
    coarse.set_weights([RNG.normal(size=v.shape) / 2 for v in coarse.weights])
    return coarse


def prolonged_outputs(coarse, x, spaces, level):
    """What the finer network is to give: averages, interpolated."""
    inputs, _, outputs = spaces
    x = averaged(x, inputs, level + 1, np)
    y = ops.convert_to_numpy(coarse(x))
    P = outputs.steps[level]
    sums = outputs.column_sums(level + 1), outputs.column_sums(level)
    return P.prolong(y * sums[0]) / sums[1]


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("name", SPACES)
def test_prolonging_changes_no_output(name, level, use_bias):
    """Not for constant data alone: for all, and whatever tells units apart."""
    with floatx("float64"):
        _, coarsening, spaces = made(name, use_bias=use_bias)
        coarse, fine = filled(coarsening, level + 1), coarsening.network(level)
        values = [ops.convert_to_numpy(v) for v in coarse.weights]
        fine.set_weights(finer_weights(values, coarsening, level + 1, level))
        x = RNG.normal(size=(5, spaces[0].sizes[0]))
        expected = prolonged_outputs(coarse, x, spaces, level)
        result = ops.convert_to_numpy(fine(averaged(x, spaces[0], level, np)))
    np.testing.assert_allclose(result, expected, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_whatever_the_activation_is(activation):
    """Of the outputs too, where they are constant on aggregates."""
    with floatx("float64"):
        _, coarsening, spaces = made("odd", activation=activation, last=activation)
        coarse, fine = filled(coarsening, 1), coarsening.network(0)
        values = [ops.convert_to_numpy(v) for v in coarse.weights]
        fine.set_weights(finer_weights(values, coarsening, 1, 0))
        x = RNG.normal(size=(5, 13))
        expected = prolonged_outputs(coarse, x, spaces, 0)
        np.testing.assert_allclose(
            ops.convert_to_numpy(fine(x)), expected, rtol=EXACT, atol=EXACT
        )


def test_units_that_were_one_come_apart():
    """Without the complement they get equal gradients, and stay equal for ever."""
    _, coarsening, _ = made("pairs")
    coarse = filled(coarsening, 1)
    values = [ops.convert_to_numpy(v) for v in coarse.weights]
    for apart in (True, False):
        after_first, *_ = finer_weights(values, coarsening, 1, 0, apart=apart)
        kernel = finer_weights(values, coarsening, 1, 0, apart=apart)[2]
        twins = kernel.reshape(4, 2, 8)
        assert np.allclose(twins[:, 0], twins[:, 1]) is not apart
        # The first kernel reads data, which are apart as they are.
        pairs = after_first.reshape(8, 2, 8)
        np.testing.assert_allclose(pairs[:, 0], pairs[:, 1])


@pytest.mark.parametrize("name", SPACES)
def test_the_complement_acts_on_nothing_coarse(name):
    hidden = chain(SPACES[name][1], 2)
    for level in (0, 1):
        draw = RNG.normal(size=(hidden.sizes[level], 3))
        kernel = complement(draw, hidden, level + 1, level)
        P = hidden.steps[level]
        h = P.prolong(RNG.normal(size=hidden.sizes[level + 1]))
        h /= hidden.column_sums(level)
        np.testing.assert_allclose(h @ kernel, 0, atol=1e-12)
        if P.shape[0] > P.shape[1]:
            assert np.abs(kernel).max() > 0.1


@pytest.mark.parametrize("name", SPACES)
def test_prolonged_moments_make_the_prolonged_step(name):
    chains = [chain(topology, 1) for topology in SPACES[name][:2]]
    shape = [one.sizes[1] for one in chains]
    m, v = RNG.normal(size=shape), RNG.uniform(0.1, 2, size=shape)
    fine_m, fine_v = prolonged_moments([m, v], chains, 1, 0)
    np.testing.assert_allclose(
        fine_m / np.sqrt(fine_v), lifted(m / np.sqrt(v), chains, 1, 0), rtol=1e-9
    )
    assert (fine_v > 0).all()
    (alone,) = prolonged_moments([v], chains, 1, 0)
    np.testing.assert_array_equal(alone, fine_v)
    _, root = prolonged_moments([m, np.sqrt(v)], chains, 1, 0, power=1)
    np.testing.assert_allclose(root**2, fine_v)


def test_two_levels_at_once_are_one_after_the_other():
    with floatx("float64"):
        _, coarsening, _ = made("odd hat")
        values = [RNG.normal(size=v.shape) for v in coarsening.network(2).weights]
        half = finer_weights(values, coarsening, 2, 1, apart=False)
        slowly = finer_weights(half, coarsening, 1, 0, apart=False)
        at_once = finer_weights(values, coarsening, 2, 0, apart=False)
    for one, other in zip(slowly, at_once, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_moments_without_a_gradient_make_no_step():
    chains = [chain(ms.path(4), 1)] * 2
    m, v = prolonged_moments([np.zeros((2, 2))] * 2, chains, 1, 0)
    assert np.isfinite(v).all()
    np.testing.assert_array_equal(m, 0)


def handed_over(optimizer):
    """Optimizers of levels 1 and 0, the first of which has trained."""
    model, coarsening, _ = made("pairs")
    model.compile(optimizer, "mse")
    coarse = filled(coarsening, 1)
    coarse.compile(copy_of(model.optimizer), "mse")
    coarse.fit(RNG.normal(size=(8, 8)), RNG.normal(size=(8, 8)), verbose=0)
    model.optimizer.build(model.trainable_variables)
    axes = zip(coarsening.weight_chains, coarsening.unit_axes, strict=True)
    done = hand_over_state(coarse.optimizer, model.optimizer, [*axes], 1, 0)
    return done, coarse.optimizer, model.optimizer


@pytest.mark.quick(2)
@pytest.mark.parametrize("name", MOMENTS)
def test_an_optimizer_hands_over_its_moments(name):
    kind = getattr(keras.optimizers, name, None) or getattr(ms, name)
    done, coarse, fine = handed_over(kind(1e-3))
    assert done
    assert int(fine.iterations) == int(coarse.iterations) > 0
    for slots in moments(fine):
        *means, size = (ops.convert_to_numpy(slot) for slot in slots)
        assert len(slots) == len(MOMENTS[name])
        assert all(np.abs(mean).max() > 0 for mean in means)
        assert (size > 0).all()
    assert rate_of(fine) == pytest.approx(1e-3)


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", ["SGD", "Lion", "Adagrad", "Nadam"])
def test_another_optimizer_starts_afresh(name):
    done, _, fine = handed_over(getattr(keras.optimizers, name)(1e-3))
    assert not done
    assert int(fine.iterations) == 0


@pytest.mark.thorough
def test_a_schedule_of_the_rate_begins_at_its_beginning():
    decay = keras.optimizers.schedules.CosineDecay(1e-3, 100)
    done, coarse, fine = handed_over(keras.optimizers.Adam(decay))
    assert done
    assert rate_of(coarse) == pytest.approx(1e-3)
    assert int(fine.iterations) == 0


def test_copies_are_of_the_same_kind():
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.2, clipnorm=3.0)
    copy = copy_of(optimizer)
    assert copy.get_config() == optimizer.get_config() | {
        "name": copy.name,
        "learning_rate": pytest.approx(0.1),
    }


def test_copies_scale_the_loss_too():
    inner = keras.optimizers.Adam(0.1)
    copy = copy_of(keras.optimizers.LossScaleOptimizer(inner), factor=3)
    assert isinstance(copy, keras.optimizers.LossScaleOptimizer)
    assert rate_of(copy) == pytest.approx(0.3)


def test_weights_are_those_of_the_layers_in_order():
    model = compiled(8, 4, 8)
    pairs = zip(weights_of(model.layers), values_of(model.layers), strict=True)
    for (variable, value), own in zip(pairs, model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, own)
        assert variable.shape == own.shape
