"""Training on coarsened data: a whole cycle as one compiled program.

The fine weights Theta are kept, and the full approximation scheme moves them: going
down, the level-l variables are restricted, V_{l+1} = P^T V_l Q, and trained on data of
level l+1; going up, their change is prolonged and added. Step by step that is the
multilevel method of section 3.4 with the coarse network's gradient in the place of the
restricted fine one, and all that happens at level l costs O(|M_l|).

The program is a set of nested loops, a loop for each level, that reads its visits from
an array. So it is compiled once for a network, whatever the schedule (anew where a
call outgrows the array, whose length is a power of two from 1,024 on).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from msann.schedules import Visit
from msann_keras.coarse import coarsening
from msann_keras.feeding import Chunk
from msann_keras.multilevel_optimizer import begin_anew, unwrapped

#: Optimizers that treat every entry alike, so that variables may be joined to one.
ELEMENTWISE = (
    "SGD",
    "Adam",
    "AdamW",
    "Adamax",
    "Nadam",
    "RMSprop",
    "TF1RMSprop",
    "Adagrad",
    "Adadelta",
    "Ftrl",
    "Lion",
)
#: Coarse levels with fewer parameters are packed: compiling takes less time, but each
#: step copies, which makes larger levels up to twice as slow.
PACKED_BELOW = 2**16


class Cycles:
    """The compiled cycles of a model: `run` makes visits on the data of a chunk.

    Args:
        model: A compiled, functional `MultilevelModel`.
        consistency: Batches from which the first-order consistency term of MG/OPT is
            computed at each descent: a linear term tau in the coarse loss, so that its
            gradient at the restricted weights is the restricted fine gradient. 0 leaves
            it out.

    Attributes:
        coarsening: The spaces of the model.
        compile_seconds: What tracing and compiling took, in all.

    Raises:
        ValueError: What `coarsening` refuses; an optimizer with loss scaling or
            averages of weights; a model with a training step of its own.
    """

    def __init__(self, model: keras.Model, consistency: int = 0):
        _check_model(model)
        self.model, self.consistency = model, consistency
        self.coarsening = coarsening(model)
        self.optimizer = unwrapped(model.optimizer)
        self.levels = [_Level(self, level) for level in range(model.depth + 1)]
        self.compile_seconds = 0.0
        self._prepared = set()
        self._program = self._cycles
        if not model.run_eagerly:
            self._program = tf.function(
                self._cycles, jit_compile=model.jit_cycles, autograph=False
            )

    def begin(self) -> None:
        """Move Theta into level 0; the other levels are then only room to work in."""
        for layer in self.coarsening.layers:
            layer.gather()

    def prepare(
        self, chunk: Chunk, batch_size: int, visits: Sequence[Visit] = ()
    ) -> None:
        """Compile for data of this shape and as many visits, and train nothing."""
        plan, order = self._blank(visits, batch_size)
        data = tf.nest.flatten(chunk.levels)
        key = str([(x.shape, x.dtype) for x in (plan, order, *data)])
        if key in self._prepared:
            return
        began = time.perf_counter()
        self._program(tf.constant(plan), tf.constant(order), chunk.levels)
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
        fine = self.levels[0].variables
        # Tensors are values: the program leaves these, and writes elsewhere.
        before = [tf.convert_to_tensor(v) for v in fine]
        if not self._call(visits, chunk, batch_size, rng):
            for variable, value in zip(fine, before, strict=True):
                variable.assign(value)
            for level in self.levels:
                begin_anew(level.optimizer, level.variables)
            raise FloatingPointError(
                "The weights became NaN or infinite in this cycle, so those from "
                "before it are kept, and the optimizers begin anew. Lower the learning "
                f"rate ({float(self.optimizer.learning_rate):g}), or look for extreme "
                "values in the data."
            )
        self.optimizer.advance(self.batches(visits), batch_size)
        return self.model.get_metrics_result()

    def batches(self, visits: Sequence[Visit]) -> np.ndarray:
        """Gradients that visits compute at each level, in batches."""
        counts = np.zeros(len(self.levels), dtype=int)
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
        return bool(self._program(tf.constant(plan), tf.constant(order), chunk.levels))

    def _blank(self, visits, batch_size):
        """A plan that ends at once and an order, with room for these visits."""
        plan = np.full((2, _room(len(visits) + 1)), -1, dtype="int32")
        count = int(self.batches(visits).sum())
        return plan, np.zeros((_room(count), batch_size), dtype="int32")

    def _cycles(self, plan, order, data):
        """The program: walk the plan from level 0, and come back there."""
        source = _Source(plan[0], plan[1], order, data)
        zero = tf.constant(0)
        self._stay(0, zero, zero, source)
        for level in self.levels[1:]:
            level.clear()
        finite = [tf.reduce_all(tf.math.is_finite(v)) for v in self.levels[0].variables]
        return tf.reduce_all(finite)

    def _stay(self, level, place, batch, source):
        """Visits from `place` on, as long as they are at this level or a coarser one.

        A level's body is traced once: train here (no steps, if the visit is further
        down), then go down if the next visit is there.
        """
        here = self.levels[level]

        def body(place, batch):
            own = tf.equal(source.level(place), level)
            steps = tf.where(own, source.steps(place), 0)
            here.train(steps, batch, source)
            batch, place = batch + steps, place + tf.cast(own, tf.int32)
            if level == len(self.levels) - 1:
                return place, batch
            return tf.cond(
                source.level(place) > level,
                lambda: self._descend(level, place, batch, source),
                lambda: (place, batch),
            )

        return tf.while_loop(
            lambda place, batch: source.level(place) >= level, body, (place, batch)
        )

    def _descend(self, level, place, batch, source):
        fine, coarse = self.levels[level], self.levels[level + 1]
        restricted = self.coarsening.restricted(fine.values(), level)
        coarse.assign(restricted)
        if self.consistency:
            batch = self._make_consistent(fine, coarse, batch, source)
        place, batch = self._stay(level + 1, place, batch, source)
        change = [a - b for a, b in zip(coarse.values(), restricted, strict=True)]
        fine.add(self.coarsening.prolonged(change, level))
        return place, batch

    def _make_consistent(self, fine, coarse, batch, source):
        """tau = P^T (dE_l/dV_l + tau_l) Q - dE_{l+1}/dV_{l+1}, on the same batches."""
        rows = source.rows(batch, self.consistency)
        gradient = fine.unpacked(fine.gradient(source.batch(fine.level, rows)))
        target = self.coarsening.restricted(gradient, fine.level)
        own = coarse.gradient(source.batch(coarse.level, rows), consistent=False)
        pairs = zip(coarse.tau, coarse.packed(target), own, strict=True)
        for tau, wanted, present in pairs:
            tau.assign(wanted - present)
        # Both gradients are counted, so both take their share of the order.
        return batch + 2 * self.consistency


class _Source(NamedTuple):
    """What a program reads: visits, the order of the rows, and the data."""

    levels: tf.Tensor
    counts: tf.Tensor
    order: tf.Tensor
    data: list

    # `gather`: TensorFlow would compile a program anew for each value of an index.
    def level(self, place):
        return tf.gather(self.levels, place)

    def steps(self, place):
        return tf.gather(self.counts, place)

    def rows(self, batch, count=1):
        return tf.reshape(tf.gather(self.order, batch + tf.range(count)), [-1])

    def batch(self, level, rows):
        return tf.nest.map_structure(lambda x: tf.gather(x, rows), self.data[level])


class _Level:
    """The variables, network and optimizer of one level within the program."""

    def __init__(self, cycles: Cycles, level: int):
        self.model, self.parts, self.level = cycles.model, cycles.coarsening, level
        self.network = self.parts.network(level, _Borrower)
        self.network.compile(loss=self.model.loss, loss_weights=self.model.loss_weights)
        self.borrowers = [self.network.get_layer(x.name) for x in self.parts.layers]
        self.shapes = [
            tuple(v.shape)
            for x in self.parts.layers
            for v in (x.kernels[level], *x.biases[level : level + 1])
        ]
        self.optimizer = cycles.optimizer.levels[level]
        size = sum(int(np.prod(shape)) for shape in self.shapes)
        small = level > 0 and size < PACKED_BELOW
        self.joined = small and _elementwise(self.optimizer)
        if self.joined:
            dtype = self.parts.layers[0].kernels[level].dtype
            variable, self.optimizer = cycles.optimizer.pack(level, size, dtype)
            self.variables = [variable]
        else:
            self.variables = [
                v
                for x in self.parts.layers
                for v in (x.kernels[level], *(x.biases[level : level + 1]))
            ]
        self.tau = [
            tf.Variable(tf.zeros_like(v)) for v in self.variables if cycles.consistency
        ]

    def clear(self):
        """Leave nothing of a coarse level in the model's weights."""
        if not self.joined:
            for variable in self.variables:
                variable.assign(tf.zeros_like(variable))

    def values(self):
        """Kernels and biases, V and v, as tensors."""
        return self.unpacked([tf.convert_to_tensor(v) for v in self.variables])

    def assign(self, values):
        for variable, value in zip(self.variables, self.packed(values), strict=True):
            variable.assign(value)

    def add(self, values):
        for variable, value in zip(self.variables, self.packed(values), strict=True):
            variable.assign_add(value)

    def packed(self, values):
        if not self.joined:
            return values
        return [tf.concat([tf.reshape(x, [-1]) for x in values], axis=0)]

    def unpacked(self, tensors):
        if not self.joined:
            return tensors
        sizes = [int(np.prod(shape)) for shape in self.shapes]
        parts = tf.split(tensors[0], sizes)
        return [tf.reshape(x, s) for x, s in zip(parts, self.shapes, strict=True)]

    def train(self, steps, batch, source):
        """So many steps of the level's optimizer, from batch number `batch` on."""

        def step(i):
            data = source.batch(self.level, source.rows(batch + i))
            gradient = self.gradient(data, log=self.level == 0)
            self.optimizer.apply(gradient, self.variables)
            return (i + 1,)

        tf.while_loop(lambda i: i < steps, step, (tf.constant(0),))

    def gradient(self, data, consistent=True, log=False):
        """Of the level's loss for its variables, with tau if there is one."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tensors = [tf.convert_to_tensor(v) for v in self.variables]
            tape.watch(tensors)
            weights = self.parts.weights(self.unpacked(tensors), self.level)
            loss = self._loss(weights, data, log)
        gradient = tape.gradient(loss, tensors)
        if consistent and self.level:
            for i, tau in enumerate(self.tau):
                gradient[i] += tau
        return gradient

    def _loss(self, weights, data, log):
        inputs, targets, sample_weight = data
        x = self.parts.structured(inputs)
        sample_weight = sample_weight[0] if sample_weight else None
        weights = iter(weights)
        for layer in self.borrowers:
            layer.lent = [next(weights) for _ in range(1 + layer.use_bias)]
        with keras.StatelessScope(collect_losses=True) as scope:
            outputs = self.network(x, training=True)
            y = keras.tree.pack_sequence_as(outputs, list(targets))
            loss = self.network.compute_loss(x, y, outputs, sample_weight)
        for state in self.network.non_trainable_variables:  # of random layers
            if (value := scope.get_current_value(state)) is not None:
                state.assign(value)
        if log:
            self.model._loss_tracker.update_state(loss)
            self.model.compute_metrics(x, y, outputs, sample_weight)
        return loss


class _Borrower(keras.layers.Dense):
    """A dense layer without weights: each step lends it a kernel and a bias."""

    def build(self, input_shape):
        self.built = True

    def call(self, inputs, training=None):
        regularizers = (self.kernel_regularizer, self.bias_regularizer)
        for weight, regularizer in zip(self.lent, regularizers, strict=False):
            if regularizer is not None:
                self.add_loss(regularizer(weight))
        kernel, *bias = (keras.ops.cast(x, self.compute_dtype) for x in self.lent)
        x = keras.ops.matmul(inputs, kernel)
        for b in bias:
            x = keras.ops.add(x, b)
        return self.activation(x)


def _elementwise(optimizer) -> bool:
    return type(optimizer).__name__ in ELEMENTWISE and optimizer.clipnorm is None


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
