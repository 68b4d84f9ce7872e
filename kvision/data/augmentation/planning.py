"""Runs Keras's augmentation layers inside `tf.data`: reproducible, in parallel, boxes included."""

import keras
import tensorflow as tf

from kvision.data.augmentation import keras_cv, tones, warping, windows
from kvision.data.seeds import Seeds, keys

# Layers that move pixels, and whose boxes and masks follow within 3 px (the tests paint
# rectangles and look). Of layers that only colour pixels nothing else has to follow.
_MOVING = (
    "RandomFlip",
    "RandomPerspective",
    "RandomRotation",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
)
_COLOURING = (
    "AutoContrast",
    "Equalization",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomErasing",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPosterization",
    "RandomSaturation",
    "RandomSharpness",
    "Solarization",
)
_MISPLACING = (
    "AugMix",
    "CutMix",
    "MixUp",
    "RandAugment",
    "RandomCrop",
    "RandomElasticTransform",
)
_MIXING = ("CutMix", "MixUp")
# These draw from a state of their own, whatever seed they are given.
_STATEFUL = ("AugMix", "RandAugment")


def default_augmentation():
    """The layers that `augment=True` stands for: gentle, and meant for photographs.

    A mirror image half of the time, a window of 70 to 100 % of each side, moved by up to 10 %,
    brightness by up to 15 % of the range, contrast by up to 20 %. No rotation, because photographs
    are mostly taken upright and turning pixels costs more than decoding them. Do not use it where
    left and right differ, as in digits and letters.

    Returns:
        A list of Keras layers, to be used as it is or extended.

    Example:

    >>> augment = [*kv.data.default_augmentation(), keras.layers.RandomRotation(0.03)]
    """
    return [
        keras.layers.RandomFlip("horizontal"),
        keras.layers.RandomTranslation(0.1, 0.1),
        keras.layers.RandomZoom((-0.3, 0.0), (-0.3, 0.0)),
        keras.layers.RandomBrightness(0.15),
        keras.layers.RandomContrast((0.2, 0.2)),
    ]


def plan_augmentation(augment, size, parts):
    """Makes of augmentation layers the steps that do their work.

    A step has two parts. `step.draw(seed, count)` returns the random numbers for `count` examples
    (a tensor with that first axis). `step(example, drawn)` then changes one example, a dict of the
    pictures, and of `boxes`, maps by their names, and `matrix` if there: what `follow` of
    `kvision.data.features` is told. `step.in_order` says that it keeps a state of its own and must
    see the examples one after the other.

    Args:
        augment: None or False, True, a Keras layer, or a list of Keras layers.
        size: (height, width, channels) of the images.
        parts: dict of feature name to its module; the picture first.

    Returns:
        A list of steps.

    Raises:
        ValueError: if a layer is none, mixes images, changes the size, or would misplace boxes.
    """
    layers = _flatten(augment)
    pictures = tuple(name for name, part in parts.items() if hasattr(part, "IS_PICTURE"))
    fills = {name: part.FILL for name, part in parts.items() if hasattr(part, "FILL")}
    following = [name for name, part in parts.items() if hasattr(part, "follow")]
    for layer in layers:
        _check(layer, bool(fills or following), following, len(pictures) > 1)
    steps, run = [], []
    for layer in layers:
        if run and not _joins(run, layer):
            steps.append(_fuse(run, size, pictures, fills))
            run = []
        if _joins(run, layer):
            run.append(layer)
        elif keras_cv.is_known(layer) and len(pictures) == 1:
            steps.append(keras_cv.KerasCVStep(layer, size, fills))
        else:
            steps.append(_LayerStep(layer, size, pictures, fills))
    return [*steps, _fuse(run, size, pictures, fills)] if run else steps


