import keras
import numpy as np
from keras import ops

from kvision.layers.image_augmentation import ImageAugmentation
from kvision.ops.warp import distort_radius, resample, undistort_radius

_BORDER_POINTS = 65


@keras.saving.register_keras_serializable(package="kvision")
class RandomLensDistortion(ImageAugmentation):
    """Bends each image as a lens does: barrel or pincushion, randomly.

    Use it where the cameras that will look differ from those that looked, as wide-angle and phone
    lenses do. With r the distance from the image's centre in units of half its diagonal, the pixel
    at r shows what was at r (1 + k1 r^2 + k2 r^4): positive coefficients give a barrel (and show
    what lies outside the image in the corners), negative ones a pincushion. Boxes become the
    upright boxes around what is visible of them; masks move with nearest neighbours.

    Args:
        factor: k1 is uniform in -factor..factor, or in the pair given.
        second_factor: likewise for k2.
        fill_mode: what lies outside the image: `"constant"`, `"nearest"`, `"reflect"`, `"wrap"`.
        fill_value: the number for `"constant"`.
        interpolation: of images: `"bilinear"` or `"nearest"`.
        seed: whole number, for the same draws in every run.
        bounding_box_format: of the boxes in a dict, such as `"xyxy"`.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)` or `(height, width, channels)`, or a dict as for Keras's
        augmentation layers.

    Output shape:
        As the input; floating point.

    Raises:
        ValueError: where the coefficients fold the image over itself: 1 + 3 k1 r^2 + 5 k2 r^4 must
            stay above 0 for r up to 1, so k1 alone above -1/3.

    Reference:
        Brown, Decentering distortion of lenses, 1966.

    Example:

    >>> layer = RandomLensDistortion(0.2, seed=1)
    >>> layer(ops.ones((1, 32, 32, 3))).shape
    TensorShape([1, 32, 32, 3])
    """

    def __init__(
        self,
        factor=0.2,
        second_factor=0.0,
        fill_mode="reflect",
        fill_value=0.0,
        interpolation="bilinear",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.factor = _parse_range(factor, "factor")
        self.second_factor = _parse_range(second_factor, "second_factor")
        square = np.linspace(0.0, 1.0, 101) ** 2
        slope = 1 + square * (3 * self.factor[0] + 5 * self.second_factor[0] * square)
        if slope.min() < 0.01:
            raise ValueError(
                "`factor` and `second_factor` must not fold the image over itself: "
                "1 + 3 k1 r^2 + 5 k2 r^4 must be positive for r in 0..1. "
                f"Received: factor={factor}, second_factor={second_factor}"
            )
        self.fill_mode = fill_mode
        self.fill_value = fill_value
        self.interpolation = interpolation

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        images = data["images"] if isinstance(data, dict) else data
        batch, height, width = ops.shape(images)[:3]
        seed = self.generator if seed is None else seed
        return {
            "k1": keras.random.uniform((batch, 1), *self.factor, seed=seed),
            "k2": keras.random.uniform((batch, 1), *self.second_factor, seed=seed),
            "size": (height, width),
        }

    def transform_images(self, images, transformation, training=True):
        if not training:
            return images
        return self._resample(
            ops.cast(images, self.compute_dtype), transformation, self.interpolation
        )

    def transform_segmentation_masks(self, segmentation_masks, transformation, training=True):
        if not training:
            return segmentation_masks
        return self._resample(segmentation_masks, transformation, "nearest")

    def transform_bounding_boxes(self, bounding_boxes, transformation, training=True):
        if not training:
            return bounding_boxes
        height, width = transformation["size"]
        size = {"height": height, "width": width}
        convert = keras.utils.bounding_boxes.convert_format
        boxes = ops.cast(bounding_boxes["boxes"], "float32")
        boxes = convert(boxes, source=self.bounding_box_format, target="xyxy", **size)
        boxes = self._move_boxes(boxes, transformation)
        boxes = convert(boxes, source="xyxy", target=self.bounding_box_format, **size)
        return {**bounding_boxes, "boxes": boxes}

    def get_config(self):
        return {
            **super().get_config(),
            "factor": self.factor,
            "second_factor": self.second_factor,
            "fill_mode": self.fill_mode,
            "fill_value": self.fill_value,
            "interpolation": self.interpolation,
        }

    def _resample(self, images, transformation, interpolation):
        height, width = transformation["size"]
        x, y = ops.meshgrid(ops.arange(width, dtype="float32"), ops.arange(height, dtype="float32"))
        points = ops.reshape(ops.stack([x, y], axis=-1), (1, -1, 2)) + 0.5
        points = _source(points, transformation) - 0.5
        points = ops.reshape(points, (-1, height, width, 2))
        return resample(images, points, interpolation, self.fill_mode, self.fill_value)

    def _move_boxes(self, boxes, transformation):
        """Upright boxes around what is visible: their border, and where they reach the frame's."""
        height, width = transformation["size"]
        frame = ops.cast(ops.stack([width, height]), "float32")
        count = ops.shape(boxes)[1]
        border = ops.convert_to_tensor(_border())
        corner, extent = boxes[:, :, None, :2], boxes[:, :, None, 2:] - boxes[:, :, None, :2]
        moved = ops.reshape(corner + border * extent, (ops.shape(boxes)[0], -1, 2))
        moved = _target(moved, transformation)
        moved = ops.reshape(moved, (-1, count, border.shape[0], 2))
        visible = ops.all((moved >= 0.0) & (moved <= frame), axis=-1)

        edge = ops.expand_dims(border * frame, 0)
        source = _source(edge, transformation)[:, None]
        covered = (source >= boxes[:, :, None, :2]) & (source <= boxes[:, :, None, 2:])
        covered = ops.all(covered, axis=-1)
        edge = ops.broadcast_to(edge[:, None], ops.shape(source))
        edge = ops.broadcast_to(edge, (*ops.shape(covered), 2))

        points = ops.concatenate([moved, edge], axis=2)
        kept = ops.concatenate([visible, covered], axis=2)[..., None]
        low = ops.min(ops.where(kept, points, 1e6), axis=2)
        high = ops.max(ops.where(kept, points, -1e6), axis=2)
        found = ops.any(kept, axis=2)
        return ops.where(found, ops.concatenate([low, high], axis=-1), 0.0)


def _parse_range(factor, name):
    ends = sorted(factor) if isinstance(factor, (tuple, list)) else (-abs(factor), abs(factor))
    if len(ends) != 2:
        raise ValueError(f"`{name}` must be a number or a pair of numbers. Received: {factor}")
    return tuple(float(end) for end in ends)


def _border():
    """Points along the border of the unit square, as (x, y)."""
    along = np.linspace(0.0, 1.0, _BORDER_POINTS, dtype="float32")
    none, full = np.zeros_like(along), np.ones_like(along)
    sides = [(along, none), (along, full), (none, along), (full, along)]
    return np.concatenate([np.stack(side, axis=-1) for side in sides])


def _polar(points, transformation):
    height, width = transformation["size"]
    centre = ops.cast(ops.stack([width, height]), "float32") / 2.0
    offset = points - centre
    half_diagonal = ops.sqrt(ops.sum(ops.square(centre)))
    radius = ops.sqrt(ops.sum(ops.square(offset), axis=-1) + 1e-12) / half_diagonal
    return centre, offset, radius


def _source(points, transformation):
    """Where the output looks: input points (batch, n, 2) of output points (batch or 1, n, 2)."""
    centre, offset, radius = _polar(points, transformation)
    moved = distort_radius(radius, transformation["k1"], transformation["k2"])
    return centre + offset * (moved / radius)[..., None]


def _target(points, transformation):
    """Where input points (batch, n, 2) are shown in the output."""
    centre, offset, radius = _polar(points, transformation)
    moved = undistort_radius(radius, transformation["k1"], transformation["k2"])
    return centre + offset * (moved / radius)[..., None]
