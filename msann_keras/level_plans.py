"""What a plan says: levels, and what each loses, holds and costs."""

from __future__ import annotations

import time
from functools import cache
from typing import NamedTuple

from keras import ops

from msann.topology import Topology

#: A level that loses less than this of both lacks nothing.
WHOLE = 5e-4
#: What a step costs beside its multiplications, and what making a level ready takes.
OVERHEAD, COMPILING = 1e-3, 0.5
#: Multiply-adds of a training step for each parameter and sample.
OPERATIONS = 3


class Pace(NamedTuple):
    """How a start goes through its levels.

    Attributes:
        stride: Every so many levels one trains.
        factors: What the coarsest level tries its rate times; finer levels go by the
            best one.
        first: Steps after which a level is judged first.
        fall: A level is worth its time while its error falls faster than steps^-fall.
        cools: Whether the rate goes down before a level is left.
        looks: So many judgements in a row must say that it falls more slowly.
        by_steps: Whether the time that the plan gives is counted in steps, each as long
            as the plan says. Convolutions may take several times as long as that, but
            those of all levels do, and so a start makes the same steps on any machine.
        window: A level's weights are the mean over the last part of its steps, as long
            as this share of them; at 0, as they are.
        passes: A start takes as long as so many passes of the fine network over the
            data, compiling apart.
        ahead: Of levels that are judged by what their weights do on the next finer
            data, if that is another.
    """

    stride: int
    factors: tuple[float, ...]
    first: int
    fall: float
    cools: bool = True
    looks: int = 1
    by_steps: bool = False
    window: float = 0.0
    passes: float = 4.0
    ahead: Pace | None = None


#: Of networks whose units coarsen: a level holds all but what its data lack.
UNITS = Pace(stride=2, factors=(1.0, 2.0, 4.0), first=64, fall=0.2)
#: Of averaged images: their network does something else on the finer data, and what it
#: still learns of its own has to be learned anew there.
AVERAGED = Pace(
    stride=1, factors=(1.0,), first=16, fall=0.5, cools=False, looks=2, window=0.05
)
#: Of thinner convolutions, which do on whole images what the network then does, and
#: learn more in a second: they stay while there is any gain. Their errors go up and
#: down; so several looks must say that there is none.
IMAGES = Pace(
    stride=1,
    factors=(1.0,),
    first=64,
    fall=0.05,
    looks=3,
    by_steps=True,
    window=0.05,
    ahead=AVERAGED,
)
#: Of sampled images: a step teaches about as much as on whole ones, and is many times
#: cheaper. The network itself goes on soon, since nothing but pixels was left out.
SAMPLED = AVERAGED._replace(fall=0.1, by_steps=True, passes=1.0)


class LevelPlan(NamedTuple):
    """Describes one level of a plan.

    Attributes:
        level: Its number; 0 is the network itself, larger ones are coarser.
        sizes: The sizes of the layers, such as "1024-256-128", or of the images.
        parameters: How many weights and biases the level's network has.
        inputs_lost: Share of the inputs' variance that averages of the level cannot
            hold, 0 to 1; of sampled images, what averages would lose.
        targets_lost: The same of the targets; 0 if they are not coarsened.
        step_seconds: How many seconds a training step takes, estimated.
        seen: Share of an image's side that one pixel of an output depends on (its
            receptive field); `None` where samples are no images.
    """

    level: int
    sizes: str
    parameters: int
    inputs_lost: float
    targets_lost: float
    step_seconds: float
    seen: float | None = None

    @property
    def is_whole(self) -> bool:
        """Tell whether the level holds all of the data that is worth speaking of."""
        return max(self.inputs_lost, self.targets_lost) <= WHOLE


class Plan(NamedTuple):
    """Tells what each level loses, holds and costs; `plan` makes it, `print` shows it.

    Attributes:
        levels: A `LevelPlan` for each level, from level 0, the finest, to `depth` at
            least; where "auto" chose that, a deeper level follows, if there is one.
        depth: L, where `warm_start` begins; 0 stands for plain training.
        topologies: What each space looks like, by the name of the layer that makes it;
            empty for networks that are made thinner or see smaller images.
        seconds: How many seconds the start will take, estimated.
        compiling: How many of these pass before the first step.
        reason: Why this depth, in a sentence.
        pace: How the start goes through the levels: which of them train, and when each
            is left.
    """

    levels: tuple[LevelPlan, ...]
    depth: int
    topologies: dict[str, Topology]
    seconds: float
    compiling: float
    reason: str
    pace: Pace = UNITS

    @property
    def visited(self) -> tuple[int, ...]:
        """List the levels that train, coarsest first: L, L - `pace.stride`, ..

        Each takes a compiled program, and the gain of the levels between is small. The
        last one is the first that lacks nothing of the data, or level 2 or 1.
        """
        levels = tuple(range(self.depth, 0, -self.pace.stride))
        lacking = [level for level in levels if not self.levels[level].is_whole]
        return levels[: len(lacking) + 1]

    def __str__(self):
        rows = [["level", "sizes", "parameters", "lost of x", "of y", "ms a step"]]
        for one in self.levels:
            rows.append(
                [
                    f"{one.level}{'*' if one.level in self.visited else ''}",
                    one.sizes,
                    f"{one.parameters:,}",
                    f"{one.inputs_lost:.4f}",
                    f"{one.targets_lost:.4f}",
                    f"{1e3 * one.step_seconds:.1f}",
                ]
            )
        if seen := [one.seen for one in self.levels if one.seen is not None]:
            rows[0].append("an output sees")
            for row, share in zip(rows[1:], seen, strict=True):
                row.append(f"{100 * share:.0f} %")
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) for cell, width in zip(row, widths, strict=True)
            )
            for row in rows
        ]
        return "\n".join([*lines, self.reason])


@cache
def speed() -> float:
    """Multiply-adds a second of this machine's backend, in a product of matrices."""
    a, b = (ops.ones(shape, "float32") for shape in ((128, 1024), (1024, 1024)))
    best = 0.0
    for _ in range(4):  # the first one makes the backend ready
        began = time.perf_counter()
        ops.convert_to_numpy(ops.matmul(a, b))
        best = max(best, 128 * 1024**2 / (time.perf_counter() - began))
    return best


def seconds_of(products: float) -> float:
    """What a training step takes that multiplies so many numbers, going forward."""
    return OVERHEAD + OPERATIONS * products / speed()
