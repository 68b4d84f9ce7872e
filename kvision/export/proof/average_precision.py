"""COCO's average precision in NumPy, for comparing a detector's file with its model.

Of the protocol's numbers only the first: the mean over classes and over ten thresholds of overlap,
objects of every size, a hundred detections of a class in a picture.
"""

import numpy as np

from kvision.export.forms.decoding import iou, share

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
MOST = 100


class AveragePrecision:
    """Adds up pictures, then gives COCO's AP (0..1), or `None` where there are no objects."""

    def __init__(self):
        self.classes = {}

    def add(self, boxes, classes, scores, truth):
        """Adds a picture.

        Args:
            boxes: array (n, 4) of what was found, `rel_yxyx`.
            classes: array (n,); -1 is padding.
            scores: array (n,).
            truth: a dict of `boxes` (m, 4) and `classes` (m,), -1 where padded, and where they
                matter of `crowd` and `difficult` (m,).
        """
        true_classes = np.asarray(truth["classes"])
        for label in np.union1d(classes[classes >= 0], true_classes[true_classes >= 0]):
            found, true = classes == label, true_classes == label
            order = np.flatnonzero(found)[np.argsort(-scores[found], kind="stable")][:MOST]
            marks = {key: _marks(truth, key)[true] for key in ("crowd", "difficult")}
            self._add_class(int(label), boxes[order], scores[order], truth["boxes"][true], marks)

    def _add_class(self, label, boxes, scores, true_boxes, marks):
        ignored = marks["crowd"] | marks["difficult"]
        order = np.argsort(ignored, kind="stable")  # what counts is matched first
        ignored, crowd = ignored[order], marks["crowd"][order]
        true_boxes = np.asarray(true_boxes, "float64")[order]
        boxes = np.asarray(boxes, "float64")
        overlap = np.where(crowd, share(boxes, true_boxes), iou(boxes, true_boxes))
        hits, passed = _match(overlap, ignored, crowd)
        entry = self.classes.setdefault(label, {"objects": 0, "scores": [], "hits": [], "out": []})
        entry["objects"] += int((~ignored).sum())
        for key, values in (("scores", scores), ("hits", hits), ("out", passed)):
            entry[key].append(values)

    def result(self):
        """The mean over the classes that have objects, or `None`."""
        values = [_of_class(entry) for entry in self.classes.values() if entry["objects"]]
        return float(np.mean(values)) if values else None


def _marks(truth, key):
    if key not in truth:
        return np.zeros(len(truth["classes"]), bool)
    return np.asarray(truth[key]).astype(bool)


def _match(overlap, ignored, crowd):
    """For each detection, best first, and threshold: whether it hits, and whether it counts.

    Args:
        overlap: array (n, m) of detections and objects, those that are ignored last.
        ignored: array (m,): objects that need not be found.
        crowd: array (m,): those that may be found any number of times.

    Returns:
        Two arrays (n, thresholds): what hits an object, and what hits one that is ignored.
    """
    hits = np.zeros((len(overlap), len(THRESHOLDS)), bool)
    passed = np.zeros_like(hits)
    for t, threshold in enumerate(THRESHOLDS):
        free = np.ones(overlap.shape[1], bool)
        for d, row in enumerate(overlap):
            fits = (free | crowd) & (row >= min(threshold, 1 - 1e-10))
            candidates = fits & ~ignored if (fits & ~ignored).any() else fits
            if not candidates.any():
                continue
            # Of equal overlaps the last, as pycocotools takes it.
            best = np.flatnonzero(candidates & (row == row[candidates].max()))[-1]
            free[best] = False
            hits[d, t] = True
            passed[d, t] = ignored[best]
    return hits, passed


def _of_class(entry):
    scores = np.concatenate(entry["scores"])
    order = np.argsort(-scores, kind="stable")
    hits, passed = (np.concatenate(entry[key])[order] for key in ("hits", "out"))
    right = np.cumsum(hits & ~passed, axis=0)
    wrong = np.cumsum(~hits & ~passed, axis=0)
    values = []
    for t in range(len(THRESHOLDS)):
        recall = right[:, t] / entry["objects"]
        precision = right[:, t] / np.maximum(right[:, t] + wrong[:, t], 1e-12)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        places = np.searchsorted(recall, RECALLS, side="left")
        values.append(np.append(precision, 0.0)[np.minimum(places, len(precision))].mean())
    return np.mean(values)
