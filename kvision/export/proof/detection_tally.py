"""What a comparison of a detector and its file adds up."""

import numpy as np

from kvision.export.forms.decoding import iou
from kvision.export.proof.average_precision import AveragePrecision
from kvision.export.proof.differences import Differences

SAME_SCORE, SAME_IOU = 1e-3, 0.99  # within these a detection is the model's own
AGREED_IOU = 0.5
SURE = 0.3  # scores from which on a model's detections must be those of its file


class DetectionTally(Differences):
    """Of detectors: differences of scores and offsets, and COCO's AP of both.

    Where a file has its network's own outputs, they are compared: probabilities, and the offsets of
    boxes in sides of their anchors. Where it has none, its detections are: each of the model's must
    be there with the same class, score and place.

    Args:
        across: where the file suppresses boxes across classes, the overlap from which; the model's
            detections are compared after the same.
    """

    metric = "COCO AP"

    def __init__(self, across=None):
        super().__init__()
        self.across = across
        self.precisions = AveragePrecision(), AveragePrecision()
        self.detections = self.missing = self.agreed = 0

    def add(self, wanted, received, truth):
        """Adds a batch.

        Args:
            wanted: a dict of the model's `boxes`, `classes` and `scores`, and where it is known
                what the network computed: `raw`, a dict of `scores` and `offsets`.
            received: the same of the file.
            truth: a dict of arrays, as `kv.data.batches(..., target="objects")` gives.
        """
        self.samples += len(wanted["boxes"])
        self.comparable = "raw" in wanted and "raw" in received
        for outputs in (wanted, received):
            for key in ("boxes", "scores"):
                self.finite = self.finite and bool(np.isfinite(outputs[key]).all())
        if self.comparable:
            for key in ("scores", "offsets"):
                self.compare(wanted["raw"][key], received["raw"][key])
        for i in range(len(wanted["boxes"])):
            model, file = ({key: found[key][i] for key in _KEYS} for found in (wanted, received))
            self._add_picture(model, file, {key: value[i] for key, value in truth.items()})

    def _add_picture(self, model, file, truth):
        for precision, found in zip(self.precisions, (model, file), strict=True):
            precision.add(*(found[key] for key in _KEYS), truth)
        sure = (model["scores"] >= SURE) & self._stays(model)
        boxes, classes, scores = (model[key][sure] for key in _KEYS)
        overlap = iou(boxes, file["boxes"])
        overlap[classes[:, None] != file["classes"][None]] = 0
        near = np.abs(scores[:, None] - file["scores"][None]) <= SAME_SCORE
        self.detections += len(boxes)
        self.missing += int((~((overlap >= SAME_IOU) & near).any(1)).sum())
        self.agreed += int((overlap >= AGREED_IOU).any(1).sum())

    def _stays(self, found):
        """Which detections overlap no better one, of whatever class, that stays."""
        if self.across is None:
            return np.ones(len(found["scores"]), bool)
        overlap = np.tril(iou(found["boxes"], found["boxes"]) > self.across, -1)
        stays = np.ones(len(overlap), bool)
        for index, row in enumerate(overlap):
            stays[index] = not (row & stays).any()
        return stays

    def metrics(self):
        """Returns the average precision of the model and of the file, `None` without objects."""
        return tuple(precision.result() for precision in self.precisions)

    def agreement(self):
        """Returns how many of the model's detections the file has too, 0..1."""
        return self.agreed / self.detections if self.detections else None

    def share(self):
        """Returns the share of outputs, or where the file shows none of detections, that differ."""
        if self.comparable:
            return super().share()
        return self.missing / max(self.detections, 1) if self.finite else None

    def doubts(self, limits):
        """Returns a sentence where there was nothing to be compared."""
        if self.detections or "max_difference" in limits:
            return []
        return [f"The model is sure of no object (score {SURE} or more): nothing was compared."]

    def figures(self):
        """Returns what a report says of all pictures, as a dict.

        Raises:
            ValueError: where there are no objects in them.
        """
        if self.metrics()[0] is None:
            raise ValueError(
                "`dataset` must hold objects, so that there is an average precision to compare. "
                f"Received: {self.samples} pictures without any"
            )
        return super().figures()


_KEYS = ("boxes", "classes", "scores")
