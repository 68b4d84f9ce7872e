"""The objects in a picture: boxes with classes and, where they are wanted, masks.

What their rows hold, and how they become the truth that detectors learn from: `object_rows`.
"""

import tensorflow as tf

from kvision.data.augmentation.mosaic import Mosaic
from kvision.data.features import object_rows
from kvision.data.features.instance_masks import as_channels, from_channels, pack_masks

DTYPE = tf.float32  # of the boxes
FILL = 0.0  # of their masks
MASK_BYTES = 4  # packed, eight pixels a byte: of 32 objects
WANTS_SIZE = True
PLURAL = "boxes"
# A box thinner than this share of the image is none: 1/20 of a pixel among 5000.
_SMALLEST_BOX = 1e-5


def check(name, spec):
    """Raises a ValueError where there are no boxes with labels."""
    if not isinstance(spec, dict) or not {"bbox", "label"} <= set(spec):
        raise ValueError(
            f"The '{name}' of an example must be a dict with 'bbox' (n, 4) and 'label' (n,), as "
            f"from kv.data.load. Received: {spec}"
        )


def with_masks(features):
    """Raises a ValueError where the examples lack masks of their objects."""
    objects = features["objects"]
    if "mask" in objects or ("instance_mask" in features and "id" in objects):
        return
    raise ValueError(
        "The examples must have masks of their objects where `masks=True`: a 'mask' in their "
        f"'objects', or an 'instance_mask' and an 'id'. Received 'objects' with: "
        f"{sorted(objects)}. Load COCO files with annotations='instances'."
    )


def read(features, alone, masks):
    """The rows; with flags and areas where they are all that is wanted."""
    return object_rows.as_objects(features, alone, masks)


def resized(value, frame):
    """The rows of the objects that are still seen, their masks packed."""
    objects = dict(value)
    if "mask" in objects:
        pixels = frame.nearest(as_channels(objects["mask"]), FILL)
        objects["mask"] = pack_masks(from_channels(pixels, frame.size))
    boxes = frame.boxes(objects["bbox"])
    return object_rows.move_objects(objects, boxes, _SMALLEST_BOX)


def moving(name, value, width):
    """The boxes, how much of them is shown, and the masks, as channels of one map."""
    return object_rows.moving(value, width)


def moved(name, value, changed):
    """The rows, moved."""
    return object_rows.moved(value, changed)


def padding(spec, most):
    """Rows of label -1 fill up."""
    fills = tf.nest.map_structure(lambda rows: tf.zeros((), rows.dtype), spec)
    return object_rows.row_shapes(spec, most), {**fills, "label": tf.constant(-1, tf.int64)}


def limited(value, most):
    """The first rows."""
    return {key: rows[:most] for key, rows in value.items()}


def for_fit(value, batch):
    """The truth about a batch; see `kv.data.batches`."""
    return object_rows.as_truth(batch)


def mosaic(probability, size, count):
    """The step that makes mosaics."""
    return Mosaic(probability, size, count)


def class_names(description):
    """The names, or None where the source does not tell."""
    return getattr(description["label"], "names", None)


def relabelled(value, table):
    """The objects in other numbers."""
    old = value["label"]
    new = tf.gather(tf.constant(table, old.dtype), tf.cast(old, tf.int32))
    return {**value, "label": new}
