"""COCO instances files as a source of objects, with or without their masks."""

import os

from kvision.data.boxes.box_source import BoxSource, Picture, Thing
from kvision.data.coco_files import region_mask, unpaintable, usable_images


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

    def fault(regions, size):
        return _boxless(regions) or (unpaintable(regions, size) if masks else None)

    for split, file in files.items():
        pictures[split] = [
            Picture(
                os.path.join(file.root, image["file_name"]),
                verdict,
                [_thing(region, file.label_of) for region in regions],
            )
            for image, regions, verdict in usable_images(file, fault, refused)
        ]
    source = BoxSource(pictures, region_mask if masks else None, seed)
    return source.describe(path, next(iter(files.values())).names, refused)


def _thing(region, label_of):
    x, y, width, height = (float(value) for value in region["bbox"])
    area = region.get("area")
    return Thing(
        label_of[region["category_id"]],
        (y, x, y + height, x + width),
        f"annotation {region.get('id')}",
        crowd=bool(region.get("iscrowd")),
        area=float(area) if isinstance(area, (int, float)) else None,
        region=region.get("segmentation"),
    )


def _boxless(regions):
    """Why one of some annotations has no box, or None."""
    for region in regions:
        box = region.get("bbox")
        numbers = isinstance(box, list) and all(isinstance(v, (int, float)) for v in box)
        if not numbers or len(box) != 4:
            return f"annotation {region.get('id')} has no bbox of x, y, width and height: {box!r}"
    return None
