"""What an experiment's YAML file may say, checked before anything runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, StrictBool, ValidationError, model_validator

from experiments.mnist import MOST_VALIDATION
from experiments.published import TABLES
from experiments.schemes import (
    Checked,
    Count,
    Grid,
    Positive,
    Scheme,
    Seed,
    TopologyName,
    topology,
)
from experiments.synthetic import PARTS
from msann.arrays import MAX_NODES
from msann.checks import shown

#: Units of a layer.
Size = Annotated[Count, Field(le=MAX_NODES)]
#: Numbers of a synthetic task: 4 GB.
MOST_VALUES = 10**9


class ConfigError(ValueError):
    """A config that cannot be used; the message says which key, and why."""


class Mnist(Checked):
    """Digits; see `experiments.mnist.load_mnist`."""

    name: Literal["mnist"]
    source: Literal["bundled", "tfds", "idx"] = "bundled"
    folder: str | None = None
    validation: Count | None = None
    image_size: Annotated[Count, Field(le=math.isqrt(MAX_NODES))] = 32
    seed: Seed

    @model_validator(mode="after")
    def _leaves_images_to_train_on(self):
        most = MOST_VALIDATION.get(self.source)
        if most and self.validation and self.validation > most:
            raise ValueError(
                f"`validation` must be at most {most:,} with `source: {self.source}`. "
                f"Received: validation={self.validation}"
            )
        return self

    @property
    def size(self) -> int:
        """Length of an input."""
        return self.image_size**2


class Objects(Checked):
    """One object or two; see `experiments.synthetic`.

    The variant decides noise, positions and overlap, as its docstrings say.
    """

    name: Literal["one_object", "two_objects"]
    variant: Literal["paper", "script"]
    n: Annotated[Size, Field(multiple_of=PARTS)] = 1024
    samples: Count = 20_000
    validation: Count = 2_000
    seed: Seed

    @model_validator(mode="after")
    def _fits_into_memory(self):
        if (self.samples + self.validation) * self.n > MOST_VALUES:
            raise ValueError(
                "`samples` and `validation`, each of `n` numbers, must be at most "
                f"{MOST_VALUES:,} numbers in all. Received: samples={self.samples}, "
                f"validation={self.validation}, n={self.n}"
            )
        return self

    @property
    def size(self) -> int:
        """Length of an input."""
        return self.n


class Quick(Checked):
    """What the quick variant changes: the same path through the code, in seconds."""

    budget: Positive
    evaluate_every: Positive
    smoothing_steps: Count = 1
    samples: Count = 1_000


class Config(Checked):
    """An experiment: its claim, its settings and the schemes that it compares.

    Attributes:
        way: Which of the file's `ways` this is, if it has any.
        budget: Training ends before it would be exceeded, in `budget_unit`: C(t),
            gradient evaluations, or seconds of training.
        evaluate_every: In C(t), at least.
        evaluate_at: After smoothing at level 0 ("cycle"), or after any visit, as the
            authors' script does; coarsened data only have the first.
        published: The paper's tables to print beside it.
        alone: Its seconds are compared, so its runs are made one at a time, and only
            those that were are shown.
    """

    title: str
    claim: str
    command: str
    minutes: Positive
    way: str = ""
    published: tuple[Literal[tuple(TABLES)], ...] = ()
    task: Annotated[Mnist | Objects, Field(discriminator="name")]
    hidden: Annotated[tuple[Size, ...], Field(min_length=1)] = (256, 128, 256)
    topology: TopologyName
    variant: Literal["paper", "script"] = "paper"
    batch_size: Count = 128
    budget: Positive
    budget_unit: Literal["cost", "evaluations", "seconds"] = "cost"
    evaluate_every: Positive
    evaluate_at: Literal["cycle", "visit"] = "cycle"
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    alone: StrictBool = False
    schemes: Annotated[tuple[Scheme, ...], Field(min_length=1)]
    grid: Grid | None = None
    quick: Quick

    @model_validator(mode="after")
    def _labels_are_known(self):
        labels = [scheme.label for scheme in self.schemes]
        if len(set(labels)) != len(labels):
            raise ValueError(f"labels of schemes must differ. Received: {labels}")
        return self

    @model_validator(mode="after")
    def _levels_exist(self):
        """A space of few nodes has few levels; a grid needs sides."""
        listed = {f"schemes.{i}": scheme for i, scheme in enumerate(self.schemes)}
        swept = self.grid.schemes() if self.grid else ()
        for place, scheme in (*listed.items(), *(("grid", x) for x in swept)):
            for key, name in (
                ("depth", self.topology_of(scheme)),
                ("start_depth", self.topology),
                ("warm_start", self.topology),
            ):
                space = topology(name, self.variant, seed=0)
                # A warm start coarsens a hidden space as far as that goes.
                sizes = {self.task.size, *(() if key == "warm_start" else self.hidden)}
                for size in sizes:
                    most, depth = space(size).max_depth, getattr(scheme, key)
                    if isinstance(depth, int) and depth > most:
                        raise ValueError(
                            f"{place}.{key} must be at most {most} for a layer of "
                            f"{size} units with `topology: {name}`. "
                            f"Received: {key}={depth}"
                        )
        return self

    def topology_of(self, scheme: Scheme) -> str:
        """What the scheme's spaces look like."""
        return scheme.topology or self.topology

    def quickly(self) -> Config:
        """The quick variant, with one seed."""
        steps = {"smoothing_steps": self.quick.smoothing_steps, "committed": False}
        task = self.task
        if isinstance(task, Objects):
            task = task.model_copy(update={"samples": self.quick.samples})
        return self.model_copy(
            update={
                "task": task,
                "budget": self.quick.budget,
                "budget_unit": "cost",
                "evaluate_every": self.quick.evaluate_every,
                "seeds": self.seeds[:1],
                "alone": False,
                "schemes": tuple(x.model_copy(update=steps) for x in self.schemes),
            }
        )

    def with_seeds(self, seeds: Sequence[int]) -> Config:
        """The same with other seeds.

        Raises:
            ConfigError: They are no seeds.
        """
        return _checked(self.model_dump() | {"seeds": seeds}, self.title)

    def swept(self) -> Config:
        """The same with every scheme of `grid`.

        Raises:
            ConfigError: The config has none.
        """
        if self.grid is None:
            raise ConfigError(f"{self.title}: this config has no `grid` to sweep")
        return self.model_copy(update={"schemes": self.grid.schemes()})


