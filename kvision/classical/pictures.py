"""Pictures and what is true of them, one at a time and as NumPy arrays."""

import numpy as np

_FLAGS = ("crowd", "difficult")


def as_pixels(image, channels=None):
    """A picture as an array of bytes.

    Args:
        image: array `(height, width)`, `(height, width, 1)` or `(height, width, 3)`, pixels 0..255.
        channels: 3 to repeat a grey one, `None` to leave it as it is.

    Returns:
        uint8 array `(height, width, channels)`.

    Raises:
        ValueError: where it is no picture, or is none of so many channels.
    """
    image = np.asarray(image)
    image = image[..., None] if image.ndim == 2 else image
    if image.ndim != 3 or image.shape[-1] not in (1, 3) or 0 in image.shape:
        raise ValueError(
            "A picture must be an array (height, width), (height, width, 1) or (height, width, 3) "
            f"of at least one pixel. Received shape: {image.shape}"
        )
    if channels == 3 and image.shape[-1] == 1:
        image = np.repeat(image, 3, axis=-1)
    if channels not in (None, image.shape[-1]):
        raise ValueError(
            f"A picture for this classifier must have {channels} channel(s). Received shape: "
            f"{image.shape}"
        )
    if image.dtype != np.uint8:
        image = np.rint(np.clip(image.astype("float32"), 0, 255)).astype("uint8")
    return np.ascontiguousarray(image)


def as_boxes(boxes):
    """Boxes `(n, 4)` as an array of float32, also where there are none.

    Raises:
        ValueError: for another shape.
    """
    boxes = np.asarray(boxes, "float32")
    boxes = boxes.reshape(-1, 4) if boxes.size == 0 else boxes
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            "Boxes of a picture must be (n, 4): ymin, xmin, ymax, xmax in 0..1. Received shape: "
            f"{boxes.shape}"
        )
    return boxes


def pictures(images, truths=None):
    """Goes through pictures with what is true of each.

    Args:
        images: a list of pictures, or an array of them; or a data set of batches of (images,
            truth), as `kv.data.batches(..., target="objects")` gives it.
        truths: with a list, as many dicts of `boxes` (n, 4) and `classes` (n,), -1 where padded,
            optionally `crowd` and `difficult`; or one such dict of the whole batch.

    Yields:
        `(image, truth)`, truth without padding: `boxes`, `classes` and `ignored`.

    Raises:
        ValueError: where pictures and truths are not as many, or a truth lacks boxes or classes.
    """
    if truths is None:
        for batch in images:
            if not isinstance(batch, (tuple, list)) or len(batch) < 2:
                raise ValueError(
                    "Without `truths`, `images` must be a data set of batches of (images, truth). "
                    f"Received a batch of type {type(batch).__name__}. Pass `truths`."
                )
            yield from pictures(*batch[:2])
        return
    if isinstance(truths, dict):
        arrays = {name: np.asarray(values) for name, values in truths.items()}
        number = len(arrays.get("boxes", ()))
        truths = [{name: values[i] for name, values in arrays.items()} for i in range(number)]
    images = np.asarray(images) if hasattr(images, "shape") else images
    if len(images) != len(truths):
        raise ValueError(
            "`images` and `truths` must be as many. "
            f"Received: {len(images)} images and {len(truths)} truths"
        )
    for image, truth in zip(images, truths, strict=True):
        yield image, _plain(truth)


def _plain(truth):
    """The truth of one picture without padding; what is crowd or difficult is only to ignore."""
    if not {"boxes", "classes"} <= set(truth):
        raise ValueError(f"A truth must have 'boxes' and 'classes'. Received: {sorted(truth)}")
    boxes, classes = as_boxes(truth["boxes"]), np.asarray(truth["classes"]).astype("int64")
    if classes.shape != boxes.shape[:1]:
        raise ValueError(
            "A truth must have a class for each box. "
            f"Received: {len(boxes)} boxes and classes of shape {classes.shape}"
        )
    flags = [np.asarray(truth[name], bool) for name in _FLAGS if name in truth]
    ignored = np.logical_or.reduce([np.zeros(len(boxes), bool), *flags])
    there = classes >= 0
    clear = there & ~ignored
    return {
        "boxes": boxes[clear],
        "classes": classes[clear],
        "ignored": boxes[there & ignored],
    }
