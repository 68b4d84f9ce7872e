"""Files of networks that see two pictures and give an angle."""

import numpy as np

from kvision.export.proof.differences import Differences

LIMITS = {
    None: {"max_difference": 1e-3, "metric_drop": 0.01},
    "float16": {"metric_drop": 0.5},
    "bfloat16": {"metric_drop": 0.5},
    "dynamic": {"metric_drop": 1.0},
    "int8": {"metric_drop": 1.0},
}


def could_be(inputs, outputs):
    """Whether a model gives one number for two pictures."""
    two = isinstance(inputs, dict) and set(inputs) == {"before", "after"}
    return two and not isinstance(outputs, dict) and outputs.shape[1:] == (1,)


def class_count(model):
    """Returns `None`: an angle has no classes."""
    return None


def check(wanted, truth):
    """Raises `ValueError` unless the truth is an angle for each pair."""
    if isinstance(truth, dict) or np.shape(truth) != (len(wanted),):
        raise ValueError(f"Angles must be of shape ({len(wanted)},). Received: {truth}")


def tally(report):
    """Returns what adds up the errors of model and file."""
    return Errors()


class Errors(Differences):
    """The mean error of a model and of its file, in degrees."""

    metric = "mean error"

    def __init__(self):
        super().__init__()
        self.errors = np.zeros(2)

    def add(self, wanted, received, truth):
        self.samples += len(wanted)
        self.compare(wanted, received)
        for index, angles in enumerate((wanted, received)):
            self.errors[index] += np.abs(angles[:, 0] - truth).sum()

    def metrics(self):
        return tuple(float(error) for error in self.errors / self.samples)
