import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class ResizeLike(keras.layers.Layer):
    """Resizes maps to the height and width of others; maps of that size already stay as they are.

    Use it where maps of several depths meet and the sizes of pictures are odd or open.

    Args:
        interpolation: `"bilinear"` or `"nearest"`.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        A list of the maps to resize, `(batch, height, width, channels)`, and of maps of the size
        that is wanted, `(batch, rows, columns, any)`.

    Output shape:
        `(batch, rows, columns, channels)`.

    Raises:
        ValueError: where the interpolation is unknown.

    Example:

    >>> maps, wanted = keras.ops.ones((1, 4, 4, 8)), keras.ops.ones((1, 7, 9, 3))
    >>> tuple(ResizeLike()([maps, wanted]).shape)
    (1, 7, 9, 8)
    """

    def __init__(self, interpolation="bilinear", **kwargs):
        super().__init__(**kwargs)
        if interpolation not in ("bilinear", "nearest"):
            raise ValueError(
                f"`interpolation` must be 'bilinear' or 'nearest'. Received: {interpolation!r}"
            )
        self.interpolation = interpolation

    def call(self, inputs):
        maps, wanted = inputs
        if None not in maps.shape[1:3] and maps.shape[1:3] == wanted.shape[1:3]:
            return maps
        size = tuple(ops.shape(wanted)[1:3])
        resized = ops.image.resize(
            maps, size, interpolation=self.interpolation, data_format="channels_last"
        )
        return ops.cast(resized, maps.dtype)

    def compute_output_shape(self, input_shape):
        maps, wanted = input_shape
        return (maps[0], wanted[1], wanted[2], maps[3])

    def get_config(self):
        return {**super().get_config(), "interpolation": self.interpolation}
