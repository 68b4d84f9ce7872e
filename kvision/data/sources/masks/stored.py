"""The numbers that a mask's file stores, which are not always those that its decoder gives.

Pillow makes pictures for the eye: 0, 1, 2 in two bits come as 0, 85, 170, numbers below a PGM's
maximum likewise, and 16-bit colours in 8 bits. Which raw data it reads is told by `image.tile`.
"""

import struct

import numpy as np

_LOSSLESS_TIFF = frozenset(
    ("raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "lzma", "zstd")
    + ("group3", "group4", "tiff_ccitt", "tiff_raw_16")
)
# In a BMP, what Pillow reads rightly: (bits of a pixel, its raw data).
_BMP = {(1, "1"), (1, "P;1"), (4, "P;4"), (8, "L"), (8, "P")}
_BMP_BITS = 28  # where its header tells them
_STEPS = {"L;2": 85, "L;4": 17}
_WEBP_HEADER, _WEBP_FRAME = 12, 16


def lossy_format(image, path):
    """What to call the format of a picture that may have changed numbers, None for an exact one.

    Args:
        image: a `PIL.Image` that is open, but not loaded.
        path: its file.
    """
    if image.format in ("PNG", "GIF", "BMP", "PPM"):
        return None
    if image.format == "TIFF":
        compression = image.info.get("compression")
        return None if compression in _LOSSLESS_TIFF else f"{compression} compression in a TIFF"
    if image.format == "WEBP":
        return None if _is_lossless_webp(path) else "a lossy WebP"
    return "JPEG" if image.format == "MPO" else image.format


def stored_numbers(image, path):
    """The numbers in a picture of an exact format.

    Args:
        image: a `PIL.Image` that is open, but not loaded.
        path: its file.

    Returns:
        An array (height, width) or (height, width, channels): bool where the file has one bit a
        pixel, palette indices where it has a palette, uint8 for RGB colours, else whole numbers.

    Raises:
        ValueError: if it stores other things, or Pillow misreads them.
    """
    from PIL import ImageOps

    raw, most = _raw_data(image)
    if image.format == "BMP" and not _is_readable_bmp(path, raw, image.mode):
        raise ValueError("a BMP with this palette cannot be read exactly; save it as PNG")
    head, _, depth = raw.partition(";")
    if head in ("RGB", "RGBA", "RGBX", "LA") and "16" in depth:
        raise ValueError(
            f"a 16-bit {image.format} must be grey to be a mask; this one has colour or alpha"
        )
    if head == "L" and "I" in depth:
        raise ValueError("a TIFF mask must store black as 0; this one stores white so")
    image.load()
    image = ImageOps.exif_transpose(image)
    pixels = np.asarray(image)
    if image.mode == "L" and most:
        return np.round(pixels * (most / 255)).astype("uint8")
    if image.mode == "I" and most:
        return np.round(pixels * (most / 65535)).astype("int32")
    if image.mode == "L":
        return pixels // np.uint8(_STEPS.get(f"{head};{depth[:1]}", 1))
    if image.mode == "I" or image.mode.startswith("I;16"):
        return pixels.astype("int32")
    if image.mode in ("1", "P", "LA", "PA", "RGB", "RGBA"):
        return pixels
    raise ValueError(f"a mask must hold whole numbers or RGB colours; this one is {image.mode!r}")


def _raw_data(image):
    """Pillow's name of the raw data, "" if it has none, and the maximum of a PGM or None."""
    if not image.tile:  # GIF and WebP decode by themselves
        return "", None
    arguments = image.tile[0][3]
    name, *rest = (arguments,) if isinstance(arguments, str) else arguments
    most = rest[0] if image.format == "PPM" and rest else None
    return (name if isinstance(name, str) else ""), most


def _is_readable_bmp(path, raw, mode):
    with open(path, "rb") as file:
        header = file.read(_BMP_BITS + 2)
    return mode in ("RGB", "RGBA") or (struct.unpack_from("<H", header, _BMP_BITS)[0], raw) in _BMP


def _is_lossless_webp(path):
    """Whether the first picture in a WebP file is one of the lossless kind."""
    with open(path, "rb") as file:
        file.seek(_WEBP_HEADER)
        while len(head := file.read(8)) == 8:
            kind, size = struct.unpack("<4sI", head)
            if kind in (b"VP8L", b"VP8 "):
                return kind == b"VP8L"
            file.seek(_WEBP_FRAME if kind == b"ANMF" else size + size % 2, 1)
    return False
