import keras
import numpy as np
from keras import ops

from kvision.layers.augmentation.bending_augmentation import BendingAugmentation
from kvision.ops.warp import distort_radius, undistort_radius


@keras.saving.register_keras_serializable(package="kvision")
class RandomLensDistortion(BendingAugmentation):
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
        super().__init__(fill_mode, fill_value, interpolation, **kwargs)
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

    def get_config(self):
        return {
            **super().get_config(),
            "factor": self.factor,
            "second_factor": self.second_factor,
        }

    def source(self, points, transformation):
        """Where the output looks: input points of output points, (batch or 1, n, 2)."""
        centre, offset, radius = _polar(points, transformation)
        moved = distort_radius(radius, transformation["k1"], transformation["k2"])
        return centre + offset * (moved / radius)[..., None]

    def target(self, points, transformation):
        """Where input points (batch, n, 2) are shown in the output."""
        centre, offset, radius = _polar(points, transformation)
        moved = undistort_radius(radius, transformation["k1"], transformation["k2"])
        return centre + offset * (moved / radius)[..., None]


def _parse_range(factor, name):
    ends = sorted(factor) if isinstance(factor, (tuple, list)) else (-abs(factor), abs(factor))
    if len(ends) != 2:
        raise ValueError(f"`{name}` must be a number or a pair of numbers. Received: {factor}")
    return tuple(float(end) for end in ends)


def _polar(points, transformation):
    height, width = transformation["size"]
    centre = ops.cast(ops.stack([width, height]), "float32") / 2.0
    offset = points - centre
    half_diagonal = ops.sqrt(ops.sum(ops.square(centre)))
    radius = ops.sqrt(ops.sum(ops.square(offset), axis=-1) + 1e-12) / half_diagonal
    return centre, offset, radius
