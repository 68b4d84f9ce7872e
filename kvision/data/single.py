"""Single photos, and labels in another order: what serves a finished model."""

import os

import tensorflow as tf

from kvision import tasks
from kvision.data.resizing import MODES, Frame
from kvision.data.sources.image_files import read_with_pillow


def read_image(path):
    """One photo as `load` would serve it from a folder.

    Args:
        path: an image file of any format Pillow knows.

    Returns:
        uint8 array (height, width, 3), upright, transparency on white.

    Raises:
        ValueError: where it is no image, or a damaged one.

    Example:

    >>> from sklearn.datasets import load_sample_images
    >>> path = load_sample_images().filenames[0]
    >>> read_image(path).shape
    (427, 640, 3)
    """
    try:
        return read_with_pillow(os.fsencode(path))
    except (OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"it must be a readable image ({error})") from error


def resize_image(image, input_shape, resize="stretch"):
    """One photo as `batches` would serve it to a model.

    Args:
        image: uint8 array (height, width, 1 or 3).
        input_shape: (height, width, channels) of the model.
        resize: `"stretch"`, `"crop"` or `"pad"`, as in `batches`.

    Returns:
        uint8 array of shape `input_shape`.

    Raises:
        ValueError: where `resize` is unknown.

    Example:

    >>> import numpy as np
    >>> resize_image(np.zeros((20, 30, 3), "uint8"), (8, 8, 1)).shape
    (8, 8, 1)
    """
    if resize not in MODES:
        raise ValueError(f"`resize` must be one of {MODES}. Received: {resize!r}")
    height, width, channels = input_shape
    image = tf.convert_to_tensor(image)
    return Frame(image, (height, width), channels, resize, False).picture(image).numpy()


def relabel(dataset, class_names, wanted, feature="label"):
    """Numbers the labels of a data set as a model does, which may order its classes otherwise.

    Args:
        dataset: dicts with `label`, `segmentation_mask` or `objects`, as `load` gives.
        class_names: the data set's names in label order.
        wanted: the model's names in label order; may hold more.
        feature: the one that holds them: `"label"`; `"objects"` for their labels; or
            `"segmentation_mask"`, whose void pixels stay void.

    Returns:
        The data set with its labels renumbered.

    Raises:
        ValueError: where the data set has classes that the model does not know.

    Example:

    >>> import kvision as kv
    >>> digits = kv.data.load("digits", "test[:1]")
    >>> names = [str(digit) for digit in range(10)]
    >>> (int(next(iter(relabel(digits, names, names[::-1])))["label"])
    ...  + int(next(iter(digits))["label"]))
    9
    """
    unknown = [name for name in class_names or [] if name not in wanted]
    if unknown or not class_names:
        raise ValueError(
            f"The data must have the model's classes: {', '.join(wanted[:20])}. Received others: "
            f"{', '.join(unknown[:20]) or 'data without class names'}."
        )
    table = [wanted.index(name) for name in class_names]
    part = tasks.part("data.features", feature)

    def renumber(example):
        return {**example, feature: part.relabelled(example[feature], table)}

    return dataset.map(renumber, tf.data.AUTOTUNE)
