"""The multilevel start: Theta of a MultilevelDense, in a plain layer."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import msann_keras as ms
from msann_keras.initializers import Multilevel, for_level

ROWS, COLUMNS = 1024, 256
GLOROT = 2 / (ROWS + COLUMNS)


def drawn(*args, shape=(ROWS, COLUMNS), **kwargs):
    return ops.convert_to_numpy(Multilevel(*args, **kwargs)(shape))


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


# ------------------------------------------------------------- what it is the sum of


TOPOLOGIES = {
    "path": ((16, 8), None, None),
    "odd path": ((13, 7), "path", "path"),
    "grid": ((16, 8), ms.grid(4, 4), "grid"),
    "shuffled": ((16, 8), ms.shuffled(ms.path(16), seed=3), None),
    "shuffled at every level": (
        (13, 8),
        ms.shuffled(ms.path(13), seed=3, redraw=True),
        ms.shuffled(ms.grid(2, 4), seed=4, redraw=True),
    ),
    "identity": ((16, 8), "identity", ms.identity(8)),
    "matrices": (
        (16, 8),
        ms.random_orthogonal(16, seed=1),
        {"kind": "Path", "size": 8},
    ),
}


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("base", ["HeNormal", "GlorotUniform", "Orthogonal"])
@pytest.mark.parametrize("topologies", TOPOLOGIES)
def test_is_the_theta_that_a_multilevel_layer_starts_from(topologies, base, depth):
    (rows, columns), *ends = TOPOLOGIES[topologies]
    ends = dict(zip(("input_topology", "output_topology"), ends, strict=True))
    base = getattr(keras.initializers, base)(seed=5)
    layer = ms.MultilevelDense(columns, depth, kernel_initializer=base, **ends)
    layer.build((None, rows))
    kernel = drawn(depth, base, **ends, shape=(rows, columns))
    np.testing.assert_allclose(kernel, layer.theta()[0], rtol=1e-6, atol=1e-6)


def test_is_the_same_for_a_base_that_moves_on():
    first, second = (
        keras.initializers.HeNormal(keras.random.SeedGenerator(5)) for _ in range(2)
    )
    layer = ms.MultilevelDense(8, 2, kernel_initializer=first)
    layer.build((None, 16))
    kernel = drawn(2, second, shape=(16, 8))
    np.testing.assert_allclose(kernel, layer.theta()[0], rtol=1e-6, atol=1e-6)


def test_small_kernel_by_hand():
    # Each entry of level l, spread over 2^l x 2^l entries, weighs 2^-l.
    expected = np.full((4, 4), 1 + 1 / 2 + 1 / 4)
    np.testing.assert_allclose(drawn(2, "ones", shape=(4, 4)), expected, rtol=1e-6)


def test_depth_0_is_the_base():
    base = keras.initializers.HeNormal(seed=3)
    np.testing.assert_array_equal(drawn(0, base, shape=(6, 4)), base((6, 4)))


# ----------------------------------------------------------------- how it is spread


@pytest.mark.parametrize("depth", [0, 1, 2, 4])
def test_variance(depth):
    # Level l has 2^-l of the rows and of the columns, so Glorot's variance, 2 by their
    # sum, is 2^l times level 0's. An entry of P_l theta_l P_l^T is one of theta_l by
    # 2^(-l/2) from either side, its variance 4^-l of theta_l's: 2^-l of level 0's.
    # Levels are independent: 1 + 1/2 + .. + 2^-L = 2 - 2^-L.
    variance = drawn(depth, seed=1).var()
    assert variance == pytest.approx((2 - 2.0**-depth) * GLOROT, rel=0.03)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_neighbours_are_correlated(depth):
    # Of the variance 2 - 2^-L above, two rows of a pair share all but level 0's 1, and
    # two rows of different pairs that make a pair on level 1 all but 1 + 1/2.
    kernel = drawn(depth, seed=1)
    total = 2 - 2.0**-depth
    pairs = correlation(kernel[0::2], kernel[1::2])
    assert pairs == pytest.approx((total - 1) / total, abs=0.02)
    assert correlation(kernel[:, 0::2], kernel[:, 1::2]) == pytest.approx(
        pairs, abs=0.02
    )
    next_pairs = correlation(kernel[1::4], kernel[2::4])
    assert next_pairs == pytest.approx((total - 1.5) / total, abs=0.02)


@pytest.mark.parametrize("moving", [True, False])
@pytest.mark.parametrize("seed", [None, 7])
def test_levels_draw_independently(seed, moving):
    base = keras.initializers.GlorotNormal(
        keras.random.SeedGenerator(seed) if moving else seed
    )
    draws = [for_level(base, level)((64, 64)) for level in range(4)]
    correlations = np.corrcoef([np.ravel(draw) for draw in draws])
    assert np.abs(correlations - np.eye(4)).max() < 0.1
    # Variances add up; equal draws would have 16 times the variance.
    kernel = drawn(
        3, base, input_topology="identity", output_topology="identity", shape=(64, 64)
    )
    assert kernel.var() == pytest.approx(4 * 2 / 128, rel=0.15)


# -------------------------------------------------------------------------- seeds


def test_same_seed_same_weights():
    first, again, other = (drawn(2, seed=seed, shape=(8, 4)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.isclose(first, other).any()


def test_no_seed_different_weights():
    assert not np.isclose(drawn(2, shape=(8, 4)), drawn(2, shape=(8, 4))).any()


@pytest.mark.parametrize("seed", [None, 1])
def test_one_instance_draws_the_same_again_as_keras_has_it(seed):
    start = Multilevel(2, seed=seed)
    np.testing.assert_array_equal(start((8, 4)), start((8, 4)))


def test_seed_takes_the_place_of_the_seed_of_the_base():
    expected = drawn(2, keras.initializers.HeNormal(seed=1), shape=(8, 4))
    for base in (
        "he_normal",
        keras.initializers.HeNormal(seed=2),
        keras.initializers.HeNormal(keras.random.SeedGenerator(2)),
    ):
        np.testing.assert_array_equal(drawn(2, base, seed=1, shape=(8, 4)), expected)
    unseeded = drawn(2, keras.initializers.HeNormal(seed=1), seed=None, shape=(8, 4))
    np.testing.assert_array_equal(unseeded, expected)


@pytest.mark.parametrize("base", ["ones", lambda shape, dtype=None: ops.ones(shape)])
def test_base_without_a_seed(base):
    kernel = drawn(1, base, seed=1, shape=(4, 4))
    np.testing.assert_allclose(kernel, np.full((4, 4), 1.5), rtol=1e-6)


# ------------------------------------------------------------------------ in Keras


CONFIGS = [
    {"depth": 2},
    {"depth": 1, "base": "he_uniform", "seed": 4},
    {"depth": 2, "base": keras.initializers.HeNormal(seed=3)},
    {"depth": 2, "input_topology": ms.grid(2, 4), "output_topology": "identity"},
    {"depth": 1, "input_topology": ms.shuffled(ms.path(8), seed=1)},
    {"depth": 1, "output_topology": ms.given(np.eye(4)[:, ::2]), "seed": 0},
]


@pytest.mark.parametrize("config", CONFIGS)
def test_config_survives_json(config):
    start = Multilevel(**config)
    saved = start.get_config()
    copy = Multilevel.from_config(json.loads(json.dumps(saved)))
    assert copy.get_config() == saved
    by_keras = keras.initializers.get(keras.initializers.serialize(start))
    assert by_keras.get_config() == saved == start.clone().get_config()
    if start.base.get_config()["seed"] is not None:
        for other in (copy, by_keras):
            np.testing.assert_array_equal(other((8, 4)), start((8, 4)))


@pytest.mark.parametrize("config", CONFIGS)
def test_saved_with_a_plain_layer(config, tmp_path):
    start = Multilevel(**config)
    dense = keras.layers.Dense(4, kernel_initializer=start)
    model = keras.Sequential([keras.Input((8,)), dense])
    np.testing.assert_array_equal(dense.kernel, start((8, 4)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.layers[0].kernel, dense.kernel)
    assert loaded.layers[0].kernel_initializer.get_config() == start.get_config()


def test_plain_model_trains():
    model = keras.Sequential(
        [keras.layers.Dense(8, "tanh", kernel_initializer=Multilevel(2, seed=1))]
    )
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(32, 8))
    losses = model.fit(x, x, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", None])
@pytest.mark.parametrize("end", ["path", ms.random_orthogonal(8, seed=1)])
def test_dtype(dtype, end):
    start = Multilevel(2, input_topology=end, seed=1)
    kernel = start((8, 4), dtype=dtype)
    assert keras.backend.standardize_dtype(kernel.dtype) == (dtype or "float32")


# ----------------------------------------------------------------------- refusals


@pytest.mark.parametrize("value", [-1, True, 1.0, "2", None])
def test_refuses_depth(value):
    message = "`depth` must be an integer in 0 .. 64.*Received"
    with pytest.raises(ValueError, match=message):
        Multilevel(value)


@pytest.mark.parametrize("value", [-1, True, 1.0, "2"])
def test_refuses_seed(value):
    with pytest.raises(ValueError, match="`seed` must be an integer >= 0.*Received"):
        Multilevel(1, seed=value)


def test_refuses_no_base():
    with pytest.raises(ValueError, match="`base` must be a Keras initializer"):
        Multilevel(1, base=None)


@pytest.mark.parametrize("shape", [(), (8,), (3, 3, 8), [3, 3, 8, 4]])
def test_refuses_another_rank(shape):
    with pytest.raises(ValueError, match=r"must be \(rows, columns\).*Dense.*Rec"):
        Multilevel(1)(shape)


@pytest.mark.parametrize(("end", "size"), [("input", 8), ("output", 4)])
@pytest.mark.parametrize(
    ("topology", "message"),
    [
        ("torus", "`{}_topology` must be a topology or one of .*'torus'"),
        (ms.path(5), "`{}_topology` must have as many nodes .* {}.*with 5 nodes"),
        (4, "`{}_topology` must be a topology, such as .*=4"),
        ({"kind": "Klein"}, "`kind` in `config` must be one of .*'Klein'"),
    ],
)
def test_refuses_topology(end, size, topology, message):
    start = Multilevel(1, **{f"{end}_topology": topology})
    with pytest.raises(ValueError, match=message.format(end, size)):
        start((8, 4))


@pytest.mark.parametrize(
    ("shape", "deepest"), [((100, 4), 2), ((5, 100), 3), ((8, 3), 2)]
)
def test_refuses_a_depth_too_deep_for_the_shape(shape, deepest):
    assert Multilevel(deepest)(shape).shape == shape
    with pytest.raises(ValueError, match=f"`depth` must be at most {deepest} for the"):
        Multilevel(deepest + 1)(shape)
