"""Berkeley's .mat files of drawn boundaries, read with SciPy once they were looked through.

SciPy's reader unpacks whatever a file says and follows its nesting without a limit, so both are
measured first.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np

from kvision.files.reading import MEMORY

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15  # kinds of elements of a file
_DEEPEST = 8  # a cell of structs of arrays is 3
_MOST_ANNOTATORS = 64


def read_annotators(path):
    """Reads what each annotator of a picture drew.

    Args:
        path: a file of BSDS, whose `groundTruth` is a cell of structs with `Boundaries`, or with
            `Segmentation`, the numbers of regions, whose borders are taken then.

    Returns:
        uint8 array `(height, width, annotators)`, 1 on a line.

    Raises:
        ValueError: where it is no such file, or too large or too deeply nested to be one.
        OSError: where it cannot be opened.
    """
    from scipy.io import loadmat

    content = Path(path).read_bytes()
    _look_through(content)
    cell = loadmat(io.BytesIO(content), variable_names=["groundTruth"]).get("groundTruth")
    if cell is None or cell.dtype != object or not 1 <= cell.size <= _MOST_ANNOTATORS:
        raise ValueError(
            f"it has no cell 'groundTruth' of 1 to {_MOST_ANNOTATORS} people's drawings"
        )
    drawn = [_lines(entry) for entry in cell.ravel()]
    if len({lines.shape for lines in drawn}) > 1:
        sizes = sorted({f"{width}x{height}" for height, width in (x.shape for x in drawn)})
        raise ValueError(f"its drawings are of different sizes: {' and '.join(sizes[:3])}")
    return np.stack(drawn, axis=-1)


def outlines(regions):
    """Returns the pixels whose neighbour to the right or below is of another region, as uint8."""
    lines = np.zeros(regions.shape, "uint8")
    lines[:, :-1] = regions[:, :-1] != regions[:, 1:]
    lines[:-1] |= regions[:-1] != regions[1:]
    return lines


def _lines(entry):
    names = getattr(entry, "dtype", np.dtype(object)).names or ()
    for name in ("Boundaries", "Segmentation"):
        if name not in names or entry.size != 1:
            continue
        values = entry.ravel()[0][name]
        if values.ndim == 2 and values.size and values.dtype.kind in "buif":
            return (values != 0).astype("uint8") if name == "Boundaries" else outlines(values)
    raise ValueError("a drawing in it has neither 'Boundaries' nor a 'Segmentation' of numbers")


def _look_through(content):
    """Raises where a file is no MATLAB file, or would take memory or depth out of proportion."""
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER])
    if order is None or content.startswith(b"MATLAB 7.3"):
        raise ValueError(
            "it is no MATLAB file of version 5 to 7.2; save it with `save -v7` to make one"
        )
    free = MEMORY
    for kind, body in _elements(memoryview(content)[_HEADER:], order, padded=False):
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            body = unpacker.decompress(body, free + 1)
            free -= len(body)
            if free < 0:
                raise ValueError(f"it unpacks to more than {MEMORY / 1e9:.2f} GB")
            for inner, part in _elements(memoryview(body), order):
                _check_depth(inner, part, order)
        else:
            _check_depth(kind, body, order)


def _check_depth(kind, body, order, depth=1):
    if kind != _MATRIX:
        return
    if depth > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
    for inner, part in _elements(body, order):
        _check_depth(inner, part, order, depth + 1)


def _elements(content, order, padded=True):
    """Kind and bytes of the elements one after the other; small ones, which hold numbers, as 0."""
    place = 0
    while place + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        if kind >> 16:
            place += 8
            yield 0, b""
            continue
        yield kind, content[place + 8 : place + 8 + size]
        place += 8 + size + (-size % 8 if padded or kind != _COMPRESSED else 0)
