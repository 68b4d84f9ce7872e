"""What is inside a mask file: numbers or colours, exactly as they were saved.

A picture may lose a little in decoding; a mask may not. So palettes give their indices and never
their colours, 16-bit files give 16 bits, and a JPEG is taken only where it plainly was black and
white.
"""

import dataclasses
import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kvision.data.image_files import explain, open_image

_MOST_VALUES = 1024
_NEAR = 64  # how far JPEG may move black and white
_FAR_SHARE = 0.01
_PNG_DEPTH = 24  # the byte of a PNG's header that tells the bits of a channel


@dataclasses.dataclass(frozen=True)
class MaskFile:
    """What checking one mask found.

    Attributes:
        size: (height, width).
        coloured: whether the values are packed colours, red * 65536 + green * 256 + blue.
        lossy: whether they were black and white in a JPEG.
        values: the different values, sorted.
        reason: why the mask cannot be read, or None.
    """

    size: tuple = (0, 0)
    coloured: bool = False
    lossy: bool = False
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


def recall_mask(size, coloured, lossy, values, reason):
    """A `MaskFile` of what JSON gives back of it."""
    height, width = size
    values = tuple(int(value) for value in values)
    return MaskFile((int(height), int(width)), bool(coloured), bool(lossy), values, reason)


def read_mask(path):
    """The values of one mask file.

    Args:
        path: the file, as `str` or `bytes`.

    Returns:
        The pair of an integer array (height, width) and whether these are packed colours.

    Raises:
        ValueError: if the file holds no exact values.
        OSError: if it cannot be decoded.
    """
    from PIL import ImageOps

    path = os.fsdecode(path)
    with open_image(path) as image:
        if image.format in ("JPEG", "MPO"):
            return _black_and_white(ImageOps.exif_transpose(image)), False
        if image.format == "PNG" and image.mode not in ("I;16", "I") and _is_deep(path):
            raise ValueError("a 16-bit PNG must be grey to be a mask; this one has colour or alpha")
        image.load()
        image = ImageOps.exif_transpose(image)
        mode, pixels = image.mode, np.asarray(image)
    if mode in ("LA", "PA", "RGBA"):
        if (pixels[..., -1] != 255).any():
            raise ValueError("a mask must not be transparent; save it without alpha channel")
        pixels = pixels[..., :3] if mode == "RGBA" else pixels[..., 0]
    if mode == "1":
        return pixels.astype("uint8") * np.uint8(255), False
    if mode in ("L", "P", "LA", "PA"):
        return pixels, False
    if mode == "I" or mode.startswith("I;16"):
        return pixels.astype("int32"), False
    if mode in ("RGB", "RGBA"):
        return pack(pixels), True
    raise ValueError(f"a mask must hold whole numbers or RGB colours; this one is {mode!r}")


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
            lossy = image.format in ("JPEG", "MPO")
    except Exception as error:  # any decoder's failure means the same: this file is not served
        unknown = type(error).__name__ == "UnidentifiedImageError"
        return MaskFile(reason="not an image" if unknown else explain(error))
    if pixels.dtype == np.uint8:
        values = np.flatnonzero(np.bincount(pixels.reshape(-1), minlength=256))
    else:
        values = np.unique(pixels)
    if len(values) > _MOST_VALUES:
        what = "colours" if coloured else "values"
        reason = f"{len(values):,} different {what}: a picture, not a mask of classes"
        return MaskFile(pixels.shape, reason=reason)
    return MaskFile(pixels.shape, coloured, lossy, tuple(values.tolist()))


def _black_and_white(image):
    """A JPEG that was black and white, as 0 and 255."""
    pixels = np.asarray(image.convert("RGB")).astype("int32")
    grey = pixels.mean(-1)
    coloured = np.abs(pixels - grey[..., None]).max(-1) > _NEAR
    between = np.abs(grey - 127.5) < 127.5 - _NEAR
    if (coloured | between).mean() > _FAR_SHARE:
        raise ValueError(
            "JPEG changes the labels of a mask, and this one is not just black and white; "
            "save it as PNG"
        )
    return np.where(grey > 127.5, 255, 0).astype("uint8")


def _is_deep(path):
    with open(path, "rb") as file:
        return file.read(_PNG_DEPTH + 1)[-1] == 16
