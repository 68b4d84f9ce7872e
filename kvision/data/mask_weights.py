"""Weights against what masks are full of: rare classes, and the thin borders between objects."""

import math
import warnings

import keras
import numpy as np
import tensorflow as tf

from kvision.data.sources.readable import mapped_dataset
from kvision.ops.masks import VOID

_NEGLIGIBLE = 1e-4


def median_frequency_weights(dataset, classes, progress=True):
    """Weights of the classes under which rare ones count as much as common ones, in one pass.

    The frequency of a class is the share of its pixels in those images in which it occurs (void
    pixels count for nothing); its weight is the median of all frequencies over its own. Pass them
    as `class_weight` to `kvision.losses.MaskCrossentropy`.

    Args:
        dataset: examples as `kv.data.load` gives, or batches as `kv.data.batches` gives (of
            batches for training, it uses up the first epoch).
        classes: the number of classes, or a list of their names.
        progress: whether to show a progress bar.

    Returns:
        float32 array (classes,). A class that does not occur has weight 0 and is named in a
        warning.

    Raises:
        ValueError: if there are no masks, or labels other than 0..classes-1 and 255, or no end.

    Reference:
        Badrinarayanan et al., SegNet: A deep convolutional encoder-decoder architecture for image
        segmentation, 2017; Eigen and Fergus, 2015.

    Example:

    >>> import kvision as kv
    >>> mask = np.array([[[0], [0], [0], [1]]], "uint8")
    >>> image = np.zeros((1, 4, 3), "uint8")
    >>> example = {"image": image, "segmentation_mask": mask}
    >>> data = tf.data.Dataset.from_tensors(example)
    >>> print(kv.data.median_frequency_weights(data, 2, progress=False).round(2))
    [0.67 2. ]
    """
    names = [f"class {index}" for index in range(classes)] if isinstance(classes, int) else classes
    if isinstance(classes, bool) or not 1 <= len(names) <= VOID:
        raise ValueError(
            f"`classes` must be a whole number or a list of names, 1 to {VOID}. "
            f"Received: {classes!r}"
        )
    if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise ValueError("`dataset` must end; one with `repeat=True` does not. Take one epoch.")
    counts = dataset.map(_pixel_counts, tf.data.AUTOTUNE)
    pixels, around = _sums(counts, progress)
    strange = np.flatnonzero(pixels[len(names) : VOID]) + len(names)
    if len(strange):
        raise ValueError(
            f"The masks must hold the labels 0..{len(names) - 1} and {VOID} for void. "
            f"Received: {strange[:10].tolist()}. Pass the right number of `classes`."
        )
    pixels, around = pixels[: len(names)], around[: len(names)]
    present = pixels > 0
    absent = [str(name) for name, there in zip(names, present, strict=True) if not there]
    if absent:
        warnings.warn(f"No pixel is of: {', '.join(absent)} (weight 0)", stacklevel=2)
    frequencies = pixels[present] / around[present]
    weights = np.zeros(len(names), "float32")
    weights[present] = np.median(frequencies) / frequencies if present.any() else 0.0
    return weights


def with_border_weights(dataset, w0=10.0, sigma=5.0, foreground=None, class_weight=None):
    """Adds U-Net's weight map, which makes a network learn the thin borders between objects.

    A pixel weighs as much as its class, and background between two objects that are close together
    more by w0 exp(-(d1 + d2)^2 / (2 sigma^2)), with d1 and d2 the distances in pixels to the
    nearest and second nearest object. Objects are the connected regions of each foreground class.
    Void weighs nothing. `kv.data.batches` then yields `(images, masks, weights)`, which `fit`
    takes.

    Args:
        dataset: examples with `segmentation_mask`, as `kv.data.load` gives.
        w0: how much the border between two touching objects weighs more.
        sigma: how fast that fades with the distance, in pixels.
        foreground: list of the classes whose regions are objects; None for all but 0.
        class_weight: list of a weight for each class, such as `median_frequency_weights` gives;
            None makes all classes of an image weigh alike in it, 1 on average.

    Returns:
        The dataset, its examples with `pixel_weight`: float32 (height, width, 1).

    Raises:
        ValueError: if the examples have no masks, or an argument is out of range.

    Differs from the paper:
        The term is added to the background only: inside an object d1 would be 0 all over. The
        classes are balanced in each image rather than over all training images.

    Reference:
        Ronneberger, Fischer, Brox: U-Net: convolutional networks for biomedical image segmentation,
        2015, equation 2.

    Example:

    >>> import kvision as kv
    >>> mask = np.zeros((8, 9, 1), "uint8")
    >>> mask[:, :3], mask[:, 6:] = 1, 1
    >>> example = {"image": np.zeros((8, 9, 3), "uint8"), "segmentation_mask": mask}
    >>> data = with_border_weights(tf.data.Dataset.from_tensors(example))
    >>> print(next(iter(data))["pixel_weight"].numpy()[0, :, 0].round(1))
    [0.8 0.8 0.8 8.8 8.8 8.8 0.8 0.8 0.8]
    """
    spec = dataset.element_spec
    if not isinstance(spec, dict) or "segmentation_mask" not in spec:
        raise ValueError(
            "`dataset` must yield dicts with 'segmentation_mask', as from kv.data.load. "
            f"Received: {spec}"
        )
    if not (w0 >= 0 and sigma > 0):
        raise ValueError(f"`w0` must be 0 or more, `sigma` above 0. Received: {w0} and {sigma}")
    if class_weight is not None:
        class_weight = np.asarray(class_weight, "float32")

    def weigh(mask):
        return border_weights(mask[..., 0], w0, sigma, foreground, class_weight)[..., None]

    def add(example):
        mask = example["segmentation_mask"]
        weight = tf.numpy_function(weigh, [mask], tf.float32, stateful=False)
        weight = tf.ensure_shape(weight, mask.shape)
        return {**example, "pixel_weight": weight}

    return mapped_dataset(dataset, add)


