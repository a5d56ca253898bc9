"""What a warm start makes of each example: `python -m benchmarks.keras_examples`.

Each model is planned, started, trained by `fit`, saved, loaded and asked to predict.
The table says how deep the plan would begin by itself, what the start trains as deep as
the model allows, and what it and one epoch of `fit` after it do to the loss on samples
that were held out. The models have the structure of Keras's examples, and
fewer channels or smaller images and few samples, so that all are done in minutes: how
soon a start pays is what `benchmarks.practice` measures.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import msann_keras as ms
from benchmarks.keras_examples import models
from benchmarks.keras_examples.data import (
    HELD_OUT,
    images_and_labels,
    itself,
    masks,
    noisy,
    pairs,
    ratings,
    sentences,
    smaller,
)

LABELS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Example(NamedTuple):
    """A model, data for it, and its loss."""

    model: Callable
    data: Callable
    loss: object = "mse"


EXAMPLES = {
    one.model.__name__: one
    for one in (
        Example(models.convolutional_autoencoder, noisy, "binary_crossentropy"),
        Example(models.segmentation, masks, LABELS),
        Example(models.resnet, images_and_labels, LABELS),
        Example(models.digits_convnet, images_and_labels, LABELS),
        Example(models.series_classifier, images_and_labels, LABELS),
        Example(models.series_autoencoder, itself),
        Example(models.volumes, images_and_labels, LABELS),
        Example(models.super_resolution, smaller),
        Example(models.efficient, images_and_labels, LABELS),
        Example(models.mixer, images_and_labels, LABELS),
        Example(models.recommender, ratings),
        Example(models.siamese, pairs),
        Example(models.transformer, sentences, LABELS),
        Example(models.sub_pixels, smaller),
    )
}


class Outcome(NamedTuple):
    """What became of one example.

    Attributes:
        default: L that the plan gives by itself.
        levels: What the start trained, as deep as the model allows, coarsest first.
        seconds: Of the start.
        losses: Held out: untrained, after the start, after an epoch of `fit`.
        reason: The plan's.
    """

    default: int
    levels: list[str]
    seconds: float
    losses: list[float]
    reason: str


def outcome(example, seconds, seed=1):
    """Plan, start, fit, save, load and predict.

    Args:
        example: Of `EXAMPLES`.
        seconds: For the start's training.
        seed: Of the weights and data.
    """
    keras.utils.set_random_seed(seed)
    model = example.model()
    x, y = example.data(model, np.random.default_rng(seed))
    first, last = slice(None, -HELD_OUT), slice(-HELD_OUT, None)
    x_held = keras.tree.map_structure(lambda a: a[last], x)
    x, y, y_held = keras.tree.map_structure(lambda a: a[first], x), y[first], y[last]
    model.compile("adam", example.loss, jit_compile=False)
    default = ms.plan(model, x, y).depth
    losses = [model.evaluate(x_held, y_held, verbose=0)]
    began = time.perf_counter()
    depth = deepest(model, x, y)
    record = ms.warm_start(model, x, y, depth=depth, seconds=seconds, verbose=0)
    took = time.perf_counter() - began
    losses.append(model.evaluate(x_held, y_held, verbose=0))
    model.fit(x, y, verbose=0)
    losses.append(model.evaluate(x_held, y_held, verbose=0))
    with tempfile.TemporaryDirectory() as folder:
        model.save(path := Path(folder) / "model.keras")
        loaded = keras.models.load_model(path)
    same = loaded.predict(x_held, verbose=0), model.predict(x_held, verbose=0)
    np.testing.assert_allclose(*same, rtol=1e-4, atol=1e-5)
    trained = [record.plan.levels[one.level].sizes for one in record.levels]
    return Outcome(default, trained, took, losses, record.plan.reason)


def deepest(model, x, y):
    """The deepest of the first levels that a model allows, for its data."""
    for depth in (3, 2, 1):
        try:
            return ms.plan(model, x, y, depth=depth).depth
        except ValueError:
            continue
    return 0


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.keras_examples",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=EXAMPLES, default=[*EXAMPLES])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each start")
    options = parser.parse_args()
    heads = ["model", "L by itself", "levels, as deep as it goes", "seconds"]
    heads += ["loss before", "started", "an epoch on"]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for name in options.only:
        made = outcome(EXAMPLES[name], options.seconds)
        levels = "; ".join(made.levels) or made.reason
        losses = " | ".join(f"{loss:.3g}" for loss in made.losses)
        cells = name.replace("_", " "), made.default, levels, f"{made.seconds:.1f}"
        print(f"| {' | '.join(map(str, cells))} | {losses} |", flush=True)


if __name__ == "__main__":
    main()
