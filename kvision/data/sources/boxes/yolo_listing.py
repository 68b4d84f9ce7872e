"""Which pictures YOLO's labels are for, and how such a folder is known."""

import os

from kvision.data.info import SkippedFile
from kvision.data.sources.boxes.yolo_config import find_config, find_place, read_config, read_names
from kvision.data.sources.boxes.yolo_labels import is_label, label_name
from kvision.data.sources.listing import entries, folders, list_files, looks_like_image
from kvision.data.sources.places import find_pictures
from kvision.data.sources.splits import ALIASES, ORDER, split_of
from kvision.files.text import read_text

_NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels")
_FEW = 100


def is_yolo_folder(path):
    """Whether a folder holds pictures and YOLO's labels, or says so in its `data.yaml`."""
    root = os.path.realpath(path)
    if find_config(root):
        return True
    named = _names_beside(root)
    return any(
        _has_labels_folder(root, top) or _has_labels_beside(os.path.join(root, top), named)
        for top in ("", *(name for name in folders(root) if named or name.lower() in ALIASES))
    )


def list_yolo(root, config_name, refused, notes):
    """The classes and the pictures of a folder.

    Args:
        root: the folder, a real path.
        config_name: its `data.yaml`; None looks for one.
        refused: list to which `SkippedFile`s are added.
        notes: list to which lines are added that the user should read.

    Returns:
        The triple of the class names or None, a dict of split name to pictures, relative to
        `root`, and whether the labels hold keypoints.
    """
    config_name = config_name or find_config(root)
    config = read_config(root, config_name) if config_name else None
    found = []
    list_files(root, "", found, refused)
    splits = _as_written(root, config, found, refused, notes) if config else {}
    splits = splits or _as_they_lie(root, found)
    names = config.names if config else None
    if names is None:
        files = [name for name in found if os.path.basename(name).lower() in _NAME_FILES]
        files.sort(key=lambda name: name.count(os.sep))
        names = read_names(os.path.join(root, files[0])) if files else None
    return names, splits, bool(config and config.keypoints)


def _as_written(root, config, found, refused, notes):
    """Split name -> pictures, as `data.yaml` has it; empty if nothing of that is there."""
    splits = {}
    pictures = [name for name in found if looks_like_image(name)]
    for split, written in config.places.items():
        members = []
        for text in written:
            place = find_place(root, config, split, text)
            if place is None:
                notes.append(f"{config.name} has {text!r} for {split}, which is not in the folder")
            elif os.path.isdir(os.path.join(root, place)):
                top = os.path.join(os.path.normpath(place), "") if place else ""
                members += [name for name in pictures if name.startswith(top)]
            else:
                members += _listed(root, place, refused)
        if members:
            splits[split] = list(dict.fromkeys(members))
    return splits


def _listed(root, place, refused):
    """The pictures in a list of pictures."""
    lines = [line.strip() for line in read_text(os.path.join(root, place)).splitlines()]
    places = find_pictures(root, [line for line in lines if line], ("", os.path.dirname(place)))
    refused += [SkippedFile(name, reason) for name, (_, reason) in places.items() if reason]
    return [path for path, _ in places.values() if path]


def _as_they_lie(root, found):
    """Split name -> the pictures of all folders in which any has a label file."""
    pictures = [name for name in found if looks_like_image(name)]
    labelled = {os.path.dirname(name) for name in pictures if label_name(root, name)}
    splits = {split: [] for split in ORDER}
    for name in pictures:
        if os.path.dirname(name) in labelled:
            splits[split_of(name)].append(name)
    return {split: members for split, members in splits.items() if members}


def _has_labels_folder(root, top):
    inside = {name.lower(): name for name in folders(os.path.join(root, top))}
    if not {"images", "labels"} <= inside.keys():
        return False
    found = []
    list_files(root, os.path.join(top, inside["labels"]), found, [])
    return _are_labels(root, [name for name in found if _is_text(name)])


def _has_labels_beside(folder, named):
    """Whether label files lie beside pictures; a file of class names says that they are labels."""
    names = [entry.name for entry in entries(folder) if entry.is_file(follow_symlinks=False)]
    stems = {os.path.splitext(name)[0] for name in names if looks_like_image(name)}
    labels = [name for name in names if _is_text(name) and os.path.splitext(name)[0] in stems]
    return bool(labels) and (named or _names_beside(folder)) and _are_labels(folder, labels)


def _names_beside(folder):
    return any(entry.name.lower() in _NAME_FILES for entry in entries(folder))


def _is_text(name):
    return name.lower().endswith(".txt") and os.path.basename(name).lower() not in _NAME_FILES


def _are_labels(root, names):
    """Whether the first of some files that holds anything holds labels, or none does."""
    for name in names[:_FEW]:
        try:
            lines = read_text(os.path.join(root, name)).splitlines()
        except (OSError, ValueError):
            return False
        line = next((line for line in lines if line.strip()), None)
        if line is not None:
            return is_label(line)
    return bool(names)
