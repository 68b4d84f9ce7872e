"""Boxes: formats, overlaps, and the code that networks predict them in.

A box is (ymin, xmin, ymax, xmax) in 0..1 of the picture, `rel_yxyx`, unless said otherwise. All is
computed in float32. A box without area overlaps nothing.
"""

import math

from keras import ops

VARIANCES = (0.1, 0.1, 0.2, 0.2)  # of y, x, height, width
LARGEST_SCALE = math.log(1000 / 16)  # what a decoded box may exceed its anchor by
_SMALLEST = 1e-6  # side that stands for zero in the code
_FORMATS = ("yxyx", "xyxy", "xywh", "cyxhw", "cxywh")


def convert(boxes, source, target, size=None):
    """Boxes in another format.

    Args:
        boxes: tensor `(..., 4)`.
        source: their format: `"yxyx"` and `"xyxy"` are corners, `"xywh"` the upper left corner,
            width and height, `"cyxhw"` and `"cxywh"` the centre and the size. All in pixels; with
            `"rel_"` before it, as in `"rel_yxyx"`, in 0..1 of the picture.
        target: the format wanted.
        size: `(height, width)` of the picture in pixels, or a tensor `(batch, 2)` of those of the
            pictures of boxes `(batch, n, 4)`. Needed where only one format is relative.

    Returns:
        Tensor of the same shape, float32.

    Raises:
        ValueError: for unknown formats, a missing size, or boxes without four numbers.

    Example:

    >>> pixels = convert([[0.5, 0.0, 1.0, 0.25]], "rel_yxyx", "xywh", size=(100, 200))
    >>> ops.convert_to_numpy(pixels).tolist()
    [[0.0, 50.0, 50.0, 50.0]]
    """
    for name, value in (("source", source), ("target", target)):
        if str(value).removeprefix("rel_") not in _FORMATS:
            raise ValueError(
                f"`{name}` must be one of {_FORMATS}, or one of them after 'rel_'. "
                f"Received: {value!r}"
            )
    boxes = _checked(boxes)
    first, second, third, fourth = ops.split(boxes, 4, axis=-1)
    style = source.removeprefix("rel_")
    if style.startswith(("x", "cx")):
        first, second, third, fourth = second, first, fourth, third
    if style == "xywh":
        third, fourth = first + third, second + fourth
    elif style.startswith("c"):
        first, third = first - third / 2, first + third / 2
        second, fourth = second - fourth / 2, second + fourth / 2
    height, width = _unit(source, target, size)
    first, third, second, fourth = first * height, third * height, second * width, fourth * width
    style = target.removeprefix("rel_")
    if style == "xywh":
        third, fourth = third - first, fourth - second
    elif style.startswith("c"):
        first, third = (first + third) / 2, third - first
        second, fourth = (second + fourth) / 2, fourth - second
    if style.startswith(("x", "cx")):
        first, second, third, fourth = second, first, fourth, third
    return ops.concatenate([first, second, third, fourth], axis=-1)


def area(boxes):
    """The area of boxes `(..., 4)` as a share of the picture's, `(...)`; never negative.

    Example:

    >>> float(area([0.0, 0.5, 0.5, 1.0]))
    0.25
    """
    top, left, bottom, right = ops.split(_checked(boxes), 4, axis=-1)
    return _area(top, left, bottom, right)[..., 0]


def clip(boxes):
    """Boxes `(..., 4)` cut off at the edges of the picture.

    Example:

    >>> ops.convert_to_numpy(clip([-0.5, 0.25, 0.5, 2.0])).tolist()
    [0.0, 0.25, 0.5, 1.0]
    """
    return ops.clip(_checked(boxes), 0.0, 1.0)


