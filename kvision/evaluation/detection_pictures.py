"""What detection scores are made of: each picture's true and found objects, in its own pixels."""

from dataclasses import dataclass

import numpy as np

from kvision.ops.masks import paste_masks

# Relative boxes are float32. A thousandth of a pixel undoes their rounding, so that an object of
# exactly 32x32 pixels stays one.
_DECIMALS = 3
_MOST_PIXELS = 2**25  # of masks that are pasted at once


@dataclass
class ComparedPicture:
    """True and found objects of one picture, without padding.

    Attributes:
        size: (height, width) in pixels of the frame that boxes refer to.
        true_boxes: float64 `(n, 4)`, x, y, width and height in pixels.
        true_classes: int `(n,)`.
        crowd: bool `(n,)`, whether it is a region of many objects, as in COCO.
        difficult: bool `(n,)`, whether finding it counts neither way, as in VOC.
        true_areas: float64 `(n,)`, pixels that the object covers.
        boxes: float64 `(m, 4)` of detections, by falling score.
        classes: int `(m,)`.
        scores: float64 `(m,)`.
        true_masks: run-length codes of pycocotools, or `None` without masks.
        masks: likewise of the detections.
    """

    size: tuple
    true_boxes: np.ndarray
    true_classes: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray
    true_areas: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    true_masks: list | None = None
    masks: list | None = None

    @property
    def counts(self):
        """Which true objects must be found: those neither crowd nor difficult."""
        return ~(self.crowd | self.difficult)


def compared_pictures(model, dataset, each=None):
    """What a detector finds in each picture, beside what is there.

    Args:
        model: as in `evaluate_detector`.
        dataset: likewise.
        each: likewise.

    Yields:
        A `ComparedPicture` for each picture, also for those without objects or detections.

    Raises:
        ValueError: where the batches hold no truth, or the model gives no finite detections.
    """
    for images, truth, *_ in dataset:
        images = np.asarray(images)
        truth = _checked_truth(truth, images)
        found = detections_of(model, images)
        if each:
            each(images, found, truth)
        for index in range(len(images)):
            one = {key: values[index] for key, values in truth.items()}
            other = {key: values[index] for key, values in found.items()}
            yield _compared(one, other)


def detections_of(model, images):
    """What a detector gives for a batch: a dict of NumPy arrays.

    Raises:
        ValueError: where they are no boxes, classes and scores, or not finite.
    """
    options = {"verbose": 0} if hasattr(model, "fit") else {}
    found = model.predict(images, batch_size=len(images), **options)
    keys = ("boxes", "classes", "scores", "masks")
    if not isinstance(found, dict) or not set(keys[:3]) <= set(found):
        received = sorted(found) if isinstance(found, dict) else type(found).__name__
        raise ValueError(
            "`model.predict` must give a dict with 'boxes', 'classes' and 'scores', as detectors "
            f"do. Received: {received}"
        )
    found = {key: np.asarray(found[key]) for key in keys if key in found}
    most = np.shape(found["scores"])[-1] if np.ndim(found["scores"]) else 0
    shapes = {"boxes": (most, 4), "classes": (most,), "scores": (most,)}
    for key, shape in shapes.items():
        if found[key].shape != (len(images), *shape):
            raise ValueError(
                "`model.predict` must give boxes (n, most, 4), classes (n, most) and scores (n, "
                f"most). Received {key} of shape {found[key].shape} for {len(images)} images."
            )
    if not (np.isfinite(found["boxes"]).all() and np.isfinite(found["scores"]).all()):
        raise ValueError(
            "Detections must be finite numbers. Received NaN or infinity: has training diverged?"
        )
    return found


def _checked_truth(truth, images):
    if not isinstance(truth, dict) or not {"boxes", "classes"} <= set(truth):
        received = sorted(truth) if isinstance(truth, dict) else type(truth).__name__
        raise ValueError(
            "`dataset` must give batches of (images, truth), truth a dict with 'boxes' and "
            "'classes', as from kv.data.batches(..., target='objects'). "
            f"Received: {received}"
        )
    truth = {key: np.asarray(values) for key, values in truth.items()}
    shape = truth["classes"].shape
    sizes = np.broadcast_to(images.shape[1:3], (len(images), 2))
    return {
        "crowd": np.zeros(shape, bool),
        "difficult": np.zeros(shape, bool),
        "size": sizes,
        **truth,
    }


def _compared(truth, found):
    height, width = size = tuple(int(length) for length in truth["size"])
    real = truth["classes"] >= 0
    true_boxes = _in_pixels(truth["boxes"][real], size)
    areas = true_boxes[:, 2] * true_boxes[:, 3]
    if "area" in truth:
        areas = truth["area"][real].astype("float64") * height * width
    taken = np.flatnonzero((found["classes"] >= 0) & (found["scores"] > 0))
    taken = taken[np.argsort(-found["scores"][taken], kind="stable")]
    picture = ComparedPicture(
        size=size,
        true_boxes=true_boxes,
        true_classes=truth["classes"][real].astype(int),
        crowd=truth["crowd"][real].astype(bool),
        difficult=truth["difficult"][real].astype(bool),
        true_areas=areas.round(_DECIMALS),
        boxes=_in_pixels(found["boxes"][taken], size),
        classes=found["classes"][taken].astype(int),
        scores=found["scores"][taken].astype("float64"),
    )
    if "masks" in truth and "masks" in found:
        picture.true_masks = enlarged_codes(truth["masks"][real], size)
        picture.masks = _pasted(found["masks"][taken], found["boxes"][taken], size)
    return picture


def _in_pixels(boxes, size):
    """Boxes `(n, 4)` rel_yxyx as COCO's x, y, width and height."""
    height, width = size
    corners = boxes.astype("float64") * (height, width, height, width)
    top, left, bottom, right = corners.T
    sides = np.stack([left, top, np.maximum(right - left, 0), np.maximum(bottom - top, 0)], -1)
    return sides.round(_DECIMALS)


def enlarged_codes(masks, size):
    """Run-length codes of masks `(n, height, width)`, each pixel repeated to the frame's size."""
    rows, columns = (
        ((np.arange(whole) + 0.5) * have / whole).astype(int)
        for have, whole in zip(masks.shape[1:], size, strict=True)
    )
    return [_encoded(mask[rows][:, columns]) for mask in masks]


def _pasted(masks, boxes, size):
    """Run-length codes of masks in their boxes' frames, a few at a time."""
    step = max(1, _MOST_PIXELS // max(1, size[0] * size[1]))
    codes = []
    for first in range(0, len(masks), step):
        chunk = slice(first, first + step)
        whole = np.asarray(paste_masks(masks[chunk], boxes[chunk], size, threshold=0.5))
        codes += [_encoded(mask) for mask in whole]
    return codes


def _encoded(mask):
    from pycocotools import mask as coding

    return coding.encode(np.asfortranarray(mask, "uint8"))
