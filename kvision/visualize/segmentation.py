"""What a segmenter gets right and wrong, pixel by pixel."""

import textwrap

import numpy as np

from kvision.ops.masks import VOID
from kvision.visualize.figure import BLUE, GRID, INK, MUTED, new_figure, shorten
from kvision.visualize.mask_colors import (
    VOID_COLOR,
    class_patches,
    color_table,
    overlay,
    painted,
    plane,
    rgb,
)

_RIGHT, _WRONG = (247, 248, 249), (198, 47, 59)
_COLUMNS = ("image", "truth", "prediction", "error")


def segmentations(images, truths, predictions, class_names, colors=None):
    """A gallery: each row an image, its true mask, the predicted one, and where they differ.

    Args:
        images: pictures `(height, width, 1 or 3)`, pixels 0..255, of any sizes.
        truths: their masks `(height, width)` or `(height, width, 1)`, class indices, 255 void. A
            prediction smaller than its picture, of a model with valid convolutions, goes with a
            mask of its own size.
        predictions: likewise, each of the size of its truth.
        class_names: names in label order.
        colors: RGB 0..255, one for each class; by default `kv.visualize.palette`.

    Returns:
        A matplotlib `Figure`. The legend names the classes that occur, at most 30 of them.

    Raises:
        ValueError: where there are no pictures, or numbers, sizes or labels do not fit.

    Example:

    >>> masks = np.array([[[0, 1], [1, 255]]])
    >>> figure = segmentations(np.zeros((1, 2, 2, 3)), masks, masks, ["sky", "cat"])
    """
    from matplotlib.patches import Patch

    _check_counts(images, truths=truths, predictions=predictions)
    truths, predictions = list(map(plane, truths)), list(map(plane, predictions))
    colors = color_table(colors, len(class_names))
    patches = class_patches([*truths, *predictions], class_names, colors)
    patches.append(Patch(facecolor=np.divide(_WRONG, 255), label="wrong"))
    figure, axes = _rows_of_pictures([[image] for image in images], 4, 2.4, 0.3, patches)
    for row, image, truth, predicted in zip(axes, images, truths, predictions, strict=True):
        error = errors(truth, predicted)
        panels = (rgb(image), painted(truth, colors), painted(predicted, colors), error)
        for axis, panel in zip(row, panels, strict=True):
            _show(axis, panel)
        row[3].set_xlabel(_share_right(truth, predicted), fontsize=8, color=MUTED)
    for axis, title in zip(axes[0], _COLUMNS, strict=True):
        axis.set_title(title, fontsize=11, color=INK)
    return figure


def compared_segmentations(images, columns, class_names, colors=None):
    """Several masks of the same pictures side by side: the truth and what some networks say.

    Args:
        images: pictures `(height, width, 1 or 3)`, pixels 0..255, of any sizes.
        columns: dict of a title to masks, one for each picture and of its size, class indices, 255
            void.
        class_names: names in label order.
        colors: RGB 0..255, one for each class; by default `kv.visualize.palette`.

    Returns:
        A matplotlib `Figure`, a row for each picture.

    Raises:
        ValueError: where there are no pictures, or numbers, sizes or labels do not fit.

    Example:

    >>> masks = np.array([[[0, 1], [1, 255]]])
    >>> pictures, columns = np.zeros((1, 2, 2, 3)), {"truth": masks, "all sky": masks * 0}
    >>> figure = compared_segmentations(pictures, columns, ["sky", "cat"])
    """
    _check_counts(images, **columns)
    colors = color_table(colors, len(class_names))
    columns = {title: list(map(plane, masks)) for title, masks in columns.items()}
    patches = class_patches([m for masks in columns.values() for m in masks], class_names, colors)
    count = 1 + len(columns)
    figure, axes = _rows_of_pictures([[image] for image in images], count, 2.0, 0.1, patches)
    for number, (row, image) in enumerate(zip(axes, images, strict=True)):
        masks = [painted(masks[number], colors) for masks in columns.values()]
        for axis, panel in zip(row, [rgb(image), *masks], strict=True):
            _show(axis, panel)
    for axis, title in zip(axes[0], ["image", *columns], strict=True):
        axis.set_title(textwrap.fill(title, 16), fontsize=10, color=INK)
    return figure


