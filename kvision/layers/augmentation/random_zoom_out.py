import keras
from keras import ops

from kvision.layers.augmentation.window_augmentation import (
    WindowAugmentation,
    placed_windows,
    size_of,
)

MEAN_COLOUR = (123.68, 116.78, 103.94)  # of ImageNet


@keras.saving.register_keras_serializable(package="kvision")
class RandomZoomOut(WindowAugmentation):
    """SSD's zoom out: now and then, puts the image somewhere on a larger canvas of one colour.

    Use it for detectors that miss small objects; it makes small objects of large ones.

    Args:
        factor: how many times as high and wide as the image the canvas is: uniform in this pair,
            or between 1 and this number.
        probability: of doing it at all.
        fill_value: the colour of the canvas; the mean of ImageNet by default.
        interpolation: of images: `"bilinear"` or `"nearest"`.
        seed: whole number, for the same draws in every run.
        bounding_box_format: of the boxes in a dict, such as `"xyxy"`.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)` or `(height, width, channels)`, or a dict as for Keras's
        augmentation layers.

    Output shape:
        As the input: the canvas is shrunk to it.

    Raises:
        ValueError: where `factor` or `probability` is none.

    Differs from the paper: nothing known.

    Reference:
        Liu et al.: SSD: Single shot multibox detector, 2016, section 3.6.

    Example:

    >>> layer = RandomZoomOut((2, 4), probability=1.0, fill_value=0.0, seed=1)
    >>> float(ops.mean(layer(ops.ones((1, 32, 32, 3))))) < 0.3
    True
    """

    only_enlarges = True

    def __init__(self, factor=4.0, probability=0.5, fill_value=MEAN_COLOUR, **kwargs):
        super().__init__(fill_value, **kwargs)
        ends = tuple(factor) if isinstance(factor, (tuple, list)) else (1.0, factor)
        if len(ends) != 2 or not 1 <= ends[0] <= ends[1]:
            raise ValueError(
                "`factor` must be a number of at least 1, or a rising pair of such. "
                f"Received: {factor}"
            )
        if not 0 <= probability <= 1:
            raise ValueError(f"`probability` must lie in 0..1. Received: {probability}")
        self.factor = tuple(float(end) for end in ends)
        self.probability = float(probability)

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        batch, height, width = size_of(data)
        seed = self.generator if seed is None else seed
        extent = keras.random.uniform((batch, 1), *self.factor, seed=seed)
        chance = keras.random.uniform((batch, 1), seed=seed)
        place = keras.random.uniform((batch, 2), seed=seed)
        extent = ops.where(chance < self.probability, extent, 1.0)
        windows = placed_windows(ops.tile(extent, (1, 2)), place)
        return {"windows": windows, "size": (height, width)}

    def get_config(self):
        return {**super().get_config(), "factor": self.factor, "probability": self.probability}
