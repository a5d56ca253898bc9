"""Whether a network of dense layers has a coarse form, or which layer has none and why.

A layer has one if it keeps the spaces that it reads, or makes a new one of units, and
if all that meet in it see a space alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import keras

from msann.topology import Chain, chain, identity
from msann_keras.averages import check_constants
from msann_keras.coarsening import Coarsening
from msann_keras.kinds import (
    DENSE,
    NORMALISING,
    POINTWISE,
    PREPROCESSING,
    RANDOM,
    STEM,
    WEIGHTED,
    adds_up,
)
from msann_keras.spaces import Walk


def coarsened(
    seen: Walk, ends: Callable[[keras.layers.Layer], tuple[Chain, Chain]]
) -> Coarsening:
    """Find out how a model is coarsened, or say why it is not.

    Args:
        seen: The model as spaces and layers.
        ends: From a dense layer to the levels of its input's space and of its units'.

    Raises:
        ValueError: A layer or a prolongation cannot be coarsened; each is named, with
            the reason.
    """
    chains: dict[str, Chain] = {}
    for step in seen.steps:
        before = step.sources[0]
        is_known = step.since_input is not None or before in {*seen.inputs, *chains}
        if step.kind in WEIGHTED and not is_known:
            refuse(
                step.layer,
                f"it reads one axis of what {before!r} takes apart after a dense layer",
            )
        _check_step(step, chains, ends)
    for step in seen.weighted:
        if not step.layer.trainable:
            refuse(step.layer, "it does not train; coarsened data train every layer")
        for side, space in (("input", step.sources[0]), ("output", step.target)):
            where = f"the {side} of the layer {step.layer.name!r}"
            check_constants(where, chains[space])
    for what, spaces, tensors in (
        ("an input", seen.inputs, seen.graph.inputs),
        ("an output", seen.outputs, seen.graph.outputs),
    ):
        for space, tensor in zip(spaces, tensors, strict=True):
            if space not in chains:
                raise ValueError(
                    f"Data cannot be coarsened for {what} of the model, "
                    f"{tensor.name!r}: no dense layer reads or makes that space."
                )
    return Coarsening(seen, chains)


def why_not(seen: Walk) -> str:
    """Why a model has no coarse form, whatever its spaces look like; empty if it has.

    >>> rows = keras.Sequential([keras.Input((8, 4)), keras.layers.Permute((2, 1)),
    ...                          keras.layers.Dense(4), keras.layers.LSTM(4, name="m")])
    >>> from msann_keras.spaces import walk
    >>> why_not(walk(rows))
    "Data cannot be coarsened for the layer 'm': a LSTM layer has no coarse form."
    """

    def ends(layer):
        step = next(step for step in seen.dense if step.layer is layer)
        spaces = step.sources[0], step.target
        return tuple(chain(identity(seen.sizes[name]), 0) for name in spaces)

    try:
        coarsened(seen, ends)
    except ValueError as error:
        return str(error)
    return ""


def _check_step(step, chains, ends):
    """Refuse a layer without a coarse form; note the chains of its spaces."""
    layer, sources = step.layer, step.sources
    if step.kind is DENSE:
        source, target = ends(layer)
        _meet(layer, chains, sources[0], source)
        _meet(layer, chains, step.target, target)
        _refuse_softmax(layer, target)
    elif step.kind is POINTWISE:
        _refuse_softmax(layer, chains.get(sources[0]))
        for other in sources[1:]:
            _join(layer, chains, sources[0], other)
    elif step.kind in STEM:
        if step.since_input is None and step.kind is PREPROCESSING:
            refuse(layer, "it comes after a dense layer, and not right after the data")
        if step.since_input is None and step.target not in sources:
            refuse(layer, "it comes after a dense layer, whose space it takes apart")
        for before in step.since_input or ():
            if isinstance(before, (*RANDOM, *NORMALISING.layers)):
                refuse(before, f"it must come after {layer.name!r}")
    elif step.kind is not NORMALISING:
        refuse(layer, f"a {type(layer).__name__} layer has no coarse form")


def _meet(layer, chains, space, chain):
    known = chains.setdefault(space, chain)
    if known.topology != chain.topology or known.sizes != chain.sizes:
        refuse(
            layer,
            f"it sees a space as {chain.topology!r} that another layer sees as "
            f"{known.topology!r}, so there is no one average to give to both",
        )


def _join(layer, chains, space, other):
    chain, known = chains.get(space), chains.get(other)
    if chain is not None and known is not None:
        _meet(layer, chains, other, chain)
    elif space != other:
        refuse(layer, "it joins an input that no dense layer has read")


def _refuse_softmax(layer, chain):
    if adds_up(layer) and chain is not None and chain.sizes[-1] < chain.sizes[0]:
        refuse(
            layer,
            "its softmax adds up over a space that is coarsened; an `identity` "
            "topology keeps that space whole",
        )


def refuse(layer: keras.layers.Layer, reason: str) -> NoReturn:
    """Say which layer stops data from being coarsened, and why."""
    raise ValueError(
        f"Data cannot be coarsened for the layer {layer.name!r}: {reason}."
    )