def load_config(path: str | Path, way: str | None = None) -> Config:
    """Read and check a config.

    Args:
        path: A YAML file.
        way: Which of its `ways` to take, mappings that replace some of its keys; by
            default the first.

    Raises:
        ConfigError: No such file, no text, not YAML, no such way, unknown or missing
            keys, bad values; every fault is named with what came in.

    Example:

    >>> load_config("configs/table3_mnist_path.yaml").topology
    'path'
    """
    text = _text(path)
    name = Path(path).name
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{name} is not YAML: {error}") from None
    return _checked(_on_its_way(values, way, name), name)


def _text(path: str | Path) -> str:
    try:
        if not isinstance(path, str | Path):
            raise TypeError("no path")
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        reason = f"not UTF-8: {error.reason} at byte {error.start}"
    except (OSError, TypeError, ValueError) as error:  # the last for a zero in a name
        reason = getattr(error, "strerror", None) or str(error)
    raise ConfigError(
        "`config` must be a readable YAML file, such as those in configs/. "
        f"Received: {shown(str(path))} ({reason})"
    )


def _checked(values: Any, name: str) -> Config:
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        faults = map(_fault, error.errors())
        raise ConfigError("\n".join([f"{name} cannot be used:", *faults])) from None


def _fault(fault: dict[str, Any]) -> str:
    place = ".".join(map(str, fault["loc"])) or "config"
    said = f"  {place}: {fault['msg']}"
    if "Received: " in said:
        return said
    return f"{said}. Received: {shown(fault['input'])}"


def _on_its_way(values: Any, way: str | None, name: str) -> Any:
    """The file's keys, with those of one way in their place."""
    ways = values.pop("ways", {}) if isinstance(values, dict) else {}
    _check_mapping(name, "ways", ways)
    if way is None:
        if not ways:
            return values
        way = next(iter(ways))
    if not isinstance(way, str) or way not in ways:
        raise ConfigError(
            f"`way` must be one that {name} has: "
            f"{', '.join(map(str, ways)) or 'it has none'}. Received: way={way!r}"
        )
    changes = ways[way]
    _check_mapping(name, f"ways.{way}", changes)
    tasks = values.get("task", {}), changes.get("task", {})
    for key, task in zip(("task", f"ways.{way}.task"), tasks, strict=True):
        _check_mapping(name, key, task)
    return values | changes | {"task": tasks[0] | tasks[1], "way": way}


def _check_mapping(name, key, value):
    if not isinstance(value, dict):
        raise ConfigError(
            f"{name} cannot be used:\n  {key}: Should be a mapping, {{}} if it has "
            f"nothing to say. Received: {shown(value)}"
        )
