import keras
from keras import ops

from kvision.layers.augmentation.random_zoom_out import MEAN_COLOUR
from kvision.layers.augmentation.window_augmentation import (
    WindowAugmentation,
    placed_windows,
    size_of,
)


@keras.saving.register_keras_serializable(package="kvision")
class RandomScaleJitter(WindowAugmentation):
    """Scales each image at random, then cuts out a part of the old size or pads it to that.

    With (0.1, 2.0) it is the large scale jittering that lets detectors and instance segmenters
    train for long from scratch; (0.8, 1.25) is the standard one. The aspect ratio stays.

    Args:
        factor: the scale is uniform in this pair.
        fill_value: what lies around a smaller image: a number, or one for each channel.
        interpolation: of images: `"bilinear"` or `"nearest"`.
        seed: whole number, for the same draws in every run.
        bounding_box_format: of the boxes in a dict, such as `"xyxy"`.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)` or `(height, width, channels)`, or a dict as for Keras's
        augmentation layers.

    Output shape:
        As the input.

    Raises:
        ValueError: where `factor` is no pair of positive numbers.

    Differs from the paper: a smaller image lies anywhere, not in the upper left corner.

    Reference:
        Ghiasi et al.: Simple copy-paste is a strong data augmentation method for instance
        segmentation, 2021.

    Example:

    >>> layer = RandomScaleJitter((0.5, 0.5), fill_value=0.0, seed=1)
    >>> round(float(ops.mean(layer(ops.ones((1, 32, 32, 3))))), 2)
    0.25
    """

    def __init__(self, factor=(0.1, 2.0), fill_value=MEAN_COLOUR, **kwargs):
        super().__init__(fill_value, **kwargs)
        pair = isinstance(factor, (tuple, list)) and len(factor) == 2
        if not pair or not 0 < factor[0] <= factor[1]:
            raise ValueError(
                f"`factor` must be a rising pair of positive numbers. Received: {factor}"
            )
        self.factor = tuple(float(end) for end in factor)

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        batch, height, width = size_of(data)
        seed = self.generator if seed is None else seed
        scale = keras.random.uniform((batch, 1), *self.factor, seed=seed)
        place = keras.random.uniform((batch, 2), seed=seed)
        windows = placed_windows(ops.tile(1.0 / scale, (1, 2)), place)
        return {"windows": windows, "size": (height, width)}

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
