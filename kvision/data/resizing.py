"""Brings the examples of a source to one size and number of channels, their truth with them."""

import tensorflow as tf

MODES = ("stretch", "crop", "pad")


def resize_example(example, parts, size, channels, mode, antialias=False):
    """Resizes the pictures of one example, and whatever is known of them alike.

    Args:
        example: dict of features, and, if there, `size` (int32, (height, width) of the picture).
        parts: dict of feature name to its module, see `kvision.data.features`; pictures first.
        size: (height, width) in pixels.
        channels: 1 or 3, or None to leave them as they are.
        mode: `"stretch"` ignores the aspect ratio; `"crop"` keeps it and cuts the longer side on
            both ends; `"pad"` keeps it and adds black on both ends of the shorter, where nothing is
            known: the mask is void (255) and the weight 0.
        antialias: whether shrinking averages over all pixels instead of the nearest four.

    Returns:
        A dict of the same keys, without the objects that lie outside, and their masks packed.
        `size` is that of what is shown, in pixels of the image as it was.
    """
    example = dict(example)
    first = next(name for name, part in parts.items() if hasattr(part, "IS_PICTURE"))
    frame = Frame(example[first], size, channels, mode, antialias)
    for name, part in parts.items():
        if hasattr(part, "resized"):
            example[name] = part.resized(example[name], frame)
        if hasattr(part, "follow"):
            example[name] = part.follow(example[name], frame.matrix())
    if "size" in example:
        example["size"] = frame.shown_size()
    return example


class Frame:
    """What a picture's pixels, and those of maps beside it, go into.

    Args:
        image: the picture as it was.
        size: (height, width) in pixels.
        channels: 1 or 3, or None to leave them as they are.
        mode: of `MODES`.
        antialias: whether shrinking pictures averages over all pixels.
    """

    def __init__(self, image, size, channels, mode, antialias):
        self.size = tuple(size)
        self._shape = tf.shape(image)
        self._channels, self._mode, self._antialias = channels, mode, antialias

    def picture(self, image):
        """A picture of uint8, resized, with the channels that are wanted."""
        method = _interpolated if self._antialias is False else _antialiased
        image = convert_channels(self.pixels(image, method), self._channels)
        return tf.ensure_shape(image, (*self.size, self._channels))

    def nearest(self, pixels, fill):
        """A map, each of whose pixels becomes the nearest of the old ones; `fill` around it."""
        return self.pixels(pixels, _nearest, fill)

    def pixels(self, pixels, method, fill=0):
        """A map (height, width, n), resized by `method(pixels, size)`; `fill` around it."""
        if pixels.shape[:2] == self.size:
            return pixels
        mode, inner = self._mode, self.size
        if mode == "crop":
            top, left, height, width = _crop_window(tf.shape(pixels), self.size)
            pixels = pixels[top : top + height, left : left + width]
        if mode == "pad":
            top, left, height, width = _pad_window(tf.shape(pixels), self.size)
            inner = tf.stack([height, width])
        dtype, channels = pixels.dtype, pixels.shape[-1]
        pixels = method(pixels, inner)
        if pixels.dtype != dtype:
            pixels = tf.cast(tf.round(pixels), dtype)
        if mode == "pad":
            bottom, right = self.size[0] - top - height, self.size[1] - left - width
            around = [[top, bottom], [left, right], [0, 0]]
            pixels = tf.pad(pixels, around, constant_values=fill)
        return tf.ensure_shape(pixels, (*self.size, channels))

    def boxes(self, boxes):
        """Boxes (n, 4) relative to the old picture, now relative to the new one."""
        if self._mode == "stretch":
            return boxes
        start, extent = self._shown()
        whole = tf.cast(tf.tile(self._shape[:2], (2,)), tf.float32)
        return (boxes * whole - tf.tile(start, (2,))) / tf.tile(extent, (2,))

    def matrix(self):
        """From pixels (x, y, 1) of the new picture to those of the old one: float32 (3, 3)."""
        start, extent = self._shown()
        return window_matrix(tf.concat([start, start + extent], axis=0), self.size)

    def shown_size(self):
        """The (height, width) of what is shown, padding included, in pixels of the old picture."""
        shape = self._shape
        if self._mode == "crop":
            return tf.stack(_crop_window(shape, self.size)[2:])
        if self._mode == "pad":
            longest = tf.reduce_max(shape[:2] / tf.constant(self.size))
            return tf.cast(tf.round(longest * tf.constant(self.size, longest.dtype)), tf.int32)
        return shape[:2]

    def _shown(self):
        """Where what is shown begins, and how far it reaches, (y, x), in pixels of the old one."""
        whole = tf.cast(self._shape[:2], tf.float32)
        if self._mode == "stretch":
            return tf.zeros((2,)), whole
        window = _crop_window if self._mode == "crop" else _pad_window
        top, left, height, width = (tf.cast(v, tf.float32) for v in window(self._shape, self.size))
        corner, extent = tf.stack([top, left]), tf.stack([height, width])
        if self._mode == "crop":
            return corner, extent
        scale = whole / extent
        return -corner * scale, tf.constant(self.size, tf.float32) * scale


def window_matrix(window, size):
    """The matrix of a resized window: from new pixels (x, y, 1) to old ones.

    Args:
        window: float32 (4,): its edges y0, x0, y1, x1 in pixels of the old picture; where an end
            comes before its start, the picture is mirrored.
        size: (height, width) of the new picture.

    Returns:
        float32 (3, 3).
    """
    scale = (window[2:] - window[:2]) / tf.constant(size, tf.float32)
    # Pixel i covers i .. i + 1, so its middle is at i + 1/2.
    shift = window[:2] + 0.5 * scale - 0.5
    rows = [[scale[1], 0.0, shift[1]], [0.0, scale[0], shift[0]], [0.0, 0.0, 1.0]]
    return tf.stack([tf.stack(row) for row in rows])


def convert_channels(image, channels):
    """Grey pixels as RGB or RGB pixels as grey (ITU-R 601 luma), whichever is wanted."""
    if channels is None or image.shape[-1] == channels:
        return image
    if channels == 1:
        return tf.image.rgb_to_grayscale(image)
    return tf.image.grayscale_to_rgb(image)


def _interpolated(pixels, size):
    return tf.image.resize(pixels, size)


def _antialiased(pixels, size):
    return tf.image.resize(pixels, size, antialias=True)


def _nearest(pixels, size):
    return tf.image.resize(pixels, size, "nearest")


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
