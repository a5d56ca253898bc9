"""What a coarse start would do for a network of convolutions."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from msann import checks
from msann.energy import energy_lost
from msann.topology import Chain
from msann_keras.images.levels import Images, images_of
from msann_keras.level_plans import (
    IMAGES,
    SAMPLED,
    LevelPlan,
    Plan,
    seconds_of,
)
from msann_keras.samples import Parts, check_targets

#: What a kernel is on smaller images: its stencil on averages, or itself on samples.
KERNELS = ("stencils", "kernels")
#: Samples that are looked at.
SAMPLE = 64
#: Levels at the most, and the share of the targets' variance that one may lose.
DEEPEST, MOST_LOST = 3, 0.3
#: Inputs of which averages hold all but so much are smooth.
SMOOTH = 0.2
#: No image inside of a network is to be smaller: of few pixels most are at the border,
#: and what the inner layers of a U-Net learn there is of no use on larger images.
LEAST_INNER = 8
#: A level's step must be so many times cheaper than one of the network.
CHEAPER = 1.5
#: What making a level ready takes for each layer, in seconds; a pass of the network
#: over the data must take longer.
MAKING_READY = 0.1
#: Half the channels multiply a quarter of the numbers, but move half of them. So a step
#: takes this share of one of the whole network at least.
THIN = 0.4


def planned_images(
    graph: keras.Model,
    parts: Parts,
    topology: Any,
    depth: int | None,
    batch_size: int,
    reason: str = "",
) -> tuple[Plan, Images]:
    """The plan of a network of convolutions, and its levels.

    Args:
        graph: The functional model.
        parts: Inputs, targets and sample weights.
        topology: "stencils": kernels act on averages of images by their stencils;
            "kernels": on every other pixel as they are; `None` chooses by the inputs.
        depth: L; `None` chooses.
        batch_size: Samples of a training step, for the estimates.
        reason: Why the network can only be made thinner, if that is known.

    Raises:
        ValueError: A topology of another kind, a frozen layer, targets of another shape
            than outputs that become smaller, or a depth that the network does not
            allow.
    """
    if topology is not None and topology not in KERNELS:
        wanted = f"None or one of {KERNELS} for a network of convolutions"
        checks.refuse("topology", topology, wanted)
    images = _chosen(graph, parts, topology, max(DEEPEST, depth or 0), reason)
    inputs, targets = _lost(parts, images)
    pace = SAMPLED if images.sizes[-1].is_sampled else IMAGES
    deepest = len(images.sizes) - 1
    if depth is not None and depth > deepest:
        why = images.reason or (
            f"images of {_size(images.sizes[0])} do not halve more often in this "
            "network, or are too small."
        )
        raise ValueError(
            f"`depth` must be at most {deepest} here. Received: depth={depth}; {why}"
        )
    steps = len(parts[0][0]) / batch_size
    seconds = [seconds_of(cost * batch_size) for cost in _costs(images)]
    compiling = MAKING_READY * len(graph.layers)
    if depth is not None:
        suggested = depth
    elif steps * seconds[0] >= compiling:
        suggested = _suggested(images, targets, seconds)
    else:
        suggested = 0
    check_targets("y", parts[1], images.up_to(suggested))
    levels = tuple(
        LevelPlan(
            level,
            _size(images.sizes[level]),
            _parameters(images, level),
            0.0 if inputs is None else inputs[level],
            0.0 if targets is None else targets[level],
            seconds[level],
            _seen(images, level),
        )
        for level in range(min(deepest, suggested + 1) + 1)
    )
    compiling = compiling if suggested else 0.0
    result = Plan(
        levels,
        suggested,
        {},
        compiling + (pace.passes * steps * seconds[0] if suggested else 0.0),
        compiling,
        "plain training, as asked."
        if depth == 0
        else _reason(images, suggested, targets, inputs, levels),
        pace,
    )
    return result, images.up_to(suggested)


def _chosen(graph, parts, topology, most, reason) -> Images:
    """The levels that suit the data.

    Smooth images are averaged, for half the channels, whose kernels act by stencils.
    Rough ones would lose by that what a network is to learn from, such as noise that it
    is to take off, and a stencil does not tell all of its kernel there. So they are
    sampled, for all channels; where targets are no smooth images, those are halved.
    """
    thin = images_of(graph, most, reason)
    inputs, _ = _lost(parts, thin)
    is_rough = inputs is not None and inputs[-1] > SMOOTH
    if topology == "stencils" or (topology is None and not is_rough):
        return thin
    whole = images_of(graph, most, reason, is_thin=False)
    _, targets = _lost(parts, whole)
    if targets is None or len(targets) == 1:  # no smaller images, or none of targets
        return thin.sampled()
    is_held = topology == "kernels" or targets[1] <= MOST_LOST
    return whole.sampled() if is_held else thin.sampled()


def _suggested(images, targets, seconds) -> int:
    """The deepest level that pays, as far as one can tell beforehand."""
    result = 0
    for level in range(1, len(images.sizes)):
        smaller = images.sizes[level].blocks[0] > 1
        if smaller and (targets is None or targets[level] > MOST_LOST):
            break  # what labels say of small images is not what they say of large ones
        if images.least[level] < LEAST_INNER and not images.sizes[level].is_sampled:
            break
        if seconds[level] * CHEAPER > seconds[0]:
            continue
        result = level
    return result


def _costs(images: Images) -> list[float]:
    """Multiply-adds that take as long as a sample does at each level."""
    whole, *others = images.costs
    if not images.sizes[-1].is_thin:
        return images.costs
    return [whole, *(max(1.0, THIN * whole / others[0]) * cost for cost in others)]


def _lost(parts: Parts, images: Images) -> tuple[list | None, list | None]:
    """What averages of each level lose of inputs, and of targets, that are images."""
    graph = images.graph
    return (
        _lost_of("x", parts[0], graph.inputs, images.inputs),
        _lost_of("y", parts[1], graph.outputs, images.outputs),
    )


def _lost_of(name, arrays, tensors, pixels: list[Chain]) -> list[float] | None:
    """What each level loses of the images among some arrays; `None` without any."""
    worst: list[float] | None = None
    for array, tensor, one in zip(arrays, tensors, pixels, strict=True):
        if array.shape[1:] != tuple(tensor.shape[1:]) or len(array.shape) < 3:
            continue
        some = np.asarray(array[:: max(1, len(array) // SAMPLE)][:SAMPLE], "float32")
        if not np.isfinite(some).all():
            checks.refuse(name, "an infinite number", "finite numbers")
        rows = np.moveaxis(some, -1, 1).reshape(-1, one.sizes[0])
        lost = energy_lost(rows, one)
        worst = [*lost] if worst is None else [*map(max, worst, lost)]
    return worst


def _parameters(images: Images, level: int) -> int:
    """Weights at a level."""
    chains = images.weight_chains
    return sum(math.prod(one.sizes[level] for one in axes) for axes in chains)


def _seen(images: Images, level: int) -> float | None:
    """Share of an image's side that one pixel of an output depends on."""
    sides = images.sizes[level].sides
    return None if sides is None else min(1.0, images.field / sides[0])


