"""Training on coarsened data: a whole cycle as one compiled program.

The fine weights Theta are kept, and the full approximation scheme moves them: going
down, the level-l variables are restricted, V_{l+1} = P^T V_l Q, and trained on data of
level l+1; going up, their change is prolonged and added. Step by step that is the
multilevel method of section 3.4 with the coarse network's gradient in the place of the
restricted fine one, and all that happens at level l costs O(|M_l|).

The program is a set of nested loops, a loop for each level, that reads its visits from
an array. So it is compiled once for a network, whatever the schedule (anew where a
call outgrows the array, whose length is a power of two from 1,024 on). A single loop
over visits that branches to the level of each was measured on JAX, too: XLA copies what
goes through a branch of so many, and a V-cycle takes up to twice as long.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from msann.schedules import Visit
from msann_keras import backends
from msann_keras.engines.coarsened.compiled import here
from msann_keras.engines.coarsened.data import Chunk
from msann_keras.engines.coarsened.level import Level
from msann_keras.engines.coarsened.network import coarsening
from msann_keras.optimizers.multilevel import unwrapped


class Program:
    """The compiled cycles of a model: `run` makes visits on the data of a chunk.

    Args:
        model: A compiled, functional `MultilevelModel`.
        consistency: Batches from which the first-order consistency term of MG/OPT is
            computed at each descent: a linear term tau in the coarse loss, so that its
            gradient at the restricted weights is the restricted fine gradient. 0 leaves
            it out.

    Attributes:
        parts: What the model's coarse networks are made of.
        compile_seconds: What tracing and compiling took, in all.

    Raises:
        ValueError: What `coarsening` refuses; an optimizer with loss scaling or
            averages of weights; a model with a training step of its own.
    """

    def __init__(self, model: keras.Model, consistency: int = 0):
        _check_model(model)
        self.model, self.consistency = model, consistency
        self.parts = coarsening(model)
        self.levels = [
            Level(model, self.parts, level, bool(consistency))
            for level in range(model.depth + 1)
        ]
        self.compile_seconds = 0.0
        self._prepared: set[str] = set()
        self._program = here.program(self._cycles, lambda: self.variables, model)

    @cached_property
    def variables(self) -> list[keras.Variable]:
        """All that the program reads or changes, each once."""
        model, optimizer = self.model, unwrapped(self.model.optimizer)
        result = [*model.variables, *model.metrics_variables]
        result += [*optimizer.variables, *optimizer.rate_variables]
        result += [v for level in self.levels for v in level.changes]
        return [*{id(variable): variable for variable in result}.values()]

    def begin(self) -> None:
        """Move Theta into level 0; the other levels are then only room to work in."""
        for layer in self.parts.layers:
            layer.gather()

    def prepare(
        self, chunk: Chunk, batch_size: int, visits: Sequence[Visit] = ()
    ) -> None:
        """Compile for data of this shape and as many visits, and train nothing."""
        plan, order = self._blank(visits, batch_size)
        data = keras.tree.flatten(chunk.levels)
        key = str([(x.shape, x.dtype) for x in (plan, order, *data)])
        if key in self._prepared:
            return
        began = time.perf_counter()
        self._program(plan, order, chunk.levels)
        self.compile_seconds += time.perf_counter() - began
        self._prepared.add(key)

    def run(
        self,
        visits: Sequence[Visit],
        chunk: Chunk,
        batch_size: int,
        rng: np.random.Generator,
    ) -> dict:
        """Make visits; the logs of level 0.

        Raises:
            FloatingPointError: The weights came out as NaN or infinite; those from
                before the call are kept.
        """
        optimizer = unwrapped(self.model.optimizer)
        fine = self.levels[0].variables
        # Tensors are values: the program leaves these, and writes elsewhere.
        before = [here.value(v) for v in fine]
        if not self._call(visits, chunk, batch_size, rng):
            for variable, value in zip(fine, before, strict=True):
                variable.assign(value)
            optimizer.begin_anew()
            raise FloatingPointError(
                "The weights became NaN or infinite in this cycle, so those from "
                "before it are kept, and the optimizers begin anew. Lower the learning "
                f"rate ({float(optimizer.learning_rate):g}), or look for extreme "
                "values in the data."
            )
        counts = self.batches(visits)
        steps = sum(visit.steps for visit in visits)
        optimizer.advance(steps, counts.sum() * batch_size, counts * batch_size)
        backends.here.add_to(optimizer.iterations, steps)
        # Losses of single outputs are not computed here, and their means stay zero.
        without = [f"{name}_loss" for name in self.model.output_names]
        logs = self.model.get_metrics_result()
        return {name: value for name, value in logs.items() if name not in without}

    def batches(self, visits: Sequence[Visit]) -> np.ndarray:
        """Gradients that visits compute at each level, in batches."""
        counts = np.zeros(len(self.levels), dtype="int64")
        level = 0
        for visit in visits:
            counts[visit.level] += visit.steps
            for finer in range(level, visit.level):  # each descent computes tau
                counts[finer : finer + 2] += self.consistency
            level = visit.level
        return counts

    def _call(self, visits, chunk, batch_size, rng):
        """Make visits; whether all weights are finite."""
        plan, order = self._blank(visits, batch_size)
        plan[:, : len(visits)] = np.reshape(visits, (-1, 2)).T
        count = int(self.batches(visits).sum())
        order[:count] = _shuffled_rows(chunk.rows, count * batch_size, rng).reshape(
            count, batch_size
        )
        return bool(self._program(plan, order, chunk.levels))

    def _blank(self, visits, batch_size):
        """A plan that ends at once and an order, with room for these visits."""
        plan = np.full((2, _room(len(visits) + 1)), -1, dtype="int32")
        count = int(self.batches(visits).sum())
        return plan, np.zeros((_room(count), batch_size), dtype="int32")

    def _cycles(self, plan, order, data):
        """The program: walk the plan from level 0, and come back there."""
        source = _Source(plan[0], plan[1], order, data)
        zero = ops.zeros((), "int32")
        self._stay(0, zero, zero, source)
        weights = self.levels[0].values()
        finite = [ops.all(ops.isfinite(weight)) for weight in weights]
        return ops.all(ops.stack(finite))

    def _stay(self, level, place, batch, source):
        """Visits from `place` on, as long as they are at this level or a coarser one.

        A level's body is traced once: train here (no steps, if the visit is further
        down), then go down if the next visit is there.
        """
        changes = [v for one in self.levels[level:] for v in one.changes]

        def body(place, batch):
            own = ops.equal(source.level(place), level)
            steps = ops.where(own, source.steps(place), 0)
            self.levels[level].train(steps, batch, source)
            batch, place = batch + steps, place + ops.cast(own, "int32")
            if level == len(self.levels) - 1:
                return place, batch
            return here.when(
                source.level(place) > level,
                lambda place, batch: self._descend(level, place, batch, source),
                (place, batch),
                changes,
            )

        return here.loop(
            lambda place, batch: source.level(place) >= level,
            body,
            (place, batch),
            changes,
        )

    def _descend(self, level, place, batch, source):
        fine, coarse = self.levels[level], self.levels[level + 1]
        restricted = self.parts.restricted(fine.values(), level)
        coarse.assign(restricted)
        if self.consistency:
            batch = self._make_consistent(fine, coarse, batch, source)
        place, batch = self._stay(level + 1, place, batch, source)
        change = [a - b for a, b in zip(coarse.values(), restricted, strict=True)]
        fine.add(self.parts.prolonged(change, level))
        coarse.clear()  # a constraint on Theta, level 0's alone now, sums all levels
        return place, batch

    def _make_consistent(self, fine, coarse, batch, source):
        """tau = P^T (dE_l/dV_l + tau_l) Q - dE_{l+1}/dV_{l+1}, on the same batches."""
        rows = source.rows(batch, self.consistency)
        gradient = fine.gradients(source.batch(fine.level, rows))
        wanted = self.parts.restricted(gradient, fine.level)
        coarse.set_tau(wanted, source.batch(coarse.level, rows))
        # Both gradients are counted, so both take their share of the order.
        return batch + 2 * self.consistency


class _Source(NamedTuple):
    """What a program reads: visits, the order of the rows, and the data."""

    levels: Any
    counts: Any
    order: Any
    data: list

    # `rows`: TensorFlow would compile a program anew for each value of an index.
    def level(self, place):
        return here.rows(self.levels, place)

    def steps(self, place):
        return here.rows(self.counts, place)

    def rows(self, batch, count=1):
        places = batch + ops.arange(count, dtype="int32")
        return ops.reshape(here.rows(self.order, places), [-1])

    def batch(self, level, rows):
        return keras.tree.map_structure(lambda x: here.rows(x, rows), self.data[level])


def _room(count: int) -> int:
    """Powers of two from 1,024 on, so that few shapes have to be compiled."""
    return 1 << max(10, int(count - 1).bit_length())


def _shuffled_rows(rows: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` row numbers: all rows in random order, again and again."""
    passes = -(-count // rows)
    order = [rng.permutation(rows).astype("int32") for _ in range(passes)]
    return np.concatenate(order or [np.zeros(0, "int32")])[:count]


def _check_model(model) -> None:
    optimizer = model.optimizer
    for name in ("train_step", "compute_loss"):
        if getattr(type(model), name) is not getattr(keras.Model, name):
            raise ValueError(
                f"Coarsened data are trained by a compiled cycle, which would not call "
                f"the `{name}` of {type(model).__name__}. Use `loss=` in `compile`."
            )
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        raise ValueError(
            "Coarsened data cannot be trained with loss scaling. Received: "
            f"optimizer={optimizer!r}"
        )
    if any(x.use_ema for x in unwrapped(optimizer).levels):
        raise ValueError(
            "Coarsened data cannot be trained with `use_ema=True`: coarse weights are "
            "made anew in every cycle, so there is nothing to average."
        )
    if model.loss is None:
        raise ValueError("Coarsened data need a `loss` in `compile`. Received: None")
