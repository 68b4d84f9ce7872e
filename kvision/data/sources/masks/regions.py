"""COCO's ways of writing down a region: polygons and run lengths."""

import numpy as np

_MOST_CHARACTERS = 8  # for one number of a compressed region: up to 2^39 pixels
_FAR = 1e9  # pixels: no point of a polygon lies further off
_AT_ONCE = 2**20  # crossings of edges and rows that are looked at together


def decode_runs(segmentation, size=None):
    """A region written as run lengths, which go down the columns and begin with a run outside.

    Args:
        segmentation: dict with `size`, (height, width), and `counts`: a list of whole numbers, or
            COCO's compressed string of them.
        size: (height, width) that it must have; `None` for any.

    Returns:
        bool array (height, width).

    Raises:
        ValueError: if the runs have another size or do not fill it.
    """
    height, width = (int(side) for side in segmentation["size"])
    if size is not None and (height, width) != tuple(size):
        raise ValueError(f"its runs have the size {(height, width)}, not {tuple(size)}")
    counts = segmentation["counts"]
    if isinstance(counts, (str, bytes)):
        counts = _decompress(counts)
    counts = np.asarray(counts)
    whole, most = counts.dtype.kind in "iu", height * width
    # Each is looked at first: a sum may overflow, and what it lets pass be written past the end.
    if not whole or (counts < 0).any() or (counts > most).any() or counts.sum() != most:
        raise ValueError(
            f"the runs of a region must be whole numbers that fill its {height} x {width} pixels"
        )
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, counts).reshape(width, height).T


def fill_polygons(polygons, height, width):
    """The pixels whose centres lie inside any of some polygons.

    Args:
        polygons: lists of x0, y0, x1, y1, ..., in pixels; the first pixel covers 0..1.
        height: of the image.
        width: of the image.

    Returns:
        bool array (height, width).

    Raises:
        ValueError: if a polygon is no list of three points or more.

    Example:

    >>> fill_polygons([[1, 0, 3, 0, 3, 2, 1, 2]], 2, 4).astype(int).tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0]]
    """
    region = np.zeros((height, width), bool)
    for polygon in polygons:
        region |= _fill(_points(polygon), height, width)
    return region


def _points(polygon):
    try:
        points = np.asarray(polygon, "float64").reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        points = np.zeros((0, 2))
    if len(points) < 3 or not (np.abs(points) < _FAR).all():
        raise ValueError("a polygon must be a list of x and y in turn, three points or more")
    return points


def _fill(points, height, width):
    """Even-odd filling: each edge turns inside into outside for all that is right of it."""
    stops = np.roll(points, -1, axis=0)
    turns, step = 0, max(1, _AT_ONCE // max(height, 1))
    for begin in range(0, len(points), step):
        edges = slice(begin, begin + step)
        turns += _turns(points[edges], stops[edges], height, width)
    return np.cumsum(turns.reshape(height, width + 1), axis=1)[:, :width] % 2 == 1


def _turns(start, stop, height, width):
    """How many of some edges begin to be left of each pixel, row by row, one column too many."""
    low = np.where((start[:, 1] <= stop[:, 1])[:, None], start, stop)
    high = np.where((start[:, 1] <= stop[:, 1])[:, None], stop, start)
    # The rows whose centres lie at or below the upper end and above the lower one.
    first = np.clip(np.ceil(low[:, 1] - 0.5), 0, height).astype("int64")
    last = np.clip(np.ceil(high[:, 1] - 0.5), 0, height).astype("int64")
    crossed = np.maximum(last - first, 0)
    edge = np.repeat(np.arange(len(start)), crossed)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(crossed) - crossed, crossed) + first[edge]
    along = (row + 0.5 - low[edge, 1]) / (high[edge, 1] - low[edge, 1])
    x = low[edge, 0] + along * (high[edge, 0] - low[edge, 0])
    column = np.clip(np.ceil(x - 0.5), 0, width).astype("int64")
    return np.bincount(row * (width + 1) + column, minlength=height * (width + 1))


def _decompress(text):
    """COCO's string: five bits a character, from the lowest, the sixth saying that more follow.

    From the third number on each is the difference to the last but one.
    """
    codes = np.frombuffer(text.encode("ascii") if isinstance(text, str) else text, "uint8")
    codes = codes.astype("int64") - 48
    ends = np.flatnonzero(codes & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1]).astype("int64")
    lengths = np.diff(np.append(starts, len(codes))) if len(ends) else np.array([len(codes)])
    bad = not len(codes) or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32
    if bad or lengths.max() > _MOST_CHARACTERS:
        raise ValueError("the compressed runs of a region must be a string as pycocotools writes")
    place = np.arange(len(codes)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((codes & 31) << 5 * place, starts)
    # The highest bit is the sign.
    numbers -= np.where(codes[ends] & 16, 1 << 5 * lengths, 0)
    numbers[1::2] = numbers[1::2].cumsum()
    numbers[2::2] = numbers[2::2].cumsum()
    return numbers
