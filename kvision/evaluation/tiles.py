"""Pictures of any size through a network of one size: overlap-tile prediction."""

import itertools
import math

import numpy as np

GRID = 32  # the largest stride of common networks: tiles that keep to it see the same grid


def tiled_prediction(model, image, overlap=None, tile_size=None, batch_size=4):
    """What a segmenter says of a picture of any size, put together from overlapping tiles.

    Use it where a picture is larger than what the model takes or the memory holds, and with
    networks of unpadded convolutions, which answer for the middle of their input only. The
    picture is mirrored at its borders where a tile needs more than there is. Where two tiles
    answer for a pixel, the one counts whose centre is nearer, so that there is no seam: with an
    `overlap` of at least what the model's padding reaches from both sides, and tiles whose
    distance is a multiple of the model's stride, the answer is that to the whole picture.

    Args:
        model: a segmenter of one output `(n, rows, columns, classes)`, scores or labels for the
            pixels in the middle of its input or for all: a `keras.Model` or what `kv.export.load`
            gives of a file.
        image: `(height, width, channels)`, pixels 0..255.
        overlap: rows and columns of the outputs that neighbouring tiles share. By default as few
            as keep the distance of tiles a multiple of 32 where the model is unpadded, else at
            least a quarter of a tile.
        tile_size: `(height, width)` of the tiles; by default those that the model takes. Where its
            size is open it must be given.
        batch_size: tiles that go through the model at once.

    Returns:
        A float32 array `(height, width, classes)`; labels keep the type the model gives.

    Raises:
        ValueError: where the image, the tile size or the overlap do not fit the model, or the model
            gives no map that is centred in its input.

    Differs from the paper: tiles overlap a little by default, so that pooling sees the same grid
    in all of them; the paper's lie side by side.

    Reference:
        Ronneberger, Fischer, Brox: U-Net, 2015, Fig. 2.

    Example:

    >>> import kvision as kv
    >>> unet = kv.models.UNet(input_shape=(188, 188, 3), filters=2)  # answers for 4x4 pixels
    >>> tiled_prediction(unet, np.zeros((20, 33, 3)), batch_size=16).shape
    (20, 33, 2)
    """
    image = np.asarray(image)
    tile = _tile_size(model, image, tile_size)
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"`batch_size` must be a whole number from 1. Received: {batch_size}")
    run = _runner(model)
    first = run(np.zeros((1, *tile, image.shape[-1]), "float32"))
    margins = [
        _margin(size, got, first.shape) for size, got in zip(tile, first.shape[1:3], strict=True)
    ]
    overlaps = [_overlap(overlap, size, m) for size, m in zip(tile, margins, strict=True)]
    axes = [
        _Axis(side, size, margin, shared)
        for side, size, margin, shared in zip(image.shape, tile, margins, overlaps, strict=False)
    ]
    # A tile of unmirrored picture may need several mirrors: NumPy repeats them.
    extended = np.pad(image, [axis.padding for axis in axes] + [(0, 0)], mode="reflect")
    result = np.empty((*image.shape[:2], first.shape[-1]), first.dtype)
    places = list(itertools.product(*(axis.places for axis in axes)))
    for begin in range(0, len(places), batch_size):
        batch = places[begin : begin + batch_size]
        tiles = [
            extended[row.start : row.start + tile[0], column.start : column.start + tile[1]]
            for row, column in batch
        ]
        for (row, column), answer in zip(batch, run(np.stack(tiles)), strict=True):
            result[row.target, column.target] = answer[row.source, column.source]
    return result


class _Axis:
    """Where tiles lie along one axis of a picture.

    Attributes:
        padding: pixels mirrored before and behind the picture.
        places: one `_Place` for each tile.
    """

    def __init__(self, side, tile, margin, overlap):
        answered = tile - 2 * margin
        step = answered - overlap
        count = 1 + max(0, math.ceil((side - answered) / step))
        self.padding = (margin, (count - 1) * step + answered - side + margin)
        bounds = [0, *(i * step + overlap // 2 for i in range(1, count)), side]
        self.places = [
            _Place(i * step, low, high)
            for i, (low, high) in enumerate(itertools.pairwise(bounds))
            if low < high
        ]


class _Place:
    """A tile along one axis.

    Attributes:
        start: where it begins in the extended picture.
        target: the slice of the result that it answers for.
        source: the slice of its answer that goes there.
    """

    def __init__(self, start, low, high):
        self.start = start
        self.target = slice(low, high)
        self.source = slice(low - start, high - start)


def _tile_size(model, image, tile_size):
    shape = tuple(model.input_shape)[-3:]
    if image.ndim != 3 or 0 in image.shape or shape[-1] not in (None, image.shape[-1]):
        raise ValueError(
            f"`image` must be one picture (height, width, {shape[-1]}) with pixels 0..255. "
            f"Received: {image.shape}"
        )
    wanted = shape[:2] if tile_size is None else tile_size
    wanted = (wanted, wanted) if isinstance(wanted, int) else tuple(wanted)
    if len(wanted) != 2 or not all(isinstance(size, int) and size > 0 for size in wanted):
        raise ValueError(
            "`tile_size` must be (height, width) where the model takes any size. Received: "
            f"{tile_size}. Pass one that fits the memory, such as (512, 512)."
        )
    if any(own not in (None, size) for own, size in zip(shape[:2], wanted, strict=True)):
        raise ValueError(
            f"`tile_size` must be the model's own, {shape[:2]}. Received: {wanted}. Leave it out."
        )
    return wanted


def _margin(size, answered, shape):
    margin, odd = divmod(size - answered, 2)
    if margin < 0 or odd:
        raise ValueError(
            "`model` must answer for the middle of its input: a map smaller by an even number of "
            f"pixels, or as large. Received {shape[1:3]}, with {answered} of {size} pixels."
        )
    return margin


def _overlap(overlap, tile, margin):
    answered = tile - 2 * margin
    if overlap is None:
        shared = 0 if margin else answered // 4
        step = (answered - shared) // GRID * GRID
        return answered - step if step else shared
    if not isinstance(overlap, int) or not 0 <= overlap < answered:
        raise ValueError(
            f"`overlap` must be a whole number from 0 to {answered - 1}, less than what a tile "
            f"answers for. Received: {overlap}"
        )
    return overlap


def _runner(model):
    """A function from a batch of tiles to maps `(n, rows, columns, classes)`."""
    if not hasattr(model, "fit"):
        answer = lambda pixels: model.predict(pixels, batch_size=len(pixels))  # noqa: E731
    else:
        import keras

        # Not the model itself, whose strategy would give every replica the whole batch.
        answer = keras.Model(model.inputs, model.outputs).predict_on_batch

    def run(pixels):
        maps = answer(pixels.astype("float32"))
        maps = maps[0] if isinstance(maps, (list, tuple)) and len(maps) == 1 else maps
        if getattr(maps, "ndim", None) != 4 or len(maps) != len(pixels):
            given = getattr(maps, "shape", None) or f"{len(maps)} outputs"
            raise ValueError(
                "`model` must have one output, maps (n, rows, columns, classes). Received: "
                f"{given}. Pass `keras.Model(model.input, model.output[...])`."
            )
        return np.asarray(maps)

    return run
