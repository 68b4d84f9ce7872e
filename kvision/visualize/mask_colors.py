"""Colours of classes, and masks drawn with them."""

import numpy as np

from kvision.ops.masks import VOID

VOID_COLOR = (214, 216, 220)
MOST_NAMES = 30


def palette(classes):
    """The colour map of PASCAL VOC: black, maroon, green, olive, ...; the first is background.

    Args:
        classes: how many colours.

    Returns:
        uint8 array `(classes, 3)`, RGB, all different up to 256.

    Raises:
        ValueError: where `classes` is not in 1..256.

    Reference:
        Everingham et al., The PASCAL visual object classes challenge 2012, development kit,
        `VOClabelcolormap`.

    Example:

    >>> palette(3).tolist()
    [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    """
    if not 1 <= classes <= 256:
        raise ValueError(f"`classes` must be 1 to 256. Received: {classes}")
    labels = np.arange(classes)
    colors = np.zeros((classes, 3), "uint8")
    for bit in range(8):
        for channel in range(3):
            taken = (labels >> (3 * bit + channel)) & 1
            colors[:, channel] |= (taken << (7 - bit)).astype("uint8")
    return colors


def overlay(image, mask, colors=None, alpha=0.5):
    """A picture tinted with the colour of each pixel's class.

    Classes whose colour is black, as background's is in `palette`, are left as they are.

    Args:
        image: `(height, width, 1 or 3)` or `(height, width)`, pixels 0..255.
        mask: `(height, width)` or `(height, width, 1)` class indices; 255 is void.
        colors: RGB 0..255, one for each class; by default `palette`.
        alpha: 0 shows the picture alone, 1 the colours alone.

    Returns:
        uint8 array `(height, width, 3)`.

    Raises:
        ValueError: where sizes differ, a class has no colour, or `alpha` is not in 0..1.

    Example:

    >>> overlay(np.full((1, 2, 3), 100), np.array([[0, 1]])).tolist()
    [[[100, 100, 100], [114, 50, 50]]]
    """
    pixels, labels = rgb(image), plane(mask)
    if pixels.shape[:2] != labels.shape:
        raise ValueError(
            "`mask` must have the size of `image`. Received: "
            f"{labels.shape} for an image of {pixels.shape[:2]}."
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f"`alpha` must be in 0..1. Received: {alpha}")
    tint = painted(labels, colors)
    mixed = np.rint((1 - alpha) * pixels + alpha * tint).astype("uint8")
    return np.where(tint.any(-1, keepdims=True), mixed, pixels)


def painted(mask, colors=None):
    """A mask in the colours of its classes, void in pale grey: uint8 `(height, width, 3)`."""
    mask = plane(mask)
    known = mask[mask != VOID]
    highest = int(known.max()) if known.size else 0
    colors = color_table(colors, max(highest + 1, 1) if colors is None else None)
    if known.size and (known.min() < 0 or highest >= len(colors)):
        raise ValueError(
            f"Masks must hold classes 0 to {len(colors) - 1} (or {VOID}, void), as there are "
            f"{len(colors)} colours. Received: {int(known.min())} to {highest}."
        )
    table = np.concatenate([colors, [VOID_COLOR]]).astype("uint8")
    return table[np.where(mask == VOID, len(colors), mask)]


def color_table(colors, classes=None):
    """Colours as uint8 `(classes, 3)`; those of `palette` by default."""
    if colors is None:
        return palette(classes)
    table = np.asarray(colors)
    if table.ndim != 2 or table.shape[1] != 3 or table.min() < 0 or table.max() > 255:
        raise ValueError(
            "`colors` must be RGB numbers 0..255, (classes, 3), in label order. Received: "
            f"an array of shape {table.shape}."
        )
    if classes is not None and len(table) < classes:
        raise ValueError(
            f"`colors` must have one colour for each of the {classes} classes. "
            f"Received: {len(table)}"
        )
    return table.astype("uint8")


def rgb(image):
    """A picture as uint8 `(height, width, 3)`."""
    pixels = np.rint(np.clip(np.asarray(image), 0, 255)).astype("uint8")
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return np.repeat(pixels, 3, -1) if pixels.shape[-1] == 1 else pixels[..., :3]


def plane(mask):
    """A mask as integers `(height, width)`."""
    mask = np.asarray(mask)
    if mask.ndim == 3 and mask.shape[-1] == 1:
        mask = mask[..., 0]
    if mask.ndim != 2:
        raise ValueError(
            "A mask must be of shape (height, width) or (height, width, 1). Received: "
            f"{mask.shape}. Take the arg-max of scores over their last axis."
        )
    return mask.astype(int)


def class_patches(masks, class_names, colors):
    """Legend entries of the classes that occur in some masks, void last."""
    from matplotlib.patches import Patch

    from kvision.visualize.figure import MUTED, shorten

    counts = np.zeros(max(len(class_names), VOID + 1), int)
    for mask in masks:
        counts[: VOID + 1] += np.bincount(plane(mask).ravel(), minlength=VOID + 1)[: VOID + 1]
    void, counts = counts[VOID], counts[: len(class_names)]
    if len(class_names) > VOID:
        counts[VOID] = 0
    found = np.flatnonzero(counts)
    shown = np.sort(found[np.argsort(-counts[found], kind="stable")][:MOST_NAMES])
    style = {"edgecolor": MUTED, "linewidth": 0.5}
    patches = [
        Patch(facecolor=colors[index] / 255, label=shorten(str(class_names[index])), **style)
        for index in shown
    ]
    if len(found) > len(shown):
        more = len(found) - len(shown)
        patches.append(Patch(facecolor="none", edgecolor="none", label=f"and {more} more"))
    if void:
        patches.append(Patch(facecolor=np.divide(VOID_COLOR, 255), label="void", **style))
    return patches
