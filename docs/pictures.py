"""The pictures of the method's pages: `make docs-pictures` draws them into docs/."""

from pathlib import Path

import keras
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import msann_keras as ms
from msann.prolongation.closed_forms import band, hat
from msann.topology import chain, path
from msann_keras.nested.handover import lifted

FOLDER = Path(__file__).parent
INK, SOFT, BLUE, RED = "#111111", "#6a6a6a", "#1f5fa8", "#b4472e"
RC = {
    "font.size": 9,
    "axes.edgecolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
}


def averages() -> Figure:
    """A signal of 32 numbers, and its averages."""
    place = np.arange(32)
    wave = np.sin(2 * np.pi * place / 32) + 0.4 * np.sin(6 * np.pi * place / 32 + 1)
    levels = chain(path(32), 3)
    figure = Figure(figsize=(8.4, 2.2), layout="constrained")
    for level, axis in enumerate(figure.subplots(1, 4, sharey=True)):
        P, sums = levels.composites[level], levels.column_sums(level)
        means = P.restrict(wave) / sums
        lost = np.var(wave - P.prolong(means * sums)) / np.var(wave)
        axis.plot(place, wave, color=SOFT, linewidth=0.8)
        axis.stairs(
            means,
            np.linspace(-0.5, 31.5, len(means) + 1),
            color=BLUE,
            lw=1.8,
            baseline=None,
        )
        axis.set_title(f"level {level}: {len(means)} numbers\n{100 * lost:.1f} % lost")
        axis.set(xticks=[], yticks=[])
    return figure


def prolongations() -> Figure:
    """Three families between 8 and 16 nodes, as matrices."""
    families = {
        "pair": path(16).coarsen()[0],
        "hat": hat(8, 16),
        "band": band(8, 16),
    }
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    for axis, (name, P) in zip(figure.subplots(1, 3), families.items(), strict=True):
        drawn = axis.imshow(P.matrix(), cmap="RdBu_r", vmin=-1, vmax=1)
        axis.set_title(name)
        axis.set(xticks=[0, 7], yticks=[0, 15], xlabel="coarse node")
    figure.axes[0].set_ylabel("fine node")
    figure.colorbar(drawn, ax=figure.axes, shrink=0.7)
    return figure


def levels() -> Figure:
    """Theta as theta_0 + Pro theta_1 + Pro Pro theta_2."""
    rng = np.random.default_rng(4)
    spaces = chain(path(16), 2), chain(path(12), 2)
    terms = []
    for level in range(3):
        shape = [space.sizes[level] for space in spaces]
        theta = 0.7 * 2**level * rng.standard_normal(shape)  # all as large, prolonged
        up, across = (space.composites[level] for space in spaces)
        terms.append(up.prolong(across.prolong(theta, axis=1), axis=0))
    names = [
        "theta_0\n16 x 12",
        "Pro theta_1\nfrom 8 x 6",
        "Pro Pro theta_2\nfrom 4 x 3",
    ]
    figure = Figure(figsize=(8.4, 2.9), layout="constrained")
    axes = figure.subplots(1, 4)
    everything = [*zip(names, terms, strict=True), ("Theta\n(the sum)", sum(terms))]
    for sign, axis, (name, term) in zip(" ++=", axes, everything, strict=True):
        axis.imshow(term, cmap="RdBu_r", vmin=-2.5, vmax=2.5)
        axis.set_title(name)
        axis.set(xticks=[], yticks=[])
        axis.text(-0.16, 0.5, sign, transform=axis.transAxes, fontsize=16, ha="center")
    return figure


def cycles() -> Figure:
    """The level that trains, batch by batch."""
    figure = Figure(figsize=(8.4, 3.8), layout="constrained")
    for gamma, axis in zip((1, 2, 3), figure.subplots(3, 1), strict=True):
        visited = [x.level for x in ms.schedules.gamma_cycle(3, gamma).cycle]
        axis.plot(visited, color=SOFT, linewidth=0.8)
        axis.scatter(range(len(visited)), visited, color=BLUE, s=14, zorder=3)
        name = {1: " (V-cycle)", 2: " (W-cycle)"}.get(gamma, "")
        axis.set_title(f"gamma = {gamma}{name}")
        axis.set(ylim=(3.5, -0.5), yticks=range(4), ylabel="level")
        axis.grid(axis="y", color="#dcdcdc", linewidth=0.6)
    axis.set_xlabel("visits, k batches each")
    return figure


