"""`batches`: from single examples to what `fit`, `evaluate` and `predict` take."""

import math

import tensorflow as tf

from kvision.data.augmentation.planning import plan_augmentation
from kvision.data.elements import as_example, as_fit_takes_it, find_wanted
from kvision.data.epochs import augment as augment_epochs
from kvision.data.epochs import epochs
from kvision.data.memory import available_memory
from kvision.data.resizing import MODES, resize_example
from kvision.data.sources.readable import rows_and_reader
from kvision.quiet import ignore_shuffle_warning

_CACHE_SHARE = 0.25
_SHUFFLE_BYTES = 2**29


def batches(
    dataset,
    image_size,
    batch_size=32,
    training=False,
    augment=None,
    *,
    resize="stretch",
    channels=None,
    antialias=False,
    seed=0,
    shuffle=None,
    cache="auto",
    drop_remainder=False,
    first_epoch=0,
    repeat=False,
    max_boxes=None,
    target=None,
    task=None,
    masks=False,
    mosaic=0.0,
):
    """Makes of single examples the batches that `model.fit` takes.

    Images are resized, made grey or RGB, kept in memory if they fit, and, for training, shuffled
    and augmented anew in every epoch. Everything random depends on `seed`, the epoch and the
    example's place alone, however many threads work.

    Args:
        dataset: a `tf.data.Dataset` of single examples, as `kv.data.load` gives: dicts with
            `image` (uint8) and possibly `label`, `objects`, `segmentation_mask` (uint8, 255 where
            void), `pixel_weight` and `edges` (float32 or uint8, 0..1), or (image, label), (image,
            mask) or (image, edges) pairs; or with the features of a task from outside.
        image_size: a whole number, (height, width) or (height, width, channels), in pixels.
            `model.input_shape[1:]` fits.
        batch_size: examples in a batch.
        training: whether to shuffle and augment; otherwise the order stays.
        augment: None or False for none, True for `kv.data.default_augmentation()`, or a list of
            augmentation layers of Keras or kvision. Ignored unless `training`. With boxes or
            masks only layers that move them rightly are taken.
        resize: `"stretch"` ignores the aspect ratio, `"crop"` cuts off what is too long, `"pad"`
            adds black on both sides, where masks are void.
        channels: 1 for grey, 3 for RGB; None takes them from `image_size` or leaves them.
        antialias: whether shrinking averages all pixels: smoother, several times slower.
        seed: whole number from which all randomness follows.
        shuffle: whether to shuffle; None shuffles when `training`.
        cache: `"auto"` keeps the resized images (as uint8) in memory if they take less than a
            quarter of what is free; True or False decide it.
        drop_remainder: whether to leave out a last batch that is not full.
        first_epoch: the number of the first pass over the result. A pass of number k is the same in
            a process that begins with it as in one that came through all before.
        repeat: whether one pass holds all epochs from `first_epoch` on, without end, for `fit` with
            `steps_per_epoch`.
        max_boxes: with `objects`: the number that boxes are padded to in every example; None pads
            to the most in each batch.
        target: `"label"`, `"segmentation_mask"`, `"edges"` or `"objects"` to get `(images, that)`
            and leave out the rest; None takes what is there.
        task: a task, by its name or as `kvision.tasks.Task`, to get its inputs and its target. None
            finds it where the examples fit one task alone; where they fit several, everything
            comes.
        masks: whether the truth about objects holds their masks; with `target="objects"`.
        mosaic: with `target="objects"`, the share of training examples that become mosaics: part
            of four pictures side by side.

    Returns:
        A `tf.data.Dataset`, its length known if that of `dataset` is. Classification examples
        become `(images, labels)`: float32 (batch, height, width, channels) in 0..255 and int64
        (batch,). Examples with a mask become `(images, masks)`: uint8 (batch, height, width, 1),
        255 where there is no class; with `pixel_weight`, `(images, masks, weights)`: float32 of
        that shape. Examples with edges become `(images, edges)`: float32 of that shape, 0..1.
        Examples that fit several tasks become dicts with `image` and what is there: `label`,
        `segmentation_mask`, `pixel_weight`, `edges`, and `objects` (`bbox`: float32 (batch, n, 4),
        relative ymin, xmin, ymax, xmax; `label`: int64 (batch, n), -1 where padded). Examples
        without any truth become images. Where a task has several inputs, a dict of these, named as
        `task.inputs`, takes the place of the images.

        With objects alone, or `target="objects"`, they become `(images, truth)`, a dict: `boxes`
        (float32 (batch, n, 4), as `bbox`), `classes` (int32 (batch, n), -1 where padded), `crowd`
        and `difficult` (int32 (batch, n), 0 or 1), `area` (float32 (batch, n), the share of the
        picture that the object covers), `size` (int32 (batch, 2), height and width of what is
        shown, in pixels of the picture before resizing), and with `masks=True` also `masks` (uint8
        (batch, n, height, width), 0 or 1). Objects of which augmentation leaves less than a quarter
        become difficult.

    Raises:
        ValueError: if an argument or the examples do not fit.

    Example:

    >>> train = kv.data.load("digits", split="train")
    >>> images, labels = next(iter(kv.data.batches(train, (32, 32, 3), 16, training=True)))
    >>> images.shape, labels.shape
    (TensorShape([16, 32, 32, 3]), TensorShape([16]))
    """
    _check_arguments(batch_size, resize, cache, seed, first_epoch, max_boxes)
    ignore_shuffle_warning()
    wanted = find_wanted(dataset.element_spec, target, task, masks)
    size, channels = _parse_size(image_size, channels, wanted.spec[wanted.pictures[0]])
    shuffle = training if shuffle is None else shuffle
    steps = plan_augmentation(augment if training else None, (*size, channels), wanted.parts)
    count = int(dataset.cardinality())
    if mosaic and training:
        _check_mosaic(mosaic, wanted, count)
        steps.insert(0, wanted.target.mosaic(mosaic, (*size, channels), count))

    def prepare(*element):
        example = as_example(element, wanted)
        return resize_example(example, wanted.parts, size, channels, resize, antialias)

    example_bytes = size[0] * size[1] * wanted.pixel_bytes(channels)
    cached = cache is True or (cache == "auto" and _fits(count, example_bytes))
    examples = dataset.map(prepare, tf.data.AUTOTUNE)
    if cached:
        examples = examples.cache()
    if shuffle or steps or repeat:
        buffer = _buffer_size(count, example_bytes, cached) if shuffle else 0
        behind = None if cached else rows_and_reader(dataset)
        if behind:
            examples, read = behind
            buffer = count if shuffle else 0
        passes = epochs(examples, steps, buffer, seed, first_epoch, repeat)
        examples = augment_epochs(
            passes, (lambda row: prepare(read(row))) if behind else None, steps, wanted.parts
        )
    batched = _batch(examples, batch_size, drop_remainder, max_boxes, wanted)
    return _with_length(batched, count, batch_size, drop_remainder, repeat)


