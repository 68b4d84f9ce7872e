"""How good a classifier is, on how many examples, class by class."""

import math

import numpy as np

from kvision.ops.scores import INDEPENDENT, by_class, meaning_of, probabilities, true_classes


def evaluate_classifier(model, dataset, class_names=None, top=5, each=None):
    """Scores a classifier on labelled batches.

    Args:
        model: anything with `predict(images, batch_size=...)` that gives `(n, classes)` scores: a
            `keras.Model` or what `kv.export.load` returns. Whether they are probabilities is seen
            from all of them; logits go through a softmax. One column is the score of class 1
            against class 0, and what is no probability goes through the sigmoid.
        dataset: batches of `(images, labels)`, as `kv.data.batches` gives; labels are class numbers
            `(n,)` or `(n, 1)`, or one-hot rows `(n, classes)`. Rows with any number of ones are of
            several labels (multi-label).
        class_names: names in label order; numbers by default.
        top: how many guesses count as a hit in `top_k_accuracy`.
        each: a function that is called for each batch with its images, the scores that the model
            gives and the labels, so that one pass scores a model and collects pictures.

    Returns:
        A dict that JSON can hold: `samples`, `accuracy` (top 1, 0..1), `accuracy_interval` (95 %,
        Wilson), `top_k`, `top_k_accuracy`, `log_loss` (natural logarithm, of probabilities),
        `scores` (what the model gives: "probabilities" or "logits"),
        `per_class` (a list of `name, samples, precision, recall, f1`; `None` where undefined) and
        `confusion` (rows are true classes, columns predicted). Of several labels an image,
        `accuracy` is the share of images with all labels right (each taken from a probability of
        one half), `label_accuracy` that of single labels, `top_k` and `confusion` are `None`.

    Raises:
        ValueError: where there are no examples, labels outside the model's classes or of another
            shape, or scores that are not finite.

    Example:

    >>> import kvision as kv
    >>> model = kv.models.LeNet5()
    >>> test = kv.data.batches(kv.data.load("digits", "test[:32]"), (32, 32, 1), 32)
    >>> evaluate_classifier(model, test)["samples"]
    32
    """
    scores, labels = _predictions(model, dataset, each)
    meaning = meaning_of(scores, labels)
    scores, converted = probabilities(scores, meaning)
    scores = by_class(scores, meaning)
    classes = scores.shape[1]
    names = list(class_names) if class_names is not None else [str(i) for i in range(classes)]
    if len(names) != classes:
        raise ValueError(
            f"`class_names` must have one name for each of the model's {classes} classes. "
            f"Received {len(names)}: {names[:5]} ..."
        )
    given = {"samples": len(labels), "scores": "logits" if converted else "probabilities"}
    if meaning == INDEPENDENT:
        return given | _of_several_labels(scores, labels, names)
    labels = labels.argmax(1) if labels.ndim == 2 else labels
    check_labels(labels, classes)
    guesses = best_guesses(scores, top)
    hits = guesses == labels[:, None]
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (labels, guesses[:, 0]), 1)
    true_scores = scores[np.arange(len(labels)), labels]
    return given | {
        "accuracy": float(hits[:, 0].mean()),
        "accuracy_interval": list(wilson_interval(int(hits[:, 0].sum()), len(labels))),
        "top_k": guesses.shape[1],
        "top_k_accuracy": float(hits.any(axis=1).mean()),
        "log_loss": float(-np.log(np.clip(true_scores, 1e-7, 1.0)).mean()),
        "per_class": _per_class(confusion, names),
        "confusion": confusion.tolist(),
    }


def _of_several_labels(scores, labels, names):
    guesses, truth = scores > 0.5, labels > 0.5
    right = guesses == truth
    true_scores = np.where(truth, scores, 1.0 - scores)
    counts = [(guesses & truth).sum(0), truth.sum(0), guesses.sum(0)]
    return {
        "accuracy": float(right.all(1).mean()),
        "accuracy_interval": list(wilson_interval(int(right.all(1).sum()), len(labels))),
        "label_accuracy": float(right.mean()),
        "top_k": None,
        "top_k_accuracy": None,
        "log_loss": float(-np.log(np.clip(true_scores, 1e-7, 1.0)).mean()),
        "per_class": [_class_row(*row) for row in zip(names, *counts, strict=True)],
        "confusion": None,
    }


def wilson_interval(successes, trials, z=1.959964):
    """Wilson's score interval of a proportion.

    Args:
        successes: count of hits.
        trials: count of tries, at least 1.
        z: quantile of the normal distribution; the default gives 95 %.

    Returns:
        `(low, high)`, within 0..1.

    Reference:
        Wilson, Probable inference, the law of succession, and statistical inference, 1927.

    Example:

    >>> [round(bound, 3) for bound in wilson_interval(50, 100)]
    [0.404, 0.596]
    """
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def best_guesses(scores, top):
    """The classes with the largest of `(n, classes)` scores, best first: `(n, top)`."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :top]


def check_labels(labels, classes):
    """Raises where labels lie outside the model's classes."""
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"Labels must be 0 to {classes - 1}, as the model has {classes} classes. Received "
            f"labels {labels.min()} to {labels.max()}. Is this the data set it was trained on?"
        )


def _predictions(model, dataset, each):
    scores, labels = [], []
    for images, truth in dataset:
        images = np.asarray(images)
        options = {"verbose": 0} if hasattr(model, "fit") else {}
        found = np.asarray(model.predict(images, batch_size=len(images), **options), "float32")
        if found.ndim != 2 or len(found) != len(images) or not np.isfinite(found).all():
            raise ValueError(
                f"`model` must give finite scores of shape ({len(images)}, classes). Received: "
                f"shape {found.shape}, {np.count_nonzero(~np.isfinite(found))} not finite"
            )
        scores.append(found)
        labels.append(true_classes(truth, *found.shape))
        if each:
            each(images, found, labels[-1])
    if not scores:
        raise ValueError("There must be examples to evaluate on. Received an empty data set.")
    if len({part.ndim for part in labels}) > 1:
        raise ValueError(
            "Labels must be class numbers in all batches, or rows in all. Received both."
        )
    return np.concatenate(scores), np.concatenate(labels)


def _per_class(confusion, names):
    counts = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    return [_class_row(*row) for row in zip(names, *counts, strict=True)]


def _class_row(name, hits, true, guessed):
    def ratio(part, whole):
        return float(part / whole) if whole else None

    return {
        "name": name,
        "samples": int(true),
        "precision": ratio(hits, guessed),
        "recall": ratio(hits, true),
        "f1": ratio(2 * hits, true + guessed),
    }
