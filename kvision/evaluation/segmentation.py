"""How good a segmenter is, over all pixels and class by class."""

import numpy as np

from kvision.evaluation.boundaries import boundary_scores
from kvision.ops.masks import VOID, centre_crop
from kvision.ops.scores import classes_of_pixels


def evaluate_segmenter(
    model,
    dataset,
    class_names=None,
    boundary_tolerance=0.0075,
    ignore_class=VOID,
    crop_truth=False,
    each=None,
):
    """Scores a segmenter on batches with masks.

    Holds one batch and a confusion matrix at a time.

    Args:
        model: anything with `predict(images, batch_size=...)` that gives scores `(n, height, width,
            classes)` or labels `(n, height, width, 1)`: a `keras.Model` or what `kv.export.load`
            returns, also of a file that ends in the arg-max. One score a pixel is that of class 1
            against class 0.
        dataset: batches of `(images, masks)` or `(images, masks, weights)`, as `kv.data.batches`
            gives; the weights are left out.
        class_names: names in label order; numbers by default. A model that gives labels needs them.
        boundary_tolerance: how far a boundary pixel may be off: below 1 a share of the picture's
            diagonal, from 1 pixels. `None` leaves out `boundary_f1`, which takes the longest.
        ignore_class: the label of pixels that do not count; `None` if all do.
        crop_truth: for a model of valid convolutions, whose predictions are smaller: compare them
            with the middle of the masks.
        each: a function that is called for each batch with its images, the class of each pixel that
            the model finds and the true one, both `(n, height, width)`, so that one pass scores a
            model and collects pictures.

    Returns:
        A dict that JSON can hold: `images`, `pixels` (that count), `mean_iou`, `pixel_accuracy`,
        `mean_accuracy`, `frequency_weighted_iou`, `boundary_f1` (of each class averaged over the
        images with such a boundary, then over the classes), `per_class` (a list of `name, iou,
        accuracy, precision, boundary_f1, pixels`) and `confusion` (rows are true classes, columns
        predicted). Means are over the classes that occur, in the truth or, for `mean_iou`, in a
        prediction; what is undefined is `None`.

    Raises:
        ValueError: where there are no pixels that count, labels outside the classes, or sizes that
            do not fit.

    Example:

    >>> masks = np.array([[[[0], [1]], [[1], [255]]]])
    >>> class AllOnes:
    ...     def predict(self, images, batch_size):
    ...         return np.ones((1, 2, 2, 1), int)
    >>> result = evaluate_segmenter(AllOnes(), [(np.zeros((1, 2, 2, 3)), masks)], ["sky", "cat"])
    >>> result["per_class"][1]["precision"] == 2 / 3, result["mean_iou"] == 1 / 3
    (True, True)
    """
    names = None if class_names is None else [str(name) for name in class_names]
    confusion, images_seen = None, 0
    boundary_sum = boundary_count = 0
    for images, masks, *_ in dataset:
        truth = _labels_of_masks(masks)
        predicted, classes = predicted_labels(model, images, names)
        truth = fitted(truth, predicted.shape[1:], crop_truth)
        if confusion is None:
            names = names or [str(i) for i in range(classes)]
            confusion = np.zeros((classes, classes), np.int64)
        _check_names(names, classes)
        confusion += _counts(truth, predicted, classes, ignore_class)
        if each:
            each(np.asarray(images), predicted, truth)
        images_seen += len(truth)
        if boundary_tolerance is not None:
            scores = np.stack(
                [
                    boundary_scores(mine, theirs, classes, boundary_tolerance, ignore_class)
                    for mine, theirs in zip(truth, predicted, strict=True)
                ]
            )
            boundary_sum += np.nansum(scores, 0)
            boundary_count += np.sum(~np.isnan(scores), 0)
    if confusion is None or not confusion.sum():
        raise ValueError(
            "There must be labelled pixels to evaluate on. Received: "
            + ("an empty data set." if confusion is None else "masks of void only.")
        )
    if boundary_tolerance is None:
        boundary_sum = boundary_count = np.zeros(len(names))
    boundary = [_ratio(*pair) for pair in zip(boundary_sum, boundary_count, strict=True)]
    return {"images": images_seen, **segmentation_scores(confusion, names, boundary)}


