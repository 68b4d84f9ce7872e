"""Boxes as people and programs write them, made right where it is clear what was meant."""

import math

_ROUNDING = 1.0  # pixels by which a box may reach over the border without a word


def repair_box(box, size):
    """A box inside its picture, and what was wrong with it.

    Swapped corners are put in order and what reaches over the border is cut off. What has no area,
    lies outside or is no number has no meaning left.

    Args:
        box: (ymin, xmin, ymax, xmax) in pixels, the first of which covers 0..1.
        size: (height, width) of the picture.

    Returns:
        The pair of the box, relative to the size, or None; and the reason why it was changed or
        dropped, or None. Up to a pixel over the border is rounding and no reason.

    Example:

    >>> repair_box((10, 40, 20, 20), (40, 80))
    ((0.25, 0.25, 0.5, 0.5), 'its corners were swapped')
    """
    if not all(math.isfinite(value) for value in box):
        return None, "dropped: its corners are no numbers"
    ymin, xmin, ymax, xmax = box
    if ymin == ymax or xmin == xmax:
        return None, "dropped: it has no area"
    reasons = ["its corners were swapped"] if ymin > ymax or xmin > xmax else []
    ymin, ymax = sorted((ymin, ymax))
    xmin, xmax = sorted((xmin, xmax))
    height, width = size
    if ymin >= height or xmin >= width or ymax <= 0 or xmax <= 0:
        return None, "dropped: it lies outside the picture"
    over = max(-ymin, -xmin, ymax - height, xmax - width)
    if over > _ROUNDING:
        reasons.append(f"it reached {over:g} pixels over the border")
    box = max(ymin, 0) / height, max(xmin, 0) / width, min(ymax, height), min(xmax, width)
    return (*box[:2], box[2] / height, box[3] / width), "; ".join(reasons) or None
