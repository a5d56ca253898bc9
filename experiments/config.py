"""What an experiment's YAML file may say, checked before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import msann_keras as ms

Positive = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0)]


class ConfigError(ValueError):
    """A config that cannot be used; the message says which key, and why."""


class _Checked(BaseModel):
    """Immutable, and refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Checked):
    """Where the images come from; see `experiments.mnist.load_mnist`."""

    source: Literal["bundled", "tfds", "idx"] = "bundled"
    folder: str | None = None
    validation: Annotated[int, Field(gt=0)] | None = None
    seed: Seed


class Scheme(_Checked):
    """One way to train: a cycle on a hierarchy, or the default (`depth: 0`).

    A `committed` scheme takes too long to make again each time: its runs are the
    committed ones in results/, where there are such.
    """

    label: str
    depth: Annotated[int, Field(ge=0)] = 0
    gamma: Annotated[int, Field(ge=1)] = 1
    smoothing_steps: Annotated[int, Field(ge=1)] = 1
    optimizer: Literal["tf1_rmsprop", "adam"] = "tf1_rmsprop"
    learning_rate: Positive = 5e-4
    committed: bool = False

    @model_validator(mode="after")
    def _cycle_exists(self):
        ms.schedules.gamma_cycle(self.depth, self.gamma, self.smoothing_steps)
        return self


class Published(_Checked):
    """A cell of the paper's table; `None` is its "N/A", not reached."""

    final_mse: Positive | None = None
    cost_to_tenth: Positive | None = None


class Quick(_Checked):
    """What the quick variant changes: the same path through the code, in seconds."""

    budget: Positive
    evaluate_every: Positive
    smoothing_steps: Annotated[int, Field(ge=1)] = 1


class Config(_Checked):
    """An experiment: its claim, its settings and the schemes that it compares."""

    title: str
    claim: str
    command: str
    minutes: Positive
    published: dict[str, Published] = {}
    data: Data
    image_size: Annotated[int, Field(ge=1)] = 32
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (256, 128, 256)
    topology: Literal["path", "grid"]
    variant: Literal["paper", "script"] = "paper"
    batch_size: Annotated[int, Field(ge=1)] = 128
    budget: Positive
    evaluate_every: Positive
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    schemes: Annotated[tuple[Scheme, ...], Field(min_length=1)]
    quick: Quick

    @model_validator(mode="after")
    def _labels_are_known(self):
        labels = [scheme.label for scheme in self.schemes]
        if len(set(labels)) != len(labels):
            raise ValueError(f"labels of schemes must differ. Received: {labels}")
        if unknown := set(self.published) - {"best", "worst", "default"}:
            raise ValueError(
                "`published` may have the columns best, worst and default. "
                f"Received: {sorted(unknown)}"
            )
        return self

    def quickly(self) -> Config:
        """The quick variant, with one seed."""
        steps = {"smoothing_steps": self.quick.smoothing_steps, "committed": False}
        return self.model_copy(
            update={
                "budget": self.quick.budget,
                "evaluate_every": self.quick.evaluate_every,
                "seeds": self.seeds[:1],
                "schemes": tuple(x.model_copy(update=steps) for x in self.schemes),
            }
        )


def load_config(path: str | Path) -> Config:
    """Read and check a config.

    Raises:
        ConfigError: No such file, not YAML, unknown or missing keys, bad values; every
            fault is named with what came in.

    Example:

    >>> load_config("configs/table3_mnist_path.yaml").topology
    'path'
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"`config` must be a readable YAML file, such as those in configs/. "
            f"Received: {str(path)!r} ({error.strerror})"
        ) from None
    try:
        return Config.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path.name} is not YAML: {error}") from None
    except ValidationError as error:
        faults = [
            f"  {'.'.join(map(str, fault['loc'])) or 'config'}: {fault['msg']}. "
            f"Received: {fault['input']!r}"
            for fault in error.errors()
        ]
        raise ConfigError(
            "\n".join([f"{path.name} cannot be used:", *faults])
        ) from None
