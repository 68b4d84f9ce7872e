"""What a classifier gets right and wrong."""

import numpy as np

from kvision.ops.scores import (
    INDEPENDENT,
    by_class,
    meaning_of,
    names_by_class,
    probabilities,
    true_classes,
)
from kvision.visualize.figure import GREEN, INK, MUTED, RED, new_figure, shorten

LONGEST_COUNT = 100_000


def confusion_matrix(confusion, class_names, title=None):
    """Counts of true against predicted classes, coloured by the share of the true class.

    Counts too long for a cell, as those of pixels, give way to percent of the true class.

    Args:
        confusion: `(classes, classes)` counts, rows true, as `kv.evaluation.evaluate_classifier`
            and `kv.evaluation.evaluate_segmenter` give.
        class_names: names in label order.
        title: by default the accuracy.

    Returns:
        A matplotlib `Figure`. Above 40 classes the cells carry no numbers and some names are left
        out.

    Raises:
        ValueError: where the matrix is not square or the names do not fit.

    Example:

    >>> figure = confusion_matrix([[9, 1], [0, 10]], ["cat", "dog"])
    """
    from matplotlib.colors import PowerNorm

    counts = np.asarray(confusion)
    classes = len(class_names)
    if counts.shape != (classes, classes):
        raise ValueError(
            f"`confusion` must be of shape ({classes}, {classes}), as there are {classes} class "
            f"names. Received: {counts.shape}"
        )
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    side = min(3.0 + 0.45 * classes, 13.0)
    figure, axes = new_figure(size=(side + 0.8, side))
    axis = axes[0, 0]
    picture = axis.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))  # few mistakes show
    step = max(1, -(-classes // 40))
    ticks = range(0, classes, step)
    names = [shorten(class_names[i]) for i in ticks]
    axis.set_xticks(ticks, names, rotation=90 if max(map(len, names)) > 2 else 0)
    axis.set_yticks(ticks, names)
    axis.set_xlabel("predicted", color=MUTED)
    axis.set_ylabel("true", color=MUTED)
    in_percent = counts.max(initial=0) >= LONGEST_COUNT
    if classes <= 40:
        _write_counts(axis, counts, shares, in_percent, fontsize=9 if classes <= 20 else 6)
    accuracy, total = np.trace(counts) / max(counts.sum(), 1), counts.sum()
    total = f"{total / 1e6:,.1f} million" if total >= 1e6 else total
    axis.set_title(title or f"{accuracy:.2%} of {total} right", fontsize=11, color=INK)
    bar = figure.colorbar(picture, ax=axis, shrink=0.8)
    unit = ", cells in percent" if in_percent and classes <= 40 else ""
    bar.set_label(f"share of the true class{unit}", color=MUTED)
    bar.outline.set_visible(False)
    return figure


def _write_counts(axis, counts, shares, in_percent, fontsize):
    for row, column in zip(*np.nonzero(counts), strict=True):
        share = shares[row, column]
        color = "white" if share > 0.35 else INK
        percent = f"{100 * share:.{0 if share >= 0.0995 else 1}f}"
        axis.text(
            column,
            row,
            percent if in_percent else counts[row, column],
            ha="center",
            va="center",
            color=color,
            fontsize=fontsize,
        )


def predictions(images, scores, class_names, labels=None, columns=6):
    """Pictures with the predicted class and its score; green where right, red where wrong.

    Args:
        images: `(n, height, width, 1 or 3)`, pixels 0..255.
        scores: `(n, classes)` probabilities or logits. One column is the score of class 1 against
            class 0.
        class_names: names in label order.
        labels: true classes `(n,)` or one-hot rows, if known. Of several labels an image (rows with
            any number of ones) all from one half on are named, and all must be right.
        columns: pictures in a row.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: where there are no pictures.

    Example:

    >>> import numpy as np
    >>> figure = predictions(np.zeros((1, 8, 8, 3)), [[0.1, 0.9]], ["cat", "dog"], labels=[1])
    """
    if not len(images):
        raise ValueError("There must be at least one picture to draw. Received none.")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure, axes = new_figure(rows, columns, size=(1.75 * columns, 2.15 * rows))
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, image, told in zip(
        axes.flat, images, _told(scores, class_names, labels), strict=False
    ):
        text, color = told
        pixels = np.clip(np.asarray(image), 0, 255).astype("uint8")
        axis.imshow(
            pixels[..., 0] if pixels.shape[-1] == 1 else pixels, cmap="gray", vmin=0, vmax=255
        )
        axis.set_title(text, fontsize=9, color=color)
    return figure


def _told(scores, class_names, labels):
    """What stands above each picture, and in which colour."""
    scores = np.asarray(scores)
    truth = None if labels is None else true_classes(labels, *scores.shape)
    meaning = meaning_of(scores, truth)
    names = [shorten(name) for name in names_by_class(class_names, scores.shape[1])]
    scores = by_class(probabilities(scores, meaning)[0], meaning)
    several = meaning == INDEPENDENT
    if truth is not None and several != (truth.ndim == 2):
        truth = truth.argmax(-1)
    for index, row in enumerate(scores):
        best = int(row.argmax())
        found = np.flatnonzero(row > 0.5).tolist() if several else [best]
        text = ", ".join(f"{names[i]}  {row[i]:.0%}" for i in found) or "nothing"
        if truth is None:
            yield text, INK
            continue
        true = np.flatnonzero(truth[index] > 0.5).tolist() if several else [int(truth[index])]
        right = found == true
        said = ", ".join(names[i] for i in true) or "nothing"
        yield text if right else f"{text}\ntrue: {said}", GREEN if right else RED