def coarse() -> Figure:
    """A coarse step: through the whole network, or through a coarse one."""
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    axis = figure.subplots()
    axis.set(xlim=(0, 100), ylim=(0, 44), xticks=[], yticks=[])
    axis.axis("off")

    def box(x, y, width, height, text, color):
        place, style = (x - width / 2, y - height / 2), "round,pad=0.4"
        axis.add_patch(
            FancyBboxPatch(place, width, height, style, fc="white", ec=color, lw=1.4)
        )
        axis.text(x, y, text, ha="center", va="center", fontsize=8.5)

    def arrow(start, end, text="", at=(0, 1.2)):
        axis.add_patch(
            FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color=SOFT)
        )
        middle = [(a + b) / 2 + c for a, b, c in zip(start, end, at, strict=True)]
        axis.text(*middle, text, ha="center", va="bottom", fontsize=8, color=SOFT)

    axis.text(
        0, 41.5, "The fine gradient: every step runs the whole network", color=RED
    )
    box(10, 32, 16, 11, "whole data", RED)
    box(40, 32, 18, 13, "whole network\nTheta", RED)
    box(70, 32, 16, 11, "gradient of\nTheta", RED)
    box(92, 32, 12, 5, "theta_l", RED)
    arrow((19, 32), (30, 32))
    arrow((50, 32), (61, 32), "forward,\nback")
    arrow((79, 32), (85, 32), "Res", (0, 0.6))
    axis.text(0, 19.5, "Coarsened data: every step runs a small network", color=BLUE)
    box(10, 9, 16, 11, "whole data", BLUE)
    box(33, 9, 10, 5, "averages", BLUE)
    box(58, 9, 12, 6, "network of\nlevel l", BLUE)
    box(92, 9, 12, 11, "Theta", BLUE)
    arrow((19, 9), (27, 9), "once")
    arrow((39, 9), (51, 9), "k steps")
    arrow((65, 10.5), (85, 10.5), "prolong the change", (0, 0.3))
    arrow((85, 7.5), (65, 7.5), "restrict", (0, -2.6))
    axis.text(75, 1.6, "(once a visit)", ha="center", fontsize=8, color=SOFT)
    return figure


def handover() -> Figure:
    """The first kernel of a coarse network, trained by itself, and handed over."""
    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(3)
    place, phase = np.linspace(0, 1, 64, endpoint=False), rng.uniform(0, 1, (512, 1))
    waves = np.sin(2 * np.pi * (place + phase)).astype("float32")
    units, inputs = chain(path(32), 3), chain(path(64, prolongation="hat"), 3)
    x = np.asarray(ms.coarse_data(waves, inputs, 3))
    dense = keras.layers.Dense
    network = keras.Sequential([keras.Input((8,)), dense(4, "tanh"), dense(8)])
    network.compile(keras.optimizers.Adam(0.01), "mse", steps_per_execution=16)
    network.fit(x, np.roll(x, 2, axis=1), epochs=40, verbose=0)
    kernel = network.layers[0].get_weights()[0]
    figure = Figure(figsize=(8.4, 3.9), layout="constrained")
    for level, axis in zip((3, 2, 1, 0), figure.subplots(1, 4), strict=True):
        shown = lifted(kernel, (inputs, units), 3, level)
        most = np.abs(shown).max()
        axis.imshow(shown, cmap="RdBu_r", vmin=-most, vmax=most)
        rows, columns = shown.shape
        axis.set_title(f"level {level}: {rows} x {columns}\nlargest {most:.2f}")
        axis.set(xticks=[], yticks=[], xlabel="units")
    figure.axes[0].set_ylabel("inputs")
    return figure


def main() -> None:
    """Draw all."""
    for draw in (averages, prolongations, levels, cycles, coarse, handover):
        with rc_context(RC):
            draw().savefig(FOLDER / f"method-{draw.__name__}.png", dpi=150)


if __name__ == "__main__":
    main()
