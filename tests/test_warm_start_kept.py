"""What a warm start keeps to: optimizers, callbacks and layers as users have them."""

import keras
import numpy as np
import pytest
from keras import ops
from smooth import OPTIONS, X, Y, compiled, loss, same, started

import msann_keras as ms

Adam, EarlyStopping = keras.optimizers.Adam, keras.callbacks.EarlyStopping


def kernels(model):
    return [ops.convert_to_numpy(layer.kernel) for layer in model.layers]


@pytest.mark.thorough
@pytest.mark.parametrize("option", [{"gradient_accumulation_steps": 2}, {}])
def test_the_steps_are_counted_on(option):
    model, record = started(compiled(64, 64, 64, optimizer=Adam(1e-3, **option)))
    counter = next(v for v in model.optimizer.variables if v.name == "iteration")
    assert int(ops.convert_to_numpy(counter)) >= record.levels[-1].steps > 0


@pytest.mark.thorough
@pytest.mark.parametrize("optimizer", [Adam, keras.optimizers.AdamW])
def test_averages_of_weights_begin_with_what_was_learned(optimizer):
    model, _ = started(compiled(64, 64, 64, optimizer=optimizer(1e-3, use_ema=True)))
    before = loss(model)
    model.fit(X, Y, batch_size=16, epochs=2, verbose=0)
    assert loss(model) < 2 * before


@pytest.mark.thorough
def test_an_optimizer_forgets_other_weights():
    model = compiled(64, 64, 64, optimizer=keras.optimizers.SGD(0.1, momentum=0.99))
    model.fit(X, 3 * Y[:, ::-1], batch_size=16, epochs=2, verbose=0)
    started(model)
    momenta = [v for v in model.optimizer.variables if v.name.endswith("_momentum")]
    assert len(momenta) == len(model.trainable_variables)
    assert not any(np.any(ops.convert_to_numpy(v)) for v in momenta)


@pytest.mark.thorough
@pytest.mark.parametrize("rate", [1e-3, 1e-12])
def test_callbacks_have_their_end_before_the_model_has_its_weights(rate):
    """Restored weights are those of a level, with units alike, or no change at all."""
    model = compiled(64, 64, 64, optimizer=keras.optimizers.SGD(rate))
    keras.utils.set_random_seed(3)
    before = model.get_weights()
    watch = EarlyStopping("loss", patience=50, restore_best_weights=True)
    _, record = started(model, callbacks=[watch])
    if "unchanged" in record.outcome:
        same(model, before)
    else:
        readers = kernels(model)[1]  # of hidden units, which were one
        assert not np.allclose(readers[0::2], readers[1::2])
    assert ("unchanged" in record.outcome) == (rate == 1e-12)


def test_an_error_in_a_callback_leaves_the_model_alone():
    def fail(epoch, logs):
        raise RuntimeError("no disk")

    model = compiled(64, 64, 64)
    before = model.get_weights()
    watch = keras.callbacks.LambdaCallback(on_epoch_end=fail)
    with pytest.raises(RuntimeError, match="no disk"):
        ms.warm_start(model, X, Y, callbacks=[watch], **OPTIONS)
    same(model, before)


@pytest.mark.thorough
@pytest.mark.parametrize("activation", [ops.sin, lambda x: ops.maximum(x, 0.1 * x)])
def test_activations_need_not_be_registered(activation):
    model, _ = started(compiled(64, 64, 64, activation=activation))
    assert loss(model) < 0.2 * np.mean(Y**2)
    assert model.layers[0].activation is activation


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Keras trains such there alone"
)
def test_losses_need_not_be_reduced():
    whole = keras.losses.MeanSquaredError(reduction="none")
    _, record = started(compiled(64, 64, 64, loss=whole))
    assert record.levels[-1].left < record.levels[0].entered


@pytest.mark.parametrize("name", ["UnitNorm", "MinMaxNorm"])
def test_fixed_norms_are_refused(name):
    fixed = getattr(keras.constraints, name)()
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, kernel_constraint=fixed, name="fixed"),
        ]
    )
    model.compile("adam", "mse")
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"'fixed'.*`kernel_constraint`.*{name}"):
        ms.warm_start(model, X, Y, **OPTIONS)
    same(model, before)


def test_a_softmax_over_a_smooth_space_keeps_it_whole():
    shares = np.exp(Y) / np.exp(Y).sum(axis=1, keepdims=True)
    model = compiled(64, 64, 64, last="softmax", loss="categorical_crossentropy")
    plan = ms.plan(model, X, shares, depth=2)
    assert plan.topologies["input"].max_depth > 1
    assert plan.topologies[model.layers[-1].name] == ms.identity(64)
    wished = {model.layers[-1].name: "path"}
    with pytest.raises(ValueError, match="softmax adds up over a space"):
        ms.plan(model, X, shares, depth=2, topology=wished)
