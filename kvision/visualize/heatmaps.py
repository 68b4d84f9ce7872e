"""Where in a photo a classifier saw what it says."""

import numpy as np

from kvision.visualize.figure import INK, MUTED, new_figure, shorten

COLOURS = "inferno"
OPACITY = 0.6
FINENESS = 256  # pixels of the longer side of an enlarged map


def heatmaps(images, maps, titles=None, margins=None, columns=3):
    """Photos, each beside itself under a translucent map of the evidence for one class.

    Maps are enlarged bilinearly, each on its own scale from its lowest to its highest evidence.
    Where `margins` say that no position looks at the border, the photo shows through there.

    Args:
        images: photos (height, width, 1 or 3), pixels 0..255, of any sizes.
        maps: one array (rows, columns) for each photo: a channel of what a model of
            `kv.models.class_activation_maps` gives.
        titles: a line for each photo, such as the class and its score.
        margins: (vertical, horizontal) distance of the outermost positions' centres from the
            border, as a share of the photo's height and width: for a classifier that slides, half
            its window. By default half a position, that is, positions that tile the photo.
        columns: photos in a row.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: where there are no photos, not one map and title for each, or a map of one
            position.

    Example:

    >>> import numpy as np
    >>> figure = heatmaps([np.zeros((8, 8, 3))], [np.eye(4)], ["cat 90%"])
    """
    maps = [np.asarray(each, "float32") for each in maps]
    titles = list(titles) if titles is not None else [""] * len(images)
    if not len(images) or len(images) != len(maps) or len(images) != len(titles):
        raise ValueError(
            "There must be at least one photo, and one map and one title for each. Received: "
            f"{len(images)} photos, {len(maps)} maps, {len(titles)} titles."
        )
    flat = [each.shape for each in maps if each.ndim != 2 or each.size < 2]
    if flat:
        raise ValueError(
            "A map must be of (rows, columns), with more than one position. Received: "
            f"{flat[0]}. Take one class of the map; enlarge the photo for more positions."
        )
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure, axes = new_figure(rows, 2 * columns, size=(4.4 * columns + 0.9, 2.5 * rows + 0.2))
    for axis in axes.flat:
        axis.set_axis_off()
    for index, (image, evidence, title) in enumerate(zip(images, maps, titles, strict=True)):
        row, column = divmod(index, columns)
        plain, covered = axes[row, 2 * column : 2 * column + 2]
        overlay = _draw(plain, covered, image, evidence, margins)
        plain.set_title(shorten(title, 34), fontsize=9, color=INK, loc="left")
    _legend(figure, axes, overlay)
    return figure


def _draw(plain, covered, image, evidence, margins):
    pixels = np.clip(np.asarray(image), 0, 255).astype("uint8")
    plain.imshow(pixels, cmap="gray", vmin=0, vmax=255)
    # In grey, so that all colour is the map's.
    covered.imshow(pixels.mean(-1), cmap="gray", vmin=0, vmax=255)
    height, width = pixels.shape[:2]
    fine, inside = enlarge(evidence, (height, width), margins)
    low, high = evidence.min(), evidence.max()
    shade = (fine - low) / max(high - low, np.finfo("float32").tiny)
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    return covered.imshow(
        shade, cmap=COLOURS, vmin=0, vmax=1, alpha=OPACITY * inside, extent=extent
    )


def enlarge(evidence, size, margins=None):
    """A map as fine as a figure shows it.

    Args:
        evidence: array (rows, columns).
        size: (height, width) of the photo.
        margins: as in `heatmaps`.

    Returns:
        The map, bilinear between the positions' centres, and where it holds: 1 as far as half a
        position beyond the outermost centres, else 0. Both have the photo's aspect ratio, with a
        longer side of `FINENESS`.
    """
    fineness = FINENESS / max(size)
    weights, inside = [], []
    for axis, count in enumerate(evidence.shape):
        pixels = max(1, round(size[axis] * fineness))
        places = (np.arange(pixels) + 0.5) / pixels
        margin = 0.5 / count if margins is None else margins[axis]
        step = (1 - 2 * margin) / max(count - 1, 1)
        position = np.clip((places - margin) / (step or 1), 0, count - 1)
        weights.append(np.maximum(0, 1 - np.abs(position[:, None] - np.arange(count))))
        inside.append(np.abs(places - 0.5) <= (step * count / 2 if count > 1 else 0.5))
    return weights[0] @ evidence @ weights[1].T, np.outer(*inside).astype("float32")


def _legend(figure, axes, overlay):
    shrink = min(0.7, 1.4 / len(axes))
    bar = figure.colorbar(overlay, ax=axes, shrink=shrink, aspect=15, pad=0.02)
    bar.solids.set(alpha=1)
    bar.set_ticks([0, 1], labels=["low", "high"], fontsize=8)
    bar.set_label("evidence in the photo", color=MUTED, fontsize=8, labelpad=-12)
    bar.outline.set_visible(False)
