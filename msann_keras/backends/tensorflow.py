"""What is TensorFlow's own: its datasets, XLA's compile cache, and `tf.distribute`."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# On a CPU XLA takes longer to compile a coarse step than it saves in the steps of a
# level of dense layers (`python -m benchmarks.practice.levels`). Convolutions were a
# third quicker by it on one machine, and half as quick on another.
JITS, STEPS_PER_CALL = False, 32
KEEPS_PROGRAMS, IS_STATELESS = True, False
#: Strategies under which a model can be started.
NAMES = ("OneDeviceStrategy", "MirroredStrategy", "MultiWorkerMirroredStrategy")
STRATEGIES = tuple(getattr(tf.distribute, name) for name in NAMES)


def batches(
    data: tuple,
    rows: np.ndarray,
    batch_size: int,
    seed: int,
    any_sides: bool = False,
) -> Callable[[], tf.data.Dataset]:
    """A source of shuffled batches of one size, for any number of calls of `fit`.

    It gathers rows from tensors. Given arrays, `fit` would make a dataset that tunes
    itself, which takes twice as long for small batches, and sometimes waits for seconds
    when training stops in its midst.

    Args:
        data: Inputs, targets and perhaps weights: arrays in the model's structures.
        rows: The samples to use.
        batch_size: At most their number.
        seed: Of the order.
        any_sides: Whether the sides of images are to be unknown to the program, so that
            it takes others, too.

    Returns:
        A function that gives what `fit` takes for `x`, with `steps_per_epoch`.
    """
    # Of a list, a dataset would make one tensor.
    data = keras.tree.lists_to_tuples(data)
    data = keras.tree.map_structure(tf.convert_to_tensor, data)

    def gathered(some):
        return keras.tree.map_structure(lambda one: of(one, some), data)

    def of(one, some):
        batch = tf.gather(one, some)
        if not any_sides or len(one.shape) < 3:
            return batch
        shape = [batch_size, *[None] * (len(one.shape) - 2), one.shape[-1]]
        return tf.compat.v1.placeholder_with_default(batch, shape)

    order = tf.data.Dataset.from_tensor_slices(rows).shuffle(len(rows), seed).repeat()
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = order.batch(batch_size, drop_remainder=True).map(gathered).prefetch(2)
    dataset = dataset.with_options(options)
    return lambda: dataset


def keep_programs(folder: Path) -> None:
    """Keep what XLA compiles from now on."""
    flag = f"--tf_xla_persistent_cache_directory={folder.resolve()}"
    flags = os.environ.get("TF_XLA_FLAGS", "").split()
    kept = [x for x in flags if not x.startswith(flag.partition("=")[0])]
    os.environ["TF_XLA_FLAGS"] = " ".join([*kept, flag])


def synchronise(model: keras.Model) -> None:
    """Variables have the values that a `fit` has come to."""


def add_to(variable: keras.Variable, counts: Any) -> None:
    """Add to a variable that counts."""
    # The backend's own variable: Keras's arithmetic takes a millisecond.
    variable.value.assign_add(counts)


def in_scope() -> bool:
    """Whether this is inside of a strategy's scope."""
    return tf.distribute.has_strategy()


def no_cycles(model: keras.Model) -> str | None:
    """The strategy that a model was made under, if there is one."""
    is_plain = model.distribute_strategy is tf.distribute.get_strategy()
    return None if is_plain else f"a model under {_name(model.distribute_strategy)}"


def _name(strategy: tf.distribute.Strategy) -> str:
    """By which users know it: classes have other names."""
    pairs = zip(NAMES, STRATEGIES, strict=True)
    known = (name for name, one in pairs if isinstance(strategy, one))
    return next(known, repr(strategy))


def check_place(model: keras.Model) -> None:
    """Refuse to be inside of a strategy's scope, or under one that is not known.

    Raises:
        ValueError: It is so.
    """
    if in_scope():
        raise ValueError(
            "A model is made and compiled inside of `with strategy.scope():`, and "
            "started outside of it, since coarse levels have a place of their own. "
            f"Received: a call inside of the scope of {tf.distribute.get_strategy()!r}"
        )
    strategy = model.distribute_strategy
    if strategy is not tf.distribute.get_strategy() and not isinstance(
        strategy, STRATEGIES
    ):
        raise ValueError(
            "A model under a strategy can be started if that is one of "
            f"{', '.join(NAMES)}. "
            f"Received: {_name(strategy)}"
        )


def place_of(model: keras.Model) -> AbstractContextManager:
    """The scope of the model's strategy, if it has one."""
    strategy = model.distribute_strategy
    is_plain = strategy is tf.distribute.get_strategy()
    return nullcontext() if is_plain else strategy.scope()


def alone() -> nullcontext:
    """Outside of a strategy's scope all is on one device."""
    return nullcontext()


def spread(model: keras.Model) -> AbstractContextManager:
    """The scope of the model's strategy, if its replicas are all in this process."""
    is_one = model.distribute_strategy.num_replicas_in_sync == 1
    several = _workers(model.distribute_strategy) > 1
    return nullcontext() if is_one or several else place_of(model)


def leads(model: keras.Model) -> bool:
    """Whether this is the worker that coarse levels train on: the chief."""
    strategy = model.distribute_strategy
    if _workers(strategy) == 1:
        return True
    resolver = strategy.cluster_resolver
    first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return resolver.task_type == first and resolver.task_id == 0


def share(model: keras.Model) -> None:
    """Give weights and optimizer state of the chief to all workers, who all call this.

    Every worker adds what it has, and only the chief has something.
    """
    strategy = model.distribute_strategy
    if _workers(strategy) == 1:
        return
    variables = [
        variable
        for variable in (*model.variables, *model.optimizer.variables)
        if keras.backend.is_float_dtype(variable.dtype)
        or keras.backend.standardize_dtype(variable.dtype) in ("int32", "int64")
    ]
    values = [tf.convert_to_tensor(variable.value) for variable in variables]

    def of_the_chief(values):
        replica = tf.distribute.get_replica_context()
        leads = replica.replica_id_in_sync_group == 0
        own = (tf.where(leads, value, tf.zeros_like(value)) for value in values)
        return [replica.all_reduce(tf.distribute.ReduceOp.SUM, one) for one in own]

    summed = tf.function(lambda: strategy.run(of_the_chief, args=(values,)))()
    for variable, value in zip(variables, summed, strict=True):
        variable.assign(strategy.experimental_local_results(value)[0])


def _workers(strategy: tf.distribute.Strategy) -> int:
    """Processes that train one model together."""
    resolver = getattr(strategy, "cluster_resolver", None)
    spec = resolver.cluster_spec() if resolver is not None else None
    if not spec:
        return 1
    return sum(spec.num_tasks(job) for job in spec.jobs if job != "ps")
