"""One level of a warm start: a plain Keras model on coarser data."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from operator import itemgetter
from typing import Any

import keras
import numpy as np
from keras import ops

from msann_keras.backends import here
from msann_keras.coarse_networks import CoarseNetworks
from msann_keras.nested.data import Samples, at_level, training_data
from msann_keras.nested.handover import finer_weights
from msann_keras.nested.optimizer import copy_of, hand_over_state, rate_of, set_rate
from msann_keras.nested.statistics import is_of_images, settle, some_rows
from msann_keras.samples import Parts, rows_of

#: Longest compiled call in seconds. Between calls it is asked whether to leave the
#: level. Where a step takes longer, the level trains on as many devices as the model.
CALL_SECONDS = 0.1
#: Steps by which a rate is tried, and more than there ever are.
TRIAL, ENDLESS = 64, 10**9
#: Of a forward pass that judges.
IMAGES_AT_ONCE = 128


class Level:
    """Level l of a plain model: its coarse network, compiled, and its data.

    Args:
        model: The compiled model of level 0.
        coarsening: Its spaces.
        level: l, 1 or more.
        samples: Of level 0.
        batch_sizes: Samples of a step of the model, and of one here.
        step_seconds: What a step takes, estimated.
        coarser: The level before this one, if there was one. Where levels share a
            network, this one goes on with that one's.

    Attributes:
        network: M_l.
        shares: Whether it is the coarser level's, too.
        rate: The learning rate that the level begins with.
        layers: Its layers with weights, in order.
    """

    def __init__(
        self,
        model: keras.Model,
        coarsening: CoarseNetworks,
        level: int,
        samples: Samples,
        batch_sizes: tuple[int, int],
        step_seconds: float,
        coarser: Level | None = None,
    ):
        self.coarsening, self.level = coarsening, level
        usual, own = batch_sizes
        factors = coarsening.rates[level], own / usual
        # Of another copy: the own one is made where the network is, or is shared.
        self.rate = rate_of(copy_of(model.optimizer, *factors))
        # A jitted program is of one size, and is compiled beside the coarser level.
        self.shares = False
        self.network: keras.Model
        if coarser is not None and coarsening.is_shared and not here.JITS:
            self.network, self.shares = coarser.network, True
        else:
            steps = round(CALL_SECONDS / step_seconds)
            is_dear = step_seconds >= CALL_SECONDS
            with here.spread(model) if is_dear else nullcontext():
                self.network = coarsening.network(level)
                self.network.compile(
                    optimizer=copy_of(model.optimizer, *factors),
                    loss=model.loss,
                    loss_weights=model.get_compile_config().get("loss_weights"),
                    steps_per_execution=max(1, min(here.STEPS_PER_CALL, steps)),
                    run_eagerly=model.run_eagerly,
                    jit_compile=here.JITS,
                )
                self.network.optimizer.build(self.network.trainable_variables)
        self.layers = [self.network.get_layer(x.name) for x in coarsening.layers]
        held_out = at_level(samples.held_out, coarsening, level)
        self.held_out = self._structured(held_out)
        seed = np.random.randint(2**31)  # follows `keras.utils.set_random_seed`
        rng = np.random.default_rng(seed)
        data, rows = training_data(samples, coarsening, level, rng)
        batch_size = min(own, len(rows))
        some = some_rows(rows, data[0])
        self._some_inputs = lambda: self._structured(rows_of(data, some))[0]
        self.batches = here.batches(
            self._structured(data), rows, batch_size, seed, coarsening.is_shared
        )

    def draw(self) -> None:
        """Begin with the weights that the coarsening has for a first level."""
        values = self.coarsening.first_weights(self.level)
        for variable, value in zip(weights_of(self.layers), values, strict=True):
            if value is not None:
                variable.assign(value)

    def make_ready(self) -> None:
        """Compile by a first step, which is taken back."""
        if self.shares:  # it is, and trains
            return
        before = self.state()
        self.fit(steps=1)
        self.restore(before)

    def take_over(self, coarser: Level, boost: float) -> None:
        """Go on where a coarser level has stopped, at `boost` times the own rate."""
        set_rate(self.network.optimizer, boost * self.rate)
        if not self.shares:
            hand_over(coarser, self.level, self.layers, self.network)

    def best_rate(self, factors: Sequence[float]) -> float:
        """Try the rate times some factors, and go on from the best short training.

        Returns:
            The factor that was best on what is held out.
        """
        begin, rate = self.state(), rate_of(self.network.optimizer)
        tried = []
        for factor in factors:
            self.restore(begin)
            set_rate(self.network.optimizer, rate * factor)
            self.fit(steps=TRIAL)
            tried.append((self.error(), factor, self.state()))
        finite = [one for one in tried if np.isfinite(one[0])]
        _, factor, state = min(finite or tried, key=itemgetter(0))
        self.restore(state)
        return factor

    def fit(self, steps: int = ENDLESS, callbacks: Sequence = ()) -> None:
        """Train for so many steps, or until a callback says that it is enough."""
        self.network.fit(
            self.batches(),
            steps_per_epoch=steps,
            shuffle=False,  # they are, and Keras would warn that it does not
            callbacks=[*callbacks],
            verbose=0,
        )

    def error(self) -> float:
        """The loss on what is held out."""
        settle(self.network, self._some_inputs)
        return loss_on(self.network, *self.held_out)

    def state(self) -> list[np.ndarray]:
        """Everything that training changes, for `restore`."""
        return [ops.convert_to_numpy(x) for x in self._variables()]

    def restore(self, state: list[np.ndarray]) -> None:
        """Go back to a state."""
        for variable, value in zip(self._variables(), state, strict=True):
            variable.assign(value)

    def _variables(self):
        return [*self.network.variables, *self.network.optimizer.variables]

    def _structured(self, parts: Parts) -> tuple[Any, ...]:
        return structured(parts, self.coarsening, self.network)


def structured(
    parts: Parts, coarsening: CoarseNetworks, network: keras.Model
) -> tuple[Any, ...]:
    """Inputs, targets and weights, if any, as a network takes them."""
    inputs, targets, weights = parts
    outputs = keras.tree.pack_sequence_as(network.output, list(targets))
    return (coarsening.structured(inputs), outputs, *weights)


def hand_over(coarser: Level, level: int, layers: list, network: keras.Model) -> None:
    """Give a finer network what a coarser level and its optimizer have learned.

    Args:
        coarser: A level that has trained.
        level: A finer one.
        layers: The layers with weights of the network there.
        network: That network, whose optimizer is built.
    """
    coarsening = coarser.coarsening
    variables, levels = weights_of(layers), (coarser.level, level)
    values = finer_weights(values_of(coarser.layers), coarsening, *levels)
    for variable, value in zip(variables, values, strict=True):
        holds = variable.constraint  # which interpolation may not keep
        variable.assign(value if holds is None else holds(value))
    axes = zip(coarsening.weight_chains, coarsening.unit_axes, strict=True)
    known = {id(variable): one for variable, one in zip(variables, axes, strict=True)}
    in_order = [known[id(v)] for v in network.trainable_variables]
    optimizers = coarser.network.optimizer, network.optimizer
    hand_over_state(*optimizers, in_order, *levels)


def weights_of(layers: list) -> list:
    """The weights of each layer, in order: kernel and bias, or vectors."""
    return [variable for layer in layers for variable in layer.weights]


def values_of(layers: list) -> list[np.ndarray]:
    """The same as arrays."""
    return [ops.convert_to_numpy(x) for x in weights_of(layers)]


def loss_on(model: keras.Model, *data: Any) -> float:
    """The loss of a compiled model on some samples: inputs, targets, perhaps weights.

    Images, of which a layer makes many channels, are taken some at a time.
    """
    arrays = keras.tree.flatten(data)
    count = len(arrays[0])
    at_once = IMAGES_AT_ONCE if is_of_images(arrays) else count
    losses, sizes = [], []
    for begin in range(0, count, at_once):
        rows = slice(begin, begin + at_once)
        x, y, *weights = keras.tree.map_structure(lambda a, r=rows: a[r], data)
        outputs = model(x, training=False)
        loss = model.compute_loss(x, y, outputs, *weights, training=False)
        losses.append(np.mean(ops.convert_to_numpy(loss)))  # one a sample, perhaps
        sizes.append(min(at_once, count - begin))
    return float(np.average(losses, weights=sizes))
