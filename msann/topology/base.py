"""What a topology is, and the chain of prolongations that it makes.

A topology knows the prolongation to itself from the next coarser one, P^(l), and that
coarser topology. A chain of them, finest first, is all that a weight needs to know of
the space it acts on.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cached_property, lru_cache, reduce
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from msann.arrays import MAX_NODES
from msann.checks import instance, integer
from msann.optimal.cache import digest
from msann.prolongation.composition import compose
from msann.prolongation.operators import (
    Aggregation,
    Identity,
    Matrix,
    Prolongation,
)

#: Deepest chain: every real space ends before.
MAX_DEPTH = 64


class Topology(ABC):
    """Says what a space of `size` nodes looks like. Subclass it to bring your own.

    A subclass has a `size`, `coarsen()` and a name of its own, and can be hashed. A
    frozen dataclass with plain fields is saved with a model as it is; another has
    `get_config()` and `from_fields()` of its own.

    Example:

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Halves(Topology):
    ...     size: int
    ...
    ...     def coarsen(self):
    ...         labels = [node // 2 for node in range(self.size)]
    ...         return Aggregation(labels), Halves(self.size // 2)
    >>> chain(Halves(8), depth=2).sizes
    (8, 4, 2)
    """

    if TYPE_CHECKING:  # a dataclass would take this property for its field's default

        @property
        def size(self) -> int:
            """Number of nodes."""

    _kinds: ClassVar[dict[str, type[Topology]]] = {}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        known = Topology._kinds.setdefault(cls.__name__, cls)
        if known.__module__ != cls.__module__:  # not just defined anew
            raise ValueError(
                f"A topology of the name {cls.__name__} is there already, in "
                f"{known.__module__}; models are saved by that name."
            )
        Topology._kinds[cls.__name__] = cls

    @abstractmethod
    def coarsen(self) -> tuple[Prolongation, Topology]:
        """Return `(P, coarser)`: the next coarser topology, and P from it to this."""

    @property
    def max_depth(self) -> float:
        """Tell how often the space can be coarsened; one node is the end."""
        return math.ceil(math.log2(self.size))

    def get_config(self) -> dict[str, Any]:
        """Describe the topology by plain JSON values, which `from_config` reads.

        Raises:
            ValueError: The topology is no dataclass; it needs a method of its own then.

        >>> from msann.topology import grid
        >>> grid(4, 4).get_config()
        {'kind': 'Grid', 'shape': [4, 4]}
        """
        if not is_dataclass(self):
            raise ValueError(
                f"A {type(self).__name__} cannot be saved with a model: it must be a "
                "frozen dataclass, or have its own `get_config()` and `from_fields()`."
            )
        values = {x.name: getattr(self, x.name) for x in fields(self)}
        for x in fields(self):  # what `repr` hides is worth a line only if it says more
            if not x.repr and values[x.name] == x.default:
                del values[x.name]
        return {"kind": type(self).__name__} | {
            name: value.get_config()
            if isinstance(value, Topology)
            else list(value)
            if isinstance(value, tuple)
            else value
            for name, value in values.items()
        }

    @staticmethod
    def from_config(config: dict[str, Any]) -> Topology:
        """Make the topology that `get_config` described.

        Raises:
            ValueError: An unknown kind, or fields that it does not have.

        >>> from msann import topology
        >>> Topology.from_config({'kind': 'Grid', 'shape': [4, 4]})
        Grid(shape=(4, 4))
        """
        config = dict(instance("config", config, Mapping, "a mapping with a `kind`"))
        kind = config.pop("kind", None)
        if not isinstance(kind, str) or kind not in Topology._kinds:
            raise ValueError(
                f"`kind` in `config` must be one of {sorted(Topology._kinds)}; a "
                "topology of your own must be imported before it is read. "
                f"Received: kind={kind!r}"
            )
        try:
            return Topology._kinds[kind].from_fields(**config)
        except TypeError as error:  # a field is missing, unknown or of another type
            raise ValueError(
                f"`config` does not describe a {kind}: {error}. Received: {config}"
            ) from error

    @classmethod
    def from_fields(cls, **values: Any) -> Topology:
        """Make one from the values of `get_config`."""
        return cls(
            **{
                name: Topology.from_config(value)
                if isinstance(value, dict)
                else tuple(value)
                if isinstance(value, list)
                else value
                for name, value in values.items()
            }
        )


class Stored(Topology):
    """A topology whose prolongations are part of it and saved with it.

    Equal content makes equal topologies, also after saving and loading.

    Attributes:
        operators: P between neighbours in the chain, finest first.
    """

    operators: tuple[Prolongation, ...]

    @property
    def max_depth(self):
        """One level for each prolongation."""
        return len(self.operators)

    def get_config(self):
        """Aggregates as labels and weights, other operators as matrices."""
        operators = [
            {"labels": P.labels.tolist(), "weights": P.weights.tolist()}
            if isinstance(P, Aggregation)
            else {"matrix": P.matrix().tolist()}
            for P in self.operators
        ]
        return {"kind": type(self).__name__, "operators": operators}

    @classmethod
    def from_fields(cls, **values):
        """The same operators again."""
        if "operators" in values:
            values["operators"] = tuple(
                Aggregation(**P) if "labels" in P else Matrix(**P)
                for P in values["operators"]
            )
        return super().from_fields(**values)

    def _others(self) -> tuple:
        """What else tells one from another, as plain values."""
        return ()

    @cached_property
    def _content(self):
        parts = [type(self).__name__, *self._others()]
        for P in self.operators:
            if isinstance(P, Aggregation):
                parts += [P.labels, P.weights]
            else:
                parts.append(P.matrix())
        return digest(*parts)

    def __eq__(self, other):
        return isinstance(other, Stored) and self._content == other._content

    def __hash__(self):
        return hash(self._content)


class Chain(NamedTuple):
    """Holds the levels of one space: sizes, and the P between neighbours.

    Attributes:
        topology: The finest one.
        sizes: Nodes at each level, finest first.
        steps: `steps[l]` is P^(l), from level l+1 to level l.
    """

    topology: Topology
    sizes: tuple[int, ...]
    steps: tuple[Prolongation, ...]

    @property
    def composites(self) -> tuple[Prolongation, ...]:
        """Return for each level l the P from there to level 0.

        It is the product P^(0) P^(1) .. P^(l-1), and the identity for l = 0. The
        products are made when they are first asked for.
        """
        return _composites(self.topology, len(self.steps))

    def between(self, coarse: int, fine: int) -> Prolongation:
        """Return the P from one level to a finer one, P^(fine) .. P^(coarse-1).

        Raises:
            ValueError: No such levels.

        >>> from msann.topology import path
        >>> chain(path(8), depth=3).between(coarse=3, fine=1)
        Aggregation(4 x 1)
        """
        coarse = integer("coarse", coarse, least=0, most=len(self.steps))
        fine = integer("fine", fine, least=0, most=coarse)
        if fine == 0:
            return self.composites[coarse]
        nothing: Prolongation = Identity(self.sizes[fine])
        return reduce(compose, self.steps[fine:coarse], nothing)

    def column_sums(self, level: int) -> np.ndarray:
        """Return c = P^T 1, P being the prolongation from `level` to level 0.

        Raises:
            ValueError: No such level.

        >>> from msann.topology import path
        >>> chain(path(3), depth=1).column_sums(1)
        array([1.41421356, 1.        ])
        """
        level = integer("level", level, least=0, most=len(self.steps))
        return self.composites[level].restrict(np.ones(self.sizes[0]))


def chain(topology: Topology, depth: int) -> Chain:
    """Coarsen a topology `depth` times; equal topologies share one chain.

    Args:
        topology: What the finest level looks like, such as `path(1024)`.
        depth: L, the coarsest level; at least 0, at most `topology.max_depth` and
            `MAX_DEPTH`.

    Returns:
        A `Chain` of L + 1 levels.

    Raises:
        ValueError: `topology` is no topology, or `depth` is out of these bounds.

    Example:

    >>> from msann.topology import path
    >>> chain(path(7), depth=2).sizes
    (7, 4, 2)
    """
    instance("topology", topology, Topology, "a topology such as `path(1024)`")
    depth = integer("depth", depth, least=0)
    if depth > (deepest := min(topology.max_depth, MAX_DEPTH)):
        raise ValueError(
            f"`depth` must be at most {deepest} for the space "
            f"{topology!r}, which does not coarsen further. "
            f"Received: depth={depth}"
        )
    return _chain(topology, depth)


@lru_cache(maxsize=256)
def _chain(topology, depth):
    steps, coarser = [], topology
    for _ in range(depth):
        P, coarser = _step(coarser)
        steps.append(P)
    sizes = (topology.size, *(P.shape[1] for P in steps))
    return Chain(topology, sizes, tuple(steps))


@lru_cache(maxsize=256)
def _composites(topology, depth):
    steps = _chain(topology, depth).steps
    return tuple(accumulate(steps, compose, initial=Identity(topology.size)))


@lru_cache(maxsize=64)
def _step(topology):
    """`coarsen`, for chains of another depth too."""
    return topology.coarsen()


def settle(topology: Topology, **values: Any) -> None:
    """Set fields of a frozen topology to values that were checked.

    NumPy's integers become Python's by that, which a saved model can hold.
    """
    for name, value in values.items():
        object.__setattr__(topology, name, value)


def node_count(name: str, value: Any) -> int:
    """A number of nodes that a space may have."""
    return integer(name, value, least=1, most=MAX_NODES)