def errors(truth, predicted):
    """Where two masks differ: red, void grey, the rest nearly white; uint8 RGB.

    Args:
        truth: `(height, width)` or `(height, width, 1)` class indices, 255 void.
        predicted: likewise.

    Returns:
        uint8 array `(height, width, 3)`.

    Raises:
        ValueError: where the sizes differ.

    Example:

    >>> errors(np.array([[0, 1]]), np.array([[0, 0]])).tolist()
    [[[247, 248, 249], [198, 47, 59]]]
    """
    truth, predicted = plane(truth), plane(predicted)
    if truth.shape != predicted.shape:
        raise ValueError(
            "A prediction must have the size of its truth. Received: "
            f"{predicted.shape} for {truth.shape}. Crop the truth with `kv.ops.centre_crop` if the "
            "model's convolutions are valid."
        )
    picture = np.where((truth == predicted)[..., None], _RIGHT, _WRONG)
    return np.where((truth == VOID)[..., None], VOID_COLOR, picture).astype("uint8")


def overlays(images, masks, class_names, colors=None, alpha=0.5, columns=4):
    """Pictures tinted with the colours of predicted classes.

    Args:
        images: pictures `(height, width, 1 or 3)`, pixels 0..255, of any sizes.
        masks: masks of the same sizes, class indices, 255 void.
        class_names: names in label order.
        colors: RGB 0..255, one for each class; by default `kv.visualize.palette`.
        alpha: 0 shows the pictures alone, 1 the colours alone.
        columns: pictures in a row.

    Returns:
        A matplotlib `Figure`. The legend names the classes that occur, at most 30 of them.

    Raises:
        ValueError: where there are no pictures, or numbers, sizes or labels do not fit.

    Example:

    >>> figure = overlays(np.zeros((1, 2, 2, 3)), np.array([[[0, 1], [1, 0]]]), ["sky", "cat"])
    """
    _check_counts(images, masks=masks)
    colors = color_table(colors, len(class_names))
    columns = min(columns, len(images))
    rows = [images[first : first + columns] for first in range(0, len(images), columns)]
    patches = class_patches(masks, class_names, colors)
    figure, axes = _rows_of_pictures(rows, columns, 3.0 if columns > 1 else 5.0, 0.1, patches)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, image, mask in zip(axes.flat, images, masks, strict=False):
        axis.imshow(overlay(image, mask, colors, alpha), interpolation="nearest")
    return figure


def per_class_iou(per_class, title=None):
    """Bars of each class's intersection over union, best first, with their mean.

    Args:
        per_class: the list of dicts with `name` and `iou` that `kv.evaluation.evaluate_segmenter`
            gives.
        title: by default the mean.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: where there are no classes.

    Example:

    >>> figure = per_class_iou([{"name": "sky", "iou": 0.9}, {"name": "cat", "iou": None}])
    """
    if not per_class:
        raise ValueError("`per_class` must hold at least one class. Received none.")
    ordered = sorted(per_class, key=lambda row: -1 if row["iou"] is None else row["iou"])
    scores = [row["iou"] for row in ordered]
    known = [score for score in scores if score is not None]
    mean = float(np.mean(known)) if known else None
    font = 9 if len(ordered) <= 40 else 6
    figure, axes = new_figure(size=(6.4, 1.1 + (0.24 if font == 9 else 0.13) * len(ordered)))
    axis = axes[0, 0]
    axis.barh(range(len(ordered)), [score or 0.0 for score in scores], color=BLUE, height=0.7)
    axis.set_yticks(range(len(ordered)), [shorten(row["name"]) for row in ordered], fontsize=font)
    for place, score in enumerate(scores):
        text = "does not occur" if score is None else f"{score:.1%}"
        color = MUTED if score is None else INK
        axis.text(
            (score or 0.0) + 0.01,
            place,
            text,
            va="center",
            fontsize=font,
            color=color,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )
    if mean is not None:
        axis.axvline(mean, color=MUTED, linewidth=1, linestyle="--", zorder=0)
    axis.set_xlim(0, 1.1)
    axis.set_ylim(-0.7, len(ordered) - 0.3)
    axis.set_xticks(np.linspace(0, 1, 6), [f"{share:.0%}" for share in np.linspace(0, 1, 6)])
    axis.set_xlabel("intersection over union", color=MUTED)
    axis.tick_params(axis="y", length=0)
    default = "no class occurs" if mean is None else f"mean IoU {mean:.1%}"
    axis.set_title(title or default, fontsize=11, color=INK)
    return figure


