"""What is inside an image file, whatever its name says: who can decode it, and how.

TensorFlow's own decoders are fast and read ordinary JPEG and PNG files rightly. They get CMYK,
palettes with transparency, alpha channels and 16-bit grey wrong, or refuse them: those files are
read by Pillow. Either way the pixels come out as upright RGB on white.
"""

import contextlib
import dataclasses
import functools
import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

JPEG, PNG, PILLOW = 0, 1, 2  # who decodes a file
_JPEG_NAMES = (".jpg", ".jpeg", ".jpe", ".jfif")
_OTHER_NAMES = (".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".avif")
EXTENSIONS = frozenset((*_JPEG_NAMES, *_OTHER_NAMES, ".heic", ".jp2"))
# Pillow's other plugins read drawings and documents, some of them by starting other programs.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000")
_MAX_PIXELS = 250_000_000
_ORIENTATION = 0x0112
# EXIF orientation 1..8 -> swap the axes, then mirror rows, mirror columns.
_UPRIGHT = ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 0))


@dataclasses.dataclass(frozen=True)
class ImageFile:
    """What checking one file found: who decodes it, and how large it is, or why not to serve it.

    Attributes:
        decoder: `JPEG`, `PNG` or `PILLOW`.
        orientation: EXIF orientation 1..8 that is left to be put right after decoding.
        reason: why the file is not served, or None.
        size: (height, width) of the upright picture.
    """

    decoder: int = PILLOW
    orientation: int = 1
    reason: str | None = None
    size: tuple = (0, 0)


def check_files(paths):
    """Reads the headers and then decodes every file once, in parallel.

    Args:
        paths: list of absolute paths.

    Returns:
        A list of `ImageFile`, one for each path.
    """
    with warnings.catch_warnings(), ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
        # Pillow warns of damaged metadata and of many pixels; _MAX_PIXELS judges the latter.
        warnings.simplefilter("ignore")
        verdicts = list(pool.map(_read_header, paths))
        for decoder in (JPEG, PNG):
            chosen = _waiting(verdicts, decoder)
            for i in _undecodable([paths[i] for i in chosen], decoder, chosen):
                # Pillow gives the reason, or reads what TensorFlow's decoder refused.
                verdicts[i] = ImageFile(PILLOW, size=verdicts[i].size)
        chosen = _waiting(verdicts, PILLOW)
        reasons = pool.map(_pillow_error, [paths[i] for i in chosen])
        for i, reason in zip(chosen, reasons, strict=True):
            verdicts[i] = ImageFile(PILLOW, reason=reason, size=verdicts[i].size)
    return verdicts


def decode(path, decoder, orientation, decoders, rotated):
    """The upright RGB pixels of one checked file, as part of a `tf.data` map.

    Args:
        path: scalar string tensor.
        decoder: scalar integer tensor, `JPEG`, `PNG` or `PILLOW`.
        orientation: scalar integer tensor, the EXIF orientation 1..8.
        decoders: set of the decoders that occur; the graph holds no others.
        rotated: whether any orientation differs from 1.

    Returns:
        uint8 tensor of shape (height, width, 3).
    """
    readers = {
        JPEG: lambda: tf.io.decode_jpeg(tf.io.read_file(path), channels=3),
        PNG: lambda: tf.io.decode_png(tf.io.read_file(path), channels=3),
        PILLOW: lambda: tf.numpy_function(read_with_pillow, [path], tf.uint8, stateful=False),
    }
    if len(decoders) == 1:
        image = readers[next(iter(decoders))]()
    else:
        image = tf.switch_case(decoder, readers)
    image = tf.ensure_shape(image, (None, None, 3))
    if rotated:
        image = tf.cond(orientation > 1, lambda: upright(image, orientation), lambda: image)
    return image


