"""The fine gradient on JAX: steps are functions of the state, jitted for each level."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice

import jax
import keras
import numpy as np

from msann.schedules import EVERY_LEVEL
from msann_keras import focus
from msann_keras.optimizers.multilevel import unwrapped
from msann_keras.optimizers.progress import Progress


class FineGradient:
    """An engine for a compiled, built `MultilevelModel`.

    Each level's function is compiled when the level is first visited, once. Keras gives
    the state of a `fit` to its training function and takes it back; between, it is
    kept here. The progress is counted in Python, so that no step waits for another.
    """

    whole_cycles = False

    def __init__(self, model: keras.Model):
        self.model = model
        self._functions: dict[tuple, tuple[Callable, Callable]] = {}
        self._state: tuple = ()
        self._progress: Progress | None = None

    @property
    def progress(self) -> Progress:
        """How far the schedule has been walked."""
        return self._progress or unwrapped(self.model.optimizer).progress

    def function(self, train: Callable) -> Callable:
        """Keras calls it with the state and the iterator, for logs and a new state."""

        def train_function(state, iterator):
            # Variables are empty while Keras trains; the state has their values.
            self._state = state
            optimizer = unwrapped(self.model.optimizer)
            self._progress = optimizer.progress_in(self._state[2])
            try:
                logs = train(iterator)
                state = self._state
            finally:
                self._state, self._progress = (), None
            return logs, state

        return train_function

    def due(self, iterator) -> int:
        """Batches of a call; `run` finds out whether there are so many."""
        return self.model.steps_per_execution

    def run(self, visits, iterator) -> dict | None:
        """Make visits, until the data end."""
        logs = None
        for level, steps in visits:
            # The rates' factors are constants of what is compiled.
            key = level, unwrapped(self.model.optimizer).factors
            if key not in self._functions:
                self._functions[key] = self._compiled(level)
            merge, step = self._functions[key]
            frozen, batches = merge(self._state[:2]), 0
            for data in islice(iterator, steps):
                logs, self._state = step(self._state, frozen, data)
                self._count(level, data)
                batches += 1
            if batches < steps:
                break
        trained, others, variables, metrics = self._state
        optimizer = unwrapped(self.model.optimizer)
        variables = optimizer.with_progress(variables, self._progress)
        self._state = trained, others, variables, metrics
        # A session's clock is for the steps, and not for sending them off.
        return logs if self.model.session is None else jax.block_until_ready(logs)

    def _compiled(self, level):
        """Functions that merge the other levels, and that make a step; see below."""
        merge, step = partial(self._merge, level), partial(self._step, level)
        if self.model.run_eagerly or not self.model.jit_compile:
            return merge, step
        return jax.jit(merge), jax.jit(step, donate_argnums=0)

    def _merge(self, level, values):
        """The other levels' share of every layer's Theta, constant during a visit."""
        model = self.model
        if level == EVERY_LEVEL:
            return [None for _ in model.multilevel_layers]
        variables = model.trainable_variables, model.non_trainable_variables
        pairs = zip(variables, values, strict=True)
        mapping = [pair for both in pairs for pair in zip(*both, strict=True)]
        with keras.StatelessScope(mapping):
            return [layer.theta(without=level) for layer in model.multilevel_layers]

    def _step(self, level, state, frozen, data):
        """One batch: the model's `train_step`, with `level` as all that trains."""
        with focus.training(level, self.model.multilevel_layers, frozen):
            return self.model.train_step(state, data)

    def _count(self, level, data):
        """Count a batch."""
        arrays = (x for x in keras.tree.flatten(data) if x is not None)
        examples = len(next(arrays))
        levels = range(self.model.depth + 1)
        trained = np.array([level in (x, EVERY_LEVEL) for x in levels])
        position, before, each = self.progress
        each = tuple((np.array(each) + examples * trained).tolist())
        self._progress = Progress(position + 1, before + examples, each)
