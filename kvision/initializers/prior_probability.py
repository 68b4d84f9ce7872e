import math

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class PriorProbability(keras.initializers.Initializer):
    """Starts the bias of scores of boxes so that nearly all of them are background.

    Use it as `bias_initializer` of the layer that gives the logits of a softmax whose column 0 is
    the background: all other classes together begin with the probability `prior`, each with an
    equal share. Without it the first steps only learn that most boxes are empty.

    Args:
        columns: classes of the softmax with its background. The bias holds them as many times as
            there are boxes at a position.
        prior: probability at the start that a box holds any object, between 0 and 1.

    Raises:
        ValueError: where `columns` is below 2, `prior` is not between 0 and 1, or the bias is not
            made of whole groups of columns.

    Differs from the paper: a softmax with a background, where the paper has a sigmoid for each
    class.

    Reference:
        Lin, Goyal, Girshick, He, Dollar: Focal loss for dense object detection, 2017, section 3.3.

    Example:

    >>> bias = PriorProbability(columns=3, prior=0.01)((6,))
    >>> softmax = keras.ops.softmax(keras.ops.reshape(bias, (2, 3)))
    >>> [round(float(probability), 4) for probability in softmax[1]]
    [0.99, 0.005, 0.005]
    """

    def __init__(self, columns, prior=0.01):
        if not isinstance(columns, int) or columns < 2 or not 0 < prior < 1:
            raise ValueError(
                "`columns` must be a whole number from 2 and `prior` between 0 and 1. "
                f"Received: columns={columns}, prior={prior}"
            )
        self.columns = columns
        self.prior = prior

    def __call__(self, shape, dtype=None):
        if len(shape) != 1 or shape[0] % self.columns:
            raise ValueError(
                f"`PriorProbability` is for a bias of a multiple of {self.columns} numbers. "
                f"Received: shape {tuple(shape)}"
            )
        one = np.zeros(self.columns)
        one[0] = math.log((self.columns - 1) * (1 - self.prior) / self.prior)
        bias = np.tile(one, shape[0] // self.columns)
        return ops.convert_to_tensor(bias, dtype=dtype or keras.config.floatx())

    def get_config(self):
        return {"columns": self.columns, "prior": self.prior}