def edges(images, truths, predictions):
    """Rows of a picture, its true edges and the predicted ones, edges dark on white.

    Args:
        images: pictures `(height, width, 1 or 3)`, pixels 0..255, of any sizes.
        truths: maps `(height, width)` or `(height, width, 1)`, 1 on an edge, 0 off it, 255 void;
            `None` leaves them out.
        predictions: probabilities, likewise.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: where there are no pictures or their numbers differ.

    Example:

    >>> maps = np.eye(4)[None]
    >>> figure = edges(np.zeros((1, 4, 4, 3)), maps, maps * 0.5)
    """
    columns = {"image": images, "truth": truths, "prediction": predictions}
    columns = {title: maps for title, maps in columns.items() if maps is not None}
    _check_counts(images, **columns)
    figure, axes = _rows_of_pictures([[image] for image in images], len(columns), 2.9, 0.1, [])
    paint = {"image": rgb, "truth": _drawn, "prediction": _drawn}
    for row, *panels in zip(axes, *columns.values(), strict=True):
        for axis, title, panel in zip(row, columns, panels, strict=True):
            _show(axis, paint[title](panel))
    for axis, title in zip(axes[0], columns, strict=True):
        axis.set_title(title, fontsize=11, color=INK)
    return figure


def _drawn(edges):
    """Edges 0..1, or 255 where void, as dark lines on white; uint8 RGB."""
    edges = np.asarray(edges, "float32").reshape(np.shape(edges)[:2] + (1,))
    return rgb(np.where(edges == VOID, VOID_COLOR, 255 * (1 - edges)))


def _show(axis, picture):
    axis.imshow(picture, interpolation="nearest" if picture.shape[0] < 200 else "auto")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set(visible=True, color=GRID)


def _share_right(truth, predicted):
    counted = truth != VOID
    if not counted.any():
        return "void"
    return f"{np.mean(truth[counted] == predicted[counted]):.1%} right"


def _rows_of_pictures(rows, columns, width, gap, patches):
    """A figure with a row of axes as high as its tallest picture, and a legend below."""
    heights = [width * min(2.0, max(_tallness(image) for image in row)) + gap for row in rows]
    per_line = min(len(patches), max(3, int(width * columns / 1.35)))
    lines = -(-len(patches) // per_line) if patches else 0
    size = (width * columns, 0.4 + sum(heights) + 0.2 * lines + 0.2 * bool(lines))
    figure, axes = new_figure(len(rows), columns, size=size, height_ratios=heights)
    if patches:
        figure.legend(
            handles=patches,
            loc="outside lower center",
            ncols=per_line,
            fontsize=8,
            frameon=False,
            labelcolor=INK,
        )
    return figure, axes


def _tallness(image):
    return np.shape(image)[0] / np.shape(image)[1]


def _check_counts(images, **others):
    if not len(images):
        raise ValueError("There must be at least one picture to draw. Received none.")
    for name, values in others.items():
        if len(values) != len(images):
            raise ValueError(
                f"`{name}` must be as many as the images. Received: {len(values)} for "
                f"{len(images)} images."
            )
