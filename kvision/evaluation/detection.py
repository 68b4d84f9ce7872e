"""How good a detector is: COCO's numbers, VOC's, and class by class."""

import numpy as np

from kvision.evaluation.coco_ap import coco_scores
from kvision.evaluation.detection_errors import detection_errors, detection_verdicts
from kvision.evaluation.detection_pictures import compared_pictures
from kvision.evaluation.voc_ap import average_precision, best_threshold


def evaluate_detector(model, dataset, class_names=None, each=None):
    """Scores a detector on batches with objects.

    Every picture counts: what is found where there is nothing is wrong, and what is not found
    where there is something is missed. Objects in a crowd, as COCO has them, count neither way, for
    any number of detections that lie on it. Difficult ones, as VOC has them, need not be found
    either: a detection that finds one is left out. COCO has none such; there we treat them as it
    treats objects outside a range of areas, so that a second detection on the same one is wrong.

    COCO's numbers are counted by pycocotools, which takes the best 100 detections of each class in
    a picture. Boxes are compared in pixels of the original picture (truth `size`), so that small
    and large mean what they mean there. Masks are too: the true ones are enlarged from the batch's
    size to that, the predicted ones pasted at it.

    Args:
        model: anything with `predict(images, batch_size=...)` that gives a dict of `boxes`
            `(n, most, 4)` rel_yxyx, `classes` and `scores` `(n, most)`, and `masks`
            `(n, most, 28, 28)` if it has some. Class -1 or score 0 is padding.
        dataset: batches of `(images, truth)`, as `kv.data.batches(..., target="objects")` gives.
        class_names: names in label order; numbers by default, up to the highest that occurs.
        each: a function that is called for each batch with its images, what the model finds and the
            truth, so that one pass scores a model and collects pictures.

    Returns:
        A dict that JSON can hold; what is undefined, since there are no such objects, is `None`:

        - `images`, `objects` (that must be found), `detections`;
        - `coco`: `AP, AP50, AP75, AP_small, AP_medium, AP_large, AR1, AR10, AR100, AR_small,
          AR_medium, AR_large`;
        - `coco_masks`: the same of masks, if both sides have them;
        - `voc`: `AP_area` and `AP_11_point`, means over the classes, at IoU 0.5;
        - `per_class`: list of dicts of `name, objects, AP, AP50, voc_AP` (area), with masks
          `mask_AP` and `mask_AP50`, and `precision, recall, score`: at the score from which on the
          F1 at IoU 0.5 is best;
        - `curves`: `recall` and, for each class, `precision_50` and `precision_75`, COCO's
          precision at IoU 0.5 and 0.75;
        - `errors`: from `correct` and each kind of error to `count`, `share` and `gain`. Counted
          are, of each class, as many detections as it has objects, those of highest score. A false
          one is, in this order, a `localisation` error (IoU of 0.1 to 0.5 with an object of its
          class), a `confusion` (0.5 or more with one of another class), a `duplicate` (0.5 or more
          with one of its class, which another detection found), `background` (below 0.1 with all),
          or `both` badly placed and of another class. `missed` are objects that no detection of
          any score found, nor was a localisation error or a confusion about. `gain` is by how much
          `AP_area` would rise if all errors of the kind, at any score, were repaired.

    Raises:
        ValueError: where there are no pictures, no truth, classes beyond the names, or the model
            does not give finite detections.

    Reference:
        Lin et al.: Microsoft COCO, 2014, and its detection evaluation. Everingham et al.: The
        PASCAL visual object classes (VOC) challenge, 2010. Errors: Bolya et al., TIDE: A general
        toolbox for identifying object detection errors, 2020; Hoiem et al., Diagnosing error in
        object detectors, 2012 (that as many detections are looked at as there are objects).

    Example:

    >>> corner = np.array([[[0.0, 0.0, 0.5, 0.5]]])
    >>> class Corner:
    ...     def predict(self, images, batch_size):
    ...         return {"boxes": corner, "classes": np.array([[1]]), "scores": np.array([[0.9]])}
    >>> truth = {"boxes": corner, "classes": np.array([[1]])}
    >>> result = evaluate_detector(Corner(), [(np.zeros((1, 64, 64, 3)), truth)], ["cat", "dog"])
    >>> round(result["coco"]["AP"], 3), result["per_class"][0]["AP"]
    (1.0, None)
    """
    pictures = list(compared_pictures(model, dataset, each))
    names = names_of_classes(pictures, class_names)
    numbers, coco_rows, curves = coco_scores(pictures, names)
    verdicts = detection_verdicts(pictures)
    result = {
        "images": len(pictures),
        "objects": int(verdicts.counts.sum()),
        "detections": len(verdicts.scores),
        "coco": numbers,
    }
    mask_rows = None
    if have_masks(pictures):
        result["coco_masks"], mask_rows, _ = coco_scores(pictures, names, masks=True)
    per_class = _per_class(verdicts, names, coco_rows, mask_rows)
    eleven = [average_precision(*verdicts.of_class(k), points=11) for k in range(len(names))]
    result["voc"] = {
        "AP_area": _mean([row["voc_AP"] for row in per_class]),
        "AP_11_point": _mean(eleven),
    }
    errors = detection_errors(verdicts, len(names))
    return {**result, "per_class": per_class, "curves": curves, "errors": errors}


def names_of_classes(pictures, class_names=None):
    """The classes' names, checked against what occurs; numbers if there are none.

    Raises:
        ValueError: where there are no pictures, or a class has no name.
    """
    if not pictures:
        raise ValueError("There must be pictures to evaluate on. Received: an empty data set.")
    highest = max(
        max(picture.true_classes.max(initial=-1), picture.classes.max(initial=-1))
        for picture in pictures
    )
    if class_names is None:
        return [str(index) for index in range(highest + 1)]
    names = [str(name) for name in class_names]
    if highest >= len(names):
        raise ValueError(
            f"Classes must be 0 to {len(names) - 1}, as there are {len(names)} class names "
            f"(without background). Received also: {highest}. Is this the data set it was trained "
            "on?"
        )
    return names


def have_masks(pictures):
    """Whether truth and detections of all pictures have masks."""
    return all(picture.masks is not None for picture in pictures)


def _per_class(verdicts, names, coco_rows, mask_rows):
    rows = []
    for index, name in enumerate(names):
        scores, hits, objects = verdicts.of_class(index)
        row = {
            "name": name,
            "objects": objects,
            **coco_rows[index],
            "voc_AP": average_precision(scores, hits, objects),
        }
        if mask_rows is not None:
            row.update({f"mask_{key}": value for key, value in mask_rows[index].items()})
        rows.append({**row, **best_threshold(scores, hits, objects)})
    return rows


def _mean(values):
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
