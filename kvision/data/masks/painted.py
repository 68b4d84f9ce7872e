"""Class masks that are painted from the outlines of objects."""

import os

import numpy as np

from kvision.data.coco_keys import as_key
from kvision.data.info import DatasetInfo, ImageFeature, MaskFeature, SplitDict, SplitInfo
from kvision.data.masks.coco import paint
from kvision.data.masks.label_table import MOST_CLASSES
from kvision.data.masks.mask_source import MaskSource
from kvision.data.order import stratified_order


def painted_masks(path, pictures, names, seed, refused):
    """Class masks of pictures whose objects have regions; background is class 0.

    Args:
        path: what to call the source.
        pictures: dict of split name to `Picture`s.
        names: the names of the classes of objects.
        seed: the order of the examples depends on it.
        refused: list of `SkippedFile`s.

    Returns:
        A `MaskSource`.

    Raises:
        ValueError: if there are more classes than a mask can hold.
    """
    names = ["background", *names]
    if len(names) > MOST_CLASSES:
        raise ValueError(
            f"{path} must hold at most {MOST_CLASSES - 1} classes to be served as class masks. "
            f"Received: {len(names) - 1}. Pass annotations='boxes'."
        )
    index_of = {as_key(label): label + 1 for label in range(len(names) - 1)}
    records, splits, infos = [], {}, {}
    for split, members in pictures.items():
        rows, counts = [], np.zeros(len(names), "int64")
        for picture in members:
            verdict = picture.verdict
            image = os.fsencode(picture.path)
            rows.append((image, verdict.decoder, verdict.orientation, len(records)))
            regions = [
                {"segmentation": thing.region, "category_id": thing.label}
                for thing in picture.things
            ]
            records.append((*verdict.size, regions, index_of))
            counts[[0, *{thing.label + 1 for thing in picture.things}]] += 1
        splits[split] = [rows[i] for i in stratified_order(np.zeros(len(rows), "int64"), seed)]
        infos[split] = SplitInfo(len(rows), dict(zip(names, counts.tolist(), strict=True)))
    features = {"image": ImageFeature((None, None, 3)), "segmentation_mask": MaskFeature(names)}
    info = DatasetInfo(str(path), SplitDict(infos), features, tuple(refused))
    return MaskSource(info, splits, lambda number: paint(*records[int(number)]))
