"""How good a classifier is, on how many examples, class by class."""

import math

import numpy as np


def evaluate_classifier(model, dataset, class_names=None, top=5):
    """Scores a classifier on labelled batches.

    Args:
        model: anything with `predict(images, batch_size=...)` that gives `(n, classes)` scores: a
            `keras.Model` or what `kv.export.load` returns.
        dataset: batches of `(images, labels)`, as `kv.data.batches` gives.
        class_names: names in label order; numbers by default.
        top: how many guesses count as a hit in `top_k_accuracy`.

    Returns:
        A dict that JSON can hold: `samples`, `accuracy` (top 1, 0..1), `accuracy_interval` (95 %,
        Wilson), `top_k`, `top_k_accuracy`, `log_loss` (natural logarithm, of probabilities),
        `per_class` (a list of `name, samples, precision, recall, f1`; `None` where undefined) and
        `confusion` (rows are true classes, columns predicted).

    Raises:
        ValueError: where there are no examples, or labels outside the model's classes.

    Example:

    >>> import kvision as kv
    >>> model = kv.models.LeNet5()
    >>> test = kv.data.batches(kv.data.load("digits", "test[:32]"), (32, 32, 1), 32)
    >>> evaluate_classifier(model, test)["samples"]
    32
    """
    scores, labels = _predictions(model, dataset)
    classes = scores.shape[1]
    check_labels(labels, classes)
    names = list(class_names) if class_names is not None else [str(i) for i in range(classes)]
    if len(names) != classes:
        raise ValueError(
            f"`class_names` must have one name for each of the model's {classes} classes. "
            f"Received {len(names)}: {names[:5]} ..."
        )
    guesses = best_guesses(scores, top)
    hits = guesses == labels[:, None]
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (labels, guesses[:, 0]), 1)
    true_scores = scores[np.arange(len(labels)), labels]
    return {
        "samples": len(labels),
        "accuracy": float(hits[:, 0].mean()),
        "accuracy_interval": list(wilson_interval(int(hits[:, 0].sum()), len(labels))),
        "top_k": guesses.shape[1],
        "top_k_accuracy": float(hits.any(axis=1).mean()),
        "log_loss": float(-np.log(np.clip(true_scores, 1e-7, 1.0)).mean()),
        "per_class": _per_class(confusion, names),
        "confusion": confusion.tolist(),
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


def _predictions(model, dataset):
    scores, labels = [], []
    for images, truth in dataset:
        images = np.asarray(images)
        options = {"verbose": 0} if hasattr(model, "fit") else {}
        scores.append(np.asarray(model.predict(images, batch_size=len(images), **options)))
        labels.append(np.asarray(truth))
    if not scores:
        raise ValueError("There must be examples to evaluate on. Received an empty data set.")
    return np.concatenate(scores).astype("float32"), np.concatenate(labels).astype(int)


def _per_class(confusion, names):
    def ratio(part, whole):
        return float(part / whole) if whole else None

    rows = []
    for index, name in enumerate(names):
        hits, true, guessed = (
            confusion[index, index],
            confusion[index].sum(),
            confusion[:, index].sum(),
        )
        rows.append(
            {
                "name": name,
                "samples": int(true),
                "precision": ratio(hits, guessed),
                "recall": ratio(hits, true),
                "f1": ratio(2 * hits, true + guessed),
            }
        )
    return rows
