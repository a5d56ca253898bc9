"""The data that a config asks for."""

from __future__ import annotations

from experiments.config import ConfigError, Mnist, Objects
from experiments.mnist import DataUnavailableError, load_mnist
from experiments.synthetic import Task, one_object, two_objects


def load_task(config: Mnist | Objects) -> Task:
    """Images or objects; the target of a digit is itself.

    Raises:
        ConfigError: They cannot be had, or not so.

    Example:

    >>> load_task(Objects(name="one_object", variant="script", n=16, samples=2,
    ...                   validation=1, seed=0)).x_train.shape
    (2, 16)
    """
    try:
        if isinstance(config, Objects):
            draw = {"one_object": one_object, "two_objects": two_objects}[config.name]
            return draw(
                config.n,
                samples=config.samples,
                validation=config.validation,
                seed=config.seed,
                variant=config.variant,
            )
        digits = load_mnist(
            config.source,
            folder=config.folder,
            size=config.image_size,
            validation=config.validation,
            seed=config.seed,
        )
    except (DataUnavailableError, OSError, ImportError, ValueError) as error:
        raise ConfigError(f"data: {error}") from None
    return Task(
        digits.x_train,
        digits.x_train,
        digits.x_validation,
        digits.x_validation,
        digits.source,
    )
