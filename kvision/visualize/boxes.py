"""Boxes, names and masks of objects, drawn into a picture."""

import functools

import numpy as np

from kvision.ops.masks import paste_masks
from kvision.visualize.figure import cut
from kvision.visualize.mask_colors import rgb

_TINT = 0.4  # of a mask
_SMALLEST_FONT = 11  # pixels
_MOST_HIDDEN = 0.25  # of the picture by labels, and of a label by another


def draw_boxes(
    image, boxes, classes=None, scores=None, names=None, masks=None, score_threshold=0.0
):
    """A picture with boxes around its objects, each with its name and score.

    Takes what a detector gives for one picture, padding included, and what a truth holds. Lines and
    letters grow with the picture, so that they can be read on a thumbnail and on a photograph.

    Args:
        image: `(height, width, 1 or 3)` or `(height, width)`, pixels 0..255.
        boxes: `(n, 4)` rel_yxyx; what is beyond the picture is cut off.
        classes: `(n,)` class indices, -1 for padding; by default all are of one class.
        scores: `(n,)` in 0..1, written beside the names. The best is drawn on top.
        names: names in label order; without them numbers are written where there are classes.
        masks: `(n, height, width)` of the size of the picture, or of any other size in the frames
            of the boxes, as detectors give; 0.5 and above is the object.
        score_threshold: the least score that is drawn; a number, or one for each class (0.5 where
            that is `None`).

    Returns:
        uint8 array `(height, width, 3)`.

    Raises:
        ValueError: where numbers or shapes do not fit, or a class has no name.

    Example:

    >>> picture = draw_boxes(np.zeros((90, 120, 3)), [[0.1, 0.2, 0.8, 0.9]], [0], [0.87], ["cat"])
    >>> picture.shape, picture.dtype
    ((90, 120, 3), dtype('uint8'))
    """
    from PIL import Image, ImageDraw

    pixels = rgb(image)
    objects = drawn_objects(boxes, classes, scores, names, masks, score_threshold)
    size = pixels.shape[:2]
    stroke = max(1, round(max(size) / 350))
    colors = [class_colors(o["class"] + 1)[o["class"]] for o in objects]
    for o, color in zip(objects[::-1], colors[::-1], strict=True):
        if o["mask"] is not None:
            pixels = tinted(pixels, mask_of(o, size), color, stroke)
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    placed = [
        (o, color, _corners(o["box"], size)) for o, color in zip(objects, colors, strict=True)
    ]
    placed = [row for row in placed if row[2] is not None]
    for _, color, corners in placed[::-1]:
        _draw_box(draw, corners, tuple(map(int, color)), stroke)
    _draw_labels(draw, placed, size, stroke)
    return np.asarray(picture).copy()


@functools.lru_cache(maxsize=32)
def class_colors(classes):
    """Colours of classes, each as far as possible from those before it.

    Args:
        classes: how many.

    Returns:
        uint8 array `(classes, 3)`, RGB; neither very dark nor nearly white. More classes have the
        same first colours. From about 200 on they repeat.

    Raises:
        ValueError: where `classes` is below 1.

    Example:

    >>> class_colors(3).tolist()
    [[255, 0, 0], [0, 255, 0], [0, 73, 255]]
    """
    if classes < 1:
        raise ValueError(f"`classes` must be at least 1. Received: {classes}")
    levels = np.linspace(0, 255, 8).round()
    colors = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    seen = _oklab(colors)
    colorful = np.hypot(seen[:, 1], seen[:, 2]) > 0.1
    usable = colorful & (seen[:, 0] > 0.5) & (seen[:, 0] < 0.97)
    colors, seen = colors[usable], seen[usable]
    chosen = [int(np.flatnonzero((colors == (255, 0, 0)).all(-1))[0])]
    distance = np.full(len(colors), np.inf)
    while len(chosen) < min(classes, len(colors)):
        distance = np.minimum(distance, np.linalg.norm(seen - seen[chosen[-1]], axis=-1))
        chosen.append(int(distance.argmax()))
    table = colors[np.resize(chosen, classes)].astype("uint8")
    table.setflags(write=False)
    return table


def drawn_objects(boxes, classes=None, scores=None, names=None, masks=None, score_threshold=0.0):
    """The objects of one picture that are to be drawn, best first.

    Returns:
        A list of dicts: `index` in the arrays, `box`, `class`, `score` and `mask`, both `None`
        where there is none, `name`, and `label`, the name with the score.

    Raises:
        ValueError: as in `draw_boxes`.
    """
    boxes = np.asarray(boxes, "float64")
    boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
        raise ValueError(
            "`boxes` must be finite numbers (n, 4), rel_yxyx. Received: an array of shape "
            f"{boxes.shape}" + (", with NaN or infinity." if boxes.ndim == 2 else ".")
        )
    for name, values in {"classes": classes, "scores": scores, "masks": masks}.items():
        if values is not None and len(values) != len(boxes):
            raise ValueError(
                f"`{name}` must be as many as the boxes. Received: {len(values)} for {len(boxes)} "
                "boxes."
            )
    labels = np.zeros(len(boxes), int) if classes is None else np.asarray(classes).astype(int)
    if names is not None and labels.max(initial=-1) >= len(names):
        raise ValueError(
            f"`names` must name every class. Received {len(names)} names and class {labels.max()}."
        )
    order = np.arange(len(boxes)) if scores is None else np.argsort(-np.asarray(scores, float))
    least = _thresholds(score_threshold, labels.max(initial=0) + 1)
    objects = []
    for i in order:
        if labels[i] < 0 or scores is not None and scores[i] < least[labels[i]]:
            continue
        name = "" if classes is None and names is None else str(labels[i])
        name = name if names is None else cut(str(names[labels[i]]))
        score = None if scores is None else float(scores[i])
        percent = "" if score is None else f"{score:.0%}"
        objects.append(
            {
                "index": int(i),
                "box": boxes[i],
                "class": int(labels[i]),
                "score": score,
                "mask": None if masks is None else np.asarray(masks[i]),
                "name": name,
                "label": f"{name} {percent}".strip(),
            }
        )
    return objects


