"""Regions of a picture, each warped to the size that a classifier takes."""

import numpy as np

from kvision.classical.pictures import as_boxes, as_pixels

IMAGENET_MEAN = (123.68, 116.779, 103.939)  # red, green, blue: nothing, to most classifiers


def with_context(boxes, size, context):
    """Boxes that, warped to `size`, show `context` pixels around the original ones.

    Args:
        boxes: array `(n, 4)`, rel_yxyx.
        size: `(height, width)` that they will be warped to.
        context: pixels of that size on either side.

    Returns:
        Array `(n, 4)`, float64; may exceed 0..1.

    Raises:
        ValueError: where the context leaves no pixel for the box.
    """
    if not 0 <= 2 * context < min(size):
        raise ValueError(
            f"`context` must be from 0 to less than half of the size {tuple(size)}. "
            f"Received: {context}"
        )
    first, last = np.split(np.asarray(boxes, "float64"), 2, axis=1)
    around = (last - first) * context / (np.asarray(size) - 2 * context)
    return np.concatenate([first - around, last + around], axis=1)


def warp_regions(image, boxes, size=(227, 227), context=16, fill=IMAGENET_MEAN):
    """Cuts boxes out of a picture and warps each to one size, whatever its aspect.

    Args:
        image: array `(height, width, 3)`, `(height, width, 1)` or `(height, width)`, pixels 0..255.
        boxes: array `(n, 4)`, rel_yxyx.
        size: `(height, width)` of the results.
        context: what is seen around a box, in pixels of the results on each side.
        fill: colour of what lies outside the picture: the mean that the classifier subtracts.

    Returns:
        float32 array `(n, height, width, channels)`. Pixels are interpolated linearly at their
        centres.

    Raises:
        ValueError: where the context leaves no pixel for the box, or shapes are wrong.

    Differs from the paper: borders are not rounded to whole pixels.

    Reference:
        Girshick, Donahue, Darrell, Malik: Rich feature hierarchies for accurate object detection
        and semantic segmentation, 2014, appendix A ("warp", p = 16).

    Example:

    >>> crops = warp_regions(np.full((50, 60, 3), 200), [[0.0, 0.0, 0.5, 1.0]])
    >>> crops.shape, crops[0, 0, 0].astype(int).tolist(), crops[0, 113, 113].tolist()
    ((1, 227, 227, 3), [123, 116, 103], [200.0, 200.0, 200.0])
    """
    import cv2

    pixels = as_pixels(image).astype("float32")
    height, width, channels = pixels.shape
    fill = np.broadcast_to(np.asarray(fill, "float32"), (3,))
    fill = fill if channels == 3 else fill.mean(keepdims=True)
    crops = np.empty((len(as_boxes(boxes)), *size, channels), "float32")
    for crop, (top, left, bottom, right) in zip(
        crops, with_context(as_boxes(boxes), size, context), strict=True
    ):
        # Centres of the result's pixels, in pixels of the picture counted from its edge.
        rows = height * (top + (np.arange(size[0]) + 0.5) / size[0] * (bottom - top))
        columns = width * (left + (np.arange(size[1]) + 0.5) / size[1] * (right - left))
        grid = np.meshgrid((columns - 0.5).astype("float32"), (rows - 0.5).astype("float32"))
        warped = cv2.remap(pixels, *grid, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        crop[:] = warped.reshape(crop.shape)
        crop[(rows < 0) | (rows > height)] = fill
        crop[:, (columns < 0) | (columns > width)] = fill
    return crops
