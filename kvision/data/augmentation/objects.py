"""The augmentation that detectors are usually trained with."""

import keras

from kvision.layers.augmentation.random_box_crop import RandomBoxCrop
from kvision.layers.augmentation.random_zoom_out import RandomZoomOut


def detection_augmentation(zoom_out=4.0):
    """The layers for `augment=` that SSD was trained with; they fit other detectors too.

    Light, contrast, saturation and hue vary; half of the pictures are put on a canvas of up to 4
    times their height and width; of most, a part around some objects is cut out; half are mirrored.
    Detectors that learn from a few hundred pictures need it. Leave the zoom out where objects are
    small already, and the mirror where left and right differ.

    Args:
        zoom_out: how many times as high and wide the canvas is at most; None for no canvas.

    Returns:
        A list of Keras and kvision layers, to be used as it is or extended.

    Differs from the paper: each tone varies in every picture, not in half of them.

    Reference:
        Liu et al.: SSD: Single shot multibox detector, 2016, sections 2.2 and 3.6.

    Example:

    >>> [type(layer).__name__ for layer in kv.data.detection_augmentation(zoom_out=None)][-2:]
    ['RandomBoxCrop', 'RandomFlip']
    """
    return [
        keras.layers.RandomBrightness(32 / 255),
        keras.layers.RandomContrast(0.5),
        # Factors of 0.5 to 1.5. Saturation lies in 0..1 whatever the pixels do.
        keras.layers.RandomSaturation((1 / 3, 0.6), value_range=(0, 1)),
        keras.layers.RandomHue(0.2),
        *([] if zoom_out is None else [RandomZoomOut(zoom_out)]),
        RandomBoxCrop(),
        keras.layers.RandomFlip("horizontal"),
    ]
