"""What a folder holds: which of the known layouts it has, or what was seen where it has none."""

import collections
import dataclasses
import functools
import os

from kvision.data.sources.boxes.csv_boxes import csv_boxes, is_csv_folder
from kvision.data.sources.boxes.voc import is_voc_folder, voc_boxes
from kvision.data.sources.boxes.yolo_listing import is_yolo_folder
from kvision.data.sources.coco import KINDS, coco
from kvision.data.sources.coco_files import is_coco_folder
from kvision.data.sources.edges.edge_folder import edge_folder, is_edge_folder
from kvision.data.sources.folders import image_folder, is_class_folder
from kvision.data.sources.listing import SHOWN, entries, folders, holds, looks_like_image
from kvision.data.sources.masks.mask_folder import is_mask_folder, mask_folder
from kvision.data.sources.splits import ALIASES
from kvision.data.sources.yolo import yolo
from kvision.files.text import readable

MASK_OPTIONS = ("class_names", "colors", "void")
FILE_OPTIONS = ("image_folder",)
_FEW = 20
_MOST = 20_000  # files that are counted for the words of an error
_LAYOUTS = (
    "one folder for each class, or train, val and test folders of such; images/ beside masks/; "
    "JPEGImages/ and Annotations/*.xml (VOC); pictures and .xml files side by side; "
    "annotations/instances_train.json or train/_annotations.coco.json (COCO); "
    "train/_annotations.csv; images/ and labels/*.txt with data.yaml or classes.txt (YOLO); "
    "images/ beside edges/, or beside groundTruth/*.mat (BSDS), or train_pair.lst"
)


@dataclasses.dataclass(frozen=True)
class _Layout:
    """A layout: what it is called, how it is known, what it may serve, and how it is opened."""

    name: str
    is_there: object
    serves: tuple
    open: object  # function of path, errors, seed and, where it has a choice, annotations
    options: tuple = ()


# In the order of preference where nothing is asked for.
_KNOWN = (
    _Layout("masks", is_mask_folder, ("masks",), mask_folder, MASK_OPTIONS),
    _Layout("VOC", is_voc_folder, ("boxes",), voc_boxes),
    _Layout("COCO", is_coco_folder, KINDS, coco, FILE_OPTIONS),
    _Layout("YOLO", is_yolo_folder, KINDS, yolo),
    _Layout("CSV", is_csv_folder, ("boxes",), csv_boxes, FILE_OPTIONS),
    _Layout("edges", is_edge_folder, (), edge_folder),
)
_CLASSES = _Layout("class folders", is_class_folder, (), image_folder)


def folder_opener(path, errors, seed, annotations):
    """The function that opens a folder, and the options that it takes.

    Where a folder has no known layout, but a single folder with pictures in it, that is looked at.

    Args:
        path: the folder.
        errors: as in `kv.data.load`.
        seed: as in `kv.data.load`.
        annotations: as in `kv.data.load`.

    Returns:
        The pair of a function of the options and the names of those.

    Raises:
        ValueError: if no layout is known, or none has such `annotations`.
    """
    place = path
    while not (layouts := _layouts_of(place)):
        below = _only_folder(place)
        if below is None:
            raise ValueError(
                f"{path} must hold pictures in a layout that is known. Found: {found(place)}."
                f"{_inside(place)} The layouts are: {_LAYOUTS}. See docs/guides/data.md."
            )
        place = below
    chosen = [layout for layout in layouts if annotations in (None, *layout.serves)]
    if not chosen:
        served = [kind for kind in KINDS if any(kind in layout.serves for layout in layouts)]
        what = f"{path} is a folder of {' and '.join(layout.name for layout in layouts)}"
        if served:
            raise ValueError(
                f"`annotations` must be {' or '.join(map(repr, served))}: {what}. "
                f"Received: {annotations!r}"
            )
        raise ValueError(
            f"{what}, and has none of the {annotations!r} for which `annotations` asks. "
            f"Found: {found(place)}. The layouts are: {_LAYOUTS}. See docs/guides/data.md."
        )
    choice = [annotations] if chosen[0].serves == KINDS else []
    return functools.partial(chosen[0].open, place, errors, seed, *choice), chosen[0].options


def found(path):
    """What lies in a folder, in a few words."""
    seen, words = 0, []
    loose = collections.Counter()
    for entry in entries(path):
        if not entry.is_dir(follow_symlinks=False):
            loose[_ending(entry.name)] += 1
        elif len(words) <= SHOWN:
            inside = collections.Counter()
            for _, _, names in os.walk(entry.path):
                inside.update(_ending(name) for name in names if not name.startswith("."))
                seen += len(names)
                if seen > _MOST:
                    break
            words.append(f"{readable(entry.name)!r} ({_counted(inside) or 'nothing'})")
    if len(words) > SHOWN:
        words[SHOWN:] = ["and more folders"]
    return ", ".join([*words, _counted(loose)] if loose else words) or "nothing"


def _layouts_of(path):
    known = [layout for layout in _KNOWN if layout.is_there(path)]
    if known or not is_class_folder(path) or _inside(path):
        return known
    return [_CLASSES]


def _inside(path):
    """A hint at folders in a folder that have a layout of their own; "" if there are none."""
    for name in folders(path)[:_FEW]:
        place = os.path.join(path, name)
        # A picture of a class may well have a file of another kind beside it.
        if name.lower() in ALIASES or any(looks_like_image(e.name) for e in entries(place)):
            continue
        for layout in _KNOWN:
            if layout.is_there(place):
                return f" {readable(name)!r} has the layout of {layout.name}: open it by itself."
    return ""


def _only_folder(path):
    """The only folder in a folder, or the only one that holds pictures, or None."""
    inside = folders(path)
    full = [name for name in inside if holds(os.path.join(path, name), looks_like_image)]
    chosen = inside if len(inside) == 1 else full
    return os.path.join(path, chosen[0]) if len(chosen) == 1 else None


def _ending(name):
    return os.path.splitext(name)[1].lower() or "without ending"


def _counted(counter):
    return ", ".join(f"{count} {ending}" for ending, count in sorted(counter.items()))
