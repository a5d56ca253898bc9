"""What a stranger does first: README's first example, then saving and predicting.

Run where msann_keras is installed and no checkout is near. The example is taken from
the README that came with the package.
"""

import re
from importlib.metadata import metadata
from pathlib import Path

import keras
import numpy as np

import msann_keras

HERE = Path(__file__).parent

installed = Path(msann_keras.__file__)
assert "site-packages" in installed.parts, f"{installed} is not an installed package."
described = metadata("msann-keras")
assert described["Version"] == msann_keras.__version__

keras.utils.set_random_seed(1)
names: dict = {}
example = re.search(r"```python\n(.*?)```", described.get_payload(), re.S)
exec(example[1], names)
model, x, y = names["model"], names["x"], names["y"]
error = model.evaluate(x, y, verbose=0)
assert error < 0.01, f"README's first example ends at {error}."

model.save(HERE / "model.keras")
loaded = keras.models.load_model(HERE / "model.keras")
np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))

# A model that has layers of the library is loaded by name.
multilevel = msann_keras.multilevel(model, depth=3)
multilevel.save(HERE / "multilevel.keras")
loaded = keras.models.load_model(HERE / "multilevel.keras")
np.testing.assert_array_equal(
    loaded.predict(x[:64], verbose=0), multilevel.predict(x[:64], verbose=0)
)
print(
    f"msann_keras {msann_keras.__version__} works where it is installed: the first "
    f"example comes to {error:.4f}, and models are saved and loaded."
)
