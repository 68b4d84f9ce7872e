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
_MAX_PIXELS = 178_956_970  # from where Pillow refuses a picture, too, unless it is told otherwise
_ORIENTATION = 0x0112
_TURNED = 5  # orientations from here on swap height and width
# EXIF orientation 1..8 -> swap the axes, then mirror rows, mirror columns.
_UPRIGHT = ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 0))


@dataclasses.dataclass(frozen=True)
class ImageFile:
    """What checking one file found: who decodes it, and how large it is, or why not to serve it.

    Attributes:
        decoder: `JPEG`, `PNG` or `PILLOW`.
        orientation: EXIF orientation 1..8 that is left to be put right after decoding.
        reason: why the file is not served, or None.
        size: (height, width) of the upright picture, as its decoder gives it.
        turned: whether putting it upright swaps height and width, whoever does it.
    """

    decoder: int = PILLOW
    orientation: int = 1
    reason: str | None = None
    size: tuple = (0, 0)
    turned: bool = False

    def sizes_apart(self, stated):
        """A (height, width) that was stated for the picture beside its own, in words.

        What is stated of a picture, boxes and masks included, is of the upright one: so labelling
        programs show it. Where another program took it as it is stored, the words say so.
        """
        sizes = [f"{width}x{height}" for height, width in (stated, self.size)]
        upright = " once turned upright, as its EXIF orientation asks"
        hint = upright if self.turned and tuple(stated) == self.size[::-1] else ""
        return f"{sizes[0]} pixels, and the picture has {sizes[1]}{hint}"


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
            sizes = _decoded_sizes([paths[i] for i in chosen], decoder)
            for i, size in zip(chosen, sizes, strict=True):
                if size != _stored_size(verdicts[i]):
                    # Pillow gives the reason, or reads what TensorFlow's decoder refused or cut.
                    verdicts[i] = ImageFile(PILLOW, turned=verdicts[i].turned)
        chosen = _waiting(verdicts, PILLOW)
        found = pool.map(_read_through, [paths[i] for i in chosen])
        for i, (size, reason) in zip(chosen, found, strict=True):
            verdicts[i] = dataclasses.replace(verdicts[i], size=size, reason=reason)
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
    with open(path, "rb") as file:
        try:
            image = Image.open(file, formats=_formats())
        except Image.DecompressionBombError:
            raise ValueError(f"it has more than {_MAX_PIXELS:,} pixels") from None
        with image:
            if image.width * image.height > _MAX_PIXELS:
                size = f"{image.width}x{image.height}"
                raise ValueError(f"its {size} are more than {_MAX_PIXELS:,} pixels")
            yield image


def _read_header(path):
    from PIL import UnidentifiedImageError

    try:
        if not os.path.getsize(path):
            return ImageFile(reason="the file is empty")
        with open_image(path) as image:
            width, height = image.size
            orientation = _orientation(image)
            turned = orientation >= _TURNED
            size = (width, height) if turned else (height, width)
            if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
                # TensorFlow prints a line for each file that is cut off; Pillow does not.
                reason = None if _has_end(path) else _read_through(path)[1]
                return ImageFile(JPEG, orientation, reason, size, turned)
            if image.format == "PNG" and _is_plain_png(image, path):
                return ImageFile(PNG, orientation, None, size, turned)
            return ImageFile(PILLOW, turned=turned)
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


def _decoded_sizes(paths, decoder):
    """The (height, width) of what TensorFlow decodes, an eighth of JPEG's; None where it fails."""

    def attempt(index, path):
        content = tf.io.read_file(path)
        if decoder == JPEG:
            # An eighth of the size: all the data is read, little of it is turned into pixels.
            pixels = tf.io.decode_jpeg(content, channels=3, ratio=8)
        else:
            pixels = tf.io.decode_png(content, channels=3)
        # The size is asked for so that no optimiser finds the pixels unused.
        return index, tf.shape(pixels)[:2]

    if not paths:
        return []
    names = [os.fsencode(path) for path in paths]
    dataset = tf.data.Dataset.from_tensor_slices((np.arange(len(names)), names))
    dataset = dataset.map(attempt, tf.data.AUTOTUNE, deterministic=False).ignore_errors()
    decoded = {int(i): tuple(size.tolist()) for i, size in dataset.as_numpy_iterator()}
    return [decoded.get(i) for i in range(len(names))]


def _stored_size(verdict):
    """The (height, width) that TensorFlow must decode, an eighth of JPEG's."""
    size = verdict.size[::-1] if verdict.turned else verdict.size
    return tuple(-(-length // 8) for length in size) if verdict.decoder == JPEG else size


def _read_through(path):
    """The (height, width) of what Pillow decodes and None, or (0, 0) and why it does not."""
    try:
        return read_with_pillow(path).shape[:2], None
    except Exception as error:  # any decoder's failure means the same: this file is not served
        return (0, 0), explain(error)


def explain(error):
    """An error of a decoder in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    return text[:200] or type(error).__name__


def _waiting(verdicts, decoder):
    """The numbers of the files that `decoder` is to read."""
    return [i for i, v in enumerate(verdicts) if v.decoder == decoder and v.reason is None]