def _batch(examples, batch_size, drop_remainder, max_boxes, wanted):
    ragged = {name: part for name, part in wanted.parts.items() if hasattr(part, "padding")}
    if ragged:
        spec = examples.element_spec
        shapes = tf.nest.map_structure(lambda value: value.shape, spec)
        fills = tf.nest.map_structure(lambda value: tf.zeros((), value.dtype), spec)
        for name, part in ragged.items():
            shapes[name], fills[name] = part.padding(spec[name], max_boxes)

        def limit(example):
            limited = {
                name: part.limited(example[name], max_boxes) for name, part in ragged.items()
            }
            return {**example, **limited}

        examples = examples if max_boxes is None else examples.map(limit)
        dataset = examples.padded_batch(batch_size, shapes, fills, drop_remainder)
    else:
        dataset = examples.batch(batch_size, drop_remainder)
    return dataset.map(lambda batch: as_fit_takes_it(batch, wanted), tf.data.AUTOTUNE)


def _with_length(dataset, count, batch_size, drop_remainder, repeat):
    """Tells `fit` the number of steps, which tf.data loses sight of in shuffled epochs."""
    length = count
    if repeat:
        length = tf.data.INFINITE_CARDINALITY
    elif count >= 0:
        length = count // batch_size if drop_remainder else math.ceil(count / batch_size)
    if length != tf.data.UNKNOWN_CARDINALITY:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(length))
    return dataset.prefetch(tf.data.AUTOTUNE)


def _parse_size(image_size, channels, image_spec):
    sizes = (image_size,) * 2 if isinstance(image_size, int) else tuple(image_size)
    whole = all(isinstance(side, int) and side > 0 for side in sizes)
    if not whole or len(sizes) not in (2, 3) or isinstance(image_size, bool):
        raise ValueError(
            "`image_size` must be a whole number of pixels, (height, width) or (height, width, "
            f"channels), without None. Received: {image_size!r}"
        )
    if len(sizes) == 3:
        if channels not in (None, sizes[2]):
            raise ValueError(
                f"`channels` must agree with `image_size`. Received: channels={channels}, "
                f"image_size={image_size!r}"
            )
        channels = sizes[2]
    channels = image_spec.shape[-1] if channels is None else channels
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 (grey) or 3 (RGB). Received: {channels!r}")
    return sizes[:2], channels


def _check_arguments(batch_size, resize, cache, seed, first_epoch, max_boxes):
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"`batch_size` must be a positive whole number. Received: {batch_size!r}")
    if resize not in MODES:
        raise ValueError(f"`resize` must be one of {MODES}. Received: {resize!r}")
    if cache not in ("auto", True, False):
        raise ValueError(f"`cache` must be 'auto', True or False. Received: {cache!r}")
    for name, value in (("seed", seed), ("first_epoch", first_epoch)):
        if not isinstance(value, int) or value < 0:
            raise ValueError(f"`{name}` must be a whole number, 0 or more. Received: {value!r}")
    if max_boxes is not None and (not isinstance(max_boxes, int) or max_boxes < 1):
        raise ValueError(
            f"`max_boxes` must be None or a positive whole number. Received: {max_boxes!r}"
        )


def _check_mosaic(mosaic, wanted, count):
    if not isinstance(mosaic, (int, float)) or not 0 <= mosaic <= 1:
        raise ValueError(f"`mosaic` must be a probability, 0..1. Received: {mosaic!r}")
    if not hasattr(wanted.target, "mosaic") or count < 1:
        raise ValueError(
            "`mosaic` must go with `target='objects'` and a dataset that knows its length. "
            f"Received: the targets {wanted.targets}, and a dataset of length {count}. Apply "
            "tf.data.experimental.assert_cardinality to it."
        )


def _fits(count, example_bytes):
    return 0 <= count * example_bytes <= _CACHE_SHARE * available_memory() and count >= 0


def _buffer_size(count, example_bytes, cached):
    """How many examples to shuffle among: all, if they are in memory anyway or are few."""
    if count >= 0 and (cached or count * example_bytes <= _SHUFFLE_BYTES):
        return count
    return max(1, _SHUFFLE_BYTES // example_bytes)