class _LayerStep:
    """One Keras layer on one example, through the layer protocol that Keras documents."""

    def __init__(self, layer, size, pictures, fills):
        self._pictures = pictures
        self.in_order = not _is_known(layer) or type(layer).__name__ in _STATEFUL
        if not self.in_order:
            # A copy of our own: full precision, and boxes as this module hands them over.
            layer = type(layer).from_config({**layer.get_config(), "dtype": "float32"})
            layer.bounding_box_format = "xyxy"
        self._layer = layer
        # What comes in from outside has no class, whatever colour the image gets there.
        self._nearest = {name: _filled_with(layer, fill) for name, fill in fills.items()}
        self._size = size
        self._moves = type(layer).__name__ not in _COLOURING

    def draw(self, seed, count):
        """Keys for `Seeds`: int32 tensor (count, 2)."""
        return keys(seed, count)

    def __call__(self, example, key):
        result = dict(example)
        for name in self._pictures:
            image = tf.cast(example[name], tf.float32)[None]
            if self.in_order:
                moved = self._layer(image, training=True)
            else:
                # The same numbers for all pictures: each has seeds that begin anew.
                transformation = self._on_tensorflow(
                    "get_random_transformation", image, seed=Seeds(key)
                )
                moved = self._on_tensorflow("transform_images", image, transformation)
            result[name] = self._keep_size(tf.cast(moved, tf.float32)[0])
        if self.in_order:
            return result
        if self._moves and "boxes" in example:
            result["boxes"] = self._move_boxes(example["boxes"], transformation)
        for name, layer in self._nearest.items():
            if self._moves and name in example:
                pixels = tf.cast(example[name], tf.float32)[None]
                moved = self._on_tensorflow(
                    "transform_segmentation_masks", pixels, transformation, layer=layer
                )
                result[name] = tf.cast(moved[0], example[name].dtype)
        return result

    def _move_boxes(self, boxes, transformation):
        height, width, _ = self._size
        scale = tf.constant([width, height, width, height], tf.float32)
        pixels = {
            "boxes": (tf.gather(boxes, (1, 0, 3, 2), axis=-1) * scale)[None],
            "labels": tf.zeros((1, tf.shape(boxes)[0]), tf.float32),
        }
        pixels = self._on_tensorflow("transform_bounding_boxes", pixels, transformation)
        return tf.gather(pixels["boxes"][0] / scale, (1, 0, 3, 2), axis=-1)

    def _on_tensorflow(self, method, *args, layer=None, **kwargs):
        # As the __call__ of Keras's layers does in a tf.data map, whatever Keras's backend is.
        layer = self._layer if layer is None else layer
        backend = getattr(layer, "backend", None)
        if backend is not None:
            backend.set_backend("tensorflow")
        try:
            return getattr(layer, method)(*args, training=True, **kwargs)
        finally:
            if backend is not None:
                backend.reset()

    def _keep_size(self, image):
        if not image.shape.is_compatible_with(self._size):
            raise ValueError(
                f"The layers of `augment` must keep the image size {self._size}; "
                f"`{type(self._layer).__name__}` makes it {tuple(image.shape)}. "
                "Choose the size with `image_size` and `resize` instead."
            )
        return tf.ensure_shape(image, self._size)


def _filled_with(layer, value):
    """A copy of `layer` with another `fill_value`; the layer itself if it fills with none."""
    config = layer.get_config()
    if "fill_value" not in config or not _is_known(layer):
        return layer
    return type(layer).from_config({**config, "fill_value": float(value)})


def _flatten(augment):
    if augment is None or augment is False:
        return []
    if augment is True:
        return default_augmentation()
    if isinstance(augment, (keras.Sequential, keras.layers.Pipeline)):
        return _flatten(list(augment.layers))
    if isinstance(augment, keras.layers.Layer):
        augment = [augment]
    if not isinstance(augment, (list, tuple)):
        raise ValueError(
            "`augment` must be True, False or a list of Keras augmentation layers. "
            f"Received: {augment!r}"
        )
    layers = []
    for layer in augment:
        if isinstance(layer, (keras.Sequential, keras.layers.Pipeline)):
            layers += _flatten(layer)
        elif type(layer) is keras.layers.RandomColorJitter:
            layers += _jitter_parts(layer)
        elif isinstance(layer, keras.layers.InputLayer):
            continue
        else:
            layers.append(layer)
    return layers


