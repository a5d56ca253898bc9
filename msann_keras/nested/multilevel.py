"""A warm start for a multilevel model, by way of the plain one that it stands for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras

from msann_keras.backends import here
from msann_keras.layers import MultilevelDense, at_level
from msann_keras.nested.level import values_of
from msann_keras.nested.optimizer import copy_of, counter_of, moments
from msann_keras.nested.record import Record
from msann_keras.nested.warm_start import warm_start
from msann_keras.optimizers.multilevel import unwrapped
from msann_keras.optimizers.rates import schedule_of
from msann_keras.samples import split
from msann_keras.spaces import walk


def begin_warmly(
    model: keras.Model,
    options: dict[str, Any],
    meanwhile: Callable[[], None] = lambda: None,
) -> Record:
    """Start a compiled `MultilevelModel` from its coarsest network, before a `fit`.

    Its plain twin (`merge`) is started; then the weights come into level 0, whose
    optimizer goes on with the moments. Inputs and outputs have the model's topologies.

    Args:
        model: A compiled, built, functional `MultilevelModel`.
        options: Arguments of `fit` by name.
        meanwhile: What a thread does beside it. It has ended when the model's weights
            change.

    Returns:
        What the start did.

    Raises:
        ValueError: As `warm_start`, or `class_weight`, which it does not know.
    """
    x, y, weights = (options.get(name) for name in ("x", "y", "sample_weight"))
    if options.get("class_weight") is not None:
        raise ValueError(
            "`class_weight` has no effect on a warm start; give `sample_weight`."
        )
    if fraction := options.get("validation_split"):
        (x, y, weights), _ = split(x, y, weights, fraction)
    own = unwrapped(model.optimizer).levels[0]
    plain = model.merge()
    plain.compile(
        copy_of(own),
        model.loss,
        loss_weights=model.loss_weights,
        run_eagerly=model.run_eagerly,
    )
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(meanwhile)
        record = warm_start(
            plain,
            x,
            y,
            topology=_topologies(model),
            batch_size=options.get("batch_size") or 32,
            sample_weight=weights,
            validation_data=options.get("validation_data"),
            verbose=0,
        )
        beside.result()
    if record.levels:
        _take(model, plain)
    here.share(model)  # each worker has made a start of its own
    return record


def cost_of(record: Record, batch_size: int) -> float:
    """C(t) of a warm start, section 4.1: examples, one at level l as |M_l|/|M_0|."""
    levels = record.plan.levels
    shares = [one.parameters / levels[0].parameters for one in levels]
    return sum(one.steps * shares[one.level] for one in record.levels) * batch_size


def _topologies(model) -> dict:
    """Of inputs and outputs, by the name of the space."""
    seen, result = walk(model), {}
    for step in seen.dense:
        if isinstance(step.layer, MultilevelDense):
            result[step.sources[0]] = step.layer.input_topology
            result[step.target] = step.layer.output_topology
    ends = {*seen.inputs, *seen.outputs}
    return {name: one for name, one in result.items() if name in ends}


def _take(model, plain) -> None:
    """Give level 0 the plain model's weights, and its optimizer what that one knows."""
    twins: dict[int, keras.Variable] = {}
    for layer in (step.layer for step in walk(model).weighted):
        twin, own = plain.get_layer(layer.name), layer.weights
        if isinstance(layer, MultilevelDense):
            layer.gather()  # which leaves nothing on the coarse levels
            layer.set_theta(*values_of([twin]))
            own = layer.level_weights(0)
        else:
            layer.set_weights(twin.get_weights())
        twins |= dict(zip(map(id, own), twin.weights, strict=True))
    optimizer = unwrapped(model.optimizer)
    own, other = optimizer.levels[0], unwrapped(plain.optimizer)
    if not (theirs := moments(other)):
        return
    places = {id(v): place for place, v in enumerate(plain.trainable_variables)}
    level_0 = at_level(optimizer.built_for, 0)
    for variable, slots in zip(level_0, moments(own), strict=True):
        known = theirs[places[id(twins[id(variable)])]]
        for slot, value in zip(slots, known, strict=True):
            slot.assign(value)
    if schedule_of(own) is None and not own.use_ema:
        counter_of(own).assign(counter_of(other))
