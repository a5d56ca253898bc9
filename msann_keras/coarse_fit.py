"""What `fit` does when data are coarsened: cycles in the place of batches."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from msann.schedules import Schedule
from msann_keras.engine import Cycles
from msann_keras.feeding import MEMORY, Arrays, Batches
from msann_keras.initializers import check_integer


class CoarseFit:
    """One `fit` on coarsened data.

    A "batch" of this `fit` is a whole cycle, and a compiled call makes
    `steps_per_execution` of them. An epoch is as many cycles as cost about what a pass
    over the data costs plain training, at least one; or `steps_per_epoch` cycles.

    Args:
        cycles: The model's compiled cycles.
        schedule: What will be walked.
        options: Arguments of `fit` by name; what concerns the training data is taken
            out.
        memory: Bytes that data of all levels may take on the device.

    Raises:
        ValueError: Options that have no meaning here, no samples, or arrays that do
            not fit.
    """

    def __init__(
        self,
        cycles: Cycles,
        schedule: Schedule,
        options: dict[str, Any],
        memory: int | None = None,
    ):
        x, y, sample_weight = (
            options.pop(name, None) for name in ("x", "y", "sample_weight")
        )
        if options.pop("class_weight", None) is not None:
            raise ValueError(
                "`class_weight` has no effect on coarsened data; give `sample_weight`."
            )
        if not options.pop("shuffle", True):
            raise ValueError(
                "`shuffle=False` is not for coarsened data, whose batches are drawn at "
                "random within the compiled cycle."
            )
        split = options.pop("validation_split", 0.0)
        if split and options.get("validation_data") is None:
            _refuse_split_of_batches(split, y)
            x, y, sample_weight, held_out = _split(x, y, sample_weight, split)
            options["validation_data"] = held_out
        batch_size = options.pop("batch_size", None)
        if batch_size is not None:
            check_integer("batch_size", batch_size, least=1)
            options.setdefault("validation_batch_size", batch_size)
        # Follows `keras.utils.set_random_seed`, as Keras's own shuffling does.
        self.rng = np.random.default_rng(np.random.randint(2**31))
        self.cycles, self.schedule = cycles, schedule
        memory = MEMORY if memory is None else memory
        began = time.perf_counter()
        if y is None:
            _refuse_batch_size(batch_size)
            drawn = int(cycles.batches(self._longest_call()).sum())
            self.source = Batches(x, cycles.coarsening, memory, drawn)
            self.batch_size = self.source.batch_size
        else:
            self.source = Arrays(
                x, y, sample_weight, cycles.coarsening, memory, self.rng
            )
            self.batch_size = min(batch_size or 32, self.source.rows)
        self.chunks = self.source.chunks()
        self.chunk, self.spent = next(self.chunks), 0.0
        #: What averaging the first chunk took; later ones are made beside training.
        self.seconds = time.perf_counter() - began
        self._shares = np.array(cycles.model.hierarchy.shares)
        cycle_cost = self.cost(schedule.cycle)
        samples = self.source.samples or self.source.rows
        if options.get("steps_per_epoch") is None:
            options["steps_per_epoch"] = max(1, round(samples / cycle_cost))
        # Keras counts its own steps on this; the cycles draw from the chunks.
        options |= {"x": tf.data.Dataset.range(1).repeat(), "shuffle": False}

    def begin(self) -> None:
        """Compile, and move Theta into level 0."""
        model, levels = self.cycles.model, self.chunk.levels
        inputs, targets, _ = levels[0]
        if model._compile_metrics is not None and not model._compile_metrics.built:
            one = [keras.KerasTensor((1, *x.shape[1:]), x.dtype) for x in inputs]
            outputs = keras.tree.map_structure(
                lambda x: tf.zeros(x.shape, x.dtype),
                self.cycles.levels[0].network.compute_output_spec(
                    self.cycles.coarsening.structured(one)
                ),
            )
            y = keras.tree.pack_sequence_as(outputs, [y[:1] for y in targets])
            model.compute_metrics(None, y, outputs)
            model.reset_metrics()
        self.cycles.begin()
        self.cycles.prepare(self.chunk, self.batch_size, self._longest_call())

    def _longest_call(self):
        """The visits of the first call: the start of the schedule is part of it."""
        cycles = self.cycles.model.steps_per_execution
        return self.schedule.take(0, self.schedule.to_cycle_end(0, cycles))

    def cost(self, visits) -> float:
        """What visits cost, in examples at level 0."""
        return float(self._shares @ self.cycles.batches(visits)) * self.batch_size

    def run(self, visits) -> dict:
        """Make visits; the next chunk is taken when this one has cost a pass."""
        if self.spent >= self.chunk.rows:
            self.chunk, self.spent = next(self.chunks), 0.0
        logs = self.cycles.run(visits, self.chunk, self.batch_size, self.rng)
        self.spent += self.cost(visits)
        return logs


def _refuse_split_of_batches(split, y):
    if y is None:
        raise ValueError(
            "`validation_split` is for arrays; give batches apart, as "
            f"`validation_data`. Received: validation_split={split!r}"
        )


def _refuse_batch_size(batch_size):
    if batch_size is not None:
        raise ValueError(
            "`batch_size` is for arrays; batches that come as a dataset or generator "
            f"have their own size. Received: batch_size={batch_size!r}"
        )


def _split(x, y, sample_weight, fraction):
    """The last samples apart, as Keras does with `validation_split`."""
    count = len(keras.tree.flatten(x)[0])
    first = int(count * (1 - fraction))

    def cut(part):
        return tuple(
            None if each is None else keras.tree.map_structure(lambda a: a[part], each)
            for each in (x, y, sample_weight)
        )

    kept, held_out = cut(slice(first)), cut(slice(first, None))
    return *kept, tuple(a for a in held_out if a is not None)
