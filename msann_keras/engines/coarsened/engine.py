"""What `fit` drives when data are coarsened: cycles in the place of batches.

A "batch" of such a `fit` is a whole cycle, and a compiled call makes
`steps_per_execution` of them. An epoch is as many cycles as cost about what a pass over
the data costs plain training, at least one; or `steps_per_epoch` cycles. Keras counts
its batches on a dataset of tickets, one for each cycle.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import keras
import numpy as np
from keras import ops

from msann import checks
from msann.schedules import Schedule, State, Visit
from msann_keras.engines.coarsened.compiled import here
from msann_keras.engines.coarsened.data import MEMORY, Arrays, Batches
from msann_keras.engines.coarsened.program import Program
from msann_keras.optimizers.multilevel import unwrapped
from msann_keras.optimizers.progress import Progress
from msann_keras.samples import check_validation, split


class CoarsenedCycles:
    """An engine (see `msann_keras.engines`) for one `fit` on coarsened data.

    Args:
        program: The model's compiled cycles.
        source: The samples, in chunks.
        batch_size: Examples in a batch of the program.
        schedule: Whose cycles are made.
        visits: Of the first call.
        rng: For the order of the samples.

    Attributes:
        seconds: What averaging the first chunk took; later ones are made beside
            training.
    """

    whole_cycles = True

    def __init__(
        self,
        program: Program,
        source: Arrays | Batches,
        batch_size: int,
        schedule: Schedule,
        visits: Sequence[Visit],
        rng: np.random.Generator,
    ):
        self.program, self.source = program, source
        self.batch_size, self.rng, self._visits = batch_size, rng, visits
        self._shares = np.array(program.model.hierarchy.shares)
        self._cycle_cost = self.cost(schedule.cycle)
        began = time.perf_counter()
        self._chunks = source.chunks()
        self._chunk, self._spent, self._epoch_cost = next(self._chunks), 0.0, 0.0
        self.seconds = time.perf_counter() - began

    def cost(self, visits) -> float:
        """What visits cost, in examples at level 0."""
        return float(self._shares @ self.program.batches(visits)) * self.batch_size

    def begin(self) -> None:
        """Move Theta into level 0, and make what losses and logs come from."""
        _build_metrics(self.program, self._chunk)
        self.program.begin()

    def compile(self) -> None:
        """Compile for calls as long as the first, which changes nothing."""
        self.program.prepare(self._chunk, self.batch_size, self._visits)

    def function(self, train: Callable) -> Callable:
        """As Keras calls it on this backend."""
        return here.train_function(self.program.model, train)

    @property
    def progress(self) -> Progress:
        """How far the schedule has been walked."""
        return unwrapped(self.program.model.optimizer).progress

    def due(self, iterator) -> int:
        """Cycles of a call: one for each ticket that is left."""
        count = self.program.model.steps_per_execution
        tickets = sum(1 for _ in islice(iterator, count))
        if not self._open or self._chunk.samples is None:
            return tickets
        left = round((self._chunk.samples - self._epoch_cost) / self._cycle_cost)
        if left < 1:
            self._epoch_cost = 0.0  # the next call begins the next epoch
        return min(tickets, max(0, left))

    def run(self, visits, iterator=None) -> dict:
        """Make visits; the next chunk is taken when this one has cost a pass."""
        if self._spent >= self._chunk.rows:
            self._chunk, self._spent = next(self._chunks), 0.0
        logs = self.program.run(visits, self._chunk, self.batch_size, self.rng)
        cost = self.cost(visits)
        self._spent, self._epoch_cost = self._spent + cost, self._epoch_cost + cost
        return logs

    def tickets(self, steps_per_epoch: int | None) -> Any:
        """An epoch's cycles, for Keras to count on; endless if nobody knows how many.

        Then `due` ends an epoch, when a pass has been read and costs no more than what
        was trained.
        """
        if steps_per_epoch is None and self.source.samples is not None:
            steps_per_epoch = max(1, round(self.source.samples / self._cycle_cost))
        self._open = steps_per_epoch is None
        return here.tickets(steps_per_epoch)


def prepared(
    program: Program,
    schedule: Schedule,
    options: dict[str, Any],
    memory: int | None = None,
) -> tuple[CoarsenedCycles, dict[str, Any]]:
    """An engine for one `fit`, to be compiled, and what Keras's `fit` is to be given.

    Args:
        program: The model's compiled cycles.
        schedule: What will be walked.
        options: Arguments of `fit` by name.
        memory: Bytes that data of all levels may take on the device.

    Raises:
        ValueError: Options that have no meaning here, no samples, or arrays that do
            not fit.
    """
    options = dict(options)
    x, y, sample_weight = (
        options.pop(name, None) for name in ("x", "y", "sample_weight")
    )
    _refuse_meaningless(x, y, options)
    options.pop("class_weight", None)
    fraction = options.pop("validation_split", 0.0)
    if fraction and options.get("validation_data") is None:
        (x, y, sample_weight), held_out = split(x, y, sample_weight, fraction)
        options["validation_data"] = held_out
    if options.get("validation_data") is not None:
        check_validation(options["validation_data"], program.parts)
    # Follows `keras.utils.set_random_seed`, as Keras's own shuffling does.
    rng = np.random.default_rng(np.random.randint(2**31))
    memory = MEMORY if memory is None else memory
    batch_size = options.pop("batch_size", None)
    count = program.model.steps_per_execution
    visits = schedule.next(State(position=0, count=count, whole_cycles=True))
    began = time.perf_counter()
    source: Arrays | Batches
    if y is None:
        drawn = int(program.batches(visits).sum())
        source = Batches(x, program.parts, memory, drawn)
        batch_size = source.batch_size
    else:
        source = Arrays(x, y, sample_weight, program.parts, memory, rng)
        if batch_size is not None:
            batch_size = checks.integer("batch_size", batch_size, least=1)
            options.setdefault("validation_batch_size", batch_size)
        batch_size = min(batch_size or 32, source.rows)
    read = time.perf_counter() - began
    engine = CoarsenedCycles(program, source, batch_size, schedule, visits, rng)
    engine.seconds += read
    engine.begin()
    tickets = engine.tickets(options.pop("steps_per_epoch", None))
    return engine, options | {"x": tickets, "shuffle": False}


def _refuse_meaningless(x, y, options) -> None:
    """Refuse what an option asks for and a compiled cycle cannot do."""
    if options.get("class_weight") is not None:
        raise ValueError(
            "`class_weight` has no effect on coarsened data; give `sample_weight`."
        )
    if not checks.flag("shuffle", options.get("shuffle", True)):
        raise ValueError(
            "`shuffle=False` is not for coarsened data, whose batches are drawn at "
            "random within the compiled cycle."
        )
    steps, fraction = options.get("steps_per_epoch"), options.get("validation_split")
    if steps is not None:
        checks.integer("steps_per_epoch", steps, least=1)
    if fraction is not None:
        checks.number("validation_split", fraction, least=0, below=1)
    if y is not None:
        return
    if x is None or isinstance(x, np.ndarray):
        raise ValueError(
            "`fit` on coarsened data needs `x` and `y`, or a dataset of both. "
            f"Received: x of {type(x).__name__} and y=None"
        )
    if fraction and options.get("validation_data") is None:
        raise ValueError(
            "`validation_split` is for arrays; give batches apart, as "
            f"`validation_data`. Received: validation_split={fraction!r}"
        )
    if options.get("batch_size") is not None:
        raise ValueError(
            "`batch_size` is for arrays; batches that come as a dataset or generator "
            f"have their own size. Received: batch_size={options['batch_size']!r}"
        )


def _build_metrics(program, chunk) -> None:
    """Let losses and metrics make their variables: a compiled program cannot."""
    model = program.model
    for level, (inputs, targets, _) in zip(program.levels, chunk.levels, strict=True):
        one = [keras.KerasTensor((1, *x.shape[1:]), x.dtype) for x in inputs]
        outputs = keras.tree.map_structure(
            lambda x: ops.zeros(x.shape, x.dtype), level.output_spec(one)
        )
        y = keras.tree.pack_sequence_as(outputs, [y[:1] for y in targets])
        level.network.compute_loss(None, y, outputs)
        if level.level == 0:
            model.compute_loss(None, y, outputs)
            model.compute_metrics(None, y, outputs)
    model.reset_metrics()
