"""COCO instances files as a source of objects, with or without their masks."""

import math

from kvision.data.boxes.box_source import BoxSource, Picture, Thing
from kvision.data.coco_files import region_mask, unpaintable, usable_images
from kvision.data.coco_keys import as_key


def coco_boxes(path, files, seed=0, masks=False):
    """The objects of COCO instances.

    Classes are numbered from 0 in the order of the categories, whatever their ids, without
    background. Images without annotations are served too.

    Args:
        path: what to call the source.
        files: dict of split name to `CocoFile`.
        seed: the order of the examples depends on it.
        masks: whether each object comes with its mask, painted when it is read.

    Returns:
        A `BoxSource`.
    """
    refused, pictures = [], {}

    def fault(region, size):
        return _boxless(region) or (unpaintable(region, size) if masks else None)

    for split, file in files.items():
        pictures[split] = [
            Picture(name, verdict, [_thing(region, file.label_of) for region in regions], dropped)
            for name, verdict, regions, dropped in usable_images(file, fault, refused)
        ]
    source = BoxSource(pictures, region_mask if masks else None, seed)
    return source.describe(path, next(iter(files.values())).names, refused)


def _thing(region, label_of):
    x, y, width, height = _box(region)
    return Thing(
        label_of[as_key(region["category_id"])],
        (y, x, y + height, x + width),
        f"annotation {region.get('id')}",
        crowd=bool(region.get("iscrowd")),
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
