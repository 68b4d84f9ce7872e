import keras
from keras import ops

_UNKNOWN_SIDE = 128  # of feature maps of unknown size, in cells


@keras.saving.register_keras_serializable(package="kvision")
class RoIPool(keras.layers.Layer):
    """Max pooling of regions of any size to one size: Fast R-CNN's.

    A region covers whole cells of the feature map: from `round(x1 * width)` to
    `round(x2 * width) - 1`, at least one. Each is cut into `size` x `size` bins; bin j of w cells
    covers those from `floor(j * w / size)` up to, but not including, `ceil((j + 1) * w / size)`, so
    that bins overlap where w is no multiple of `size`. The gradient goes to the maximum.

    Args:
        size: rows and columns of bins.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        A list of features `(batch, height, width, channels)` and of boxes `(batch, regions, 4)`,
        `rel_yxyx`, which are cut off at the edges of the picture.

    Output shape:
        `(batch, regions, size, size, channels)`; zero for boxes without area, such as padding.

    Raises:
        ValueError: where `size` is not a whole number from 1.

    Differs from the paper: the authors' code takes corners as inclusive pixels and rounds
    `x2 / stride`, so that a region may reach one cell further; here, as both ends are edges between
    cells, the whole picture is the whole map, and its neighbour begins where a region ends.
    A feature map of unknown size may have up to 128 cells a side.

    Reference:
        Girshick: Fast R-CNN, 2015, section 2.1.

    Example:

    >>> features = np.arange(64.0).reshape(1, 8, 8, 1)
    >>> pooled = RoIPool(4)([features, np.array([[[0.0, 0.0, 1.0, 1.0]]])])
    >>> keras.ops.convert_to_numpy(pooled)[0, 0, 0, :, 0].tolist()
    [9.0, 11.0, 13.0, 15.0]
    """

    def __init__(self, size=7, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"`size` must be a whole number from 1. Received: {size}")
        self.size = size

    def call(self, inputs):
        features, boxes = inputs
        return region_maxima(ops.cast(features, self.compute_dtype), boxes, [self.size])[0]

    def compute_output_spec(self, inputs):
        features, boxes = inputs
        shape = (*boxes.shape[:2], self.size, self.size, features.shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "size": self.size}


def region_maxima(features, boxes, sizes):
    """The maxima of the bins of regions, for several grids of bins.

    Any rectangle is covered by four whose sides are powers of two. The maxima of these are computed
    once for all places, and looked up.

    Args:
        features: tensor `(batch, height, width, channels)`.
        boxes: `rel_yxyx`, `(batch, regions, 4)`.
        sizes: of the grids: rows and columns.

    Returns:
        For each a tensor `(batch, regions, size, size, channels)`.
    """
    boxes = ops.clip(ops.cast(boxes, "float32"), 0.0, 1.0)
    top, left, bottom, right = ops.unstack(boxes, 4, axis=-1)
    some = ops.cast((bottom > top) & (right > left), features.dtype)
    height, width = ops.shape(features)[1:3]
    powers = [_powers(side, min(sizes)) for side in features.shape[1:3]]
    table = _table(features, powers)
    result = []
    for size in sizes:
        rows = _bins(top, bottom, height, size, powers[0])
        columns = _bins(left, right, width, size, powers[1])
        found = _looked_up(table, rows, columns, (height, width), len(powers[1]))
        result.append(found * some[..., None, None, None])
    return result


def _powers(side, size):
    """Lengths of windows, two of which cover the longest bin."""
    longest = min(-(-(side or _UNKNOWN_SIDE) // size) + 1, side or _UNKNOWN_SIDE)
    return [2**power for power in range(longest.bit_length())]


def _table(features, powers):
    """Maxima of the windows at each place: `(batch * windows * height * width, channels)`."""
    maps, tall = [], features
    for rows in powers[0]:
        if rows > 1:  # What comes in again at the other end is in no window that is looked up.
            tall = ops.maximum(tall, ops.roll(tall, -(rows // 2), axis=1))
        wide = tall
        for columns in powers[1]:
            if columns > 1:
                wide = ops.maximum(wide, ops.roll(wide, -(columns // 2), axis=2))
            maps.append(wide)
    return ops.reshape(ops.stack(maps, axis=1), (-1, features.shape[-1]))


def _bins(low, high, cells, size, powers):
    """For each bin the power of its windows, and their two places: `(batch, regions, size)`."""
    first, last = (
        ops.cast(ops.floor(edge * ops.cast(cells, "float32") + 0.5), "int32")
        for edge in (low, high)
    )
    first = ops.minimum(first, cells - 1)
    length = ops.maximum(last - first, 1)[..., None]
    index = ops.arange(size, dtype="int32")
    start = first[..., None] + index * length // size
    end = first[..., None] + ((index + 1) * length + size - 1) // size
    power = sum(ops.cast(end - start >= window, "int32") for window in powers[1:])
    power = power + ops.zeros_like(start)
    window = sum(ops.where(power == p, window, 0) for p, window in enumerate(powers))
    return power, start, end - window


def _looked_up(table, rows, columns, size, number):
    """The maximum of four windows for each bin."""
    (tall, *tops), (wide, *lefts) = rows, columns
    batch = ops.shape(tall)[0]
    images = ops.reshape(ops.arange(batch, dtype="int32"), (-1, 1, 1, 1))
    windows = ops.shape(table)[0] // (size[0] * size[1] * batch)
    level = images * windows + tall[..., :, None] * number + wide[..., None, :]
    found = None
    for top in tops:
        for left in lefts:
            place = (level * size[0] + top[..., :, None]) * size[1] + left[..., None, :]
            values = ops.take(table, place, axis=0)
            found = values if found is None else ops.maximum(found, values)
    return found
