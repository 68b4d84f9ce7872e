import keras
from keras import ops

CANONICAL_SIZE, CANONICAL_LEVEL = 224, 4  # the level of stride 16 is made for such regions
_MARGIN = 1e-5  # of a level: rounding of boxes must not push 224 pixels to the level below


@keras.saving.register_keras_serializable(package="kvision")
class RoIAlign(keras.layers.Layer):
    """Regions of any size brought to one size without rounding: Mask R-CNN's.

    A region is cut into `size` x `size` bins, each the mean of `samples` x `samples` points inside
    of it, evenly spread, at which the map is interpolated bilinearly. The centre of the first cell
    is at 0.5 / width; beyond the outermost centres the map goes on as it ends.

    Of a pyramid, each region is looked up in one map: that of level
    `floor(4 + log2(sqrt(w h) / 224))`, where w and h are its width and height in pixels and level k
    has stride 2^k, or in the nearest one there is.

    Args:
        size: rows and columns of bins.
        samples: rows and columns of points in a bin.
        canonical_size: side in pixels of the regions that belong to level 4: 224, the side of
            ImageNet's pictures. Choose it smaller for small pictures.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        A list of features `(batch, height, width, channels)` and of boxes `(batch, regions, 4)`,
        `rel_yxyx`. Or of three: a list of feature maps, finest first, each of half the former's
        height and width; boxes; and the picture, for its size.

    Output shape:
        `(batch, regions, size, size, channels)`. Interpolated in float32 under every dtype policy.
        No gradient flows to the boxes.

    Raises:
        ValueError: for numbers out of range, or feature maps without the picture.

    Differs from the paper: nothing known.

    Reference:
        He et al.: Mask R-CNN, 2017, section 3; Lin et al.: Feature pyramid networks, 2017,
        equation 1.

    Example:

    >>> ramp = np.broadcast_to(np.arange(8.0), (1, 8, 8))[..., None]
    >>> middle = RoIAlign(2)([ramp, np.array([[[0.25, 0.25, 0.75, 0.75]]])])
    >>> keras.ops.convert_to_numpy(middle)[0, 0, 0, :, 0].tolist()
    [2.5, 4.5]
    """

    def __init__(self, size=7, samples=2, canonical_size=CANONICAL_SIZE, **kwargs):
        super().__init__(autocast=False, **kwargs)
        for name, value in (("size", size), ("samples", samples)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` must be a whole number from 1. Received: {value}")
        if not canonical_size > 0:
            raise ValueError(f"`canonical_size` must be greater than 0. Received: {canonical_size}")
        self.size = size
        self.samples = samples
        self.canonical_size = canonical_size

    def call(self, inputs):
        maps, boxes, *image = inputs
        boxes = ops.stop_gradient(ops.cast(boxes, "float32"))
        if not isinstance(maps, (list, tuple)):
            maps, index = [maps], None
        elif len(image) != 1:
            raise ValueError(
                f"{self.name} must be called with [maps, boxes, image], as the level of a region "
                f"depends on its size in pixels. Received: {len(inputs)} inputs."
            )
        else:
            index = level_index(boxes, maps, image[0], self.canonical_size)
        return ops.cast(self._aligned(maps, boxes, index), self.compute_dtype)

    def _aligned(self, maps, boxes, index):
        channels = maps[0].shape[-1]
        batch = ops.shape(boxes)[0]
        sizes = [ops.shape(level)[1:3] for level in maps]
        cells = [height * width for height, width in sizes]
        rows = [
            ops.reshape(level, (batch, n, channels)) for level, n in zip(maps, cells, strict=True)
        ]
        table = rows[0] if len(rows) == 1 else ops.concatenate(rows, axis=1)
        table = ops.reshape(table, (-1, channels))
        starts = [sum(cells[:level]) for level in range(len(cells))]
        first = ops.reshape(ops.arange(batch, dtype="int32"), (-1, 1)) * sum(cells)
        first = first + _of_level(index, starts)
        height, width = (_of_level(index, sides) for sides in zip(*sizes, strict=True))
        top, left, bottom, right = ops.unstack(boxes, 4, axis=-1)
        total = 0.0
        for row, row_share in self._points(top, bottom, height):
            for column, column_share in self._points(left, right, width):
                place = (row * _spread(width, 1))[..., :, None] + column[..., None, :]
                values = ops.take(table, place + _spread(first, 2), axis=0)
                shares = row_share[..., :, None] * column_share[..., None, :]
                total = total + ops.cast(values, "float32") * shares[..., None]
        return total / self.samples**2

    def _points(self, low, high, cells):
        """The two cells next to each bin's samples, and their shares: `(batch, regions, size)`."""
        low, high, cells = low[..., None], high[..., None], _spread(cells, 1)
        number = ops.cast(cells, "float32")
        for sample in range(self.samples):
            inside = ops.arange(self.size, dtype="float32") + (sample + 0.5) / self.samples
            point = (low + (high - low) * inside / self.size) * number - 0.5
            point = ops.clip(point, 0.0, number - 1.0)
            before = ops.floor(point)
            share = point - before
            before = ops.cast(before, "int32")
            yield before, 1.0 - share
            yield ops.minimum(before + 1, cells - 1), share

    def compute_output_spec(self, inputs):
        maps, boxes = inputs[:2]
        channels = (maps[0] if isinstance(maps, (list, tuple)) else maps).shape[-1]
        shape = (*boxes.shape[:2], self.size, self.size, channels)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        config = {"size": self.size, "samples": self.samples}
        return {**super().get_config(), **config, "canonical_size": self.canonical_size}


def level_index(boxes, maps, image, canonical_size=CANONICAL_SIZE):
    """Which of some feature maps each box belongs to, by its size in pixels.

    Args:
        boxes: tensor `(..., 4)`, `rel_yxyx`.
        maps: feature maps, finest first, each of half the former's height and width.
        image: the picture, for its size.
        canonical_size: side in pixels of the boxes that belong to level 4, of stride 16.

    Returns:
        int32 `(...)`: 0 for the finest map.
    """
    height, width = (ops.cast(side, "float32") for side in ops.shape(image)[1:3])
    finest = ops.round(ops.log2(height / ops.cast(ops.shape(maps[0])[1], "float32")))
    top, left, bottom, right = ops.unstack(boxes, 4, axis=-1)
    pixels = ops.maximum((bottom - top) * height * (right - left) * width, 1e-6)
    level = CANONICAL_LEVEL + ops.log2(pixels) / 2 - ops.log2(float(canonical_size))
    index = ops.floor(level + _MARGIN) - finest
    return ops.cast(ops.clip(index, 0, len(maps) - 1), "int32")


def _of_level(index, values):
    """The number of each region's level; of one map, its number."""
    if index is None:
        return values[0]
    return ops.take(ops.convert_to_tensor(values, dtype="int32"), index)


def _spread(value, axes):
    """Numbers `(batch, regions)` with more axes; those of one map as they are."""
    if isinstance(value, int) or not len(value.shape):
        return value
    return ops.reshape(value, (*ops.shape(value), *(1,) * axes))