def iou(boxes, others):
    """Intersection over union of each box with each other.

    Args:
        boxes: tensor `(..., n, 4)`.
        others: tensor `(..., m, 4)`; leading axes broadcast, so that anchors may be `(m, 4)`.

    Returns:
        Tensor `(..., n, m)` in 0..1.

    Example:

    >>> float(iou([[0.0, 0.0, 1.0, 0.5]], [[0.0, 0.0, 0.5, 1.0]])[0, 0])
    0.3333333432674408
    """
    both, union, _ = _overlap(*_pairs(boxes, others))
    return _ratio(both, union)


def matched_iou(boxes, others):
    """Intersection over union of the first boxes with each other, the second, ...

    Args:
        boxes: tensor `(..., 4)`.
        others: tensor `(..., 4)` that broadcasts with it.

    Returns:
        Tensor `(...)` in 0..1.
    """
    both, union, _ = _overlap(*_sides(boxes, others))
    return _ratio(both, union)[..., 0]


def giou(boxes, others):
    """Generalised intersection over union of each box with each other.

    It also tells apart boxes that do not touch: from the IoU it takes away the share of their
    common hull that neither covers.

    Args:
        boxes: tensor `(..., n, 4)`.
        others: tensor `(..., m, 4)`; leading axes broadcast.

    Returns:
        Tensor `(..., n, m)` in -1..1: 1 for equal boxes, 0 for two equal points.

    Reference:
        Rezatofighi et al.: Generalized intersection over union, 2019.

    Example:

    >>> float(giou([[0.0, 0.0, 1.0, 0.25]], [[0.0, 0.75, 1.0, 1.0]])[0, 0])
    -0.5
    """
    both, union, hull = _overlap(*_pairs(boxes, others))
    return _ratio(both, union) - _ratio(hull - union, hull)


def matched_giou(boxes, others):
    """Generalised intersection over union of the first boxes with each other, the second, ...

    Args:
        boxes: tensor `(..., 4)`.
        others: tensor `(..., 4)` that broadcasts with it.

    Returns:
        Tensor `(...)` in -1..1.
    """
    both, union, hull = _overlap(*_sides(boxes, others))
    return (_ratio(both, union) - _ratio(hull - union, hull))[..., 0]


def share(boxes, others):
    """The share of each box that lies on each other: their intersection over the first's area.

    Args:
        boxes: tensor `(..., n, 4)`, such as anchors.
        others: tensor `(..., m, 4)`, such as crowds; leading axes broadcast.

    Returns:
        Tensor `(..., n, m)` in 0..1.

    Example:

    >>> float(share([[0.0, 0.0, 0.5, 0.5]], [[0.0, 0.25, 1.0, 1.0]])[0, 0])
    0.5
    """
    first, second = _pairs(boxes, others)
    both, _, _ = _overlap(first, second)
    return _ratio(both, _area(*first))


def encode(boxes, anchors, variances=VARIANCES):
    """What a network has to predict so that anchors become boxes.

    `((cy - acy) / ah, (cx - acx) / aw, log(h / ah), log(w / aw)) / variances`.

    Args:
        boxes: tensor `(..., 4)`.
        anchors: tensor `(..., 4)` that broadcasts with it.
        variances: what to divide the offsets of y, x, height and width by, so that they are about
            as large as 1.

    Returns:
        Tensor `(..., 4)`. Always finite: sides of zero count as a millionth of the picture.

    Reference:
        Girshick et al.: Rich feature hierarchies, 2014, appendix C.

    Example:

    >>> code = encode([0.25, 0.0, 0.75, 1.0], [0.0, 0.0, 0.5, 1.0])
    >>> [round(float(number), 4) for number in code]
    [5.0, 0.0, 0.0, 0.0]
    """
    y, x, height, width = _centres(boxes)
    anchor_y, anchor_x, anchor_height, anchor_width = _centres(anchors)
    offsets = [
        (y - anchor_y) / anchor_height,
        (x - anchor_x) / anchor_width,
        ops.log(height / anchor_height),
        ops.log(width / anchor_width),
    ]
    return ops.concatenate(offsets, axis=-1) / ops.convert_to_tensor(variances, "float32")


