"""What a level's weights would do on the finer level's data, before it goes there."""

from __future__ import annotations

import keras

from msann_keras.nested.data import Samples, at_level
from msann_keras.nested.handover import finer_weights
from msann_keras.nested.level import Level, loss_on, structured, values_of, weights_of
from msann_keras.nested.statistics import settle, some_rows
from msann_keras.samples import rows_of

#: Samples that are looked at: a finer network takes long for each.
MOST = 16


class Ahead:
    """The network and some data of the level that comes next.

    From some step on, a kernel that suits small images more and more suits larger ones
    less. So such a level is judged, and left, by the error one level finer.

    Args:
        model: The compiled model of level 0.
        coarser: The level that trains.
        samples: Of level 0.
    """

    def __init__(self, model: keras.Model, coarser: Level, samples: Samples):
        self.coarser, coarsening = coarser, coarser.coarsening
        self.level = level = coarser.level - 1
        if coarsening.is_shared:
            self.network = coarser.network
        else:
            self.network = coarsening.network(level)
            weights = model.get_compile_config().get("loss_weights")
            self.network.compile(loss=model.loss, loss_weights=weights)
        few = rows_of(samples.held_out, slice(MOST))
        held_out = at_level(few, coarsening, level)
        self.held_out = structured(held_out, coarsening, self.network)
        rows = some_rows(samples.training, samples.parts[0])
        some = at_level(samples.parts, coarsening, level, rows)
        self.some_inputs = structured(some, coarsening, self.network)[0]

    def error(self) -> float:
        """The loss there, with the weights that the coarser level has now."""
        if self.network is not self.coarser.network:
            coarsening = self.coarser.coarsening
            levels = self.coarser.level, self.level
            values = values_of(self.coarser.layers)
            finer = finer_weights(values, coarsening, *levels, apart=False)
            layers = [self.network.get_layer(x.name) for x in coarsening.layers]
            for variable, value in zip(weights_of(layers), finer, strict=True):
                variable.assign(value)
        settle(self.network, lambda: self.some_inputs)
        return loss_on(self.network, *self.held_out)
