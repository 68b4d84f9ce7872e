"""The images from which an int8 conversion learns the range of each layer."""

import numpy as np

from kvision.export.specs import count_of, each

MAX_IMAGES = 500


def calibration_inputs(calibration, shapes, limit=MAX_IMAGES):
    """Examples for an int8 conversion, as the file will take them.

    Args:
        calibration: a dataset of `(images, labels)` or `images` batches, as `kv.data.batches`
            gives, or an array of images (n, height, width, channels); pixels 0..255. Of a model of
            several inputs a dict of arrays in place of the images.
        shapes: (height, width, channels) of the model, or what else it takes; a dict of them for
            several inputs.
        limit: the most examples to use. Of an array they are taken at even distances, so that one
            sorted by class gives all classes; of a dataset the first ones.

    Returns:
        A dict of arrays, with the key `"image"` where there is one input. Images are uint8, and the
        first has one black and one white pixel put in a corner: the range of the input is then
        0..255 whatever the images show, so that a uint8 pixel means itself.

    Raises:
        ValueError: there are no examples, they have another shape or other names, or images are not
            pixels 0..255.
    """
    if calibration is None:
        raise ValueError(
            'quantize="int8" needs `calibration`: 100 to 500 typical images, as a dataset of '
            "(images, labels) batches or as an array (n, height, width, channels) with pixels "
            "0..255. Received: None"
        )
    if hasattr(calibration, "shape") or isinstance(calibration, dict):
        given = each(lambda values: _spread(np.asarray(values), limit), calibration)
    else:
        given = _first_examples(calibration, limit)
    if isinstance(shapes, dict) and len(shapes) == 1 and not isinstance(given, dict):
        given = {next(iter(shapes)): given}
    shapes = shapes if isinstance(shapes, dict) else {"image": shapes}
    given = given if isinstance(given, dict) else {"image": given}
    if given.keys() != shapes.keys():
        raise ValueError(f"`calibration` must hold {_listed(shapes)}. Received: {_listed(given)}")
    return {key: _checked(given[key], tuple(shape)) for key, shape in shapes.items()}


def _checked(values, shape):
    if values.ndim != len(shape) + 1 or not len(values) or values.shape[1:] != shape:
        raise ValueError(
            f"`calibration` must hold {'images' if len(shape) == 3 else 'inputs'} of shape "
            f"{shape}, at least one. Received: {values.shape if values.size else 'no images'}"
        )
    if len(shape) != 3:
        return values
    images = values.astype("float32")
    lowest, highest = float(images.min()), float(images.max())
    if lowest < 0 or not 1.5 < highest <= 255:
        raise ValueError(
            "`calibration` must hold pixels 0..255, as the model takes them: do not divide by 255. "
            f"Received: values from {lowest:.3g} to {highest:.3g}"
        )
    images = np.rint(images).astype("uint8")
    images[0, 0, 0], images[0, 0, -1] = 0, 255
    return images


def _listed(parts):
    return "one input" if list(parts) == ["image"] else f"the inputs {sorted(parts)}"


def _spread(values, limit):
    if values.ndim > 1 and len(values) > limit:
        values = values[np.linspace(0, len(values) - 1, limit).astype(int)]
    return values


def _first_examples(dataset, limit):
    batches, count = [], 0
    for batch in dataset:
        given = each(np.asarray, batch[0] if isinstance(batch, (tuple, list)) else batch)
        batches.append(each(lambda values, most=limit - count: values[:most], given))
        count += count_of(batches[-1])
        if count >= limit:
            break
    if not batches:
        return np.zeros((0,))
    return each(lambda *parts: np.concatenate(parts), *batches)
