"""Pictures with objects as a source, wherever their boxes come from."""

import dataclasses
import os

import numpy as np
import tensorflow as tf

from kvision.data.info import (
    DatasetInfo,
    ImageFeature,
    LabelFeature,
    RepairedBox,
    SplitDict,
    SplitInfo,
)
from kvision.data.sources.boxes.repairing import repair_box
from kvision.data.sources.image_files import decode
from kvision.data.sources.order import stratified_order
from kvision.data.sources.readable import readable_dataset
from kvision.data.sources.units import boxes_are_shares

_LARGEST = float(np.finfo("float32").max)


@dataclasses.dataclass(frozen=True)
class Thing:
    """One object as its source describes it.

    Attributes:
        label: the index of its class, background not counted.
        box: (ymin, xmin, ymax, xmax) in pixels; the first pixel covers 0..1.
        name: what to call it in a warning.
        crowd: whether it is a crowd of objects.
        difficult: whether it need not be found.
        area: how many pixels it covers; None for those of its box.
        region: what its mask is painted from, if it has one.
    """

    label: int
    box: tuple
    name: str
    crowd: bool = False
    difficult: bool = False
    area: float | None = None
    region: object = None


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture that can be served: its file, what checking that found, and its objects.

    Those that its source had to drop are in `dropped`, as `RepairedBox`es.
    """

    path: str
    verdict: object
    things: list
    dropped: list = ()


class BoxSource:
    """Pictures and their objects: what is known of them, and datasets of pieces of their splits.

    Args:
        pictures: dict of split name to a list of `Picture`s.
        paint: function of (region, (height, width)) that returns a mask, or None for no masks.
        seed: the order of the pictures in each split depends on it.

    Raises:
        ValueError: if most boxes lie within a pixel, and so are no boxes in pixels.
    """

    def __init__(self, pictures, paint=None, seed=0):
        _check_unit(thing.box for found in pictures.values() for p in found for thing in p.things)
        self.repaired = []
        self._paint = paint
        self._regions, self.splits, self._counts = [], {}, {}
        for split, members in pictures.items():
            rows = [self._row(picture) for picture in members]
            order = stratified_order(np.zeros(len(rows), "int64"), seed)
            self.splits[split] = [rows[i] for i in order]
        self.info = None

    def describe(self, name, class_names, skipped):
        """Completes the source with its `DatasetInfo`, and returns it."""
        splits = {}
        for split, rows in self.splits.items():
            labels = np.concatenate([[], *(row["label"] for row in rows)]).astype("int64")
            counts = np.bincount(labels, minlength=len(class_names)).tolist()
            counts = dict(zip(class_names, counts, strict=True))
            splits[split] = SplitInfo(len(rows), counts)
        features = {
            "image": ImageFeature((None, None, 3)),
            "objects": {"label": LabelFeature(list(class_names))},
        }
        repaired = tuple(self.repaired)
        self.info = DatasetInfo(str(name), SplitDict(splits), features, tuple(skipped), repaired)
        return self

    def dataset(self, pieces):
        """A `tf.data.Dataset` of {"image", "objects"} for a list of `SplitPiece`."""
        rows = [
            row for piece in pieces for row in self.splits[piece.name][piece.start : piece.stop]
        ]
        used = frozenset(row["file"][1] for row in rows)
        rotated = max(row["file"][2] for row in rows) > 1
        ends = np.cumsum([0, *(len(row["label"]) for row in rows)])
        with tf.device("CPU:0"):
            paths = tf.constant([row["file"][0] for row in rows])
            facts = tf.constant([row["file"][1:] for row in rows], tf.int64)
            ends = tf.constant(ends, tf.int64)
            table = {
                key: tf.constant(np.concatenate([row[key] for row in rows])) for key in _COLUMNS
            }

        def read(row):
            decoder, orientation, number = tf.unstack(facts[row])
            image = decode(paths[row], tf.cast(decoder, tf.int32), orientation, used, rotated)
            mine = {key: column[ends[row] : ends[row + 1]] for key, column in table.items()}
            if self._paint is not None:
                mine["mask"] = self._masks(number)
            return {"image": image, "objects": mine}

        return readable_dataset(np.arange(len(rows)), read)

    def _row(self, picture):
        verdict, columns, regions = picture.verdict, {key: [] for key in _COLUMNS}, []
        height, width = verdict.size
        self.repaired += picture.dropped
        for thing in picture.things:
            box, reason = repair_box(thing.box, verdict.size)
            if reason:
                name = f"{os.path.basename(picture.path)}, {thing.name}"
                self.repaired.append(RepairedBox(name, reason))
            if box is None:
                continue
            area = thing.area
            if area is None or not 0 <= area <= _LARGEST:  # a file may say anything
                area = (box[2] - box[0]) * (box[3] - box[1]) * height * width
            values = box, thing.label, thing.crowd, thing.difficult, area
            for key, value in zip(_COLUMNS, values, strict=True):
                columns[key].append(value)
            regions.append(thing.region)
        row = {
            key: np.array(columns[key], dtype).reshape(-1, *shape)
            for key, (dtype, shape) in _COLUMNS.items()
        }
        path = os.fsencode(picture.path)
        row["file"] = (path, verdict.decoder, verdict.orientation, len(self._regions))
        self._regions.append((verdict.size, regions if self._paint else None))
        return row

    def _masks(self, number):
        masks = tf.numpy_function(self._painted, [number], tf.uint8, stateful=False)
        return tf.ensure_shape(masks, (None, None, None))

    def _painted(self, number):
        size, regions = self._regions[int(number)]
        masks = np.zeros((len(regions), *size), "uint8")
        for mask, region in zip(masks, regions, strict=True):
            mask[:] = self._paint(region, size)
        return masks


def _check_unit(boxes):
    if boxes_are_shares(boxes):
        raise ValueError(
            "the boxes must be in pixels. Received: most of them end at 1 or before, as shares of "
            "the picture do. Multiply them by the width and height of their pictures"
        )


# What is served of the objects: TFDS's names, dtypes, and shapes of a row.
_COLUMNS = {
    "bbox": ("float32", (4,)),
    "label": ("int64", ()),
    "is_crowd": ("bool", ()),
    "is_difficult": ("bool", ()),
    "area": ("float32", ()),
}
