"""The call that starts a plain Keras model from its coarsest network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from msann import checks
from msann_keras.backends import here
from msann_keras.inputs import refuse_nan
from msann_keras.nested.audience import Audience
from msann_keras.nested.data import Samples, held_back, most_held
from msann_keras.nested.iteration import NestedIteration
from msann_keras.nested.record import Display, LevelRecord, Record
from msann_keras.optimizers.multilevel import unwrapped
from msann_keras.optimizers.rates import schedule_of
from msann_keras.plan import MEMORY, planned
from msann_keras.samples import parts_of, rows_of, some_of
from msann_keras.spaces import functional, multilevel_within
from msann_keras.topologies import TopologyLike

#: Constraints that interpolated weights do not keep, and that change what a network
#: does when they are enforced.
FIXED_NORMS = (keras.constraints.UnitNorm, keras.constraints.MinMaxNorm)


def warm_start(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    topology: TopologyLike = None,
    depth: int | str = "auto",
    batch_size: int | Sequence[int] = 32,
    sample_weight: Any = None,
    validation_data: Any = None,
    seconds: float | None = None,
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
    verbose: int | str = "auto",
) -> Record:
    """Train small copies of a compiled model first, and start the model where they end.

    The data are averaged over ever larger neighbourhoods (of noisy images pixels are
    left out instead), and the network, or what it costs, becomes smaller with them. The
    coarsest network, whose steps are many times cheaper, trains first, from a draw of
    its own; its weights are prolonged to the next finer one, which goes on; and so up
    to the model itself, which then holds the weights and waits for `fit`. How deep to
    begin is read off the data (`plan`), when to leave a level is judged while it
    trains. Where the data say that it would not pay, the model stays as it is.

    The model is an ordinary Keras model before and after. What it has learned before is
    not used, but for layers that stay as they are.

    Which coarse networks there are depends on the layers:

    - Dense layers with batch or layer normalisation and pointwise layers among them:
      inputs, outputs and hidden units coarsen as the data do. Reshaping layers and
      `Normalization` may stand in front, a `Reshape` at the end; coarse networks are
      without these, and their loss sees samples as rows.
    - Convolutions, pooling, up-sampling, with channels last, and what stands among and
      behind them: at level 1 half the channels, so that prolonging changes no output;
      from level 2 on also averaged images of half the sides, where targets are images,
      on which kernels act by their Galerkin stencils. Of rough inputs, noisy ones above
      all, coarse levels see every other pixel instead, with all channels.
    - Any other graph of layers (attention, recurrent layers, embeddings, models within
      the model, `Concatenate` and `Permute` of hidden units): at level 1 half the units
      or channels of layers whose neighbours are known; the others stay as they are.

    Args:
        model: A compiled Sequential or functional model. Its loss, regularisers,
            precision and optimizer (a copy a level, at its present rate) are used; its
            metrics are not. No layer is frozen.
        x: Inputs as `fit` takes them, or batches of inputs and targets (a
            `tf.data.Dataset`, `PyDataset`, loader or generator), of which the first
            256 MB are used.
        y: Targets, if `x` is arrays.
        topology: What the spaces look like, as `multilevel` takes it; `None` chooses
            by the data (see `plan`).
        depth: L, the level to begin at; "auto" takes the one that `plan` suggests.
        batch_size: Samples of a training step, at most as many as there are: one number
            for all levels; or a list, first of your own `fit` (level 0), then of level
            1, 2, .., whose last number holds for all coarser levels too. Where batches
            are larger, so is the rate: by the root of the ratio with optimizers whose
            steps are of one length (Adam), by the ratio itself with others.
        sample_weight: Array `(samples,)`, or `None`.
        validation_data: `(x, y)` or `(x, y, sample_weight)` to judge the levels by. By
            default a tenth of the samples, at most 1,024 (64 images), is held back for
            that.
        seconds: Time for training all levels together; by default what four passes of
            the model over the data take, or one where coarse levels see every other
            pixel. (For convolutions that time is counted in steps, by the plan's
            estimates.) It is no bound: a level goes on while the next one compiles,
            and cools down before it is left, unless its images are smaller.
        callbacks: They are called as by `fit`, with the model's weights as they would
            be now. An epoch ends at the end of each level, and each time that the call
            has lasted an eighth longer; it is five times as long, at least, as it takes
            to give the model those weights. Training ends for them before the model is
            given the weights that it keeps, so none can put others in their place.
        verbose: 0 is silent; 1, 2 or "auto" prints the plan's sentence and a progress
            bar for each level.

    Returns:
        A `Record` of what each level did.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: The model is not compiled or built, is a `MultilevelModel`, has a
            frozen layer, a constraint that fixes norms, a learning rate that is a
            function, or no level of the `depth` that is asked for; data are missing,
            contain NaN, do not fit or are fewer than a batch; an argument is none of
            the above. The model is unchanged then.

    Example:

    >>> rng = np.random.default_rng(5)
    >>> x = np.sin(np.linspace(0, 6, 256) + rng.uniform(0, 6, (400, 1)))
    >>> model = keras.Sequential([keras.Input((256,)),
    ...                           keras.layers.Dense(256, activation="gelu"),
    ...                           keras.layers.Dense(256)])
    >>> model.compile("adam", "mse")
    >>> record = warm_start(model, x, -x, depth=2, seconds=0.5, verbose=0)
    >>> [one.level for one in record.levels]
    [2]
    """
    began = time.perf_counter()
    _check(model)
    batch_sizes = _batch_sizes(batch_size)
    if seconds is not None:
        seconds = checks.number("seconds", seconds, above=0)
    if not isinstance(verbose, str):
        shown = checks.integer("verbose", verbose, least=0, most=2)
    elif verbose == "auto":
        shown = 1
    else:
        checks.refuse("verbose", verbose, '0, 1, 2 or "auto"')
    callbacks = [*checks.each("callbacks", callbacks or (), "callbacks")]
    for i, one in enumerate(callbacks):
        checks.instance(f"callbacks[{i}]", one, keras.callbacks.Callback, "a callback")
    for name, value in (("x", x), ("y", y), ("sample_weight", sample_weight)):
        refuse_nan(name, value)
    graph = functional(model)
    _check_constraints(graph)
    parts = some_of(x, y, sample_weight, graph, MEMORY)
    if max(batch_sizes) > (count := len(parts[0][0])):
        checks.refuse("batch_size", batch_size, f"at most the {count} samples")
    plan, coarsening = planned(graph, parts, topology, depth, batch_sizes[0])
    display = Display(shown)
    display.say(plan.reason)
    samples = _samples(parts, validation_data, coarsening) if plan.depth else None
    if not model.optimizer.built:
        with here.place_of(model):
            model.optimizer.build(model.trainable_variables)
    records: tuple[LevelRecord, ...] = ()
    if not here.leads(model):
        outcome = "The model has what the chief has made of it."
    elif samples is None:
        outcome = "The model is unchanged."
    else:
        audience = Audience(callbacks, model, began)
        nested = NestedIteration(
            model, plan, coarsening, samples, batch_sizes, seconds, audience, display
        )
        audience.begin()
        outcome = "The model has what its coarse networks learned."
        with here.alone():
            if not nested.run():
                last = nested.records[-1].level
                outcome = f"Level {last} learned nothing, so the model is unchanged."
        records = tuple(nested.records)
    here.share(model)
    record = Record(plan, records, time.perf_counter() - began, outcome)
    if records:
        display.say(f"{outcome} It took {record.seconds:.1f} s.")
    return record


def _batch_sizes(value) -> tuple[int, ...]:
    """Samples of a step, of level 0 and coarser ones."""
    if not isinstance(value, list | tuple):
        return (checks.integer("batch_size", value, least=1),)
    if not value:
        checks.refuse("batch_size", value, "an integer, or a sequence of some")
    each = enumerate(value)
    return tuple(checks.integer(f"batch_size[{i}]", one, least=1) for i, one in each)


def _check(model) -> None:
    """Refuse what is no compiled plain model."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` must be a keras.Model. Received: an object of {type(model)}"
        )
    if multilevel_within(model):
        raise ValueError(
            "`model` must be a plain Keras model: a multilevel one trains by "
            "`CycleSchedule`, and `merge()` makes a plain one of it. Received: "
            f"{model.name!r}"
        )
    if not model.compiled or model.optimizer is None or model.loss is None:
        raise ValueError(
            "`model` must be compiled with an optimizer and a loss, since its coarse "
            f"networks train with the same. Received: {model.name!r}, which is not"
        )
    schedule_of(unwrapped(model.optimizer))  # refuses a rate that is a function
    here.check_place(model)


def _check_constraints(graph) -> None:
    """Refuse norms that are fixed: interpolated weights have other ones."""
    for layer in graph.layers:
        for name in ("kernel_constraint", "bias_constraint"):
            constraint = getattr(layer, name, None)
            if isinstance(constraint, FIXED_NORMS):
                raise ValueError(
                    f"The layer {layer.name!r} cannot be started from a coarser one: "
                    f"its `{name}` fixes the norms of weights, which interpolation "
                    f"changes. Received: {type(constraint).__name__}"
                )


def _samples(parts, data, coarsening) -> Samples:
    """What to train on and what to judge by: the user's `validation_data`, if any."""
    if data is None:
        return held_back(parts, np.random.default_rng(np.random.randint(2**31)))
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        checks.refuse("validation_data", data, "(x, y) or (x, y, sample_weight)")
    names = [f"validation_data[{i}]" for i in range(3)]
    for name, value in zip(names, data, strict=False):
        refuse_nan(name, value)
    x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
    judges = parts_of(x, y, weights, coarsening, names)
    everything = np.arange(len(parts[0][0]))
    return Samples(parts, everything, rows_of(judges, slice(most_held(judges))))
