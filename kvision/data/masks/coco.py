"""COCO instances files as a source of images and class masks."""

import os

import numpy as np

from kvision.data.coco_files import region_mask, unpaintable, usable_images
from kvision.data.coco_keys import as_key
from kvision.data.info import DatasetInfo, ImageFeature, MaskFeature, SplitDict, SplitInfo
from kvision.data.masks.label_table import MOST_CLASSES
from kvision.data.masks.mask_source import MaskSource
from kvision.data.order import stratified_order
from kvision.ops.masks import VOID


def coco_masks(path, files, seed=0):
    """Class masks, painted from the polygons and run lengths of COCO instances.

    Background is class 0, the categories follow in the order of the file, whatever their ids. What
    lies over something else is taken to be the smaller object; crowds are void where nothing else
    is.

    Args:
        path: what to call the source.
        files: dict of split name to `CocoFile`.
        seed: the order of the examples depends on it.

    Returns:
        A `MaskSource`.

    Raises:
        ValueError: if there are more categories than a mask can hold.
    """
    categories = next(iter(files.values())).names
    names = list(dict.fromkeys(["background", *categories]))  # some files list it too
    if len(names) > MOST_CLASSES:
        raise ValueError(
            f"{path} must hold 1 to {MOST_CLASSES - 1} categories to be served as class masks. "
            f"Received: images and {len(names) - 1} categories. Pass annotations='boxes'."
        )
    refused, repaired, records, splits, infos = [], [], [], {}, {}
    for split, file in files.items():
        index_of = {key: names.index(categories[label]) for key, label in file.label_of.items()}
        rows, counts = [], np.zeros(len(names), "int64")
        for name, verdict, regions, dropped in usable_images(file, unpaintable, refused):
            rows.append((os.fsencode(name), verdict.decoder, verdict.orientation, len(records)))
            records.append((*verdict.size, regions, index_of))
            repaired += dropped
            # Background is taken to be everywhere; painting all masks to find out takes too long.
            counts[[0, *{_index(region, index_of) for region in regions}]] += 1
        splits[split] = [rows[i] for i in stratified_order(np.zeros(len(rows), "int64"), seed)]
        infos[split] = SplitInfo(len(rows), dict(zip(names, counts.tolist(), strict=True)))

    def read(number):
        return paint(*records[int(number)])

    features = {"image": ImageFeature((None, None, 3)), "segmentation_mask": MaskFeature(names)}
    info = DatasetInfo(str(path), SplitDict(infos), features, tuple(refused), tuple(repaired))
    return MaskSource(info, splits, read)


def paint(height, width, regions, index_of):
    """The class mask of one image.

    Args:
        height: of the image.
        width: of the image.
        regions: annotations of the image, as in the file.
        index_of: dict of category id, as text, to class index.

    Returns:
        uint8 array (height, width, 1).
    """
    mask = np.zeros((height, width), "uint8")
    shapes = []
    for region in regions:
        shape = region_mask(region["segmentation"], (height, width))
        if region.get("iscrowd"):
            mask[shape] = VOID
        else:
            shapes.append((shape, _index(region, index_of)))
    # Of two objects, the smaller is in front: a cup on a table, a tie on a person.
    for shape, index in sorted(shapes, key=lambda pair: -np.count_nonzero(pair[0])):
        mask[shape] = index
    return mask[..., None]


def _index(region, index_of):
    return index_of[as_key(region["category_id"])]
