"""What is inside a mask file: numbers or colours, exactly as they were saved.

A picture may lose a little in decoding; a mask may not. So palettes give their indices and never
their colours, files of 2, 4 or 16 bits the numbers that they store, and what is in no format that
is known to be exact is taken only where it plainly was black and white.
"""

import dataclasses
import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kvision.data.sources.image_files import explain, open_image
from kvision.data.sources.masks.stored import lossy_format, stored_numbers

_MOST_VALUES = 1024
_NEAR = 64  # how far JPEG may move black and white
_FLAT = 8  # and how far all of it, where no edge is within _REACH pixels
_REACH = 16
_FAR_SHARE = 0.01


@dataclasses.dataclass(frozen=True)
class MaskFile:
    """What checking one mask found.

    Attributes:
        size: (height, width).
        coloured: whether the values are packed colours, red * 65536 + green * 256 + blue.
        lossy: whether they were black and white in a JPEG.
        bits: whether they are single bits.
        values: the different values, sorted.
        reason: why the mask cannot be read, or None.
    """

    size: tuple = (0, 0)
    coloured: bool = False
    lossy: bool = False
    bits: bool = False
    values: tuple = ()
    reason: str | None = None


def check_masks(paths):
    """Reads every mask once, in parallel.

    Args:
        paths: list of absolute paths.

    Returns:
        A list of `MaskFile`, one for each path.
    """
    with warnings.catch_warnings(), ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
        warnings.simplefilter("ignore")  # Pillow warns of damaged metadata and of many pixels
        return list(pool.map(_check, paths))


def recall_mask(size, coloured, lossy, bits, values, reason):
    """A `MaskFile` of what JSON gives back of it."""
    height, width = size
    size, values = (int(height), int(width)), tuple(int(value) for value in values)
    return MaskFile(size, bool(coloured), bool(lossy), bool(bits), values, reason)


def read_mask(path):
    """The values of one mask file.

    Args:
        path: the file, as `str` or `bytes`.

    Returns:
        The pair of an array (height, width) and whether it holds packed colours. It is bool where
        the file has one bit a pixel, else of whole numbers.

    Raises:
        ValueError: if the file holds no exact values.
        OSError: if it cannot be decoded.
    """
    path = os.fsdecode(path)
    with open_image(path) as image:
        kind = lossy_format(image, path)
        if kind and kind != "JPEG":
            raise ValueError(f"{kind} changes the labels of a mask; save it as PNG")
        pixels = _black_and_white(image) if kind else stored_numbers(image, path)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if channels in (2, 4):
        if (pixels[..., -1] != 255).any():
            raise ValueError("a mask must not be transparent; save it without alpha channel")
        pixels = pixels[..., :-1]
    if channels <= 2:
        return pixels.reshape(pixels.shape[:2]), False
    return pack(pixels), True


def pack(colours):
    """Colours (..., 3) as single numbers: red * 65536 + green * 256 + blue."""
    red, green, blue = np.moveaxis(np.asarray(colours).astype("int32"), -1, 0)
    return red << 16 | green << 8 | blue


def unpack(number):
    """The (red, green, blue) of a packed colour."""
    return int(number) >> 16, int(number) >> 8 & 255, int(number) & 255


def _check(path):
    try:
        if not os.path.getsize(path):
            return MaskFile(reason="the file is empty")
        pixels, coloured = read_mask(path)
        with open_image(path) as image:
            lossy = lossy_format(image, path) is not None
    except Exception as error:  # any decoder's failure means the same: this file is not served
        unknown = type(error).__name__ == "UnidentifiedImageError"
        return MaskFile(reason="not an image" if unknown else explain(error))
    if pixels.dtype.itemsize == 1:
        values = np.flatnonzero(np.bincount(pixels.reshape(-1), minlength=256))
    else:
        values = np.unique(pixels)
    if len(values) > _MOST_VALUES:
        what = "colours" if coloured else "values"
        reason = f"{len(values):,} different {what}: a picture, not a mask of classes"
        return MaskFile(pixels.shape, reason=reason)
    return MaskFile(pixels.shape, coloured, lossy, pixels.dtype == bool, tuple(values.tolist()))


def _black_and_white(image):
    """A JPEG that was black and white, as 0 and 255."""
    from PIL import ImageOps

    pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype("int32")
    grey = pixels.mean(-1)
    coloured = np.abs(pixels - grey[..., None]).max(-1) > _NEAR
    between = np.abs(grey - 127.5) < 127.5 - _NEAR
    if (coloured | between | _uneven(grey)).mean() > _FAR_SHARE:
        raise ValueError(
            "JPEG changes the labels of a mask, and this one is not just black and white; "
            "save it as PNG"
        )
    return np.where(grey > 127.5, 255, 0).astype("uint8")


def _uneven(grey):
    """Which pixels of a grey JPEG are no plain black or white although no edge is near them.

    Labels such as 0, 1, 2 are all nearly black, but not the same black; that of a black and white
    picture is the same everywhere, and 0 where nothing is white.
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    white, window = grey > 127.5, 2 * _REACH + 1
    far = maximum_filter(white, window) == minimum_filter(white, window)
    found = np.zeros(grey.shape, bool)
    for side, pure in ((far & ~white, 0), (far & white, 255)):
        if side.any():
            level = np.median(grey[side])
            wrong = abs(level - pure) > (0 if far.all() else _FLAT)
            found |= side & (wrong | (grey != level))
    return found
