"""What the scores of a classifier or segmenter mean, found out by looking at them (NumPy only)."""

import numpy as np

EXCLUSIVE, BINARY, INDEPENDENT = "exclusive classes", "one class", "independent classes"
_SLACK = 1e-3  # how far rounding takes a probability out of 0..1
_FEW = 1e-3  # the share of scores that may lie outside: no single one decides for all
# In 8 bits a probability is off by half a step of 1/256, and a row of n of them by n halves.
_HALF_STEP = 0.5 / 256


def are_probabilities(scores):
    """Whether nearly all of the scores lie within 0..1.

    Args:
        scores: an array of any shape, at least one score. What is not finite does not count.
    """
    return share_outside(scores) <= _FEW


def share_outside(scores):
    """The share of the finite scores that are no probabilities."""
    scores = np.asarray(scores)
    scores = scores[np.isfinite(scores)]
    return float(((scores < -_SLACK) | (scores > 1 + _SLACK)).mean()) if scores.size else 0.0


def meaning_of(scores, truth=None):
    """How the columns of scores belong together.

    Args:
        scores: array (n, classes), n at least 1.
        truth: the labels that they are compared with, as `true_classes` takes them, if known.

    Returns:
        `"one class"`: one column, the score of class 1 against class 0. `"exclusive classes"`: one
        of the columns is right. `"independent classes"`: each may be right (multi-label): the
        labels are rows with another number of ones than one, or there are rows of labels (or none)
        and the scores are probabilities whose sums are not 1.
    """
    scores = np.asarray(scores)
    classes = scores.shape[-1]
    if classes == 1:
        return BINARY
    has_rows = truth is not None and np.shape(truth) == scores.shape
    if has_rows and not (np.abs(np.sum(truth, -1) - 1) < _SLACK).all():
        return INDEPENDENT
    if truth is not None and not has_rows or not are_probabilities(scores):
        return EXCLUSIVE
    off = np.abs(scores.sum(-1) - 1)
    return EXCLUSIVE if np.median(off) <= 0.01 + classes * _HALF_STEP else INDEPENDENT


def probabilities(scores, meaning):
    """Scores as probabilities: logits go through softmax or, where each stands alone, the sigmoid.

    Args:
        scores: array (..., classes), logits or probabilities.
        meaning: what `meaning_of` says.

    Returns:
        A pair: a float array of that shape, within 0..1, and whether it was made of logits.
    """
    scores = np.asarray(scores)
    scores = scores if scores.dtype.kind == "f" else scores.astype("float32")
    if are_probabilities(scores):
        return np.clip(scores, 0.0, 1.0), False
    if meaning == EXCLUSIVE:
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True), True
    return 0.5 * (1.0 + np.tanh(0.5 * scores)), True


def by_class(scores, meaning):
    """Probabilities with one column a class: of one column `(1 - p, p)`, any other as they are."""
    return np.concatenate([1.0 - scores, scores], -1) if meaning == BINARY else scores


def true_classes(labels, count, classes):
    """Labels as class numbers `(n,)`, or as rows of 0 and 1 `(n, classes)` where they are such.

    Args:
        labels: class numbers of shape (n,) or (n, 1), or rows (n, classes), one-hot or with any
            number of ones.
        count: n.
        classes: the number of columns of the scores; one column means the classes 0 and 1.

    Raises:
        ValueError: where they have another shape, or are no whole numbers.
    """
    labels = np.asarray(labels)
    if labels.shape == (count, classes) and classes > 1:
        return labels
    if labels.shape not in ((count,), (count, 1)):
        raise ValueError(
            f"Labels of {count} images and {classes} scores each must be class numbers of shape "
            f"({count},) or ({count}, 1), or rows of shape ({count}, {classes}). "
            f"Received: {labels.shape}"
        )
    labels = labels.reshape(count)
    if labels.dtype.kind == "f" and not (labels == np.rint(labels)).all():
        raise ValueError(f"Labels must be whole numbers. Received: {labels[:5].tolist()} ...")
    return labels.astype(int)


def are_right(scores, truth):
    """Which rows of scores say what is true; of independent classes in all columns.

    Args:
        scores: array (n, classes).
        truth: what `true_classes` returned.

    Returns:
        A bool array (n,).
    """
    meaning = meaning_of(scores, truth)
    likely = by_class(probabilities(scores, meaning)[0], meaning)
    if meaning == INDEPENDENT:
        return ((likely > 0.5) == (truth > 0.5)).all(-1)
    return likely.argmax(-1) == (truth.argmax(-1) if truth.ndim == 2 else truth)


def classes_of_pixels(scores):
    """The class with the best score of each pixel; of one score a pixel class 1 or class 0.

    Args:
        scores: float array (..., classes), logits or probabilities.

    Returns:
        An integer array (...).
    """
    if scores.shape[-1] > 1:
        return scores.argmax(-1)
    return (probabilities(scores, BINARY)[0][..., 0] > 0.5).astype(int)


def names_by_class(names, classes):
    """Names for the classes of scores with so many columns.

    Args:
        names: the names that a model has, or `None` for numbers. Of one column it may have two, of
            the classes 0 and 1, or one, of class 1.
        classes: the number of columns.
    """
    if names and classes == 1 and len(names) == 1:
        return [f"not {names[0]}", names[0]]
    return list(names or [f"class {i}" for i in range(max(2, classes))])