def segmentation_scores(confusion, class_names, boundary=None):
    """What follows from counts of pixels.

    Args:
        confusion: `(classes, classes)` counts of pixels, rows true, columns predicted.
        class_names: names in label order.
        boundary: boundary F1 of each class, numbers or `None`.

    Returns:
        The dict of `evaluate_segmenter` without `images`.

    Example:

    >>> segmentation_scores([[3, 1], [0, 4]], ["sky", "cat"])["pixel_accuracy"]
    0.875
    """
    confusion = np.asarray(confusion)
    boundary = boundary or [None] * len(class_names)
    hits, true, guessed = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    per_class = [
        {
            "name": str(name),
            "iou": _ratio(hits[i], true[i] + guessed[i] - hits[i]),
            "accuracy": _ratio(hits[i], true[i]),
            "precision": _ratio(hits[i], guessed[i]),
            "boundary_f1": boundary[i],
            "pixels": int(true[i]),
        }
        for i, name in enumerate(class_names)
    ]
    weighted = [row["iou"] * row["pixels"] for row in per_class if row["pixels"]]
    return {
        "pixels": int(confusion.sum()),
        "mean_iou": _mean(per_class, "iou"),
        "pixel_accuracy": _ratio(hits.sum(), confusion.sum()),
        "mean_accuracy": _mean(per_class, "accuracy"),
        "frequency_weighted_iou": _ratio(sum(weighted), confusion.sum()),
        "boundary_f1": _mean(per_class, "boundary_f1"),
        "per_class": per_class,
        "confusion": confusion.tolist(),
    }


def predicted_labels(model, images, class_names=None):
    """The class of each pixel that a segmenter finds.

    Args:
        model: as in `evaluate_segmenter`.
        images: a batch of pixels.
        class_names: names in label order; needed where the model gives labels.

    Returns:
        `(labels, classes)`: integers `(n, height, width)` and how many classes the model has.

    Raises:
        ValueError: where what the model gives is neither scores nor labels.
    """
    images = np.asarray(images)
    options = {"verbose": 0} if hasattr(model, "fit") else {}
    answer = model.predict(images, batch_size=len(images), **options)
    if isinstance(answer, (list, tuple)) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, (dict, list, tuple)):
        named = sorted(answer) if isinstance(answer, dict) else len(answer)
        raise ValueError(
            f"`model` must have one output. Received: {named}. Pass "
            "`keras.Model(model.input, model.output[...])`."
        )
    answer = np.asarray(answer)
    if answer.ndim not in (3, 4):
        raise ValueError(
            "`model` must give scores (n, height, width, classes) or labels (n, height, width, 1). "
            f"Received: {answer.shape}"
        )
    if answer.ndim == 4 and answer.shape[-1] > 1:
        return answer.argmax(-1), answer.shape[-1]
    labels = answer.reshape(answer.shape[:3]).astype(np.int64)
    if not np.array_equal(labels, answer.reshape(labels.shape)):  # one score: class 1 or class 0
        return classes_of_pixels(answer.reshape(*labels.shape, 1)), 2
    if class_names is None:
        raise ValueError("`class_names` must be given for a model that gives labels, not scores.")
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise ValueError(
            f"Predicted labels must be 0 to {len(class_names) - 1}, as there are "
            f"{len(class_names)} class names. Received: {labels.min()} to {labels.max()}."
        )
    return labels, len(class_names)


def fitted(truth, size, crop=False):
    """Masks `(n, height, width)` of the size of the predictions, cropped if need be and allowed."""
    if tuple(truth.shape[1:]) == tuple(size):
        return truth
    if crop:
        return centre_crop(truth[..., None], size)[..., 0]
    raise ValueError(
        "Predictions must have the size of the masks. Received: predictions of "
        f"{tuple(size)}, masks of {tuple(truth.shape[1:])}. Pass `crop_truth=True` if the model's "
        "convolutions are valid, so that it predicts the middle; make batches of the model's "
        "output size, or resize its output, if it is coarse."
    )


def _labels_of_masks(masks):
    masks = np.asarray(masks)
    if masks.ndim == 4 and masks.shape[-1] == 1:
        masks = masks[..., 0]
    if masks.ndim != 3 or masks.dtype.kind not in "iu":
        raise ValueError(
            "`dataset` must give batches of (images, masks), masks of whole numbers (n, height, "
            f"width, 1). Received: masks of shape {masks.shape} and {masks.dtype}."
        )
    return masks.astype(np.int64)


def _check_names(names, classes):
    if len(names) != classes:
        raise ValueError(
            f"`class_names` must have one name for each of the model's {classes} classes, "
            f"background included. Received {len(names)}: {names[:5]} ..."
        )


def _counts(truth, predicted, classes, ignore_class):
    counted = np.ones(truth.shape, bool) if ignore_class is None else truth != ignore_class
    truth, predicted = truth[counted], predicted[counted]
    strange = truth[(truth < 0) | (truth >= classes)]
    if len(strange):
        raise ValueError(
            f"Labels must be 0 to {classes - 1} or {ignore_class} (void), as the model has "
            f"{classes} classes. Received also: {np.unique(strange)[:5].tolist()}. Is this the "
            "data set it was trained on?"
        )
    cells = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes)


def _ratio(part, whole):
    return float(part / whole) if whole else None


def _mean(rows, key):
    values = [row[key] for row in rows if row[key] is not None]
    return float(np.mean(values)) if values else None
