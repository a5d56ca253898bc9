"""A warm start from saved weights: trained on 256 points, used on 2,048.

Coarse samples are cheap, and Keras saved a model of them. As the coarsest level of a
multilevel model it does the same on the fine grid, and goes on from there.

    python examples/saved_weights.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from keras import Input, Sequential, layers, optimizers, saving

import msann_keras as ms


def charges(points, samples, seed, speed):
    """Random currents x and what they charge: y' = speed x (1 - y^2), y(0) = 0."""
    waves = np.pi * np.arange(1, 9)[:, None] * (np.arange(points) + 0.5) / points
    x = np.random.default_rng(seed).normal(size=(samples, 8)) @ np.sin(waves)
    return x, np.tanh(speed * np.cumsum(x, axis=1) / points)


def network(points, rate):
    """A model whose hidden layers are the same on every grid."""
    hidden = layers.Dense(256, "gelu"), layers.Dense(256, "gelu")
    model = Sequential([Input((points,)), *hidden, layers.Dense(points)])
    model.compile(optimizers.Adam(rate), "mse")
    return model


Path("figures").mkdir(exist_ok=True)
coarse = network(256, rate=1e-3)
coarse.fit(*charges(256, 3000, 0, speed=4), batch_size=64, epochs=8, verbose=0)
coarse.save("figures/coarse.keras")
saved = saving.load_model("figures/coarse.keras")
error = saved.evaluate(*charges(256, 300, 2, speed=6), verbose=0)
print(f"saved, on 256 points: error {error:.5f}")
# Now 300 fine samples, and a faster device. Weights are 8 times smaller, so are steps.
started, new = network(2048, rate=3e-5), network(2048, rate=1e-3)
levels = {2048: ms.path(2048, prolongation="hat"), 256: ms.identity(256)}
fine = ms.multilevel(started, depth=3, topology=levels.get)
for layer, old in zip(fine.multilevel_layers, saved.layers, strict=True):
    rows, columns = (chain.column_sums(3) for chain in layer.weight_chains[0])
    layer.set_weights([0 * one for one in layer.get_weights()])
    layer.kernels[3].assign(old.kernel / rows[:, None] * columns)
    layer.biases[3].assign(old.bias * columns)
started.set_weights(fine.merge().get_weights())
new_data, data = (charges(2048, 300, seed, speed=6) for seed in (2, 1))
for name, model, colour in (("started", started, "navy"), ("new", new, "darkorange")):
    errors = [model.evaluate(*new_data, verbose=0)]
    options = {"epochs": 10, "validation_data": new_data, "verbose": 0}
    errors += model.fit(*data, **options).history["val_loss"]
    print(f"{name}: error {errors[0]:.5f}, after 10 epochs error {errors[-1]:.5f}")
    plt.semilogy(errors, ".-", color=colour, label=name)
plt.legend(title="error against epochs")
plt.savefig("figures/saved_weights.png", dpi=72)
print("figures/saved_weights.png")
