"""The views of a picture that a protocol shows to a classifier."""

import itertools

import numpy as np

CROPS = ("grid", "ten", "centre")
LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601


def single_examples(dataset):
    """Pairs of pixels and a label from what `kv.data.load` yields."""
    for example in dataset:
        if isinstance(example, dict):
            image, label = example.get("image"), example.get("label")
        elif isinstance(example, (tuple, list)) and len(example) == 2:
            image, label = example
        else:
            image = label = None
        if image is None or label is None:
            raise ValueError(
                "`dataset` must give dicts with `image` and `label`, or pairs of them. Received: "
                f"{sorted(example) if isinstance(example, dict) else type(example).__name__}"
            )
        image, label = np.asarray(image), np.asarray(label)
        if image.ndim != 3 or 0 in image.shape or label.shape or label.dtype.kind not in "iu":
            raise ValueError(
                "`dataset` must give single examples: an image (height, width, channels) and a "
                f"label, a whole number. Received shapes {image.shape} and {label.shape} of "
                f"{label.dtype}. Pass what `kv.data.load` gives, not batches."
            )
        yield image, int(label)


def with_channels(image, channels):
    if channels in (None, image.shape[-1]):
        return image
    if (image.shape[-1], channels) == (1, 3):
        return np.repeat(image, 3, axis=-1)
    if (image.shape[-1], channels) == (3, 1):
        return (image @ np.array(LUMA, "float32"))[..., None]
    raise ValueError(
        f"Pictures must be grey or RGB, or have the model's {channels} channels. Received one of "
        f"shape {image.shape}. Put transparent pictures on a background, as `kv.data.load` does "
        "with folders of photos."
    )


def rescaled(image, scale):
    """The picture in float32 with a shorter side of `scale` pixels and its own aspect ratio."""
    from keras import ops

    image = np.asarray(image, "float32")
    shorter = min(image.shape[:2])
    size = tuple(round(side * scale / shorter) for side in image.shape[:2])
    if size == image.shape[:2]:
        return image
    options = {"interpolation": "bilinear", "antialias": True, "data_format": "channels_last"}
    return ops.convert_to_numpy(ops.image.resize(image, size, **options))


def cut_crops(image, scales, size, crops, grid, mirror):
    """All crops of one picture: `(views, height, width, channels)`."""
    views = []
    for scale in scales:
        picture = rescaled(image, scale)
        for top, left in _corners(picture.shape[:2], scale, size, crops, grid):
            views.append(picture[top : top + size[0], left : left + size[1]])
    views = np.stack(views)
    return np.concatenate([views, views[:, :, ::-1]]) if mirror else views


def _corners(shape, scale, size, crops, grid):
    """Where the crops begin: `[(top, left), ...]`."""
    free = np.subtract(shape, size)
    if crops == "grid":
        rows, columns = (np.rint(np.linspace(0, rest, grid)).astype(int) for rest in free)
        return list(itertools.product(rows, columns))
    centre = tuple(free // 2)
    if crops == "centre":
        return [centre]
    first = np.subtract(shape, scale) // 2  # of the central square
    last = first + scale - size
    return [*itertools.product((first[0], last[0]), (first[1], last[1])), centre]
