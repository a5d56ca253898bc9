"""A network on a graph of your own: how opinions harden among neighbours.

Each of 1,000 people has an opinion, takes on that of the neighbours and hardens it (the
Allen-Cahn equation on a random geometric graph); the network learns where that ends.
`ms.graph(G)` coarsens any connected networkx graph; it needs nothing but the edges.

    python examples/own_graph.py
"""

from pathlib import Path
from time import perf_counter as now

import keras
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np

import msann_keras as ms

people = nx.random_geometric_graph(1000, 0.07, seed=3)
laplacian, one = nx.laplacian_matrix(people).toarray(), np.eye(1000, dtype="float32")
calm, meet = np.linalg.inv(one + 10 * laplacian), np.linalg.inv(one + 0.05 * laplacian)
x = np.random.default_rng(0).normal(size=(2300, 1000)) @ calm @ calm
y = x = ((x - x.mean(axis=1, keepdims=True)) / x.std()).astype("float32")
for _ in range(15):
    y = 1.16 * y / np.sqrt(1 + 0.35 * y**2) @ meet.astype("float32")
x, x_new, y, y_new = x[300:], x[:300], y[300:], y[:300]


def train(is_started, epochs):
    """A model, and seconds and errors at the end of each epoch."""
    began, ends = now(), []
    layers = [keras.layers.Dense(512, activation="gelu") for _ in range(2)]
    model = keras.Sequential([keras.Input((1000,)), *layers, keras.layers.Dense(1000)])
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    if is_started:
        options = {"topology": ms.graph(people), "batch_size": 128, "seconds": 1.5}
        print(ms.warm_start(model, x, y, verbose=0, **options))
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: ends.append(now()))
    options = {"validation_data": (x_new, y_new), "callbacks": [clock], "verbose": 0}
    history = model.fit(x, y, batch_size=128, epochs=epochs, **options).history
    return model, np.array(ends) - began, history["val_loss"] / np.var(y_new)


figure, (curves, *maps) = plt.subplots(1, 4, figsize=(12, 3), layout="constrained")
fields = {"first": x_new[:1], "last": y_new[:1]}
for name, n, colour in (("warm start", 3, "navy"), ("plain fit", 10, "darkorange")):
    model, seconds, errors = train(name != "plain fit", epochs=n)
    print(f"{name}, {n} epochs: error {errors[-1]:.4f} after {seconds[-1]:.1f} s")
    curves.semilogy(seconds, errors, ".-", color=colour, label=name)
    fields.setdefault("by the started network", model.predict(x_new[:1], verbose=0))
curves.legend(title="error by seconds")
places = np.array([place for _, place in people.nodes.data("pos")])
for axes, (title, field) in zip(maps, fields.items(), strict=True):
    axes.scatter(*places.T, s=5, c=field[0], cmap="RdBu")
    axes.set_title(title)
Path("figures").mkdir(exist_ok=True)
figure.savefig("figures/own_graph.png", dpi=72)
print("figures/own_graph.png")