def upright(image, orientation):
    """Turns and mirrors `image` as its EXIF `orientation` (1..8) asks."""
    swap, rows, columns = tf.unstack(tf.gather(tf.constant(_UPRIGHT) > 0, orientation - 1))
    image = tf.cond(swap, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    image = tf.cond(rows, lambda: tf.reverse(image, (0,)), lambda: image)
    return tf.cond(columns, lambda: tf.reverse(image, (1,)), lambda: image)


def read_with_pillow(path):
    """The first frame of an image file as upright RGB, transparency composited on white.

    Args:
        path: the file, as `str` or `bytes`.

    Returns:
        uint8 array of shape (height, width, 3).

    Raises:
        ValueError: if the pixels have no known range.
        OSError: if Pillow cannot decode the file.
    """
    from PIL import Image, ImageOps

    with open_image(os.fsdecode(path)) as image:
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I;16"):
            grey = np.round(np.asarray(image).astype("float64") / 257.0).astype("uint8")
            return np.repeat(grey[..., None], 3, axis=-1)
        if image.mode in ("I", "F"):
            raise ValueError(f"its {image.mode!r} pixels (32 bits) have no known range")
        if image.has_transparency_data:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(white, image)
        return np.asarray(image.convert("RGB"))


@functools.cache
def _formats():
    from PIL import Image

    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


@contextlib.contextmanager
def open_image(path):
    """The file as a `PIL.Image`, not decoded yet, if it is a picture rather than a document."""
    from PIL import Image

    # Pillow maps a TIFF that it opens by name into memory, and scrambles one that lies on its side.
    with open(path, "rb") as file, Image.open(file, formats=_formats()) as image:
        yield image


def _read_header(path):
    from PIL import UnidentifiedImageError

    try:
        if not os.path.getsize(path):
            return ImageFile(reason="the file is empty")
        with open_image(path) as image:
            width, height = image.size
            orientation = _orientation(image)
            size = (width, height) if orientation >= 5 else (height, width)
            if width * height > _MAX_PIXELS:
                return ImageFile(reason=f"{width}x{height} is more than {_MAX_PIXELS:,} pixels")
            if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
                # TensorFlow prints a line for each file that is cut off; Pillow does not.
                reason = None if _has_end(path) else _pillow_error(path)
                return ImageFile(JPEG, orientation, reason, size)
            if image.format == "PNG" and _is_plain_png(image, path):
                return ImageFile(PNG, orientation, size=size)
            return ImageFile(PILLOW, size=size)
    except UnidentifiedImageError:
        return ImageFile(reason="not an image")
    except Exception as error:  # a damaged header can raise nearly anything inside Pillow
        return ImageFile(reason=explain(error))


def _has_end(path):
    """Whether a JPEG file ends as it should, give or take what some cameras add."""
    with open(path, "rb") as file:
        file.seek(max(os.path.getsize(path) - 1024, 0))
        return b"\xff\xd9" in file.read()


def _is_plain_png(image, path):
    with open(path, "rb") as file:
        depth, colour = file.read(26)[24:26]
    return depth == 8 and colour in (0, 2) and "transparency" not in image.info


def _orientation(image):
    try:
        orientation = int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # EXIF is often damaged; every viewer then shows the pixels as they are
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def _undecodable(paths, decoder, indices):
    """Which of `indices` TensorFlow fails to decode: they are missing from what survives."""

    def attempt(index, path):
        content = tf.io.read_file(path)
        if decoder == JPEG:
            # An eighth of the size: all the data is read, little of it is turned into pixels.
            pixels = tf.io.decode_jpeg(content, channels=3, ratio=8)
        else:
            pixels = tf.io.decode_png(content, channels=3)
        # The size is asked for so that no optimiser finds the pixels unused.
        return index, tf.size(pixels)

    if not indices:
        return []
    names = [os.fsencode(path) for path in paths]
    dataset = tf.data.Dataset.from_tensor_slices((np.array(indices, "int64"), names))
    dataset = dataset.map(attempt, tf.data.AUTOTUNE, deterministic=False).ignore_errors()
    decoded = {int(index) for index, _ in dataset.as_numpy_iterator()}
    return sorted(set(indices) - decoded)


def _pillow_error(path):
    try:
        read_with_pillow(path)
    except Exception as error:  # any decoder's failure means the same: this file is not served
        return explain(error)
    return None


def explain(error):
    """An error of a decoder in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    return text[:200] or type(error).__name__


def _waiting(verdicts, decoder):
    """The numbers of the files that `decoder` is to read."""
    return [i for i, v in enumerate(verdicts) if v.decoder == decoder and v.reason is None]
