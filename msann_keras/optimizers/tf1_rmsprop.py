"""RMSProp as the paper had it: TensorFlow 1's."""

from __future__ import annotations

import numbers

import keras
from keras import ops

from msann import checks
from msann_keras.keras_private import variable_index


@keras.saving.register_keras_serializable("msann_keras")
class TF1RMSprop(keras.optimizers.Optimizer):
    """Steps as RMSProp of TensorFlow 1 does, which the authors' script uses.

    The mean square s starts at one and epsilon stands inside the root:
    `s <- rho s + (1 - rho) g^2`, `variable <- variable - rate g / sqrt(s + epsilon)`.
    (Keras 3 starts s at zero and has epsilon = 1e-7: its first steps on gradients near
    1e-4 are some 3,000 times larger.)

    Args:
        learning_rate: Float or a `keras.optimizers.schedules.LearningRateSchedule`;
            the paper's 5e-4 by default.
        rho: Decay of the mean square, in [0, 1).
        epsilon: Positive.
        **kwargs: What every Keras optimizer takes (clipping, weight decay, ..).

    Raises:
        ValueError: The rate is negative or no number, `rho` or `epsilon` out of range.

    Example:

    >>> variable = keras.Variable([1.0])
    >>> TF1RMSprop(learning_rate=0.1).apply([ops.ones(1)], [variable])
    >>> print(variable.numpy())  # s stays at one
    [0.9]
    """

    def __init__(
        self,
        learning_rate=5e-4,
        rho=0.9,
        epsilon=1e-10,
        name="tf1_rmsprop",
        **kwargs,
    ):
        if isinstance(learning_rate, numbers.Number | str | None):
            learning_rate = checks.number("learning_rate", learning_rate, least=0)
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.rho = checks.number("rho", rho, least=0, below=1)
        self.epsilon = checks.number("epsilon", epsilon, above=0)

    def build(self, variables):
        """Make one mean square a variable, starting at one."""
        if self.built:
            return
        super().build(variables)
        self._mean_squares = self.add_optimizer_variables(
            variables, "mean_square", initializer="ones"
        )

    def update_step(self, gradient, variable, learning_rate):
        """Make one step of one variable."""
        mean_square = self._mean_squares[variable_index(self, variable)]
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        # An embedding's gradient comes as slices, some rows twice; this adds them up.
        gradient = ops.add(ops.zeros(mean_square.shape, variable.dtype), gradient)
        self.assign(
            mean_square,
            self.rho * mean_square + (1 - self.rho) * ops.square(gradient),
        )
        self.assign_sub(
            variable, rate * gradient / ops.sqrt(mean_square + self.epsilon)
        )

    def get_config(self):
        """Return everything that `from_config` needs."""
        return super().get_config() | {"rho": self.rho, "epsilon": self.epsilon}
