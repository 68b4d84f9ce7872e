"""What a comparison of a model and its file adds up, batch by batch."""

import functools

import numpy as np

from kvision.ops.masks import VOID
from kvision.ops.scores import EXCLUSIVE, INDEPENDENT, are_probabilities, meaning_of, true_classes

DIFFERENT = 1e-4  # how far an output is off that counts in `share_different`


def tally_for(outputs):
    """The tally for a model with these outputs, of images or of their pixels."""
    if outputs.ndim not in (2, 4):
        raise ValueError(
            "A model that can be verified must give scores of images (n, classes) or of their "
            f"pixels (n, height, width, classes). Received: outputs of shape {outputs.shape}"
        )
    return MaskTally() if outputs.ndim == 4 else ClassTally()


class Differences:
    """How far the scores of two models are apart."""

    def __init__(self):
        self.samples = self.values = self.beyond = 0
        self.largest = self.difference = self.scale = 0.0
        self.finite = self.comparable = True

    def _add_scores(self, wanted, received):
        difference = np.abs(wanted - received)
        self.finite = self.finite and bool(np.isfinite(difference).all())
        self.values += wanted.size
        self.largest = max(self.largest, float(difference.max()))
        self.scale = max(self.scale, float(np.abs(wanted).max()))
        self.difference += float(difference.sum())
        self.beyond += int((difference > DIFFERENT).sum())

    def figures(self):
        """What a report says of all batches."""
        model, file = self.metrics()
        # JSON has no NaN: where an output is none, there is no difference to speak of.
        compared = self.finite and self.comparable
        return {
            "samples": self.samples,
            "finite": self.finite,
            "largest_output": self.scale if self.comparable else None,
            "max_difference": self.largest if compared else None,
            "mean_difference": self.difference / self.values if compared else None,
            "share_different": self.beyond / self.values if compared else None,
            "top1_agreement": self.agreement(),
            "metric_name": self.metric,
            "metric_model": model,
            "metric_file": file,
            "metric_drop": 100 * (model - file),
        }


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
        self._add_scores(wanted, received)
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
            self._add_scores(wanted, received)
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