def decode(offsets, anchors, variances=VARIANCES):
    """The boxes that a network predicts: the inverse of `encode`.

    Args:
        offsets: tensor `(..., 4)`.
        anchors: tensor `(..., 4)` that broadcasts with it, such as `(n, 4)`.
        variances: as in `encode`.

    Returns:
        Tensor `(..., 4)`, not cut off at the edges. No side is more than 1000 / 16 times the
        anchor's, so that no prediction gives infinity.

    Example:

    >>> box = decode([5.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.5, 1.0])
    >>> [round(float(number), 4) for number in box]
    [0.25, 0.0, 0.75, 1.0]
    """
    offsets = _checked(offsets) * ops.convert_to_tensor(variances, "float32")
    offset_y, offset_x, scale_height, scale_width = ops.split(offsets, 4, axis=-1)
    anchor_y, anchor_x, anchor_height, anchor_width = _centres(anchors)
    y = anchor_y + offset_y * anchor_height
    x = anchor_x + offset_x * anchor_width
    height = anchor_height * ops.exp(ops.minimum(scale_height, LARGEST_SCALE))
    width = anchor_width * ops.exp(ops.minimum(scale_width, LARGEST_SCALE))
    sides = [y - height / 2, x - width / 2, y + height / 2, x + width / 2]
    return ops.concatenate(sides, axis=-1)


def _checked(boxes):
    """Boxes as a tensor of float32."""
    boxes = ops.cast(ops.convert_to_tensor(boxes), "float32")
    if boxes.shape[-1] != 4:
        raise ValueError(
            "Boxes must have four numbers along their last axis. "
            f"Received a tensor of shape {tuple(boxes.shape)}."
        )
    return boxes


def _unit(source, target, size):
    """What to multiply y and x by."""
    if source.startswith("rel_") == target.startswith("rel_"):
        return 1.0, 1.0
    if size is None:
        raise ValueError(
            "`size` must be the (height, width) of the picture in pixels, to convert boxes from "
            f"{source!r} to {target!r}. Received: None"
        )
    size = ops.cast(ops.convert_to_tensor(size), "float32")
    if len(size.shape) == 2:
        size = size[:, None, :]
    height, width = size[..., :1], size[..., 1:]
    return (height, width) if source.startswith("rel_") else (1.0 / height, 1.0 / width)


def _sides(boxes, others):
    """The four sides of either, `(..., 1)`."""
    return ops.split(_checked(boxes), 4, axis=-1), ops.split(_checked(others), 4, axis=-1)


def _pairs(boxes, others):
    """The four sides of either, `(..., n, 1)` and `(..., 1, m)`."""
    first, second = _sides(boxes, others)
    return first, [ops.swapaxes(side, -1, -2) for side in second]


def _area(top, left, bottom, right):
    return ops.maximum(bottom - top, 0.0) * ops.maximum(right - left, 0.0)


def _overlap(first, second):
    """Areas of intersection, union and hull."""
    corners = [ops.maximum(a, b) for a, b in zip(first[:2], second[:2], strict=True)]
    corners += [ops.minimum(a, b) for a, b in zip(first[2:], second[2:], strict=True)]
    both = _area(*corners)
    corners = [ops.minimum(a, b) for a, b in zip(first[:2], second[:2], strict=True)]
    corners += [ops.maximum(a, b) for a, b in zip(first[2:], second[2:], strict=True)]
    return both, _area(*first) + _area(*second) - both, _area(*corners)


def _ratio(part, whole):
    """Their quotient; 0, and of gradient 0, where the whole is 0."""
    some = whole > 0
    return ops.where(some, part / ops.where(some, whole, 1.0), 0.0)


def _centres(boxes):
    """Centre and size of boxes, `(..., 1)` each; no side is zero."""
    top, left, bottom, right = ops.split(_checked(boxes), 4, axis=-1)
    height, width = ops.maximum(bottom - top, _SMALLEST), ops.maximum(right - left, _SMALLEST)
    return (top + bottom) / 2, (left + right) / 2, height, width
