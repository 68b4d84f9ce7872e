import keras
from keras import ops

from kvision.layers.regions.roi_pool import region_maxima


@keras.saving.register_keras_serializable(package="kvision")
class SpatialPyramidPooling(keras.layers.Layer):
    """Max pooling of maps or regions of any size to one length, in grids of several sizes.

    Args:
        levels: rows and columns of each grid; its bins are those of `kv.layers.RoIPool`.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        Features `(batch, height, width, channels)`; or a list of them and of boxes
        `(batch, regions, 4)`, `rel_yxyx`.

    Output shape:
        `(batch, bins * channels)`, with 50 bins by default; or `(batch, regions, bins * channels)`.
        By level, row, column, channel.

    Raises:
        ValueError: where a level is not a whole number from 1, or there is none.

    Differs from the paper: nothing known. A feature map of unknown size may have up to 128 cells a
    side.

    Reference:
        He, Zhang, Ren, Sun: Spatial pyramid pooling in deep convolutional networks, 2014.

    Example:

    >>> maps = [np.ones((1, 13, 13, 256)), np.ones((1, 10, 7, 256))]
    >>> [tuple(SpatialPyramidPooling()(features).shape) for features in maps]
    [(1, 12800), (1, 12800)]
    """

    def __init__(self, levels=(6, 3, 2, 1), **kwargs):
        super().__init__(autocast=False, **kwargs)
        if not levels or not all(isinstance(level, int) and level > 0 for level in levels):
            raise ValueError(f"`levels` must be whole numbers from 1. Received: {levels}")
        self.levels = list(levels)

    def call(self, inputs):
        whole = not isinstance(inputs, (list, tuple))
        features, boxes = (inputs, None) if whole else inputs
        features = ops.cast(features, self.compute_dtype)
        batch = ops.shape(features)[0]
        if whole:
            everything = ops.convert_to_tensor([[[0.0, 0.0, 1.0, 1.0]]])
            boxes = ops.broadcast_to(everything, (batch, 1, 4))
        length = features.shape[-1]
        regions = ops.shape(boxes)[1]
        pooled = [
            ops.reshape(found, (batch, regions, size * size * length))
            for size, found in zip(
                self.levels, region_maxima(features, boxes, self.levels), strict=True
            )
        ]
        pooled = ops.concatenate(pooled, axis=-1)
        return pooled[:, 0] if whole else pooled

    def compute_output_spec(self, inputs):
        whole = not isinstance(inputs, (list, tuple))
        features = inputs if whole else inputs[0]
        length = sum(level**2 for level in self.levels) * features.shape[-1]
        lead = (features.shape[0],) if whole else inputs[1].shape[:2]
        return keras.KerasTensor((*lead, length), dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "levels": self.levels}
