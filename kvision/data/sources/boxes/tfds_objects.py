"""TFDS's objects, whose boxes nobody has looked at."""

import tensorflow as tf

_SMALLEST = 1e-5  # height and width, as shares of the picture, that a box must surpass


def has_objects(spec):
    """Whether examples of this specification have objects with boxes and classes."""
    objects = spec.get("objects") if isinstance(spec, dict) else None
    return (
        isinstance(objects, dict) and "bbox" in objects and bool({"label", "type"} & set(objects))
    )


def with_sane_objects(example):
    """The example with boxes that have an area inside the picture, and `label` as their class.

    Corners that were swapped are put in order, what reaches over the border is cut off; the other
    objects are dropped.

    Args:
        example: dict with `objects`: `bbox` (float32, (n, 4)), `label` or (KITTI) `type`, and more
            rows for each object.

    Returns:
        The example, with `objects` mended.
    """
    objects = dict(example["objects"])
    if "label" not in objects:
        objects["label"] = objects.pop("type")
    count = tf.reduce_min([tf.shape(value)[0] for value in objects.values()])
    objects = {key: value[:count] for key, value in objects.items()}
    boxes = objects["bbox"]
    low, high = tf.minimum(boxes[:, :2], boxes[:, 2:]), tf.maximum(boxes[:, :2], boxes[:, 2:])
    objects["bbox"] = tf.clip_by_value(tf.concat([low, high], axis=-1), 0.0, 1.0)
    # What is no number is not larger than anything.
    sane = tf.reduce_all(objects["bbox"][:, 2:] - objects["bbox"][:, :2] > _SMALLEST, axis=-1)
    sane &= tf.reduce_all(tf.math.is_finite(boxes), axis=-1)
    objects = {key: tf.boolean_mask(value, sane) for key, value in objects.items()}
    return {**example, "objects": objects}
