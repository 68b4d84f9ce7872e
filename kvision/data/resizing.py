"""Brings the examples of a source to one size and number of channels, boxes and masks with them."""

import tensorflow as tf

from kvision.data.features.instance_masks import as_channels, from_channels, pack_masks
from kvision.data.features.object_rows import move_objects
from kvision.ops.masks import VOID

MODES = ("stretch", "crop", "pad")
# A box thinner than this share of the image is none: 1/20 of a pixel among 5000.
_SMALLEST_BOX = 1e-5


def resize_example(example, size, channels, mode, antialias=False):
    """Resizes the image of one example, and its boxes and mask alike.

    Args:
        example: dict with `image` (uint8, (height, width, channels)) and, if there,
            `objects` with `bbox` (float32, (n, 4), relative ymin, xmin, ymax, xmax) and more rows
            for each object, `size` (int32, (height, width) of the image), `segmentation_mask`
            (uint8, (height, width, 1)) and `pixel_weight` (float32, (height, width, 1)).
        size: (height, width) in pixels.
        channels: 1 or 3, or None to leave them as they are.
        mode: `"stretch"` ignores the aspect ratio; `"crop"` keeps it and cuts the longer side on
            both ends; `"pad"` keeps it and adds black on both ends of the shorter, where the mask
            is void (255) and the weight 0.
        antialias: whether shrinking averages over all pixels instead of the nearest four.

    Returns:
        A dict of the same keys, without the objects that lie outside, and their masks packed.
        `size` is that of what is shown, in pixels of the image as it was.
    """
    example = dict(example)
    image = example["image"]
    method = {"method": "bilinear", "antialias": antialias}
    if "objects" in example:
        example["objects"] = _resize_objects(example["objects"], tf.shape(image), size, mode)
    if "size" in example:
        example["size"] = _shown_size(tf.shape(image), size, mode)
    for key, fill in (("segmentation_mask", VOID), ("pixel_weight", 0)):
        if key in example:
            # Each pixel keeps one class and the weight that goes with it.
            pixels = _resize(example[key], size, mode, {"method": "nearest"}, fill)
            example[key] = tf.ensure_shape(pixels, (*size, 1))
    image = convert_channels(_resize(image, size, mode, method), channels)
    example["image"] = tf.ensure_shape(image, (*size, channels))
    return example


def convert_channels(image, channels):
    """Grey pixels as RGB or RGB pixels as grey (ITU-R 601 luma), whichever is wanted."""
    if channels is None or image.shape[-1] == channels:
        return image
    if channels == 1:
        return tf.image.rgb_to_grayscale(image)
    return tf.image.grayscale_to_rgb(image)


def _resize(image, size, mode, method, fill=0):
    if image.shape[:2] == tuple(size):
        return image
    if mode == "crop":
        top, left, height, width = _crop_window(tf.shape(image), size)
        image = image[top : top + height, left : left + width]
    inner = size
    if mode == "pad":
        top, left, height, width = _pad_window(tf.shape(image), size)
        inner = tf.stack([height, width])
    dtype = image.dtype
    image = tf.image.resize(image, inner, **method)
    if image.dtype != dtype:
        image = tf.cast(tf.round(image), dtype)
    if mode == "pad":
        bottom, right = size[0] - top - height, size[1] - left - width
        image = tf.pad(image, [[top, bottom], [left, right], [0, 0]], constant_values=fill)
    return image


def _resize_objects(objects, shape, size, mode):
    objects = dict(objects)
    if "mask" in objects:
        pixels = _resize(as_channels(objects["mask"]), size, mode, {"method": "nearest"})
        objects["mask"] = pack_masks(from_channels(pixels, size))
    boxes = _resize_boxes(objects["bbox"], shape, size, mode)
    return move_objects(objects, boxes, _SMALLEST_BOX)


def _shown_size(shape, size, mode):
    """The (height, width) of what is shown of an image, padding included, in its own pixels."""
    if mode == "crop":
        return tf.stack(_crop_window(shape, size)[2:])
    if mode == "pad":
        longest = tf.reduce_max(shape[:2] / tf.constant(size))
        return tf.cast(tf.round(longest * tf.constant(size, longest.dtype)), tf.int32)
    return shape[:2]


def _resize_boxes(boxes, shape, size, mode):
    if mode == "stretch":
        return boxes
    if mode == "crop":
        window, whole = _crop_window(shape, size), shape[:2]
    else:
        window, whole = _pad_window(shape, size), size
    top, left, height, width = (tf.cast(value, tf.float32) for value in window)
    whole = tf.tile(tf.cast(whole, tf.float32), (2,))
    corner, extent = tf.stack([top, left, top, left]), tf.stack([height, width, height, width])
    if mode == "crop":
        return (boxes * whole - corner) / extent
    return (boxes * extent + corner) / whole


def _crop_window(shape, size):
    """The largest centred part of an image that has the aspect ratio of `size`."""
    height, width = shape[0], shape[1]
    scale = tf.minimum(height / size[0], width / size[1])
    inner_height = tf.clip_by_value(_whole(size[0] * scale), 1, height)
    inner_width = tf.clip_by_value(_whole(size[1] * scale), 1, width)
    return (height - inner_height) // 2, (width - inner_width) // 2, inner_height, inner_width


def _pad_window(shape, size):
    """Where the whole image lies, centred, inside `size`."""
    scale = tf.minimum(size[0] / shape[0], size[1] / shape[1])
    height = tf.clip_by_value(_whole(tf.cast(shape[0], scale.dtype) * scale), 1, size[0])
    width = tf.clip_by_value(_whole(tf.cast(shape[1], scale.dtype) * scale), 1, size[1])
    return (size[0] - height) // 2, (size[1] - width) // 2, height, width


def _whole(value):
    return tf.cast(tf.round(value), tf.int32)