def _size(size) -> str:
    """How a plan names a level."""
    sides = "whole" if size.sides is None else "x".join(map(str, size.sides))
    return sides + (", thin" if size.is_thin else "")


def _reason(images, depth, targets, inputs, levels) -> str:
    """Why this depth; by what the deepest level holds."""
    if not depth:
        beside = images.reason and f" ({images.reason.rstrip('.')})"
        return (
            "plain training: no thinner network, nor one on smaller images, is so much "
            f"cheaper that it pays{beside}."
        )
    cheaper = levels[0].step_seconds / levels[depth].step_seconds
    cost = f"and a step there takes 1/{cheaper:.0f} of a whole one."
    size = images.sizes[depth]
    if size.blocks == (1,):
        return f"L = {depth}: half the channels learn much of what all learn, {cost}"
    if not size.has_stencils:
        return (
            f"L = {depth}: coarse levels see every other pixel, down to {_size(size)}, "
            f"since kernels act as they are (averages would lose "
            f"{100 * inputs[depth]:.0f} % of the inputs' variance), {cost}"
        )
    what, lost = ("inputs", inputs) if targets is None else ("targets", targets)
    return (
        f"L = {depth}: images of {_size(size)} hold "
        f"{100 * (1 - lost[depth]):.1f} % of the {what}' variance, kernels act on them "
        f"by their stencils, {cost}"
    )
