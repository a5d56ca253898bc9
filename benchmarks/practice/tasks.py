"""What practitioners train: data, networks, and how long one would wait for them.

Keras and the library are imported where they are needed, so that whoever only asks what
there is need not wait for them.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.practice.data import (
    FASHION,
    Data,
    allen_cahn,
    as_images,
    burgers,
    collages,
    digits,
    ecg,
    fashion,
    mnist1d,
    objects,
    poisson,
)
from benchmarks.practice.networks import Classifier, Network, Residual, UNet


def nothing():
    """What a task says of its topology, or of what it lacks, if there is nothing."""


@dataclass(frozen=True)
class Task:
    """Something to learn.

    Attributes:
        name: In tables and on the command line.
        why: What it stands for.
        data: Called with a seed.
        network: What is trained; called, it makes the Keras model.
        budget: Seconds that a run has.
        topology: Called for what a user would say of the inputs; `None` is nothing.
        loss: "mse", or "cross-entropy" of labels and logits.
        kind: "error", the validation MSE over the variance of the validation targets,
            or "rate", the share of wrong answers.
        batch_size: Samples of a step.
        steps: Of one compiled call, where settings are tried; between calls nobody can
            look at the model.
        missing: Called for what the machine lacks, a sentence, or `None`.
    """

    name: str
    why: str
    data: Callable[[int], Data]
    network: Network | UNet | Residual | Classifier
    budget: float
    topology: Callable[[], Any] = nothing
    loss: str = "mse"
    kind: str = "error"
    batch_size: int = 128
    steps: int = 32
    missing: Callable[[], str | None] = nothing

    @property
    def methods(self) -> tuple[str, ...]:
        """Ways to train: a multilevel model and its start are of dense layers."""
        if isinstance(self.network, Network):
            return ("fit", "start", "warm", "auto")
        makes_images = isinstance(self.network, UNet | Residual)
        return ("fit", "warm", *["ramp", "stencils", "kernels"] * makes_images)


def _no_fashion():
    if not FASHION.is_dir():
        return f"{FASHION} is not there: apt-get install dataset-fashion-mnist"
    return None


def _no_mnist1d():
    if importlib.util.find_spec("mnist1d") is None:
        return "the package mnist1d is not there: pip install mnist1d"
    return None


def _grid(*sides):
    """What says that the inputs are a grid."""

    def topology():
        import msann_keras as ms

        return ms.grid(*sides)

    return topology


def _burgers_task(why, size, hidden, budget, **options):
    name = "burgers-shuffled" if options.get("shuffled") else f"burgers-{size}"
    network = Network((size, hidden, hidden, size), "gelu")
    return Task(name, why, partial(burgers, size=size, **options), network, budget)


def _poisson_task(name, why, sides, hidden, budget, **options):
    n = int(np.prod(sides))
    network = Network((n, hidden, hidden, n), "gelu")
    data = partial(poisson, sides=sides, **options)
    return Task(name, why, data, network, budget, _grid(*sides))


def _fashion_task(name, why, sizes, **options):
    labels = options.get("loss") == "cross-entropy"
    return Task(
        name,
        why,
        partial(fashion, labels=labels),
        Network(sizes, "relu"),
        20.0,
        _grid(28, 28),
        missing=_no_fashion,
        **options,
    )


def _poisson_images(seed):
    """Sources and solutions on a plane, as images."""
    sides = (64, 64)
    return as_images(poisson(seed, sides, train=2700, validation=150), sides)


def _fashion_images(seed):
    """Clothes and their classes, as images."""
    return as_images(fashion(seed, labels=True), (28, 28), labels=True)


def _objects_task(count, size, budget):
    """A task of the paper's section 4.2, as large as the clock has it."""
    name = {1: "one-object", 2: "two-objects"}[count]
    samples = min(20_000, 20_480_000 // size)
    data = partial(objects, count=count, size=size, train=samples)
    why = "the paper's task" if count == 1 else "the paper's harder task"
    return Task(f"{name}-{size}", why, data, _paper_network(size), budget)


def _paper_network(n):
    """The network of the paper's tasks."""
    return Network((n, n // 4, n // 8, n // 4, n), "sigmoid", last="sigmoid")


def _mnist1d_task(name, why, shuffled):
    return Task(
        name,
        why,
        partial(mnist1d, shuffled=shuffled),
        Network((40, 256, 256, 10), "relu"),
        20.0,
        loss="cross-entropy",
        kind="rate",
        missing=_no_mnist1d,
    )


TASKS = {
    task.name: task
    for task in (
        _poisson_task(
            "poisson-64", "a solver's surrogate on a plane", (64, 64), 1024, 20.0
        ),
        _poisson_task(
            "poisson-128",
            "the same where steps are dear and samples few",
            (128, 128),
            1024,
            60.0,
            train=2500,
            validation=500,
        ),
        _burgers_task("a surrogate that is not linear", 1024, 512, 20.0),
        _burgers_task("the same, finer", 4096, 1024, 20.0, train=4000, validation=1000),
        _burgers_task(
            "the same, finer still", 8192, 1024, 40.0, train=2000, validation=500
        ),
        _fashion_task(
            "fashion-autoencoder",
            "pictures with edges, and a bottleneck",
            (784, 392, 98, 392, 784),
        ),
        _fashion_task(
            "fashion-classifier",
            "labels instead of fields",
            (784, 512, 256, 10),
            loss="cross-entropy",
            kind="rate",
        ),
        Task(
            "ecg",
            "narrow peaks, which a coarse level cannot hold",
            ecg,
            Network((2048, 512, 128, 512, 2048), "gelu"),
            20.0,
        ),
        _burgers_task(
            "the control: neighbours have nothing in common",
            1024,
            512,
            20.0,
            shuffled=True,
        ),
        _objects_task(1, 1024, 10.0),
        _objects_task(1, 2048, 10.0),
        _objects_task(1, 4096, 20.0),
        _objects_task(2, 1024, 10.0),
        _objects_task(2, 4096, 20.0),
        Task(
            "mnist",
            "the paper's digits",
            digits,
            _paper_network(1024),
            10.0,
            _grid(32, 32),
        ),
        Task(
            "unet-64",
            "convolutions that take noise out of images",
            partial(collages, validation=150),
            UNet(64, (16, 32, 64)),
            40.0,
            batch_size=32,
            steps=1,
            missing=_no_fashion,
        ),
        Task(
            "unet-128",
            "the same on larger images",
            partial(collages, side=128, train=1350, validation=75),
            UNet(128, (8, 16, 32)),
            90.0,
            batch_size=32,
            steps=1,
            missing=_no_fashion,
        ),
        Task(
            "poisson-unet",
            "a solver's surrogate by convolutions",
            _poisson_images,
            UNet(64, (16, 32, 64, 64)),
            60.0,
            batch_size=32,
            steps=1,
        ),
        Task(
            "allen-cahn",
            "what a time step does, by convolutions on whole images",
            allen_cahn,
            Residual(64, channels=16, blocks=2),
            60.0,
            batch_size=32,
            steps=1,
        ),
        Task(
            "fashion-convnet",
            "a classifier of convolutions with a dense head",
            _fashion_images,
            Classifier(28, (32, 64), 128),
            40.0,
            loss="cross-entropy",
            kind="rate",
            steps=1,
            missing=_no_fashion,
        ),
        _mnist1d_task("mnist1d", "a small network on short signals", shuffled=False),
        _mnist1d_task("mnist1d-shuffled", "its control", shuffled=True),
        _poisson_task(
            "field-3d",
            "a smooth field in space",
            (16, 16, 16),
            512,
            20.0,
            train=4000,
            validation=1000,
            screening=100.0,
            decay=9,
        ),
    )
}
