"""What a coarse start would do for a model, read off its data before it trains."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from msann import checks
from msann.choice import levels_of
from msann.topology import Topology, chain
from msann_keras.coarse_forms import coarsened, why_not
from msann_keras.coarse_networks import CoarseNetworks
from msann_keras.coarsening import Coarsening
from msann_keras.images.levels import of_images
from msann_keras.images.plan import planned_images
from msann_keras.inputs import refuse_nan
from msann_keras.level_plans import COMPILING, UNITS, LevelPlan, Plan, seconds_of
from msann_keras.looks import all_topologies, coarsens, data_topologies, fields_of
from msann_keras.lost import MOST_INPUTS, MOST_TARGETS, lost_of
from msann_keras.samples import Parts, check_targets, some_of
from msann_keras.spaces import functional, walk
from msann_keras.topologies import TopologyLike, sources_of

#: Where data coarsen to, at the most: levels, and nodes that must be left.
MOST_LEVELS, LEAST_NODES = 8, 8
#: A coarsest step must be so many times cheaper than one of the fine network.
CHEAPER = 2.5
#: Bytes of batches that are read for a look at them.
MEMORY = 2**28


def plan(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    topology: TopologyLike = None,
    depth: int | str = "auto",
    batch_size: int = 32,
) -> Plan:
    """Tell what a coarse start would do for a model, before anything trains.

    Args:
        model: A built Sequential or functional model, as `warm_start` takes it; it need
            not be compiled, and is not changed.
        x: Inputs as `fit` takes them: arrays, or batches of inputs and targets.
        y: Targets, if `x` is arrays.
        topology: What the spaces look like, as `multilevel` takes it. `None` chooses
            for inputs and outputs: of the rows, rings and grids that their sizes allow,
            the one whose averages lose least of the data's variance. Where neighbours
            have nothing in common, nothing is coarsened, and the plan says so. For a
            network of convolutions it is one of two words, since images have axes of
            their own: "stencils" averages images, halves the channels, and makes of
            each kernel the one that does to averages what it did to the fine image (its
            Galerkin stencil); "kernels" takes every other pixel, and kernels and
            channels as they are. `None` chooses "stencils" if averages hold most of the
            inputs.
        depth: L, or "auto" for the deepest level that still holds the data.
        batch_size: Samples of a training step, for the estimates.

    Returns:
        A `Plan`. Printed, it is a table that ends with a sentence.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: A layer is frozen, data or topologies do not fit, or the model or
            the data's spaces have no level of that depth.

    Example: smooth fields are held by few numbers.

    >>> rows = np.linspace(0, 6, 200)[:, None]
    >>> x = np.sin(np.linspace(0, 6, 1024) + rows).astype("float32")
    >>> model = keras.Sequential([keras.Input((1024,)),
    ...                           keras.layers.Dense(512, activation="gelu"),
    ...                           keras.layers.Dense(1024)])
    >>> plan(model, x, x, batch_size=128).reason
    "L = 7 with hat: level 7 holds 99.74 % of the inputs' and 99.74 % of the targets'
    variance, and a step there takes 1/... of a whole one."
    """
    graph = functional(model)
    for name, value in (("x", x), ("y", y)):
        refuse_nan(name, value)
    parts = some_of(x, y, None, graph, MEMORY)
    return planned(graph, parts, topology, depth, batch_size)[0]


def planned(
    graph: keras.Model,
    parts: Parts,
    topology: TopologyLike,
    depth: int | str,
    batch_size: int,
) -> tuple[Plan, CoarseNetworks]:
    """The plan of a model, and the coarse networks that it means.

    Args:
        graph: The functional model.
        parts: Inputs, targets and sample weights.
        topology, depth, batch_size: As `plan` takes them.

    Raises:
        ValueError: As `plan`.
    """
    batch_size = checks.integer("batch_size", batch_size, least=1)
    asked = None  # the data decide
    if not isinstance(depth, str):
        asked = checks.integer("depth", depth, least=0)
    elif depth != "auto":
        checks.refuse("depth", depth, 'an integer >= 0, or "auto"')
    if of_images(graph):
        return planned_images(graph, parts, topology, asked, batch_size)
    seen = walk(graph)
    if reason := why_not(seen):
        if topology is not None:
            raise ValueError(reason)
        return planned_images(graph, parts, None, asked, batch_size, reason)
    fields = fields_of(seen, parts)
    data = data_topologies(seen, fields, topology)
    coarsening = {name: one for name, one in data.items() if coarsens(one)}
    deepest = min((int(one.max_depth) for one in coarsening.values()), default=0)
    if asked is not None and asked > deepest:
        spaces = ", ".join(f"{k!r} as {v!r}" for k, v in coarsening.items())
        raise ValueError(
            f"`depth` must be at most {deepest} for these data, of which "
            f"{spaces or 'nothing'} coarsens. Received: depth={asked}"
        )
    most = min(deepest, MOST_LEVELS) if asked is None else asked
    lost = lost_of(fields, data, most)
    if asked is None:
        held = [
            level
            for level in range(most + 1)
            if lost[level].is_little and _nodes(coarsening, level) >= LEAST_NODES
        ]
        suggested, reason = max(held), _why_plain(lost, coarsening)
    else:
        suggested, reason = asked, "plain training, as asked."
    shown = min(suggested + 1, most)
    how = _coarsening(seen, data, topology, suggested, shown)
    check_targets("y", parts[1], how)
    levels = _levels(how, lost[: shown + 1], batch_size)
    cheaper = levels[0].step_seconds / levels[suggested].step_seconds
    if suggested and asked is None and cheaper < CHEAPER:
        reason = (
            f"plain training: a step of level {suggested}, the coarsest that holds the "
            f"data, still takes 1/{cheaper:.1f} of a whole one."
        )
        suggested = 0
    elif suggested:
        reason = _why_coarse(suggested, lost, coarsening, cheaper)
    steps = UNITS.passes * len(parts[0][0]) / batch_size if suggested else 0
    compiling = COMPILING if suggested else 0.0
    result = Plan(
        levels,
        suggested,
        dict(sorted((k, v.topology) for k, v in how.chains.items())),
        compiling + steps * levels[0].step_seconds,
        compiling,
        reason,
    )
    return result, how


def _nodes(data: dict[str, Topology], level: int) -> float:
    """Nodes that the smallest of the spaces that coarsen has at a level."""
    return min(
        (levels_of(one, level).sizes[-1] for one in data.values()), default=np.inf
    )


def _coarsening(seen, data, topology, depth, levels) -> Coarsening:
    """The coarsening of a start at level `depth`, with so many levels in its chains."""
    topologies = all_topologies(seen, data, topology, depth)
    sources = sources_of(seen)

    def ends(layer):
        names = sources[layer.name], layer.name
        return tuple(chain(topologies[name], levels) for name in names)

    return coarsened(seen, ends)


def _levels(coarsening, lost, batch_size) -> tuple[LevelPlan, ...]:
    hierarchy = coarsening.hierarchy
    return tuple(
        LevelPlan(
            level,
            hierarchy.sizes(level),
            parameters,
            lost[level].inputs,
            lost[level].targets,
            seconds_of(parameters * batch_size),
        )
        for level, parameters in enumerate(hierarchy.parameters)
    )


def _why_plain(lost, coarsening) -> str:
    if not coarsening:
        return (
            "plain training: no space of the data coarsens, since neighbours in them "
            "have no more in common than nodes in random order."
        )
    first = lost[min(1, len(lost) - 1)]
    lacks_targets = first.targets > MOST_TARGETS
    share = first.targets if lacks_targets else first.inputs
    return (
        f"plain training: averaging by two already loses {100 * share:.1f} % of the "
        f"{'targets' if lacks_targets else 'inputs'}' variance."
    )


def _why_coarse(level, lost, coarsening, cheaper) -> str:
    families = sorted(
        {getattr(x, "prolongation", type(x).__name__) for x in coarsening.values()}
    )
    of_inputs, of_targets = (100 * (1 - x) for x in lost[level][:2])
    is_noise = lost[level].is_little and lost[level].inputs > MOST_INPUTS
    noise = " (the rest may be white noise)" if is_noise else ""
    return (
        f"L = {level} with {' and '.join(families)}: level {level} holds "
        f"{of_inputs:.2f} % of the inputs'{noise} and {of_targets:.2f} % of the "
        f"targets' variance, and a step there takes 1/{cheaper:.0f} of a whole one."
    )
