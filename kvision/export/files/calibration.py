"""The images from which an int8 conversion learns the range of each layer."""

import numpy as np

MAX_IMAGES = 500


def calibration_images(calibration, input_shape, limit=MAX_IMAGES):
    """Images for an int8 conversion, as the pixels that the file will take.

    Args:
        calibration: a dataset of `(images, labels)` or `images` batches, as `kv.data.batches`
            gives, or an array of images (n, height, width, channels); pixels 0..255.
        input_shape: (height, width, channels) of the model.
        limit: the most images to use. Of an array they are taken at even distances, so that one
            sorted by class gives all classes; of a dataset the first ones.

    Returns:
        A uint8 array (n, height, width, channels). Its first image has one black and one white
        pixel put in a corner: the range of the input is then 0..255 whatever the images show, so
        that a uint8 pixel means itself.

    Raises:
        ValueError: there are no images, they have another shape, or they are not pixels 0..255.
    """
    if calibration is None:
        raise ValueError(
            'quantize="int8" needs `calibration`: 100 to 500 typical images, as a dataset of '
            "(images, labels) batches or as an array (n, height, width, channels) with pixels "
            "0..255. Received: None"
        )
    if hasattr(calibration, "shape"):
        images = np.asarray(calibration)
        if images.ndim == 4 and len(images) > limit:
            images = images[np.linspace(0, len(images) - 1, limit).astype(int)]
    else:
        images = _first_images(calibration, limit)
    if images.ndim != 4 or not len(images) or images.shape[1:] != tuple(input_shape):
        raise ValueError(
            f"`calibration` must hold images of shape {tuple(input_shape)}, at least one. "
            f"Received: {images.shape if images.size else 'no images'}"
        )
    images = images.astype("float32")
    lowest, highest = float(images.min()), float(images.max())
    if lowest < 0 or not 1.5 < highest <= 255:
        raise ValueError(
            "`calibration` must hold pixels 0..255, as the model takes them: do not divide by 255. "
            f"Received: values from {lowest:.3g} to {highest:.3g}"
        )
    images = np.rint(images).astype("uint8")
    images[0, 0, 0], images[0, 0, -1] = 0, 255
    return images


def _first_images(dataset, limit):
    batches, count = [], 0
    for batch in dataset:
        images = np.asarray(batch[0] if isinstance(batch, (tuple, list)) else batch)
        batches.append(images[: limit - count])
        count += len(batches[-1])
        if count >= limit:
            break
    return np.concatenate(batches) if batches else np.zeros((0,))
