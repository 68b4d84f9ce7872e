"""PASCAL VOC's average precision, and the verdict on each detection that it counts."""

from dataclasses import dataclass

import numpy as np

HIT, FALSE, IGNORED = 1, 0, -1


@dataclass
class Verdicts:
    """The detections and true objects of all pictures, each with what became of it.

    Attributes:
        scores: float `(m,)` of all detections, in the order of the pictures.
        classes: int `(m,)`.
        verdicts: int `(m,)`, `HIT`, `FALSE` or `IGNORED`.
        kinds: str `(m,)`, the kind of error of those that are false, `""` for others.
        targets: int `(m,)`, the true object that it found or nearly found, or -1.
        true_classes: int `(n,)` of all true objects.
        counts: bool `(n,)`, which of them must be found.
        found: bool `(n,)`, which of them were.
    """

    scores: np.ndarray
    classes: np.ndarray
    verdicts: np.ndarray
    kinds: np.ndarray
    targets: np.ndarray
    true_classes: np.ndarray
    counts: np.ndarray
    found: np.ndarray

    def of_class(self, index):
        """`(scores, hits, objects)` of a class, without what is ignored."""
        mine = (self.classes == index) & (self.verdicts != IGNORED)
        objects = int(np.sum(self.counts & (self.true_classes == index)))
        return self.scores[mine], self.verdicts[mine] == HIT, objects


def overlaps(picture):
    """IoU of each detection with each true object of a picture, whatever their classes.

    With a crowd it is the intersection over the area of the detection.
    """
    from pycocotools import mask as coding

    if not len(picture.boxes) or not len(picture.true_boxes):
        return np.zeros((len(picture.boxes), len(picture.true_boxes)))
    return coding.iou(picture.boxes, picture.true_boxes, picture.crowd.tolist())


def voc_verdicts(picture, ious, iou_threshold=0.5):
    """VOC's verdict on each detection of a picture.

    By falling score, each detection goes to the object of its class that it overlaps most. If that
    overlap suffices, it is a hit the first time and false after it; if the object is difficult, it
    is ignored, any number of times. Of detections that are false so, those that lie on a crowd of
    their class are ignored too, as in COCO; VOC has no crowds.

    Args:
        picture: a `ComparedPicture`.
        ious: of `overlaps`.
        iou_threshold: the overlap that suffices.

    Returns:
        `(verdicts, targets)`, int `(m,)`: and the object that each hit found, otherwise -1.
    """
    verdicts = np.full(len(picture.scores), FALSE)
    targets = np.full(len(picture.scores), -1)
    taken = np.zeros(len(picture.true_classes), bool)
    for i, class_ in enumerate(picture.classes):
        same = picture.true_classes == class_
        single = np.flatnonzero(same & ~picture.crowd)
        best = single[np.argmax(ious[i, single])] if len(single) else -1
        if best >= 0 and ious[i, best] >= iou_threshold:
            if picture.difficult[best]:
                verdicts[i] = IGNORED
            elif not taken[best]:
                verdicts[i], targets[i], taken[best] = HIT, best, True
        if verdicts[i] == FALSE and (ious[i, same & picture.crowd] >= iou_threshold).any():
            verdicts[i] = IGNORED
    return verdicts, targets


def average_precision(scores, hits, objects, points=None):
    """Average precision of one class.

    Args:
        scores: `(m,)` of detections.
        hits: `(m,)`, whether each is right.
        objects: how many there are to find.
        points: `None` for the area under the curve of the precision that is reached at a recall or
            a higher one, as VOC since 2010; 11 for its mean at recalls 0, 0.1, ... 1, as before.

    Returns:
        A number in 0..1, or `None` where there is nothing to find.

    Reference:
        Everingham et al.: The PASCAL visual object classes (VOC) challenge, 2010, section 4.2, and
        the development kit of VOC2012, section 3.4.1.

    Example:

    >>> average_precision([0.9, 0.8, 0.7], [True, False, True], objects=2) == (1 + 2 / 3) / 2
    True
    """
    if not objects:
        return None
    hits = np.asarray(hits, bool)[np.argsort(-np.asarray(scores, "float64"), kind="stable")]
    right = np.cumsum(hits)
    precision = right / np.arange(1, len(hits) + 1)
    reached = np.maximum.accumulate(precision[::-1])[::-1]
    if points is None:
        return float(reached[hits].sum() / objects)
    # Whole numbers, as 0.1 * 3 is more than 0.3.
    first = np.searchsorted(right * (points - 1), np.arange(points) * objects)
    return float(np.append(reached, 0.0)[first].mean())


def best_threshold(scores, hits, objects):
    """Precision and recall of a class at the score from which on its F1 is best.

    Args:
        scores, hits, objects: as in `average_precision`.

    Returns:
        A dict of `precision`, `recall` and `score`; `None` where undefined.
    """
    if not objects:
        return {"precision": None, "recall": None, "score": None}
    scores = np.asarray(scores, "float64")
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], np.cumsum(np.asarray(hits, bool)[order])
    if not len(right) or not right[-1]:
        return {"precision": None, "recall": 0.0, "score": None}
    last = np.append(scores[1:] < scores[:-1], True)  # equal scores come together
    f1 = np.where(last, 2 * right / (np.arange(1, len(right) + 1) + objects), -1.0)
    best = int(np.argmax(f1))
    return {
        "precision": float(right[best] / (best + 1)),
        "recall": float(right[best] / objects),
        "score": float(scores[best]),
    }
