"""YOLO's label files: a line for each object, relative to the size of the picture."""

import dataclasses
import os

import numpy as np

from kvision.data.info import RepairedBox
from kvision.data.sources.boxes.box_source import Thing
from kvision.data.sources.listing import refusal
from kvision.files.text import read_text

_IMAGES, _LABELS = "images", ("labels", "Labels", "LABELS")
_BOX = 5  # numbers in the line of a box: class, centre x, centre y, width, height
_OUTLINE = 7  # the fewest in that of an outline: class and three points
_FAR = 0.5  # how far over the border, in pictures, what is relative may reach


@dataclasses.dataclass(frozen=True)
class YoloLabels:
    """What one label file holds.

    Attributes:
        objects: list of (line number, class number, numbers after it).
        reason: why the file cannot be used, or None.
    """

    objects: tuple = ()
    reason: str | None = None


def label_name(root, image):
    """The label file of a picture, or None if there is none.

    It is called as the picture and lies in `labels` where that lies in `images`, or beside it.

    Args:
        root: the folder, a real path.
        image: the picture, relative to `root`.
    """
    stem = os.path.splitext(image)[0] + ".txt"
    parts = stem.split(os.sep)
    places = [
        os.path.join(*parts[:level], word, *parts[level + 1 :])
        for level in reversed(range(len(parts) - 1))
        if parts[level].lower() == _IMAGES
        for word in _LABELS
    ]
    return next((p for p in (*places, stem) if os.path.lexists(os.path.join(root, p))), None)


def read_labels(root, name, keypoints=False):
    """Reads one label file.

    Args:
        root: the folder, a real path.
        name: of the file, relative to `root`; None for a picture without objects.
        keypoints: whether lines go on with keypoints after the box.

    Returns:
        `YoloLabels`.
    """
    if name is None:
        return YoloLabels()
    path = os.path.join(root, name)
    reason = refusal(root, path)
    if reason:
        return YoloLabels(reason=reason)
    try:
        lines = enumerate(read_text(path).splitlines(), start=1)
        objects = [
            (number, *_object(number, line, keypoints)) for number, line in lines if line.strip()
        ]
    except (OSError, ValueError) as error:
        return YoloLabels(reason=f"no labels of YOLO: {error}")
    return YoloLabels(tuple(objects))


def is_label(line):
    """Whether a line of text is one of a label file."""
    try:
        return bool(_object(1, line, keypoints=True))
    except ValueError:
        return False


def things_of(objects, picture, names, size, outlined):
    """The objects of a picture, and what cannot be meant.

    Args:
        objects: of its `YoloLabels`.
        picture: its name.
        names: the class names.
        size: (height, width) of the picture.
        outlined: whether objects without an outline are to be left out.

    Returns:
        The pair of a list of `Thing`s and a list of `RepairedBox`es.
    """
    things, dropped = [], []
    for number, label, values in objects:
        reason = None
        if label >= len(names):
            reason = f"dropped: class {label} is none of the {len(names)} that have names, from 0"
        elif not (np.abs(values - 0.5) <= 0.5 + _FAR).all():  # nor are NaNs
            reason = "dropped: its numbers are no shares of the picture, 0..1"
        elif outlined and len(values) < _OUTLINE - 1:
            reason = "dropped: it is a box without an outline"
        if reason:
            dropped.append(RepairedBox(f"{os.path.basename(picture)}, line {number}", reason))
        else:
            things.append(_thing(number, label, values, size))
    return things, dropped


def has_outline(values):
    """Whether the numbers of an object are an outline."""
    return len(values) >= _OUTLINE - 1


def _object(number, line, keypoints):
    """The class of a line, and the numbers of its box or outline."""
    fields = line.split()
    try:
        label, *values = [float(field) for field in fields]
    except ValueError:
        label, values = -1.0, []
    right = len(fields) == _BOX or len(fields) >= _OUTLINE and len(fields) % 2 == 1
    if keypoints:
        right, values = len(fields) >= _BOX, values[: _BOX - 1]
    if not right or label < 0 or not label.is_integer():
        shown = line.strip() if len(line) <= 60 else f"{line.strip()[:60]} ..."
        raise ValueError(
            f"line {number} must hold a class number and x, y, width and height of a box, or x and "
            f"y of three points or more. Received: {shown!r}"
        )
    return int(label), np.array(values)


def _thing(number, label, values, size):
    height, width = size
    name = f"line {number}"
    if not has_outline(values):
        x, y, w, h = values * (width, height, width, height)
        return Thing(label, (y - h / 2, x - w / 2, y + h / 2, x + w / 2), name)
    points = values.reshape(-1, 2) * (width, height)
    (left, top), (right, bottom) = points.min(0), points.max(0)
    x, y = points.T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    box = (float(top), float(left), float(bottom), float(right))
    return Thing(label, box, name, area=float(area), region=[points])
