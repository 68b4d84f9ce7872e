"""Mosaics: four pictures side by side, and a random part of that."""

import tensorflow as tf

from kvision.data.features.instance_masks import (
    as_channels,
    from_channels,
    pack_masks,
    unpack_masks,
)
from kvision.data.features.object_rows import cut, moved, moving, row_shapes

_TILES = 4
_SMALLEST = 0.5  # the side of the part, as a share of that of all four


class Mosaic:
    """Makes mosaics of the examples of an epoch, now and then.

    Four examples that follow each other in the epoch's order form a group (at its end there may be
    fewer). Each is the upper left corner of a mosaic of its own, in which the others of its group
    follow. A part of 50 to 100 % of the mosaic's side is shown, in which objects are as large as
    they were, or down to half as large.

    Args:
        probability: the share of examples that become mosaics.
        size: (height, width, channels) of the images.
        count: how many examples an epoch has.
    """

    in_order = False

    def __init__(self, probability, size, count):
        self._probability = probability
        self._size = size
        self._count = count

    def draw(self, seed, count):
        """For each example the numbers that make its mosaic, and the group that it belongs to."""
        place = tf.cast(seed[1], tf.int64) * count + tf.range(count, dtype=tf.int64)
        number = place // _TILES
        members = tf.clip_by_value(self._count - number * _TILES, 1, _TILES)
        # No two epochs share a first seed.
        group = (tf.cast(seed[0], tf.int64) * 2**31 + number) * (2 * _TILES) + members
        return {"values": tf.random.stateless_uniform((count, 4), seed), "group": group}

    def mix(self, dataset):
        """Applies it.

        Args:
            dataset: of (example, draws), the first of the draws being that of this step.

        Returns:
            A dataset of the same.
        """
        example, draws = dataset.element_spec
        shapes = tf.nest.map_structure(lambda spec: spec.shape, (example, draws))
        shapes[0]["objects"] = row_shapes(example["objects"], None)
        fills = tf.nest.map_structure(lambda spec: tf.zeros((), spec.dtype), (example, draws))
        fills[0]["objects"]["label"] = tf.constant(-1, tf.int64)
        groups = dataset.group_by_window(
            key_func=lambda _, draws: draws[0]["group"],
            reduce_func=lambda _, window: window.padded_batch(_TILES, shapes, fills),
            window_size_func=lambda group: group % (2 * _TILES),
        )
        return groups.map(self._mixed, tf.data.AUTOTUNE).unbatch().map(_settle, tf.data.AUTOTUNE)

    def _mixed(self, examples, draws):
        """The members of a group, each with the objects of all four and where they are now."""
        images, objects = examples["image"], _with_one_more(examples["objects"])
        values = draws[0]["values"]
        members = tf.shape(images)[0]

        def one(member):
            chosen = tf.math.floormod(member + tf.range(_TILES), members)
            mixes = values[member, 0] < self._probability
            window = self._window(values[member, 1:])
            image = tf.cond(
                mixes,
                lambda: self._picture(tf.gather(images, chosen), window),
                lambda: images[member],
            )
            rows = {key: tf.gather(value, chosen) for key, value in objects.items()}
            own = tf.range(_TILES)[:, None] == 0
            rows["label"] = tf.where(mixes | own, rows["label"], -1)
            shown = tf.where(mixes, self._shown(window), [[0.0, 0.0, 1.0, 1.0]] * _TILES)
            start, extent = shown[:, None, :2], shown[:, None, 2:] - shown[:, None, :2]
            rows["boxes"] = (rows["bbox"] - tf.tile(start, (1, 1, 2))) / tf.tile(extent, (1, 1, 2))
            if "mask" in rows:
                rows["mask"] = tf.cond(
                    mixes, lambda: self._masks(rows["mask"], shown), lambda: rows["mask"]
                )
            return image, {key: _flat(value) for key, value in rows.items()}

        spec = {key: _row_spec(value) for key, value in objects.items()}
        spec["boxes"] = spec["bbox"]
        signature = (tf.TensorSpec(self._size, images.dtype), spec)
        mixed, rows = tf.map_fn(one, tf.range(members), fn_output_signature=signature)
        return {**examples, "image": mixed, "objects": rows}, draws

    def _window(self, values):
        """A part of the mosaic, in whole pixels: float32 top, left, bottom, right."""
        sides = 2.0 * tf.constant(self._size[:2], tf.float32)
        extent = tf.round((_SMALLEST + values[0] * (1.0 - _SMALLEST)) * sides)
        start = tf.round(values[1:] * (sides - extent))
        return tf.concat([start, start + extent], axis=0)

    def _shown(self, window):
        """What is shown of each of the four, relative to its own size."""
        height, width = self._size[:2]
        corners = [[0, 0, 0, 0], [0, 1, 0, 1], [1, 0, 1, 0], [1, 1, 1, 1]]
        return window / [height, width, height, width] - tf.constant(corners, tf.float32)

    def _picture(self, images, window):
        height, width, channels = self._size
        tiles = tf.reshape(images, (2, 2, height, width, channels))
        tiles = tf.transpose(tiles, (0, 2, 1, 3, 4))
        canvas = tf.reshape(tiles, (2 * height, 2 * width, channels))
        top, left, bottom, right = tf.unstack(tf.cast(window, tf.int32))
        part = tf.image.resize(canvas[top:bottom, left:right], (height, width))
        return tf.cast(tf.round(part), images.dtype)

    def _masks(self, packed, shown):
        """The masks (4, n, height, packed width) of the objects of all four, moved."""
        size = self._size[:2]
        moved_masks = []
        for tile in range(_TILES):
            pixels = as_channels(unpack_masks(packed[tile], size[1]))
            moved_masks.append(pack_masks(from_channels(_look(pixels, shown[tile], size), size)))
        return tf.stack(moved_masks)


def _look(pixels, window, size):
    """The nearest pixels in a window relative to an image, 0 outside of it."""
    height, width = size
    down, across = window[2] - window[0], window[3] - window[1]
    y, x = window[0] * height + 0.5 * down - 0.5, window[1] * width + 0.5 * across - 0.5
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels[None],
        transforms=[[across, 0.0, x, 0.0, down, y, 0.0, 0.0]],
        output_shape=size,
        fill_value=0.0,
        interpolation="NEAREST",
        fill_mode="CONSTANT",
    )[0]


def _with_one_more(objects):
    """Objects with another row of padding: `unbatch` must not meet tensors without elements."""
    objects = {
        key: tf.pad(rows, [[0, 0], [0, 1]] + [[0, 0]] * (rows.shape.rank - 2))
        for key, rows in objects.items()
    }
    last = tf.range(tf.shape(objects["label"])[1]) == tf.shape(objects["label"])[1] - 1
    return {**objects, "label": tf.where(last, tf.constant(-1, tf.int64), objects["label"])}


def _flat(rows):
    """Rows (4, n, ...) as (4 n, ...)."""
    return tf.reshape(rows, tf.concat([[-1], tf.shape(rows)[2:]], axis=0))


def _row_spec(rows):
    return tf.TensorSpec((None, *rows.shape[2:]), rows.dtype)


def _settle(example, draws):
    """Keeps of the objects those that there are, where they are now."""
    objects = dict(example["objects"])
    there = objects["label"] >= 0
    objects = {key: tf.boolean_mask(value, there) for key, value in objects.items()}
    boxes = objects.pop("boxes")
    changed = {**moving(objects, example["image"].shape[1]), "boxes": boxes}
    return {**example, "objects": moved(objects, cut(changed))}, draws
