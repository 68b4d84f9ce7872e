"""A CSV file of boxes beside its pictures as a source: one row a box."""

import csv
import io
import math
import os
import pathlib

import numpy as np

from kvision.data.info import RepairedBox, SkippedFile
from kvision.data.sources.boxes.box_source import BoxSource, Picture, Thing
from kvision.data.sources.boxes.csv_columns import find_columns
from kvision.data.sources.listing import report
from kvision.data.sources.places import find_pictures
from kvision.data.sources.split_lists import files_of_splits
from kvision.data.sources.splits import ALIASES, ORDER
from kvision.data.sources.units import boxes_are_shares
from kvision.data.sources.verdicts import check_folder
from kvision.files.text import read_text

_ROUNDING = 1e-6
_FAR = 1.0  # how far over the border, in pictures, a box may reach that is relative
_BESIDE = "_annotations.csv"  # Roboflow's, beside the pictures of each split
_DELIMITERS = ",;\t"


def is_csv_folder(path):
    """Whether a folder, or those of train, val and test in it, holds Roboflow's CSV file."""
    return bool(files_of_splits(path, _BESIDE))


def csv_boxes(path, errors="skip", seed=0, image_folder=None):
    """Reads a CSV file with a header and a row for each box; its columns: docs/guides/data.md.

    Boxes are in pixels, the first of which covers 0..1, or, where most end at 1 or before,
    relative. A row without a box is a picture without objects. The classes are in the order of the
    alphabet.

    Args:
        path: the file, or a folder with `train/_annotations.csv` and the like.
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
    root, files = _files(path, image_folder)
    refused, members = [], {}
    for split, file, top in files:
        _collect(members, root, file, (top, os.path.join(top, "images")), split, refused)
    everything = [entry for _, boxes in members.values() for entry in boxes]
    relative = boxes_are_shares(box for _, _, box in everything)
    names = sorted({label for _, label, _ in everything})
    pictures = {split: [] for split in ORDER}
    for name, verdict in zip(members, check_folder(root, list(members)), strict=True):
        if verdict.reason:
            refused.append(SkippedFile(name, verdict.reason))
            continue
        split, boxes = members[name]
        things, dropped = _things(name, boxes, relative, verdict.size, names)
        pictures[split].append(Picture(os.path.join(root, name), verdict, things, dropped))
    pictures = {split: found for split, found in pictures.items() if found}
    source = BoxSource(pictures, None, seed)
    served = sum(len(found) for found in pictures.values())
    notes = _over(everything) if relative else []
    report(path, refused, errors, served, notes, source.repaired)
    return source.describe(path, names, refused)


def _things(picture, boxes, relative, size, names):
    """The objects of a picture, and the `RepairedBox`es of what is in another unit than most."""
    things, dropped = [], []
    for number, label, box in boxes:
        if relative and np.abs(box).max() > 1 + _FAR:
            reason = "dropped: its numbers are no shares of the picture, as those of most boxes"
        elif not relative and 0 < np.max(box) <= 1:
            reason = "dropped: it is smaller than a pixel; numbers are pixels in most rows"
        else:
            box = box * (size * 2) if relative else box
            things.append(Thing(names.index(label), tuple(box.tolist()), f"row {number}"))
            continue
        dropped.append(RepairedBox(f"{os.path.basename(picture)}, row {number}", reason))
    return things, dropped


def _over(entries):
    """A line about relative boxes that reach beyond 1, for who meant pixels."""
    most = [(box.max(), number) for number, _, box in entries]
    over = [pair for pair in most if 1 + _ROUNDING < pair[0] <= 1 + _FAR]
    if not over:
        return []
    most, number = max(over)
    return [
        f"{len(over)} of {len(entries)} box(es) reach above 1 (row {number}: {most:g}). As nearly "
        "all numbers, theirs are taken for shares of the picture, and are cut off at its border"
    ]


def _collect(members, root, file, beside, split, refused):
    """Adds what the rows of a file say to what is known of each picture."""
    rows, columns = _read(file)
    written = [(row.get(columns["image"]) or "").strip() for _, row in rows]
    places = find_pictures(root, [name for name in written if name], beside)
    for (number, row), name in zip(rows, written, strict=True):
        place, reason = places.get(name, (None, "it names no picture"))
        reason = reason or _add(members, place, number, row, columns, split)
        if reason:
            refused.append(SkippedFile(f"row {number}, {name}", reason))


def _add(members, name, number, row, columns, split):
    """Adds a row to what is known of its picture: its split and boxes; or says why it cannot."""
    split = str(row.get(columns["split"]) or split).strip().lower()
    box, label = _box(row, columns), (row.get(columns["label"]) or "").strip()
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
    try:
        return rows, find_columns(header)
    except ValueError as error:
        raise ValueError(f"{path} is no CSV file of boxes: {error}") from error


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


def _files(path, image_folder):
    """The folder of all pictures, and of each file its split, path and folder of pictures."""
    if os.path.isdir(path):
        root = os.path.realpath(image_folder or path)
        found = files_of_splits(path, _BESIDE)
        return root, [(split, os.path.join(path, top, _BESIDE), top) for split, top in found]
    root = pathlib.Path(path).absolute().parent if image_folder is None else image_folder
    return os.path.realpath(root), [("train", path, "")]
