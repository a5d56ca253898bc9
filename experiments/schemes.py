"""Ways to train that an experiment compares: what a config may say of each."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    model_validator,
)

from msann import schedules
from msann.topology import Topology, random_orthogonal, resolve, shuffled

#: What an optimizer is called in tables and legends.
OPTIMIZER_NAMES = {
    "adam": "Adam",
    "tf1_rmsprop": "RMSProp",
    "rmsprop": "Keras's RMSProp",
}


def _no_flag(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")
    return value


# `true` is no number, 2.0 no whole one, and nothing is infinite.
Number = Annotated[float, BeforeValidator(_no_flag), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
Count = Annotated[int, Field(strict=True, ge=1)]
Natural = Annotated[int, Field(strict=True, ge=0)]
#: NumPy's and Keras's bound.
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**32)]
TopologyName = Literal["path", "grid", "shuffled", "random_orthogonal"]


class Checked(BaseModel):
    """Immutable, and refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def topology(name: TopologyName, variant: str, seed: int) -> Callable[[int], Topology]:
    """What every space looks like, by its size; see `msann_keras.multilevel`.

    Shuffled is the grid in random order: one order a space, or, as in the authors'
    script, another one at every use.

    Args:
        name: From a config.
        variant: "paper" or "script".
        seed: Of those that are drawn.

    >>> topology("shuffled", "paper", 1)(6)
    Shuffled(base=Grid(shape=(2, 3)), seed=1, redraw=False)
    """
    if name == "shuffled":
        return lambda size: shuffled(
            resolve("grid", size, "topology"), seed=seed, redraw=variant == "script"
        )
    if name == "random_orthogonal":
        return lambda size: random_orthogonal(size, seed=seed)
    return lambda size: resolve(name, size, "topology")


class Scheme(Checked):
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
        warm_start: Begin the default by `msann_keras.warm_start`, at this level, or
            as deep as the data say ("auto").
        optimizer: By name.
        learning_rate: At level 0.
        until: End the run when the MSE is this fraction of the first one.
        committed: It takes too long to make again each time: its runs are the
            committed ones in results/, where there are such.
        part: Of a comparison: the paper's own methods, its network with a tuned
            optimizer, or what this library adds.
    """

    label: str
    depth: Natural = 0
    gamma: Count = 1
    smoothing_steps: Count = 1
    growth: Annotated[Number, Field(ge=1)] = 1.0
    schedule: Literal["cycle", "nested", "simultaneous"] = "cycle"
    topology: TopologyName | None = None
    coarsen_data: StrictBool = False
    start_depth: Natural = 0
    warm_start: Count | Literal["auto"] | None = None
    optimizer: Literal["tf1_rmsprop", "adam"] = "tf1_rmsprop"
    learning_rate: Positive = 5e-4
    until: Annotated[Number, Field(gt=0, lt=1)] | None = None
    committed: StrictBool = False
    part: Literal["paper", "tuned", "ours"] | None = None

    @model_validator(mode="after")
    def _makes_sense(self):
        self.visits("paper")
        if self.start_depth and self.depth:
            raise ValueError(
                "`start_depth` is for `depth: 0`; a hierarchy draws every level anyway"
            )
        if self.warm_start and (self.depth or self.start_depth):
            raise ValueError(
                "`warm_start` is for `depth: 0` without `start_depth`; it has levels "
                "of its own"
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


class Grid(Checked):
    """The paper's sweep: every combination, which takes days."""

    gamma: tuple[Count, ...] = (1, 2, 3)
    depth: tuple[Natural, ...] = (0, 1, 2, 3, 4, 5, 6)
    smoothing_steps: tuple[Count, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
    optimizer: Literal["tf1_rmsprop", "adam"] = "tf1_rmsprop"
    learning_rate: Positive = 5e-4

    @model_validator(mode="after")
    def _makes_sense(self):
        try:
            self.schemes()
        except ValidationError as error:
            raise ValueError(error.errors()[0]["msg"]) from None
        return self

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
