"""Two processes that train one model, and go on after one of them has died.

python examples/two_workers.py [folder]
"""

import json
import os
import sys
from pathlib import Path

from launch import launch

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/two_workers")
BACKUP, BATCHES, EPOCHS = FOLDER / "backup.weights.h5", 8, 20


def work(index):
    """What each worker does: all do the same, but only one writes."""
    import keras
    import numpy as np
    import tensorflow as tf

    import msann_keras as ms

    class Backup(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if index == 0:  # a whole file or none
                self.model.save_weights(FOLDER / "part.weights.h5")
                os.replace(FOLDER / "part.weights.h5", BACKUP)

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    x = np.random.default_rng(0).normal(size=(32 * BATCHES, 64)).astype("float32")
    y = np.cumsum(x, axis=1)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        layers = [keras.layers.Dense(64, activation="tanh"), keras.layers.Dense(64)]
        model = ms.multilevel(keras.Sequential([keras.Input((64,)), *layers]), depth=2)
        model.compile("adam", "mse")
    if BACKUP.exists():
        model.load_weights(BACKUP)  # and the optimizer, and the place in the schedule
    done = model.progress.position // BATCHES
    callbacks = [ms.CycleSchedule(resume=True), Backup()]
    epochs = {"initial_epoch": done, "epochs": EPOCHS}
    model.fit(x, y, shuffle=False, verbose=0, callbacks=callbacks, **epochs)
    np.savez(FOLDER / f"weights-{index}.npz", *model.get_weights())
    print(f"worker {index}: epochs {done} to {EPOCHS}", flush=True)


if "TF_CONFIG" in os.environ:
    work(json.loads(os.environ["TF_CONFIG"])["task"]["index"])
else:
    FOLDER.mkdir(parents=True, exist_ok=True)
    BACKUP.unlink(missing_ok=True)
    launch(__file__, [FOLDER], 2)