def _jitter_parts(layer):
    """`RandomColorJitter` as the four layers it is made of; it ignores the seed it is given."""
    parts = (
        (keras.layers.RandomBrightness, layer.brightness_factor),
        (keras.layers.RandomContrast, layer.contrast_factor),
        (keras.layers.RandomSaturation, layer.saturation_factor),
        (keras.layers.RandomHue, layer.hue_factor),
    )
    return [
        part(factor=factor, value_range=layer.value_range)
        for part, factor in parts
        if factor is not None
    ]


def _check(layer, with_others, following, several):
    name = type(layer).__name__
    if not isinstance(layer, keras.layers.Layer):
        raise ValueError(
            "`augment` must hold Keras layers, such as keras.layers.RandomFlip(). "
            f"Received: {layer!r}"
        )
    if (name in _MIXING and _is_keras(layer)) or keras_cv.mixes(layer):
        raise ValueError(
            f"`augment` must not hold `{name}`: it mixes the labels of different images, which "
            "needs one-hot labels. Map it over the batches instead."
        )
    if not with_others and not several:
        return
    if name in _MISPLACING and _is_keras(layer):
        raise ValueError(
            f"`augment` must not hold `{name}` when there are boxes or masks: Keras moves them "
            "wrongly in this layer. Use RandomTranslation and RandomZoom for crops, "
            "RandomPerspective or RandomLensDistortion and RandomElasticDeformation of "
            "kvision.layers for bending."
        )
    if not _is_known(layer) and not keras_cv.is_known(layer):
        raise ValueError(
            f"`augment` must hold only layers known to move boxes and masks rightly. "
            f"Received: `{name}`. Known are {', '.join((*_MOVING, *_COLOURING))} of Keras, "
            f"{', '.join((*keras_cv.MOVING, *keras_cv.COLOURING))} of keras-cv, and the layers of "
            "kvision.layers."
        )
    if several and keras_cv.is_known(layer):
        raise ValueError(
            f"`augment` must not hold `{name}` of keras-cv where there are several pictures: it "
            "cannot do the same to all of them. Use the layers of Keras or of kvision.layers."
        )
    affine = isinstance(layer, warping.LAYERS) or windows.can_join([], layer)
    if following and not affine and not _colours(layer):
        raise ValueError(
            f"`augment` must not hold `{name}` where there is {' or '.join(map(repr, following))}, "
            "whose numbers follow flips, shifts, zooms, shears, rotations and crops alone."
        )


def _colours(layer):
    return type(layer).__name__ in (keras_cv.COLOURING if keras_cv.is_known(layer) else _COLOURING)


def _is_keras(layer):
    return type(layer) is getattr(keras.layers, type(layer).__name__, None)


def _is_known(layer):
    name = type(layer).__name__
    if type(layer).__module__.startswith("kvision.layers."):
        return hasattr(layer, "get_random_transformation")
    return _is_keras(layer) and name in (*_MOVING, *_COLOURING, *_MISPLACING)


def _joins(run, layer):
    """Whether `layer` can be fused with the layers of `run`, or begin one."""
    if type(layer) in warping.LAYERS:
        return all(type(other) in warping.LAYERS for other in run) and warping.can_join(run, layer)
    if type(layer) in tones.LAYERS:
        return all(type(other) in tones.LAYERS for other in run) and tones.can_join(layer)
    return windows.can_join(run, layer)


def _fuse(run, size, pictures, fills):
    if type(run[0]) in warping.LAYERS:
        return warping.Warp(run, size[:2], pictures, fills)
    if type(run[0]) in tones.LAYERS:
        return tones.Tone(run, pictures)
    return windows.Windows(run, size, pictures, fills)
