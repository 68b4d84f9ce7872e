"""A gallery of what a detector found, missed and made up."""

import numpy as np

from kvision.ops.boxes import iou, share
from kvision.visualize.boxes import class_colors, drawn_objects, mask_of, tinted
from kvision.visualize.figure import BLUE, GREEN, INK, MUTED, ORANGE, RED, new_figure
from kvision.visualize.mask_colors import rgb

_STYLES = {
    "true object": {"edgecolor": BLUE, "linestyle": "-"},
    "found": {"edgecolor": GREEN, "linestyle": "-"},
    "false alarm": {"edgecolor": RED, "linestyle": "--"},
    "missed": {"edgecolor": ORANGE, "linestyle": ":"},
    "not counted": {"edgecolor": MUTED, "linestyle": "-."},
}
_RIGHT = 0.5  # IoU


def detections(images, predictions, truths=None, names=None, score_threshold=0.5):
    """A gallery: each picture with its true objects, beside it with those that were found.

    Beside the truth, boxes tell by colour and by line what is found, a false alarm (dashed) and
    missed (dotted), by VOC's rule at an IoU of 0.5; crowds, difficult objects and what lies on them
    are not counted.

    Args:
        images: pictures `(height, width, 1 or 3)`, pixels 0..255.
        predictions: a dict of arrays with a row for each picture, as `model.predict` gives, or a
            list with a dict for each picture: `boxes`, `classes`, `scores`, with or without
            `masks`.
        truths: likewise `boxes` and `classes`, with or without `crowd`, `difficult` and `masks`.
            Without them the pictures stand in rows of three, with what was found.
        names: names in label order; numbers by default.
        score_threshold: the least score that is drawn; a number, or one for each class, such as
            `score` of `per_class` of `kv.evaluation.evaluate_detector`.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: where there are no pictures, or numbers do not fit.

    Example:

    >>> corner = {"boxes": np.array([[[0.0, 0.0, 0.5, 0.5]]]), "classes": np.array([[0]])}
    >>> found = {**corner, "scores": np.array([[0.9]])}
    >>> figure = detections(np.zeros((1, 20, 20, 3)), found, corner, ["cat"])
    """
    if not len(images):
        raise ValueError("There must be at least one picture to draw. Received none.")
    predictions = _rows(predictions, "predictions", len(images))
    truths = None if truths is None else _rows(truths, "truths", len(images))
    columns = min(3, len(images)) if truths is None else 2
    rows = -(-len(images) * (1 if truths is None else 2) // columns)
    width = 3.6 if columns > 1 else 5.0
    tall = max(np.shape(image)[0] / np.shape(image)[1] for image in images)
    figure, axes = new_figure(
        rows, columns, size=(width * columns, 0.5 + rows * (width * min(tall, 2.0) + 0.1))
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for number, image in enumerate(images):
        found = _objects(predictions[number], names, score_threshold)
        if truths is None:
            _draw(axes.flat[number], image, [(o, "found") for o in found], by_class=True)
            continue
        true = _objects({k: v for k, v in truths[number].items() if k != "scores"}, names)
        flags = _flags(truths[number], true)
        styles = ["not counted" if any(flag) else "true object" for flag in flags]
        _draw(axes[number, 0], image, list(zip(true, styles, strict=True)))
        _draw(axes[number, 1], image, _compared(found, true, flags))
    if truths is not None:
        axes[0, 0].set_title("truth", fontsize=11, color=INK)
        axes[0, 1].set_title("prediction", fontsize=11, color=INK)
        _legend(figure)
    return figure


def _rows(table, name, count):
    """A dict of arrays for each picture."""
    if isinstance(table, dict):
        lengths = {key: len(values) for key, values in table.items()}
        if set(lengths.values()) <= {count}:
            return [{key: values[i] for key, values in table.items()} for i in range(count)]
    elif len(table) == count:
        return table
    received = lengths if isinstance(table, dict) else len(table)
    raise ValueError(f"`{name}` must have a row for each of {count} pictures. Received: {received}")


def _objects(table, names, score_threshold=0.0):
    keys = ("boxes", "classes", "scores", "masks")
    one = {key: np.asarray(table[key]) for key in keys if key in table}
    return drawn_objects(**one, names=names, score_threshold=score_threshold)


def _flags(truth, true):
    """Whether each true object is a crowd or difficult, `(crowd, difficult)`."""
    none = np.zeros(len(truth["classes"]), bool)
    crowd, difficult = (np.asarray(truth.get(key, none)) for key in ("crowd", "difficult"))
    return [(bool(crowd[o["index"]]), bool(difficult[o["index"]])) for o in true]


def _compared(found, true, flags):
    """Found and missed objects, each with its style."""
    styled, taken = [], set()
    for o in found:
        same = [k for k, other in enumerate(true) if other["class"] == o["class"]]
        single = [k for k in same if not flags[k][0]]
        overlaps = _overlaps(iou, o, [true[k] for k in single])
        best = single[int(np.argmax(overlaps))] if single else -1
        style = "false alarm"
        if best >= 0 and overlaps.max() >= _RIGHT:
            if flags[best][1]:
                style = "not counted"
            elif best not in taken:
                style = "found"
                taken.add(best)
        crowds = [true[k] for k in same if flags[k][0]]
        if style == "false alarm" and (_overlaps(share, o, crowds) >= _RIGHT).any():
            style = "not counted"
        styled.append((o, style))
    missed = [o for k, o in enumerate(true) if k not in taken and not any(flags[k])]
    return [*((o, "missed") for o in missed), *styled]


def _overlaps(measure, drawn, others):
    if not others:
        return np.zeros(0)
    return np.asarray(measure(drawn["box"][None], np.stack([o["box"] for o in others])))[0]


def _draw(axis, image, styled, by_class=False):
    """A picture with boxes in their styles, and their labels."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    pixels = rgb(image)
    height, width = pixels.shape[:2]
    colors = []
    for o, style in styled:
        color = class_colors(o["class"] + 1)[o["class"]] / 255 if by_class else None
        colors.append(to_rgb(_STYLES[style]["edgecolor"] if color is None else color))
    for (o, style), color in list(zip(styled, colors, strict=True))[::-1]:
        if o["mask"] is not None and style != "missed":
            mask = mask_of(o, (height, width))
            pixels = tinted(
                pixels, mask, np.multiply(color, 255), max(1, max(height, width) // 400)
            )
    axis.imshow(pixels, interpolation="nearest" if height < 200 else "auto", aspect="equal")
    for (o, style), color in list(zip(styled, colors, strict=True))[::-1]:
        top, left, bottom, right = o["box"] * (height, width, height, width) - 0.5
        line = {**_STYLES[style], "edgecolor": color, "linewidth": 1.4, "fill": False}
        for more in ({"edgecolor": "white", "linewidth": 2.6, "linestyle": "-", "alpha": 0.6}, {}):
            axis.add_patch(Rectangle((left, top), right - left, bottom - top, **{**line, **more}))
        label = o["name"] if style == "missed" else o["label"]
        axis.text(
            np.clip(left, 0, width),
            np.clip(bottom if style == "missed" else top, 0, height),
            label,
            va="top" if style == "missed" or top < 0.05 * height else "bottom",
            fontsize=5.5,
            color="white",
            clip_on=True,
            bbox={"facecolor": color, "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        )


def _legend(figure):
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=style["edgecolor"], linestyle=style["linestyle"], label=name)
        for name, style in _STYLES.items()
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        fontsize=8,
        frameon=False,
        labelcolor=INK,
    )
