"""COCO instances as a source: of class masks, of boxes, or of boxes with the masks of objects."""

import math

from kvision.data.sources.boxes.box_source import BoxSource, Picture, Thing
from kvision.data.sources.coco_files import read_coco, region_mask, unpaintable, usable_images
from kvision.data.sources.coco_keys import as_key, key_or_none
from kvision.data.sources.listing import report
from kvision.data.sources.masks.painted import painted_masks

KINDS = ("masks", "boxes", "instances")


def coco(path, errors="skip", seed=0, annotations=None, image_folder=None):
    """Reads COCO instances.

    Classes are numbered in the order of the categories, whatever their ids: from 0, or, in class
    masks, after the background. Images without annotations are served too.

    Args:
        path: the `.json` file, or a folder with `annotations/instances_train2017.json` and the
            like.
        errors: "skip" leaves out images and annotations that cannot be served and repairs boxes,
            with one warning that names them; "raise" stops instead.
        seed: the order of the examples depends on it.
        annotations: "masks" for class masks, "boxes" for objects, "instances" for objects with
            their masks; None for class masks, or for boxes where nothing else is in the file.
        image_folder: where the images lie; None looks for them, see `read_coco`.

    Returns:
        A source, its only split "train" if `path` is a file.

    Raises:
        ValueError: if a file is no such file, or nothing can be served,
            or, with `errors="raise"`, anything cannot be or has to be repaired.
    """
    files = read_coco(path, image_folder)
    if annotations is None:
        annotations = "boxes" if _only_boxes(files) else "masks"
    refused, names = [], next(iter(files.values())).names
    pictures = {split: _pictures(file, annotations, refused) for split, file in files.items()}
    if annotations == "masks":
        source = painted_masks(path, pictures, names, seed, refused)
    else:
        source = BoxSource(pictures, region_mask if annotations == "instances" else None, seed)
        source.describe(path, names, refused)
    info = source.info
    served = sum(split.num_examples for split in info.splits.values())
    notes = dict.fromkeys(note for file in files.values() for note in file.notes)
    what = "annotation(s)" if annotations == "masks" else "box(es)"
    report(path, info.skipped, errors, served, list(notes), info.repaired, what)
    return source


def _only_boxes(files):
    painted = {file.painted for file in files.values()}
    return False in painted and True not in painted


def _pictures(file, annotations, refused):
    def fault(region, size):
        reason = _boxless(region) if annotations != "masks" else None
        return reason or (unpaintable(region, size) if annotations != "boxes" else None)

    return [
        Picture(path, verdict, [_thing(region, file.label_of) for region in regions], dropped)
        for path, verdict, regions, dropped in usable_images(file, fault, refused)
    ]


def _thing(region, label_of):
    x, y, width, height = _box(region) or (0, 0, 0, 0)  # class masks need none
    return Thing(
        label_of[as_key(region["category_id"])],
        (y, x, y + height, x + width),
        f"annotation {region.get('id')}",
        crowd=key_or_none(region.get("iscrowd") or 0) != "0",  # which may be text
        area=_number(region.get("area")),
        region=region.get("segmentation"),
    )


def _box(region):
    """The four numbers of a box, or None."""
    box = region.get("bbox")
    numbers = [_number(value) for value in box] if isinstance(box, list) else []
    return numbers if len(numbers) == 4 and None not in numbers else None


def _number(value):
    """A number as a float, infinite where it is too large for one, or None for what is none."""
    try:
        return float(value) if isinstance(value, (int, float)) else None
    except OverflowError:
        return math.inf


def _boxless(region):
    """Why an annotation has no box, or None."""
    if _box(region) is None:
        return f"it has no bbox of x, y, width and height: {region.get('bbox')!r}"
    return None
