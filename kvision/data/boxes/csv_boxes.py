"""A CSV file of boxes beside its pictures as a source: one row a box."""

import csv
import io
import math
import os
import pathlib

import numpy as np

from kvision.data.boxes.box_source import BoxSource, Picture, Thing
from kvision.data.coco_files import outside
from kvision.data.info import SkippedFile
from kvision.data.listing import report
from kvision.data.splits import ALIASES
from kvision.data.verdicts import check_folder
from kvision.files.text import read_text

_IMAGE = ("image", "filename", "file_name", "image_path", "path", "file", "img", "image_id")
_LABEL = ("class", "label", "name", "class_name", "category")
_SPLIT = ("split", "set", "subset")
# ymin, xmin, ymax, xmax; and y, x, height, width.
_CORNERS = (
    ("ymin", "xmin", "ymax", "xmax"),
    ("y_min", "x_min", "y_max", "x_max"),
    ("y1", "x1", "y2", "x2"),
    ("top", "left", "bottom", "right"),
)
_SIDES = (("y", "x", "height", "width"), ("y", "x", "h", "w"))
_DELIMITERS = ",;\t"


def csv_boxes(path, errors="skip", seed=0, image_folder=None):
    """Reads a CSV file with a header and a row for each box; see docs/data.md for the columns.

    Boxes are in pixels, the first of which covers 0..1, or, where no number is above 1, relative. A
    row without a box is a picture without objects. The classes are in the order of the alphabet.

    Args:
        path: the file.
        errors: "skip" leaves out what cannot be served and repairs boxes, with one warning that
            names them; "raise" stops instead.
        seed: the order of the examples in each split depends on it.
        image_folder: where the images lie; None looks beside the file and in its folder `images`.

    Returns:
        A `BoxSource`.

    Raises:
        ValueError: if the file has no such columns, or nothing can be served, or, with
            `errors="raise"`, anything cannot be or has to be repaired.
    """
    rows, columns = _read(path)
    root = os.path.realpath(_root(path, image_folder))
    refused, members = [], {}
    for number, row in rows:
        reason = _add(members, root, number, row, columns)
        if reason:
            refused.append(SkippedFile(f"row {number}, {row.get(columns['image'])}", reason))
    everything = [box for _, boxes in members.values() for _, _, box in boxes]
    # Pixels of a picture of one pixel are nothing that anybody would box.
    relative = bool(everything) and np.nanmax(everything) <= 1
    names = sorted({label for _, boxes in members.values() for _, label, _ in boxes})
    pictures = {split: [] for split in dict.fromkeys(ALIASES.values())}
    for name, verdict in zip(members, check_folder(root, list(members)), strict=True):
        if verdict.reason:
            refused.append(SkippedFile(name, verdict.reason))
            continue
        split, boxes = members[name]
        scale = np.array(verdict.size * 2 if relative else 1)
        things = [
            Thing(names.index(label), tuple((box * scale).tolist()), f"row {number}")
            for number, label, box in boxes
        ]
        pictures[split].append(Picture(os.path.join(root, name), verdict, things))
    pictures = {split: found for split, found in pictures.items() if found}
    source = BoxSource(pictures, None, seed)
    served = sum(len(found) for found in pictures.values())
    report(path, refused, errors, served, repaired=source.repaired)
    return source.describe(path, names, refused)


def _add(members, root, number, row, columns):
    """Adds a row to what is known of its picture: its split and boxes; or says why it cannot."""
    name, reason = _picture_name(root, row.get(columns["image"]))
    split = str(row.get(columns["split"]) or "train").strip().lower()
    box, label = _box(row, columns), (row.get(columns["label"]) or "").strip()
    if reason:
        return reason
    if split not in ALIASES:
        return f"it is of an unknown split {split!r}"
    if box is not None and not label:
        return "its box has no class"
    where, boxes = members.setdefault(name, (ALIASES[split], []))
    if where != ALIASES[split]:
        return f"its picture is in the split {where!r} already"
    if box is not None:
        boxes.append((number, label, box))
    return None


def _read(path):
    """The numbered rows of the file, and the names of its columns by what they hold."""
    file = io.StringIO(read_text(path), newline="")
    first = file.readline()
    delimiter = max(_DELIMITERS, key=first.count)
    header = next(csv.reader([first], delimiter=delimiter), [])
    header = [name.strip().lower() for name in header]
    rows = [
        (number, dict(zip(header, row, strict=False)))
        for number, row in enumerate(csv.reader(file, delimiter=delimiter), start=2)
        if any(cell.strip() for cell in row)
    ]
    columns = {
        key: next((name for name in known if name in header), None)
        for key, known in (("image", _IMAGE), ("label", _LABEL), ("split", _SPLIT))
    }
    columns["box"] = next((names for names in _CORNERS if set(names) <= set(header)), None)
    columns["corners"] = columns["box"] is not None
    if not columns["corners"]:
        columns["box"] = next((names for names in _SIDES if set(names) <= set(header)), None)
    if not (columns["image"] and columns["label"] and columns["box"]):
        raise ValueError(
            f"{path} must begin with a header that names the columns of the image "
            f"({', '.join(_IMAGE)}), of the class ({', '.join(_LABEL)}) and of the box (xmin, "
            f"ymin, xmax, ymax; x1, y1, x2, y2; or x, y, width, height). Received: {header}"
        )
    return rows, columns


def _box(row, columns):
    """Array of ymin, xmin, ymax, xmax of a row, NaN for what is no number; None for no box."""
    cells = [(row.get(name) or "").strip() for name in columns["box"]]
    if not any(cells):
        return None
    values = [_number(cell) for cell in cells]
    if columns["corners"]:
        return np.array(values)
    y, x, height, width = values
    return np.array([y, x, y + height, x + width])


def _number(cell):
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _root(path, image_folder):
    if image_folder is None:
        return pathlib.Path(path).absolute().parent
    if not os.path.isdir(image_folder):
        raise ValueError(f"`image_folder` must be a folder. Received: {str(image_folder)!r}")
    return image_folder


def _picture_name(root, cell):
    """A picture's path inside the folder and None, or None and why it has none.

    Paths of another machine are taken for their last part.
    """
    name = (cell or "").strip()
    if not name:
        return None, "it names no picture"
    base = name.replace("\\", "/").rpartition("/")[2]
    reasons = []
    for place in (name, os.path.join("images", name), base, os.path.join("images", base)):
        reason = outside(root, place)
        if reason is None:
            return os.path.normpath(place), None
        reasons.append(reason)
    return None, reasons[-1]
