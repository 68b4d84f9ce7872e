"""What a comparison of a detector and its file adds up."""

import numpy as np

from kvision.export.forms.decoding import iou
from kvision.export.proof.average_precision import AveragePrecision
from kvision.export.proof.tallies import Differences

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
                self._add_scores(wanted["raw"][key], received["raw"][key])
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
        return tuple(precision.result() for precision in self.precisions)

    def figures(self):
        """What a report says of all pictures."""
        model, file = self.metrics()
        compared = self.finite and self.comparable
        sure = max(self.detections, 1)
        share = self.beyond / self.values if self.comparable else self.missing / sure
        return {
            "samples": self.samples,
            "finite": self.finite,
            "largest_output": self.scale if self.comparable else None,
            "max_difference": self.largest if compared else None,
            "mean_difference": self.difference / self.values if compared else None,
            "share_different": share if self.finite else None,
            "top1_agreement": self.agreed / sure if self.detections else None,
            "metric_name": self.metric,
            "metric_model": model,
            "metric_file": file,
            "metric_drop": None if model is None else 100 * (model - file),
        }


_KEYS = ("boxes", "classes", "scores")
