"""What a level's weights would do on the finer level's data, before it goes there."""

from __future__ import annotations

import keras

from msann_keras.coarsening import Coarsening
from msann_keras.nested.data import Samples, at_level
from msann_keras.nested.handover import finer_weights
from msann_keras.nested.level import Level, loss_on, structured, values_of, weights_of
from msann_keras.nested.statistics import settle, some_rows
from msann_keras.samples import rows_of

#: Samples that are looked at: a finer network takes long for each.
MOST = 64


class Ahead:
    """The network of a level that does not train, and some of its data.

    A convolution's kernel that suits small images more and more suits larger ones less
    from some step on. So such a level is judged, and left, by the error one level finer.

    Args:
        model: The compiled model of level 0.
        coarsening: Its levels.
        level: Of the network.
        samples: Of level 0.
    """

    def __init__(
        self,
        model: keras.Model,
        coarsening: Coarsening,
        level: int,
        samples: Samples,
    ):
        self.coarsening, self.level = coarsening, level
        self.network = coarsening.network(level)
        self.network.compile(
            loss=model.loss,
            loss_weights=model.get_compile_config().get("loss_weights"),
        )
        self.layers = [self.network.get_layer(x.name) for x in coarsening.layers]
        few = rows_of(samples.held_out, slice(MOST))
        self.held_out = structured(
            at_level(few, coarsening, level), coarsening, self.network
        )
        rows = some_rows(samples.training, samples.parts[0])
        some = at_level(samples.parts, coarsening, level, rows)
        self.some_inputs = structured(some, coarsening, self.network)[0]

    def error(self, coarser: Level) -> float:
        """The loss here, with the weights that a coarser level has now."""
        levels = coarser.level, self.level
        values = values_of(coarser.layers)
        finer = finer_weights(values, self.coarsening, *levels, apart=False)
        for variable, value in zip(weights_of(self.layers), finer, strict=True):
            variable.assign(value)
        settle(self.network, lambda: self.some_inputs)
        return loss_on(self.network, *self.held_out)
