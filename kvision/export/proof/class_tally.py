"""What a comparison of a classifier and its file adds up."""

import functools

import numpy as np

from kvision.export.proof.differences import Differences
from kvision.ops.scores import EXCLUSIVE, INDEPENDENT, are_probabilities, meaning_of, true_classes


class ClassTally(Differences):
    """Of classifiers: differences of scores, and how often each is right.

    What the scores mean is seen from all of the model's; the file's are taken for the same.
    """

    def __init__(self):
        super().__init__()
        self.parts = []

    def add(self, wanted, received, labels):
        """Adds a batch: the model's scores, the file's, and the true classes."""
        self.samples += len(wanted)
        self.compare(wanted, received)
        self.parts.append((wanted, received, true_classes(labels, *wanted.shape)))
        self.__dict__.pop("_guesses", None)

    @functools.cached_property
    def _guesses(self):
        """What the scores mean, and of all examples the model's, the file's and the true classes.

        Of independent classes these are rows of 0 and 1.
        """
        wanted, received, truth = (self._joined(i) for i in range(3))
        meaning = meaning_of(wanted, truth)
        if meaning == EXCLUSIVE:
            truth = truth.argmax(-1) if truth.ndim == 2 else truth
            guesses = wanted.argmax(-1), received.argmax(-1)
        else:
            threshold = 0.5 if are_probabilities(wanted) else 0.0
            guesses = (wanted > threshold).astype(int), (received > threshold).astype(int)
            truth = truth.reshape(wanted.shape)
        classes = max(2, wanted.shape[-1]) if truth.ndim == 1 else 2
        if truth.min() < 0 or truth.max() >= classes:
            raise ValueError(
                f"Labels must be 0 to {classes - 1}. Received: {truth.min():g} to {truth.max():g}. "
                "Is this the data set that the model was trained on?"
            )
        return meaning, *guesses, truth

    def _joined(self, which):
        parts = [part[which] for part in self.parts]
        if len({part.ndim for part in parts}) > 1:
            raise ValueError(
                "Labels must be class numbers in all batches, or rows in all. Received: batches of "
                f"{sorted({part.shape[1:] for part in parts})}"
            )
        return np.concatenate(parts)

    @property
    def metric(self):
        """What `metrics` counts."""
        independent = self._guesses[0] == INDEPENDENT
        return "accuracy of all labels" if independent else "top-1 accuracy"

    def metrics(self):
        """The metric of the model and of the file, 0..1."""
        _, model, file, truth = self._guesses
        return float((model == truth).mean()), float((file == truth).mean())

    def agreement(self):
        """How often model and file say the same, 0..1."""
        _, model, file, _ = self._guesses
        return float((model == file).mean())
