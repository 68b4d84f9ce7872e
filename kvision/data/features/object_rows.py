"""The objects of an example on their way into a batch, and the truth that a batch tells of them.

In an example, `objects` is a dict in TFDS's names with one row for each object: `bbox`, `label`
and, where they are wanted, `is_crowd`, `is_difficult`, `area` and `mask`. Masks travel packed,
eight pixels a byte, because a cache of pictures with many objects would hold little but masks.
"""

import tensorflow as tf

from kvision.data.features.instance_masks import (
    as_channels,
    fit_together,
    from_channels,
    pack_masks,
    unpack_masks,
)

# An object is difficult, so that nobody has to find it, once augmentation has cut off more of it.
_STILL_SEEN = 0.25
_SMALLEST = 1e-3  # the height and width, as shares of the image, that a box must surpass then
_FLAGS = ("is_crowd", "is_difficult")


def as_objects(example, truth=False, masks=False):
    """The objects of an example of any source, in the dtypes used here.

    Args:
        example: dict with `image` and `objects`: `bbox` (n, 4) and `label` (n,), and possibly
            `is_crowd`, `is_difficult`, `area` (in pixels of the image) and `mask` (n, height,
            width).
        truth: whether flags and areas are wanted too.
        masks: whether masks are wanted too; without `mask` they follow from `instance_mask`
            (height, width, 1) and `objects["id"]`.

    Returns:
        A dict of `bbox` (float32) and `label` (int64); with `truth` also `is_crowd`,
        `is_difficult` (bool) and `area` (float32, the share of the image); with `masks` also
        `mask` (uint8, (n, height, width), 0 or 1).
    """
    given = example["objects"]
    boxes = tf.cast(given["bbox"], tf.float32)
    objects = {"bbox": boxes, "label": tf.cast(given["label"], tf.int64)}
    if not truth:
        return objects
    for key in _FLAGS:
        known = key in given
        objects[key] = (
            tf.cast(given[key], tf.bool) if known else tf.zeros_like(boxes[:, 0], tf.bool)
        )
    objects["area"] = box_area(boxes)
    if "area" in given:
        pixels = tf.cast(tf.reduce_prod(tf.shape(example["image"])[:2]), tf.float32)
        objects["area"] = tf.cast(given["area"], tf.float32) / pixels
    if masks and "mask" in given:
        objects["mask"] = tf.cast(tf.cast(given["mask"], tf.bool), tf.uint8)
    elif masks:
        owner = example["instance_mask"][..., 0]
        mine = owner[None] == tf.cast(given["id"], owner.dtype)[:, None, None]
        objects["mask"] = tf.cast(mine, tf.uint8)
    return objects


def box_area(boxes):
    """What share of the image boxes (n, 4) cover."""
    height, width = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return tf.maximum(height, 0.0) * tf.maximum(width, 0.0)


def moving(objects, width):
    """What of the objects augmentation has to move with the image.

    Args:
        objects: dict with one row for each object; masks packed.
        width: of the image.

    Returns:
        A dict of `boxes`, of `shown`: float32 (n,), how much of each is still to be seen, and, if
        there, of `objects`, their masks: uint8 (height, width, n + 1), see `as_channels`.
    """
    changing = {"boxes": objects["bbox"], "shown": tf.ones_like(objects["bbox"][:, 0])}
    if "mask" in objects:
        changing["objects"] = as_channels(unpack_masks(objects["mask"], width))
    return changing


def cut(changing):
    """What `moving` returned, moved, with the boxes cut at the border of the image.

    What one step moves out of sight, the next must not bring back.
    """
    boxes = tf.clip_by_value(changing["boxes"], 0.0, 1.0)
    share = tf.math.divide_no_nan(box_area(boxes), box_area(changing["boxes"]))
    return {**changing, "boxes": boxes, "shown": changing["shown"] * share}


def moved(objects, changed):
    """The objects after augmentation.

    Args:
        objects: dict with one row for each object; masks packed.
        changed: what `moving` returned, moved and cut.

    Returns:
        A dict as `objects`, without those that lie outside now. An object of whose box less than a
        quarter is left, or of whose mask nothing, is difficult.
    """
    boxes, gone, area = changed["boxes"], changed["shown"] < _STILL_SEEN, None
    objects = dict(objects)
    if "objects" in changed:
        masks = from_channels(changed["objects"], changed["objects"].shape[:2])
        masks, boxes = fit_together(masks, boxes)
        objects["mask"] = pack_masks(masks)
        area = tf.reduce_mean(tf.cast(masks, tf.float32), axis=(1, 2))
        gone |= area == 0.0
    if "is_difficult" in objects:
        objects["is_difficult"] |= gone
    return move_objects(objects, boxes, _SMALLEST, area)


def move_objects(objects, boxes, smallest, area=None):
    """Objects whose boxes have moved, without those that lie outside or are empty now.

    Args:
        objects: dict with one row for each object.
        boxes: float32 (n, 4), their new boxes, which may reach over the border.
        smallest: the height and width, as shares of the image, that a box must surpass.
        area: their new areas; None lets them change as those of the boxes do.

    Returns:
        A dict of the same keys.
    """
    seen = tf.clip_by_value(boxes, 0.0, 1.0)
    result = {**objects, "bbox": seen}
    if "area" in objects:
        growth = tf.math.divide_no_nan(box_area(seen), box_area(objects["bbox"]))
        result["area"] = objects["area"] * growth if area is None else area
    inside = tf.reduce_all(seen[:, 2:] - seen[:, :2] > smallest, axis=-1)
    return {key: tf.boolean_mask(value, inside) for key, value in result.items()}


def row_shapes(objects, most):
    """The shapes that the objects of an example are padded to in a batch.

    Args:
        objects: the specification of `objects` in an example.
        most: how many rows, None for as many as there are.

    Returns:
        A dict of key to shape.
    """
    return {key: (most, *spec.shape[1:]) for key, spec in objects.items()}


def as_truth(batch):
    """The truth about a batch, in the words of detectors.

    Args:
        batch: dict with `image`, `objects` with flags and areas, padded with label -1, and `size`.

    Returns:
        A dict of `boxes`, `classes`, `crowd`, `difficult`, `area`, `size` and, if there,
        `masks`; see `kv.data.batches`.
    """
    objects = batch["objects"]
    truth = {
        "boxes": objects["bbox"],
        "classes": tf.cast(objects["label"], tf.int32),
        # No bool: `fit` adds up a first batch under a distribution strategy (Keras 3.15).
        "crowd": tf.cast(objects["is_crowd"], tf.int32),
        "difficult": tf.cast(objects["is_difficult"], tf.int32),
        "area": objects["area"],
        "size": batch["size"],
    }
    if "mask" in objects:
        truth["masks"] = unpack_masks(objects["mask"], batch["image"].shape[2])
    return truth
