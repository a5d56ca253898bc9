"""A warm start from saved weights: trained on 256 points, used on 2,048.

Coarse samples are cheap, and Keras saved a model of them. A multilevel model holds it
as its coarsest level, with nothing on the finer ones; merged, that is a plain model of
the fine grid which does what the saved one does, and learns on from there.

    python examples/saved_weights.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from keras import Input, Sequential, layers, optimizers, saving

import msann_keras as ms


def charges(points, samples, seed):
    """Random currents x and what they charge: y' = 4 x (1 - y^2), y(0) = 0."""
    places = (np.arange(points) + 0.5) / points
    waves = np.sin(np.pi * np.arange(1, 9)[:, None] * places)
    x = np.random.default_rng(seed).normal(size=(samples, 8)) @ waves
    return x, np.tanh(4 * np.cumsum(x, axis=1) / points)


def network(points):
    """A model whose hidden layers are the same on every grid."""
    hidden = layers.Dense(256, "gelu"), layers.Dense(256, "gelu")
    return Sequential([Input((points,)), *hidden, layers.Dense(points)])


coarse = network(256)
coarse.compile("adam", "mse")
coarse.fit(*charges(256, 4000, seed=0), batch_size=64, epochs=10, verbose=0)
Path("figures").mkdir(exist_ok=True)
coarse.save("figures/coarse.keras")
levels = {2048: ms.path(2048, prolongation="hat"), 256: ms.identity(256)}
fine = ms.multilevel(network(2048), depth=3, topology=levels.get)
saved = saving.load_model("figures/coarse.keras")
for layer, old in zip(fine.multilevel_layers, saved.layers, strict=True):
    rows, columns = (chain.column_sums(3) for chain in layer.weight_chains[0])
    layer.set_weights([0 * one for one in layer.get_weights()])
    layer.kernels[3].assign(old.kernel / rows[:, None] * columns)
    layer.biases[3].assign(old.bias * columns)
(x, y), new = charges(2048, 300, seed=1), charges(2048, 300, seed=2)
error = saved.evaluate(*charges(256, 300, seed=2), verbose=0) / np.var(new[1])
print(f"saved, on 256 points: error {error:.4f}")
# Weights of eight times as many inputs are eight times smaller, and so is the rate.
for name, model, rate in (
    ("started", fine.merge(), 1e-4),
    ("new", network(2048), 1e-3),
):
    model.compile(optimizers.Adam(rate), "mse")
    losses = [model.evaluate(*new, verbose=0)]
    history = model.fit(x, y, epochs=8, validation_data=new, verbose=0).history
    errors = (losses + history["val_loss"]) / np.var(new[1])
    print(f"{name}, on 2,048: error {errors[0]:.4f}, after 8 epochs {errors[-1]:.4f}")
    plt.semilogy(errors, ".-", color="navy" if name != "new" else "orange", label=name)
plt.axhline(error, color="0.6", linestyle="--", label="saved, on 256 points")
plt.legend(title="error against epochs on 300 fine samples")
plt.savefig("figures/saved_weights.png", dpi=72)
print("figures/saved_weights.png")
