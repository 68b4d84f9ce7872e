"""What a comparison of any model and its file adds up, batch by batch."""

import numpy as np

DIFFERENT = 1e-4  # how far an output is off that counts in `share_different`


class Differences:
    """How far the outputs of a model and its file are apart, and how good each is.

    A task's tally is one of these with a name, `metric`, and the methods `add` and `metrics`.

    Attributes:
        metric: what the figures of `metrics` are called.
        samples: how many examples there were.
        comparable: whether model and file give the same kind of outputs; their differences count
            only then.
    """

    def __init__(self):
        self.samples = self.values = self.beyond = 0
        self.largest = self.difference = self.scale = 0.0
        self.finite = self.comparable = True

    def add(self, wanted, received, truth):
        """Adds a batch.

        Args:
            wanted: what the model answers, as `kv.export.load(path).predict(..., raw=True)` gives
                it.
            received: what the file answers.
            truth: what `dataset` gives beside the images.
        """
        raise NotImplementedError

    def metrics(self):
        """Returns the metric of the model and that of the file; a share as 0..1."""
        raise NotImplementedError

    def agreement(self):
        """Returns how often model and file say the same, 0..1; `None` where that means nothing."""

    def share(self):
        """Returns the share of what is different, 0..1; `None` where it cannot be told."""
        return self.beyond / self.values if self.finite and self.comparable else None

    def doubts(self, limits):
        """Returns sentences on why passing within these limits says little."""
        return []

    def compare(self, wanted, received):
        """Adds the differences of two arrays of outputs."""
        difference = np.abs(wanted - received)
        self.finite = self.finite and bool(np.isfinite(difference).all())
        self.values += wanted.size
        self.largest = max(self.largest, float(difference.max()))
        self.scale = max(self.scale, float(np.abs(wanted).max()))
        self.difference += float(difference.sum())
        self.beyond += int((difference > DIFFERENT).sum())

    def figures(self):
        """Returns what a report says of all batches, as a dict."""
        model, file = self.metrics()
        # JSON has no NaN: where an output is none, there is no difference to speak of.
        compared = self.finite and self.comparable
        return {
            "samples": self.samples,
            "finite": self.finite,
            "largest_output": self.scale if self.comparable else None,
            "max_difference": self.largest if compared else None,
            "mean_difference": self.difference / self.values if compared else None,
            "share_different": self.share(),
            "top1_agreement": self.agreement(),
            "metric_name": self.metric,
            "metric_model": model,
            "metric_file": file,
        }
