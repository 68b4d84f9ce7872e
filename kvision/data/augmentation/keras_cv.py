"""Layers of keras-cv as steps: known by name, because only tests and callers import keras-cv."""

import tensorflow as tf

# Boxes and masks follow within 3 px, as tests find out with painted rectangles.
MOVING = ("JitteredResize", "RandomCropAndResize", "RandomFlip", "RandomTranslation")
COLOURING = (
    "AutoContrast",
    "ChannelShuffle",
    "Equalization",
    "Grayscale",
    "GridMask",
    "Posterization",
    "RandomBrightness",
    "RandomChannelShift",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomCutout",
    "RandomGaussianBlur",
    "RandomHue",
    "RandomJpegQuality",
    "RandomSaturation",
    "RandomSharpness",
    "Solarization",
)
MIXING = ("CutMix", "FourierMix", "MixUp", "Mosaic")


def is_known(layer):
    """Whether it is a layer of keras-cv whose boxes and masks are known to follow."""
    return _is_own(layer) and type(layer).__name__ in (*MOVING, *COLOURING)


def mixes(layer):
    """Whether it is a layer of keras-cv that mixes images of a batch."""
    return _is_own(layer) and type(layer).__name__ in MIXING


def _is_own(layer):
    return type(layer).__module__.startswith("keras_cv.")


class KerasCVStep:
    """A layer of keras-cv on one example, as a dict of what it knows.

    Such a layer draws from a state of its own, and so must see the examples one after the other.
    It leaves out boxes that end up outside; they come back here as boxes without area.

    Args:
        layer: the layer.
        size: (height, width, channels) of the images.
        fills: dict of the names of maps to the value of pixels that come in from outside.
    """

    in_order = True

    def __init__(self, layer, size, fills):
        self._moves = type(layer).__name__ in MOVING
        config = {**layer.get_config(), "dtype": "float32"}
        if self._moves:
            config["bounding_box_format"] = "xyxy"
        self._layer = type(layer).from_config(config)
        self._size = size
        self._fills = fills

    def draw(self, seed, count):
        """Returns a row for each example, of no use: the layer draws by itself."""
        return tf.zeros((count, 1), tf.int32)

    def __call__(self, example, _):
        """Returns the example with its picture changed, and the boxes and maps moved."""
        given = {"images": tf.cast(example["image"], tf.float32)}
        maps = [name for name in self._fills if name in example] if self._moves else []
        boxes = example.get("boxes") if self._moves else None
        if maps:
            # What comes in from outside is 0 for keras-cv, and is told from a value of 0 by that.
            layers = [tf.cast(example[name], tf.float32) + 1.0 for name in maps]
            given["segmentation_masks"] = tf.concat(layers, axis=-1)
        if boxes is not None:
            rows = tf.cast(tf.range(tf.shape(boxes)[0]), tf.float32)
            given["bounding_boxes"] = {"boxes": self._in_pixels(boxes), "classes": rows}
        changed = self._layer(given, training=True)
        result = {**example, "image": self._checked(changed["images"])}
        if maps:
            sizes = [tf.shape(example[name])[-1] for name in maps]
            parts = tf.split(changed["segmentation_masks"], sizes, axis=-1, num=len(maps))
            for name, pixels in zip(maps, parts, strict=True):
                fill = tf.cast(self._fills[name], tf.float32)
                pixels = tf.where(pixels < 0.5, fill, pixels - 1.0)
                result[name] = tf.cast(
                    tf.ensure_shape(pixels, example[name].shape), example[name].dtype
                )
        if boxes is not None:
            result["boxes"] = self._placed(changed["bounding_boxes"], tf.shape(boxes))
        return result

    def _in_pixels(self, boxes):
        height, width, _ = self._size
        return tf.gather(boxes, (1, 0, 3, 2), axis=-1) * [width, height, width, height]

    def _placed(self, found, shape):
        """The boxes in the rows that they had."""
        boxes, rows = (
            value.to_tensor() if isinstance(value, tf.RaggedTensor) else value
            for value in (found["boxes"], found["classes"])
        )
        height, width, _ = self._size
        boxes = tf.gather(boxes, (1, 0, 3, 2), axis=-1) / [height, width, height, width]
        there = rows >= 0  # rows of padding have the class -1
        rows = tf.cast(tf.boolean_mask(rows, there), tf.int32)
        return tf.scatter_nd(rows[:, None], tf.boolean_mask(boxes, there), shape)

    def _checked(self, image):
        if not image.shape.is_compatible_with(self._size):
            raise ValueError(
                f"The layers of `augment` must keep the image size {self._size}; "
                f"`{type(self._layer).__name__}` of keras-cv makes it {tuple(image.shape)}."
            )
        return tf.ensure_shape(image, self._size)
