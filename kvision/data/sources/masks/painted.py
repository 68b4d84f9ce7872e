"""Class masks that are painted from the outlines of objects."""

import os

import numpy as np

from kvision.data.info import DatasetInfo, ImageFeature, MaskFeature, SplitDict, SplitInfo
from kvision.data.sources.coco_files import region_mask
from kvision.data.sources.masks.label_table import MOST_CLASSES
from kvision.data.sources.masks.mask_source import MaskSource
from kvision.data.sources.order import stratified_order
from kvision.ops.masks import VOID


def painted_masks(path, pictures, classes, seed, refused):
    """Class masks of pictures whose objects have regions: polygons or COCO's run lengths.

    Background is class 0, the classes of objects follow in their order. What lies over something
    else is taken to be the smaller object; crowds are void where nothing else is.

    Args:
        path: what to call the source.
        pictures: dict of split name to `Picture`s.
        classes: the names of the classes of objects; some files list the background too.
        seed: the order of the examples depends on it.
        refused: list of `SkippedFile`s.

    Returns:
        A `MaskSource`.

    Raises:
        ValueError: if there are more classes than a mask can hold.
    """
    names = list(dict.fromkeys(["background", *classes]))
    if len(names) > MOST_CLASSES:
        raise ValueError(
            f"{path} must hold at most {MOST_CLASSES - 1} classes to be served as class masks. "
            f"Received: {len(names) - 1}. Pass annotations='boxes'."
        )
    index_of = [names.index(name) for name in classes]
    repaired, records, splits, infos = [], [], {}, {}
    for split, members in pictures.items():
        rows, counts = [], np.zeros(len(names), "int64")
        for picture in members:
            verdict = picture.verdict
            image = os.fsencode(picture.path)
            rows.append((image, verdict.decoder, verdict.orientation, len(records)))
            records.append((verdict.size, picture.things))
            repaired += picture.dropped
            # Background is taken to be everywhere; painting all masks to find out takes too long.
            counts[[0, *{index_of[thing.label] for thing in picture.things}]] += 1
        splits[split] = [rows[i] for i in stratified_order(np.zeros(len(rows), "int64"), seed)]
        infos[split] = SplitInfo(len(rows), dict(zip(names, counts.tolist(), strict=True)))

    def read(number):
        return _paint(*records[int(number)], index_of)

    features = {"image": ImageFeature((None, None, 3)), "segmentation_mask": MaskFeature(names)}
    info = DatasetInfo(str(path), SplitDict(infos), features, tuple(refused), tuple(repaired))
    return MaskSource(info, splits, read)


def _paint(size, things, index_of):
    """The class mask of one picture, uint8 (height, width, 1)."""
    mask, shapes = np.zeros(size, "uint8"), []
    for thing in things:
        shape = region_mask(thing.region, size)
        if thing.crowd:
            mask[shape] = VOID
        else:
            shapes.append((shape, index_of[thing.label]))
    # Of two objects, the smaller is in front: a cup on a table, a tie on a person.
    for shape, index in sorted(shapes, key=lambda pair: -np.count_nonzero(pair[0])):
        mask[shape] = index
    return mask[..., None]
