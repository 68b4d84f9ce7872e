"""Files of networks that tell by how many degrees a picture is turned."""

import numpy as np

from kvision.export.proof.differences import Differences
from kvision.export.specs import is_image

# In degrees; the angle is off by little where a picture's pixels are.
LIMITS = {
    None: {"max_difference": 1e-3, "metric_drop": 0.01},
    "float16": {"metric_drop": 0.1},
    "bfloat16": {"metric_drop": 0.5},
    "dynamic": {"metric_drop": 1.0},
    "int8": {"metric_drop": 2.0},
}


def could_be(inputs, outputs):
    """Whether a model gives one number for two pictures."""
    pictures = isinstance(inputs, dict) and set(inputs) == {"before", "after"}
    one = not isinstance(outputs, dict) and tuple(outputs.shape[1:]) == (1,)
    return pictures and all(map(is_image, inputs.values())) and one


def class_count(model):
    """Returns `None`: an angle has no classes."""
    return None


def tally(report):
    """Returns what adds up the errors of model and file."""
    return AngleTally()


class AngleTally(Differences):
    """The mean error in degrees, the short way round."""

    metric = "mean error"

    def __init__(self):
        super().__init__()
        self.errors = np.zeros(2)

    def add(self, wanted, received, truth):
        self.samples += len(wanted)
        self.compare(wanted, received)
        for which, angles in enumerate((wanted, received)):
            off = (angles.ravel() - np.ravel(truth) + 180) % 360 - 180
            self.errors[which] += np.abs(off).sum()

    def metrics(self):
        return tuple(float(error) for error in self.errors / self.samples)
