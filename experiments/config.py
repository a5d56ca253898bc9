"""What an experiment's YAML file may say, checked before anything runs."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from experiments.published import TABLES
from msann import schedules

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
TopologyName = Literal["path", "grid", "shuffled", "random_orthogonal"]


class ConfigError(ValueError):
    """A config that cannot be used; the message says which key, and why."""


class _Checked(BaseModel):
    """Immutable, and refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Mnist(_Checked):
    """Digits; see `experiments.mnist.load_mnist`."""

    name: Literal["mnist"]
    source: Literal["bundled", "tfds", "idx"] = "bundled"
    folder: str | None = None
    validation: Count | None = None
    image_size: Count = 32
    seed: Natural

    @property
    def size(self) -> int:
        """Length of an input."""
        return self.image_size**2


class Objects(_Checked):
    """One object or two; see `experiments.synthetic`.

    The variant decides noise, positions and overlap, as its docstrings say.
    """

    name: Literal["one_object", "two_objects"]
    variant: Literal["paper", "script"]
    n: Count = 1024
    samples: Count = 20_000
    validation: Count = 2_000
    seed: Natural

    @property
    def size(self) -> int:
        """Length of an input."""
        return self.n


class Scheme(_Checked):
    """One way to train: cycles on a hierarchy, or the default (`depth: 0`).

    Attributes:
        label: What tables call it.
        depth: L.
        gamma: The cycle index.
        smoothing_steps: k, at level 0.
        growth: Factor of the smoothing steps from a level to the next.
        schedule: Cycles; cycles after nested iteration; or every level at once.
        topology: In place of the config's.
        coarsen_data: Train on coarsened data, not with the fine gradient.
        start_depth: Draw the default's weights as the sum of so many levels more.
        optimizer: By name.
        learning_rate: At level 0.
        until: End the run when the MSE is this fraction of the first one.
        committed: It takes too long to make again each time: its runs are the
            committed ones in results/, where there are such.
    """

    label: str
    depth: Natural = 0
    gamma: Count = 1
    smoothing_steps: Count = 1
    growth: Annotated[float, Field(ge=1)] = 1.0
    schedule: Literal["cycle", "nested", "simultaneous"] = "cycle"
    topology: TopologyName | None = None
    coarsen_data: bool = False
    start_depth: Natural = 0
    optimizer: Literal["tf1_rmsprop", "adam"] = "tf1_rmsprop"
    learning_rate: Positive = 5e-4
    until: Annotated[float, Field(gt=0, lt=1)] | None = None
    committed: bool = False

    @model_validator(mode="after")
    def _makes_sense(self):
        self.visits("paper")
        if self.start_depth and self.depth:
            raise ValueError(
                "`start_depth` is for `depth: 0`; a hierarchy draws every level anyway"
            )
        if self.schedule != "cycle" and (not self.depth or self.gamma > 1):
            raise ValueError(
                f"`schedule: {self.schedule}` needs `depth` >= 1 and has no `gamma`"
            )
        if self.coarsen_data and not self.depth:
            raise ValueError("`coarsen_data` needs `depth` >= 1")
        if self.schedule == "simultaneous" and self.coarsen_data:
            raise ValueError("`schedule: simultaneous` needs the fine gradient")
        return self

    def visits(self, variant: str) -> schedules.Schedule:
        """The schedule of levels.

        Args:
            variant: "paper" or "script", see `msann.schedules.gamma_cycle`.
        """
        steps = self.smoothing_steps
        if self.growth > 1:
            steps = schedules.Growing(steps, self.growth)
        if self.schedule == "simultaneous":
            return schedules.simultaneous()
        if self.schedule == "nested":
            return schedules.full_multigrid(
                self.depth, smoothing_steps=steps, start_steps=steps
            )
        return schedules.gamma_cycle(self.depth, self.gamma, steps, variant)


class Grid(_Checked):
    """The paper's sweep: every combination, which takes days."""

    gamma: tuple[Count, ...] = (1, 2, 3)
    depth: tuple[Natural, ...] = (0, 1, 2, 3, 4, 5, 6)
    smoothing_steps: tuple[Count, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
    optimizer: Literal["tf1_rmsprop", "adam"] = "tf1_rmsprop"
    learning_rate: Positive = 5e-4

    def schemes(self) -> tuple[Scheme, ...]:
        """All combinations; L = 0 has no gamma and k, so it comes once."""
        shared = {"optimizer": self.optimizer, "learning_rate": self.learning_rate}
        combinations = product(self.gamma, self.depth, self.smoothing_steps)
        default = [Scheme(label="default", **shared)] if 0 in self.depth else []
        return (
            *default,
            *(
                Scheme(
                    label=f"gamma {gamma}, L {depth}, k {k}",
                    gamma=gamma,
                    depth=depth,
                    smoothing_steps=k,
                    **shared,
                )
                for gamma, depth, k in combinations
                if depth
            ),
        )


class Quick(_Checked):
    """What the quick variant changes: the same path through the code, in seconds."""

    budget: Positive
    evaluate_every: Positive
    smoothing_steps: Count = 1
    samples: Count = 1_000


class Config(_Checked):
    """An experiment: its claim, its settings and the schemes that it compares.

    Attributes:
        way: Which of the file's `ways` this is, if it has any.
        budget: Training ends before it would be exceeded, in `budget_unit`: C(t),
            gradient evaluations, or seconds of training.
        evaluate_every: In C(t), at least.
        evaluate_at: After smoothing at level 0 ("cycle"), or after any visit, as the
            authors' script does; coarsened data only have the first.
    """

    title: str
    claim: str
    command: str
    minutes: Positive
    way: str = ""
    published: Literal[tuple(TABLES)] | None = None
    task: Annotated[Mnist | Objects, Field(discriminator="name")]
    hidden: tuple[Count, ...] = (256, 128, 256)
    topology: TopologyName
    variant: Literal["paper", "script"] = "paper"
    batch_size: Count = 128
    budget: Positive
    budget_unit: Literal["cost", "evaluations", "seconds"] = "cost"
    evaluate_every: Positive
    evaluate_at: Literal["cycle", "visit"] = "cycle"
    seeds: Annotated[tuple[Natural, ...], Field(min_length=1)]
    schemes: Annotated[tuple[Scheme, ...], Field(min_length=1)]
    grid: Grid | None = None
    quick: Quick

    @model_validator(mode="after")
    def _labels_are_known(self):
        labels = [scheme.label for scheme in self.schemes]
        if len(set(labels)) != len(labels):
            raise ValueError(f"labels of schemes must differ. Received: {labels}")
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
                "schemes": tuple(x.model_copy(update=steps) for x in self.schemes),
            }
        )

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
        ConfigError: No such file, not YAML, no such way, unknown or missing keys, bad
            values; every fault is named with what came in.

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
        return Config.model_validate(_on_its_way(yaml.safe_load(text), way, path.name))
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


def _on_its_way(values: Any, way: str | None, name: str) -> Any:
    """The file's keys, with those of one way in their place."""
    ways = values.pop("ways", {}) if isinstance(values, dict) else {}
    _check_mapping(name, "ways", ways)
    if way is None:
        way = next(iter(ways), "")
    if not way:
        return values
    if way not in ways:
        raise ConfigError(
            f"`way` must be one that {name} has: {', '.join(ways) or 'it has none'}. "
            f"Received: way={way!r}"
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
            f"nothing to say. Received: {value!r}"
        )
