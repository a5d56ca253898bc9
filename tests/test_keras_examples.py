"""Models as Keras's examples have them: started, trained, saved and loaded."""

import math

import pytest

from benchmarks.keras_examples.__main__ import EXAMPLES, outcome

#: What trains on smaller images, too; the others are made thinner, but for `siamese`,
#: whose spaces coarsen.
SMALLER = {"super_resolution": 2, "convolutional_autoencoder": 1, "segmentation": 1}


@pytest.mark.thorough
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_started_trained_saved_and_loaded(name):
    made = outcome(EXAMPLES[name], seconds=8.0)
    assert made.levels
    assert all(math.isfinite(loss) for loss in made.losses)
    if name != "siamese":
        assert all("thin" in level for level in made.levels)
    if name in SMALLER:
        assert len(made.levels) == SMALLER[name]
    before, started, trained = made.losses
    assert min(started, trained) < before
