"""The hierarchy of networks M_0 (finest) .. M_L as a thing to look at.

It knows sizes and parameters of every level and what a schedule costs, and prints
itself as multigrid people print theirs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from msann.checks import each, flag, instance, integer
from msann.cost import cost, shares
from msann.schedules import Schedule
from msann.topology import Chain


class Weight(NamedTuple):
    """One layer's kernel (and bias): the two spaces that it joins."""

    name: str
    input: Chain
    output: Chain
    use_bias: bool = True


class Hierarchy:
    """Shows sizes, parameters and costs of the levels of a network.

    Args:
        weights: A `Weight(name, input, output, use_bias)` for each layer, in order;
            `input` and `output` are the chains (`chain(topology, depth)`) of the two
            spaces that the layer's kernel joins. All chains have one depth.
        other_parameters: How many trainable parameters there are outside these weights;
            every level shares and trains them.

    Raises:
        ValueError: There are no weights, or one is no `Weight` of two chains; chains
            differ in depth; or `other_parameters` is no integer >= 0.

    Example:

    >>> from msann.topology import chain, path
    >>> wide, narrow = chain(path(8), 2), chain(path(2), 2)
    Traceback (most recent call last):
    ValueError: `depth` must be at most 1 for the space Path(size=2), ...
    >>> wide, narrow = chain(path(8), 1), chain(path(2), 1)
    >>> autoencoder = Hierarchy([Weight("encoder", wide, narrow),
    ...                          Weight("decoder", narrow, wide)])
    >>> print(autoencoder)
    level  sizes  parameters  share
        0  8-2-8          42  1
        1  4-1-4          13  0.3095
    grid complexity 1.31: parameters of all levels / those of level 0
    >>> from msann.schedules import gamma_cycle
    >>> autoencoder.cycle_complexity(gamma_cycle(depth=1))
    2.309...
    """

    def __init__(self, weights: Sequence[Weight], other_parameters: int = 0):
        self.weights = tuple(each("weights", weights, "`Weight`s"))
        for i, weight in enumerate(self.weights):
            _check(f"weights[{i}]", weight)
        depths = {len(c.steps) for w in self.weights for c in (w.input, w.output)}
        if len(depths) != 1:
            raise ValueError(
                "`weights` must hold at least one multilevel layer, and one depth for "
                f"all of them. Received: depths {sorted(depths)} in the layers "
                f"{[weight.name for weight in self.weights]}"
            )
        (self.depth,) = depths
        self.other_parameters = integer("other_parameters", other_parameters, least=0)

    @property
    def parameters(self) -> tuple[int, ...]:
        """Count |M_l|, the trainable parameters of every level, finest first."""
        return tuple(
            self.other_parameters
            + sum(
                (weight.input.sizes[level] + weight.use_bias)
                * weight.output.sizes[level]
                for weight in self.weights
            )
            for level in range(self.depth + 1)
        )

    @property
    def shares(self) -> tuple[float, ...]:
        """Return |M_l| / |M_0|: what an example at level l costs in C(t) (4.1)."""
        return tuple(shares(self.parameters))

    @property
    def glorot_ratios(self) -> tuple[float, ...]:
        """Divide Glorot's standard deviation at each level by that at level 0.

        The geometric mean over the weights; sqrt(2) a level where both sizes of every
        weight halve. Learning rates in these ratios make equal relative steps.
        """
        return tuple(
            math.exp(
                fmean(
                    math.log(sum(_ends(weight, 0)) / sum(_ends(weight, level))) / 2
                    for weight in self.weights
                )
            )
            for level in range(self.depth + 1)
        )

    def sizes(self, level: int) -> str:
        """Write the layers' sizes at a level as the paper does: 1024-256-128."""
        level = integer("level", level, least=0, most=self.depth)
        sizes = [self.weights[0].input.sizes[level]]
        for weight in self.weights:
            if weight.input.sizes[level] != sizes[-1]:
                sizes.append(weight.input.sizes[level])
            sizes.append(weight.output.sizes[level])
        return "-".join(map(str, sizes))

    def grid_complexity(self) -> float:
        """Divide the parameters of all levels by level 0's: the price in memory."""
        return sum(self.shares)

    def cycle_complexity(self, schedule: Schedule) -> float:
        """Return C of one cycle of `schedule`, in batches of level 0.

        Raises:
            ValueError: What is no schedule, or one that is deeper than the hierarchy.
        """
        instance("schedule", schedule, Schedule, "a `Schedule`")
        if schedule.depth > self.depth:
            raise ValueError(
                f"`schedule` must go no deeper than the hierarchy, whose depth is "
                f"{self.depth}. Received: a schedule of depth {schedule.depth}"
            )
        return cost(schedule.cycle, self.parameters)

    def __str__(self):
        rows = [("level", "sizes", "parameters", "share")]
        rows += [
            (str(level), self.sizes(level), f"{count:,}", f"{share:.4g}")
            for level, (count, share) in enumerate(
                zip(self.parameters, self.shares, strict=True)
            )
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if i in (1, 3) else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        lines.append(
            f"grid complexity {self.grid_complexity():.2f}: parameters of all levels / "
            "those of level 0"
        )
        return "\n".join(lines)

    def __repr__(self):
        return f"<Hierarchy of depth {self.depth}: {self.sizes(0)}>"


def _check(name, weight):
    instance(name, weight, Weight, "a `Weight`")
    for end in ("input", "output"):
        instance(f"{name}.{end}", getattr(weight, end), Chain, "a `Chain`")
    flag(f"{name}.use_bias", weight.use_bias)


def _ends(weight: Weight, level: int) -> tuple[int, int]:
    return weight.input.sizes[level], weight.output.sizes[level]
