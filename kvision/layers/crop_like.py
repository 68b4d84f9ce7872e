import keras


@keras.saving.register_keras_serializable(package="kvision")
class CropLike(keras.layers.Layer):
    """Cuts maps to the height and width of others.

    Use it where maps of several depths meet and unpadded convolutions have eaten the borders of
    some of them. Sizes may be open.

    Args:
        offset: rows and columns that are left out above and on the left; `None` for half of what
            is too much, so that the cut-out is central (the smaller half above and on the left).
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        A list of the maps to cut, `(batch, height, width, channels)`, and of maps of the size that
        is wanted, `(batch, rows, columns, any)`.

    Output shape:
        `(batch, rows, columns, channels)`.

    Raises:
        ValueError: where `offset` is negative, the input is no pair, or the first maps are too
            small.

    Differs from the paper: nothing known.

    Reference:
        Ronneberger, Fischer, Brox: U-Net, 2015, Fig. 1; Caffe's layer `Crop` in Long et al., 2015.

    Example:

    >>> maps, wanted = keras.ops.ones((1, 64, 64, 8)), keras.ops.ones((1, 56, 50, 3))
    >>> tuple(CropLike()([maps, wanted]).shape)
    (1, 56, 50, 8)
    """

    def __init__(self, offset=None, **kwargs):
        super().__init__(**kwargs)
        if offset is not None and (not isinstance(offset, int) or offset < 0):
            raise ValueError(f"`offset` must be None or a whole number from 0. Received: {offset}")
        self.offset = offset

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def call(self, inputs):
        maps, wanted = inputs
        self._check(maps.shape, wanted.shape)
        sides, sizes = keras.ops.shape(maps)[1:3], keras.ops.shape(wanted)[1:3]
        (top, rows), (left, columns) = (
            ((side - size) // 2 if self.offset is None else self.offset, size)
            for side, size in zip(sides, sizes, strict=True)
        )
        return maps[:, top : top + rows, left : left + columns, :]

    def compute_output_shape(self, input_shape):
        if len(input_shape) != 2 or any(len(shape) != 4 for shape in input_shape):
            raise ValueError(
                f"The input of {self.name} must be a list of two batches of maps, the one to cut "
                f"and the one to fit. Received: shapes {input_shape}"
            )
        maps, wanted = input_shape
        self._check(maps, wanted)
        return (maps[0], wanted[1], wanted[2], maps[3])

    def _check(self, maps, wanted):
        for side, size in zip(maps[1:3], wanted[1:3], strict=True):
            if side is not None and size is not None and side < size + (self.offset or 0):
                raise ValueError(
                    f"The maps that {self.name} cuts must be at least {wanted[1:3]} in size, "
                    f"beyond an offset of {self.offset or 0}. Received: {maps[1:3]}. Enlarge the "
                    "pictures."
                )

    def get_config(self):
        return {**super().get_config(), "offset": self.offset}
