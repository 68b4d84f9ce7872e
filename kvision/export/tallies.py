"""What a comparison of a model and its file adds up, batch by batch."""

import numpy as np

from kvision.ops.masks import VOID

DIFFERENT = 1e-4  # how far an output is off that counts in `share_different`


def tally_for(outputs):
    """The tally for a model with these outputs, of images or of their pixels."""
    return MaskTally() if outputs.ndim == 4 else ClassTally()


class ClassTally:
    """Of classifiers: differences of scores, and how often each is right."""

    metric = "top-1 accuracy"

    def __init__(self):
        self.samples = self.values = self.places = self.beyond = 0
        self.largest = self.difference = self.scale = 0.0
        self.agreed = self.right_model = self.right_file = 0
        self.finite = self.comparable = True

    def add(self, wanted, received, labels):
        """Adds a batch: the model's scores, the file's, and the true classes."""
        self.samples += len(wanted)
        self._add_scores(wanted, received)
        if labels.shape == wanted.shape:
            labels = labels.argmax(-1)
        self._add_classes(wanted.argmax(-1), received.argmax(-1), labels.reshape(wanted.shape[:-1]))

    def _add_scores(self, wanted, received):
        difference = np.abs(wanted - received)
        self.finite = self.finite and bool(np.isfinite(difference).all())
        self.values += wanted.size
        self.largest = max(self.largest, float(difference.max()))
        self.scale = max(self.scale, float(np.abs(wanted).max()))
        self.difference += float(difference.sum())
        self.beyond += int((difference > DIFFERENT).sum())

    def _add_classes(self, model, file, labels):
        self.places += model.size
        self.agreed += int((model == file).sum())
        self.right_model += int((model == labels).sum())
        self.right_file += int((file == labels).sum())

    def metrics(self):
        """The metric of the model and of the file, 0..1."""
        return self.right_model / self.places, self.right_file / self.places

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
            "top1_agreement": self.agreed / self.places,
            "metric_name": self.metric,
            "metric_model": model,
            "metric_file": file,
            "metric_drop": 100 * (model - file),
        }


class MaskTally(ClassTally):
    """Of segmenters: the same for pixels, and the mean intersection over union.

    A file may answer with class numbers instead of scores; there is then no difference of scores.
    One score a pixel means the probability of class 1. Void pixels do not count.
    """

    metric = "mean IoU"

    def __init__(self):
        super().__init__()
        self.counts = {}

    def add(self, wanted, received, labels):
        self.samples += len(wanted)
        self.comparable = received.shape == wanted.shape
        if self.comparable:
            self._add_scores(wanted, received)
        model, file, labels = _classes(wanted), _classes(received), labels.astype(int)
        if labels.shape == wanted.shape and wanted.shape[-1] > 1:
            labels = labels.argmax(-1)
        labels = _central(labels.reshape(labels.shape[:3]), model.shape[1:])
        classes = max(2, wanted.shape[-1])
        if ((labels >= classes) & (labels != VOID)).any():
            raise ValueError(
                f"Masks must hold classes 0 to {classes - 1}, or {VOID} for void. "
                f"Received: {int(labels[labels != VOID].max())}"
            )
        known = labels != VOID
        self._add_classes(model, file, labels)
        for name, guesses in (("model", model), ("file", file)):
            pairs = np.bincount(classes * labels[known] + guesses[known], minlength=classes**2)
            self.counts[name] = self.counts.get(name, 0) + pairs.reshape(classes, classes)

    def metrics(self):
        return _mean_iou(self.counts["model"]), _mean_iou(self.counts["file"])


def _classes(outputs):
    if outputs.dtype.kind in "ui":
        return outputs[..., 0].astype(int)
    return outputs.argmax(-1) if outputs.shape[-1] > 1 else (outputs[..., 0] > 0.5).astype(int)


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
