"""What a comparison of a segmenter and its file adds up."""

import numpy as np

from kvision.export.proof.differences import Differences
from kvision.ops.masks import VOID
from kvision.ops.scores import are_probabilities


class MaskTally(Differences):
    """Of segmenters: the same for pixels, and the mean intersection over union.

    A file may answer with class numbers instead of scores; there is then no difference of scores.
    One score a pixel means class 1 against class 0. Void pixels do not count.
    """

    metric = "mean IoU"

    def __init__(self):
        super().__init__()
        self.counts = {}
        self.probable = self.places = 0

    def add(self, wanted, received, labels):
        """Adds a batch: the model's scores, the file's or its classes, and the true masks."""
        self.samples += len(wanted)
        self.comparable = received.shape == wanted.shape and received.dtype.kind == "f"
        if self.comparable:
            self.compare(wanted, received)
        self.probable += are_probabilities(wanted) * len(wanted)
        size, classes = wanted.shape[1:3], max(2, wanted.shape[-1])
        labels = _true_masks(labels, wanted.shape, classes)
        self.places += labels.size
        known = labels != VOID
        # Of one score a pixel both are counted: whether it is a logit is seen from all of them.
        for threshold in (0.5, 0.0) if wanted.shape[-1] == 1 else (0.5,):
            model, file = (_classes(scores, threshold) for scores in (wanted, received))
            self._count("agreed", threshold, int((model == file).sum()))
            for name, guesses in (("model", model), ("file", file)):
                guesses = guesses.reshape(len(labels), *size)
                pairs = classes * labels[known] + guesses[known]
                pairs = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
                self._count(name, threshold, pairs)

    def _count(self, name, threshold, number):
        self.counts[name, threshold] = self.counts.get((name, threshold), 0) + number

    @property
    def _threshold(self):
        is_logit = 2 * self.probable <= self.samples and ("model", 0.0) in self.counts
        return 0.0 if is_logit else 0.5

    def agreement(self):
        """Of how many pixels model and file say the same, 0..1."""
        return self.counts["agreed", self._threshold] / self.places

    def metrics(self):
        """The metric of the model and of the file, 0..1."""
        return tuple(_mean_iou(self.counts[name, self._threshold]) for name in ("model", "file"))


def _classes(outputs, threshold):
    if outputs.dtype.kind in "ui":
        return outputs[..., 0].astype(int)
    if outputs.shape[-1] > 1:
        return outputs.argmax(-1)
    return (outputs[..., 0] > threshold).astype(int)


def _true_masks(labels, shape, classes):
    """Masks (n, height, width) of class numbers, of the size that the model answers for."""
    if labels.ndim == 4 and labels.shape[-1] == shape[-1] > 1:
        labels = labels.argmax(-1)
    if labels.shape[0] != shape[0] or labels.shape[3:] not in ((), (1,)) or labels.ndim < 3:
        raise ValueError(
            f"Masks of {shape[0]} images must have the shape ({shape[0]}, height, width, 1), or "
            f"one channel for each of {shape[-1]} classes. Received: {labels.shape}"
        )
    labels = _central(labels.reshape(labels.shape[:3]).astype(int), shape[1:3])
    strange = labels[((labels < 0) | (labels >= classes)) & (labels != VOID)]
    if len(strange):
        raise ValueError(
            f"Masks must hold classes 0 to {classes - 1}, or {VOID} for void. "
            f"Received: {strange.max()}"
        )
    return labels


def _central(labels, size):
    """The middle of the masks, where a network without padding answers for less than it sees."""
    tops = [(have - want) // 2 for have, want in zip(labels.shape[1:], size, strict=True)]
    if min(tops) < 0:
        raise ValueError(
            f"Masks must be at least as large as the model's output, {tuple(size)}. "
            f"Received: {labels.shape[1:]}"
        )
    (top, left), (height, width) = tops, size
    return labels[:, top : top + height, left : left + width]


def _mean_iou(confusion):
    hits = np.diag(confusion)
    union = confusion.sum(0) + confusion.sum(1) - hits
    return float((hits[union > 0] / union[union > 0]).mean()) if union.any() else 0.0
