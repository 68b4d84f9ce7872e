import keras
from keras import ops

from kvision.layers.augmentation.random_zoom_out import MEAN_COLOUR
from kvision.layers.augmentation.window_augmentation import (
    WindowAugmentation,
    placed_windows,
    size_of,
)
from kvision.ops.boxes import iou

_OVERLAPS = (0.1, 0.3, 0.5, 0.7, 0.9)


@keras.saving.register_keras_serializable(package="kvision")
class RandomBoxCrop(WindowAugmentation):
    """SSD's crop: a random part of each image that overlaps an object by some measure.

    For each image one of these is chosen: the whole image, a part of any kind, or a part whose
    intersection over union with an object is at least one of `overlaps`. Parts are drawn until one
    fits and holds the centre of an object; objects whose centres it does not hold are gone. Where
    none fits, the image stays whole. Parts are stretched to the size of the image.

    Args:
        overlaps: the measures to choose from.
        scale: the geometric mean of a part's height and width is uniform in this pair of shares of
            the image's.
        aspect_ratio: the quotient of those shares of width and height is uniform in this pair, as
            far as the part fits into the image.
        trials: how many parts are drawn.
        interpolation: of images: `"bilinear"` or `"nearest"`.
        seed: whole number, for the same draws in every run.
        bounding_box_format: of the boxes in a dict, such as `"xyxy"`.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)` or `(height, width, channels)`, or a dict as for Keras's
        augmentation layers. In images without objects any part fits.

    Output shape:
        As the input.

    Raises:
        ValueError: where an argument is out of its range.

    Differs from the paper: parts are at least 0.3 of the image, as in the authors' code; the paper
    says 0.1.

    Reference:
        Liu et al.: SSD: Single shot multibox detector, 2016, section 2.2.

    Example:

    >>> layer = RandomBoxCrop(seed=1, bounding_box_format="xyxy")
    >>> boxes = {"boxes": ops.array([[[4.0, 4.0, 20.0, 20.0]]]), "labels": ops.array([[3.0]])}
    >>> layer({"images": ops.ones((1, 32, 32, 3)), "bounding_boxes": boxes})["images"].shape
    TensorShape([1, 32, 32, 3])
    """

    def __init__(
        self,
        overlaps=_OVERLAPS,
        scale=(0.3, 1.0),
        aspect_ratio=(0.5, 2.0),
        trials=50,
        fill_value=MEAN_COLOUR,
        **kwargs,
    ):
        super().__init__(fill_value, **kwargs)
        if not all(0 < overlap < 1 for overlap in overlaps):
            raise ValueError(f"`overlaps` must lie between 0 and 1. Received: {overlaps}")
        if len(scale) != 2 or not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f"`scale` must be a rising pair in 0..1. Received: {scale}")
        if len(aspect_ratio) != 2 or not 0 < aspect_ratio[0] <= 1 <= aspect_ratio[1]:
            raise ValueError(
                "`aspect_ratio` must be a pair of positive numbers around 1. "
                f"Received: {aspect_ratio}"
            )
        if not isinstance(trials, int) or trials < 1:
            raise ValueError(f"`trials` must be a positive whole number. Received: {trials}")
        self.overlaps = tuple(float(overlap) for overlap in overlaps)
        self.scale = tuple(float(end) for end in scale)
        self.aspect_ratio = tuple(float(end) for end in aspect_ratio)
        self.trials = trials

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        batch, height, width = size_of(data)
        transformation = {"size": (height, width)}
        seed = self.generator if seed is None else seed
        parts = self._parts(batch, seed)
        # 0 is any part, the last one the whole image.
        choices = ops.convert_to_tensor([0.0, *self.overlaps, 2.0])
        choice = keras.random.uniform((batch, 1), 0.0, float(len(choices)), seed=seed)
        overlap = ops.take(choices, ops.cast(choice, "int32"))
        fits = ops.broadcast_to(overlap < 1.5, (batch, self.trials))
        if isinstance(data, dict) and "bounding_boxes" in data:
            given = data["bounding_boxes"]
            boxes = self._relative(given["boxes"], transformation)
            there = (ops.cast(given["labels"], "float32") >= 0)[:, None]
            covered = there & (iou(parts, boxes) >= overlap[..., None])
            held = there & _holds(parts, boxes)
            empty = ~ops.any(there, axis=-1)
            fits = fits & (ops.any(covered, -1) & ops.any(held, -1) | empty)
        first = ops.argmax(ops.cast(fits, "int32"), axis=-1)
        part = ops.take_along_axis(parts, ops.cast(first, "int32")[:, None, None], axis=1)[:, 0]
        whole = ops.convert_to_tensor([[0.0, 0.0, 1.0, 1.0]])
        windows = ops.where(ops.any(fits, axis=-1, keepdims=True), part, whole)
        return {**transformation, "windows": windows}

    def move_boxes(self, boxes, transformation):
        held = _holds(transformation["windows"][:, None], boxes)[:, 0]
        return ops.where(held[..., None], super().move_boxes(boxes, transformation), 0.0)

    def get_config(self):
        return {
            **super().get_config(),
            "overlaps": self.overlaps,
            "scale": self.scale,
            "aspect_ratio": self.aspect_ratio,
            "trials": self.trials,
        }

    def _parts(self, batch, seed):
        """Random parts (batch, trials, 4) of the image."""
        shape = (batch * self.trials, 1)
        scale = keras.random.uniform(shape, *self.scale, seed=seed)
        # A part of this scale fits into the image between these ratios.
        low = ops.maximum(self.aspect_ratio[0], ops.square(scale))
        high = ops.minimum(self.aspect_ratio[1], 1.0 / ops.square(scale))
        ratio = ops.sqrt(low + keras.random.uniform(shape, seed=seed) * (high - low))
        extent = ops.minimum(ops.concatenate([scale / ratio, scale * ratio], axis=-1), 1.0)
        place = keras.random.uniform((batch * self.trials, 2), seed=seed)
        return ops.reshape(placed_windows(extent, place), (batch, self.trials, 4))


def _holds(parts, boxes):
    """Whether parts (batch, p, 4) hold the centres of boxes (batch, n, 4): (batch, p, n)."""
    centres = (boxes[..., :2] + boxes[..., 2:])[:, None] / 2.0
    inside = (centres >= parts[:, :, None, :2]) & (centres <= parts[:, :, None, 2:])
    return ops.all(inside, axis=-1)
