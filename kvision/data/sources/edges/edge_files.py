"""What is inside a file of drawn edges: a picture of lines, or a .mat of several people's."""

import dataclasses
import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kvision.data.sources.edges.mat_files import read_annotators
from kvision.data.sources.image_files import explain
from kvision.data.sources.masks.mask_files import read_mask


@dataclasses.dataclass(frozen=True)
class EdgeFile:
    """What checking one file found.

    Attributes:
        size: (height, width).
        annotators: how many people's drawings there are; 0 in a picture, which may be their mean.
        reason: why the file cannot be read, or None.
    """

    size: tuple = (0, 0)
    annotators: int = 0
    reason: str | None = None


def is_matlab(name):
    """Whether the name ends as that of a MATLAB file."""
    return os.path.splitext(name)[1].lower() == ".mat"


def check_edges(paths):
    """Reads every file once, in parallel.

    Args:
        paths: list of absolute paths.

    Returns:
        A list of `EdgeFile`, one for each path.
    """
    with warnings.catch_warnings(), ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
        warnings.simplefilter("ignore")  # of damaged metadata
        return list(pool.map(_check, paths))


def recall_edges(size, annotators, reason):
    """An `EdgeFile` of what JSON gives back of it."""
    height, width = size
    return EdgeFile((int(height), int(width)), int(annotators), reason)


def read_edges(path):
    """Reads one file.

    Args:
        path: a .mat file, or a picture of bright lines on black.

    Returns:
        The pair of float32 `(height, width, 1)`, the share of people who drew a line at each pixel,
        0..1; and uint8 `(height, width, annotators)`, 1 on the lines of each, which has no channel
        where a picture tells the share alone.

    Raises:
        ValueError: where the file holds no edges.
        OSError: where it cannot be decoded.
    """
    path = os.fsdecode(path)
    if is_matlab(path):
        drawn = read_annotators(path)
        return drawn.mean(-1, dtype="float32", keepdims=True), drawn
    values, coloured = read_mask(path)
    if coloured:
        red, green, blue = values >> 16, values >> 8 & 255, values & 255
        if (red != green).any() or (red != blue).any():
            raise ValueError("edges must be grey, bright on black; this picture has colours")
        values = red
    shares = _shares(values)
    if np.mean(shares > 0.5) > 0.5:
        raise ValueError(
            "more than half of its pixels are edges; lines must be bright on black, so invert it"
        )
    return shares[..., None], np.zeros((*shares.shape, 0), "uint8")


def _shares(values):
    most = values.max(initial=0)
    if most <= 1:  # of 0 and 1, or of one bit a pixel
        return values.astype("float32")
    return values.astype("float32") / np.float32(255 if most <= 255 else 65535)


def _check(path):
    try:
        if not os.path.getsize(path):
            return EdgeFile(reason="the file is empty")
        shares, drawn = read_edges(path)
    except Exception as error:  # any reader's failure means the same: this file is not served
        unknown = type(error).__name__ == "UnidentifiedImageError"
        return EdgeFile(reason="not an image" if unknown else explain(error))
    return EdgeFile(shares.shape[:2], drawn.shape[-1])