def _thresholds(score_threshold, classes):
    """The least score of each class."""
    least = np.asarray(score_threshold, float)
    if least.ndim and len(least) < classes:
        raise ValueError(
            f"`score_threshold` must be a number, or one for each class. Received: {len(least)} "
            f"and class {classes - 1}."
        )
    least = least if least.ndim else np.full(classes, least)
    return np.where(np.isnan(least), 0.5, least)


def mask_of(drawn, size):
    """The mask of a drawn object as bool of the picture's size."""
    mask = drawn["mask"]
    if mask.shape != tuple(size):
        mask = np.asarray(paste_masks(mask[None], drawn["box"][None], tuple(size)))[0]
    return mask >= 0.5


def tinted(pixels, mask, color, stroke=1):
    """A picture with a mask in a colour, and its outline in the full colour."""
    inner = mask.copy()
    for _ in range(stroke):
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
            inner &= np.roll(inner, step, axis)
    mixed = np.rint((1 - _TINT) * pixels + _TINT * np.asarray(color, float)).astype("uint8")
    pixels = np.where(mask[..., None], mixed, pixels)
    return np.where((mask & ~inner)[..., None], np.asarray(color, "uint8"), pixels)


def _oklab(colors):
    """sRGB 0..255 in a space where distances are what one sees (Ottosson, 2020)."""
    share = np.asarray(colors) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    opponents = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.cbrt(linear @ np.transpose(cones)) @ np.transpose(opponents)


def _corners(box, size):
    """Left, top, right and bottom pixel of a box, or None where it is not in the picture."""
    top, left, bottom, right = box * (*size, *size)
    if bottom < 0 or right < 0 or top > size[0] or left > size[1] or bottom < top or right < left:
        return None
    columns = np.clip(np.rint([left, right - 1]), 0, size[1] - 1).astype(int)
    rows = np.clip(np.rint([top, bottom - 1]), 0, size[0] - 1).astype(int)
    return int(columns[0]), int(rows[0]), max(*map(int, columns)), max(*map(int, rows))


def _draw_box(draw, corners, color, stroke):
    """A box whose line, in its colour between dark ones, shows on any ground."""
    left, top, right, bottom = corners
    edge = max(1, stroke // 3)
    for grow, width, shade in ((edge, stroke + 2 * edge, (20, 20, 20)), (0, stroke, color)):
        outer = (left - grow, top - grow, right + grow, bottom + grow)
        draw.rectangle(outer, outline=shade, width=width)


def _draw_labels(draw, placed, size, stroke):
    """Names where they hide least: above their box, in it or below it, off each other.

    Where there are so many that they would hide the picture, they go without scores; those that
    would hide a better one's, or too much of the picture, are left out.
    """
    from matplotlib.font_manager import findfont
    from PIL import ImageFont

    font = ImageFont.truetype(findfont("DejaVu Sans"), max(_SMALLEST_FONT, round(max(size) / 50)))
    pad, taken = max(1, stroke), []
    height = font.size + 2 * pad
    labels = [drawn["label"] for drawn, *_ in placed]
    room = _MOST_HIDDEN * size[0] * size[1]
    if sum(map(font.getlength, labels)) * height > room:
        labels = [drawn["name"] for drawn, *_ in placed]
    for label, (_, color, corners) in zip(labels, placed, strict=True):
        if not label:
            continue
        width = round(font.getlength(label)) + 2 * pad
        places = _places(corners, width, height, size)
        hidden = [_hidden(place, width, height, taken) for place in places]
        x, y = places[int(np.argmin(hidden))]
        room -= width * height
        if min(hidden) > _MOST_HIDDEN * width * height or room < 0 and taken:
            continue
        taken.append((x, y, x + width, y + height))
        draw.rectangle((x, y, x + width - 1, y + height - 1), fill=tuple(map(int, color)))
        ink = (0, 0, 0) if _oklab(color)[0] > 0.65 else (255, 255, 255)
        baseline = y + pad + round(0.82 * font.size)
        draw.text((x + pad, baseline), label, fill=ink, font=font, anchor="ls")


def _places(corners, width, height, size):
    """Left upper corners that a label may have, all in the picture."""
    left, top, right, bottom = corners
    places = [
        (left, top - height),
        (left, top),
        (right - width, bottom),
        (right - width, bottom - height),
        (left, bottom),
        (right - width, top - height),
    ]
    return [(max(0, min(x, size[1] - width)), max(0, min(y, size[0] - height))) for x, y in places]


def _hidden(place, width, height, taken):
    """How many pixels of earlier labels a label at a place would hide."""
    x, y = place
    return sum(
        max(0, min(x + width, right) - max(x, left)) * max(0, min(y + height, bottom) - max(y, top))
        for left, top, right, bottom in taken
    )
