"""Which level trains in the step that is being made: one value, for all who ask.

A training step calls the model, the model its layers, and the gradient goes through the
optimizer; none of these calls can carry an argument of ours. So whoever makes the step
says it once, `with training(level, layers):`, and layer, model and optimizer ask
`present()`. Outside of a step every level trains.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, NamedTuple

from msann.schedules import EVERY_LEVEL


class Focus(NamedTuple):
    """What trains.

    Attributes:
        level: 0 .. depth, or `EVERY_LEVEL`.
        frozen: The other levels' share of Theta, `(kernel, bias)`, for each layer that
            is concerned, by the layer's `id`; `None` for a layer to compute it itself.
    """

    level: int = EVERY_LEVEL
    frozen: Mapping[int, Any] = MappingProxyType({})

    def of(self, layer) -> int:
        """The level that trains in a layer: that of another model trains whole."""
        return self.level if id(layer) in self.frozen else EVERY_LEVEL


_WHOLE = Focus()
_PRESENT: ContextVar[Focus] = ContextVar("focus", default=_WHOLE)


def present() -> Focus:
    """What trains now."""
    return _PRESENT.get()


@contextmanager
def training(
    level: int, layers: Sequence, frozen: Sequence | None = None
) -> Iterator[None]:
    """Calls inside train `level` alone; the other levels are merged and constant.

    Args:
        level: 0 .. depth, or `EVERY_LEVEL`.
        layers: The `MultilevelDense` layers that it concerns.
        frozen: `layer.theta(without=level)` of each, for a caller who has them already.

    Raises:
        ValueError: A layer has no such level.
    """
    for layer in layers:
        layer.check_level(level)
    shares = [None] * len(layers) if frozen is None else frozen
    by_layer = {id(x): share for x, share in zip(layers, shares, strict=True)}
    token = _PRESENT.set(Focus(level, by_layer))
    try:
        yield
    finally:
        _PRESENT.reset(token)
