"""From the two outputs of a single-shot detector to objects, in NumPy.

What a detector's last layers do, for files that leave it to the app. It is the app's recipe too:
decode, cut off at the picture, suppress class by class.
"""

import numpy as np

from kvision.export.metadata.detector import NAME, read_anchors

LARGEST_SCALE = np.log(1000 / 16)  # no side is more than this many times its anchor's


def decoder(settings, custom):
    """A function from the outputs of a single-shot detector's file to its detections.

    Args:
        settings: what the file carries: `variances`, `iou_threshold`, `score_threshold`, `most`,
            `candidates`.
        custom: the flatbuffers in its metadata by name, of which one has the anchors.

    Returns:
        A function from a dict of `scores` (n, anchors, classes) and `offsets` (n, anchors, 4) to a
        dict of `boxes`, `classes`, `scores`, and these outputs as `raw`.
    """
    anchors = read_anchors(custom[NAME])
    keys = ("iou_threshold", "score_threshold", "most", "candidates")
    options = {key: settings[key] for key in keys}

    def decoded(outputs):
        boxes = np.clip(decode(outputs["offsets"], anchors, settings["variances"]), 0, 1)
        found = [
            suppress_classes(*pair, **options)
            for pair in zip(boxes, outputs["scores"], strict=True)
        ]
        stacked = {key: np.stack([one[key] for one in found]) for key in found[0]}
        return {**stacked, "raw": dict(outputs)}

    return decoded


def decode(offsets, anchors, variances):
    """Boxes from their offsets to anchors.

    Args:
        offsets: array (..., n, 4) in the order y, x, height, width.
        anchors: array (n, 4): y and x of the centre, height, width.
        variances: what the offsets were divided by.

    Returns:
        A float32 array (..., n, 4), `rel_yxyx`, not cut off at the edges of the picture.
    """
    offsets = np.asarray(offsets, "float32") * np.asarray(variances, "float32")
    centres = anchors[:, :2] + offsets[..., :2] * anchors[:, 2:]
    halves = anchors[:, 2:] * np.exp(np.minimum(offsets[..., 2:], LARGEST_SCALE)) / 2
    return np.concatenate([centres - halves, centres + halves], axis=-1).astype("float32")


def iou(boxes, others):
    """Intersection over union of every box with every other, (n, 4) and (m, 4) to (n, m)."""
    both = _areas(
        np.maximum(boxes[:, None, :2], others[None, :, :2]),
        np.minimum(boxes[:, None, 2:], others[None, :, 2:]),
    )
    either = (
        _areas(boxes[:, :2], boxes[:, 2:])[:, None] + _areas(others[:, :2], others[:, 2:]) - both
    )
    return np.divide(both, either, out=np.zeros_like(both), where=either > 0)


def share(boxes, others):
    """Intersection over the area of the first, (n, 4) and (m, 4) to (n, m)."""
    both = _areas(
        np.maximum(boxes[:, None, :2], others[None, :, :2]),
        np.minimum(boxes[:, None, 2:], others[None, :, 2:]),
    )
    own = np.broadcast_to(_areas(boxes[:, :2], boxes[:, 2:])[:, None], both.shape)
    return np.divide(both, own, out=np.zeros_like(both), where=own > 0)


def suppress_classes(
    boxes, scores, *, iou_threshold, score_threshold, most, candidates, by_class=True
):
    """The best boxes of one picture without those that overlap a better one of their class.

    Args:
        boxes: array (n, 4).
        scores: array (n, classes).
        iou_threshold: a box with more overlap than this is left out.
        score_threshold: what a score must exceed.
        most: how many boxes to give; the rest is padded with class -1.
        candidates: how many of the best pairs of a box and a class are looked at.
        by_class: whether boxes of different classes leave each other alone. If not, each box has
            only its best class: what MediaPipe Tasks does.

    Returns:
        A dict of `boxes` (most, 4), `classes` (most,) int32 and `scores` (most,), by falling score.
    """
    best = scores if by_class else np.where(scores == scores.max(-1, keepdims=True), scores, 0)
    flat = best.ravel()
    order = np.argsort(-flat, kind="stable")[:candidates]
    order = order[flat[order] > score_threshold]
    places, classes = np.divmod(order, scores.shape[-1])
    overlap = iou(boxes[places], boxes[places]) > iou_threshold
    if by_class:
        overlap &= classes[:, None] == classes[None]
    kept, alive = [], np.ones(len(order), bool)
    for index in range(len(order)):
        if alive[index] and len(kept) < most:
            kept.append(index)
            alive &= ~overlap[index]
    return padded(boxes[places[kept]], classes[kept], flat[order[kept]], most)


def padded(boxes, classes, scores, most):
    """Detections of one picture as arrays of `most` rows: class -1, score and box 0 after them."""
    result = {
        "boxes": np.zeros((most, 4), "float32"),
        "classes": np.full(most, -1, "int32"),
        "scores": np.zeros(most, "float32"),
    }
    for key, values in (("boxes", boxes), ("classes", classes), ("scores", scores)):
        result[key][: len(values)] = values
    return result


def unpadded(outputs):
    """Detections that an operator padded with anything, padded with class -1."""
    rows = []
    for i, number in enumerate(outputs["number"].ravel().astype(int)):
        found = (outputs[key][i, :number] for key in ("boxes", "classes", "scores"))
        boxes, classes, scores = found
        rows.append(padded(np.clip(boxes, 0, 1), classes, scores, outputs["scores"].shape[1]))
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def _areas(low, high):
    sides = np.maximum(high - low, 0)
    return sides[..., 0] * sides[..., 1]