def border_weights(mask, w0=10.0, sigma=5.0, foreground=None, class_weight=None):
    """The weight map of one mask; see `with_border_weights`.

    Args:
        mask: uint8 array (height, width).
        w0: as there.
        sigma: as there.
        foreground: as there.
        class_weight: float32 array of a weight for each class, or None.

    Returns:
        float32 array (height, width).

    Raises:
        ValueError: if the mask holds a class that `class_weight` lacks.
    """
    present = [index for index in np.unique(mask).tolist() if index != VOID]
    weight = np.zeros(mask.shape, "float32")
    if class_weight is not None and present and present[-1] >= len(class_weight):
        raise ValueError(
            f"`class_weight` must hold a weight for every class. Received {len(class_weight)} "
            f"weights, and a mask with the class {present[-1]}"
        )
    labelled = np.count_nonzero(mask != VOID)
    for index in present:
        inside = mask == index
        balance = labelled / (len(present) * np.count_nonzero(inside))
        weight[inside] = balance if class_weight is None else class_weight[index]
    objects = [index for index in present if (index in foreground if foreground else index > 0)]
    nearest, second = _two_distances(mask, objects, _reach(w0, sigma))
    ground = (mask != VOID) & ~np.isin(mask, objects)
    gap = w0 * np.exp(-np.square(nearest + second) / (2 * sigma**2))
    return np.where(ground, weight + gap, weight).astype("float32")


def _reach(w0, sigma):
    """The distance from which on the border's weight is negligible."""
    return sigma * math.sqrt(2 * math.log(max(w0 / _NEGLIGIBLE, 1.0)))


def _two_distances(mask, objects, reach):
    """The distances of every pixel to the nearest and second nearest object, infinite if far."""
    from scipy import ndimage

    nearest = np.full(mask.shape, np.inf)
    second = nearest.copy()
    margin = math.ceil(reach) + 1
    for index in objects:
        regions, _ = ndimage.label(mask == index)
        for number, window in enumerate(ndimage.find_objects(regions), start=1):
            # Around each object only: all over the image a hundred of them take seconds.
            window = tuple(
                slice(max(side.start - margin, 0), side.stop + margin) for side in window
            )
            distance = ndimage.distance_transform_edt(regions[window] != number)
            former = nearest[window]
            second[window] = np.minimum(second[window], np.maximum(former, distance))
            nearest[window] = np.minimum(former, distance)
    return nearest, second


def _pixel_counts(*element):
    """How many pixels of each value, and how many with a label, each image of an element has."""
    if len(element) == 1 and isinstance(element[0], dict):
        mask = element[0].get("segmentation_mask")
    else:
        mask = element[1] if len(element) in (2, 3) else None
    if not tf.is_tensor(mask) or mask.shape.rank not in (3, 4):
        raise ValueError(
            "`dataset` must hold masks: examples with 'segmentation_mask', or batches with them. "
            f"Received elements of: {element}"
        )
    mask = mask if mask.shape.rank == 4 else mask[None]
    flat = tf.reshape(tf.cast(mask, tf.int32), (tf.shape(mask)[0], -1))
    return tf.math.bincount(flat, minlength=VOID + 1, maxlength=VOID + 1, axis=-1)


def _sums(counts, progress):
    """For each value: its pixels, and the pixels with a label of the images in which it occurs."""
    steps = int(counts.cardinality())
    bar = keras.utils.Progbar(steps if steps >= 0 else None, unit_name="step") if progress else None
    pixels, around = np.zeros(VOID + 1), np.zeros(VOID + 1)
    for step, found in enumerate(counts.prefetch(tf.data.AUTOTUNE).as_numpy_iterator(), start=1):
        pixels += found.sum(0)
        around += ((found > 0) * found[:, :VOID].sum(1, keepdims=True)).sum(0)
        if bar:
            bar.update(step)
    return pixels, around
