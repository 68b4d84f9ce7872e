"""The crops and zooms of kvision's layers as one step that resamples once.

SSD zooms out and then crops. Each by itself would shrink the image and then enlarge what is left of
it; here the window of the crop is found in the zoomed image and looked up in the image as it was.
"""

import tensorflow as tf

from kvision.data.resizing import window_matrix
from kvision.data.seeds import Seeds, keys


class Windows:
    """What a run of layers with windows does, all but the last of which only zoom out."""

    in_order = False

    def __init__(self, layers, size, pictures=("image",), fills=None):
        self._pictures = pictures
        self._layers = [
            type(layer).from_config({**layer.get_config(), "dtype": "float32"}) for layer in layers
        ]
        for layer in self._layers:
            layer.bounding_box_format = "rel_yxyx"
        last = layers[-1]
        self._nearest = {
            name: type(last).from_config({**last.get_config(), "fill_value": float(fill)})
            for name, fill in (fills or {}).items()
        }
        self._size = size

    def draw(self, seed, count):
        """Keys for `Seeds`: int32 tensor (count, 2)."""
        return keys(seed, count)

    def __call__(self, example, key):
        """Changes the pictures, and `boxes` and maps if there."""
        images = {name: tf.cast(example[name], tf.float32)[None] for name in self._pictures}
        image = images[self._pictures[0]]
        result, seeds = dict(example), Seeds(key)
        window, boxes = tf.constant([[0.0, 0.0, 1.0, 1.0]]), example.get("boxes")
        for layer in self._layers:
            data = {"images": image}
            if boxes is not None:
                labels = tf.zeros((1, tf.shape(boxes)[0]), tf.float32)
                data["bounding_boxes"] = {"boxes": boxes[None], "labels": labels}
            drawn = layer.get_random_transformation(data, seed=seeds)
            if boxes is not None:
                boxes = layer.move_boxes(boxes[None], drawn)[0]
            window = _inside(window, drawn["windows"])
        drawn = {**drawn, "windows": window}
        for name, image in images.items():
            moved = layer.transform_images(image, drawn)[0]
            result[name] = tf.ensure_shape(moved, self._size)
        if "matrix" in example:
            matrix = window_matrix(window[0] * [*self._size[:2], *self._size[:2]], self._size[:2])
            result["matrix"] = tf.matmul(example["matrix"], matrix)
        if boxes is not None:
            result["boxes"] = boxes
        for name, other in self._nearest.items():
            if name in example:
                moved = other.transform_segmentation_masks(example[name][None], drawn)[0]
                result[name] = tf.ensure_shape(moved, (*self._size[:2], None))
        return result


def can_join(layers, layer):
    """Whether `layer` has windows and can be made one step with `layers`, filled alike."""
    return hasattr(layer, "only_enlarges") and all(
        getattr(other, "only_enlarges", False) and other.fill_value == layer.fill_value
        for other in layers
    )


def _inside(window, part):
    """The window that `part`, relative to `window`, is."""
    start, extent = window[:, :2], window[:, 2:] - window[:, :2]
    return tf.tile(start, (1, 2)) + part * tf.tile(extent, (1, 2))
