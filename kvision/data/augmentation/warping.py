"""Keras's flips, shifts, zooms, shears and rotations as one step that resamples once.

Each of Keras's layers interpolates anew, which blurs, and costs more than decoding a JPEG. Here
the layers' matrices are multiplied first. Where nothing turns, the warp is a crop (of whole
pixels) and a resize, which is several times faster than the general one. Boxes follow the matrix,
also for RandomShear, whose own boxes are off by several pixels in Keras 3.15.
"""

import keras
import numpy as np
import tensorflow as tf

from kvision.data.resizing import window_matrix

LAYERS = (
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomShear,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
)
_TURNING = (keras.layers.RandomRotation, keras.layers.RandomShear)
# Below this many pixels a side, whole-pixel crops would be coarse and the general warp is cheap.
_CROP_FROM = 64
_IDENTITY = np.eye(3)
# The corners (x, y) of a box (ymin, xmin, ymax, xmax), one after the other.
_CORNERS = ((1, 0), (3, 0), (3, 2), (1, 2))


class Warp:
    """One affine resampling that does what a run of consecutive layers of `LAYERS` does.

    Differs from calling the layers in turn: pixels are interpolated once, pixels that one layer
    moves out and the next moves in again are not lost, and where nothing turns the corners of the
    window are rounded to whole pixels.
    """

    in_order = False

    def __init__(self, layers, size, pictures=("image",), fills=None):
        self.size = size
        self._pictures, self._maps = pictures, fills or {}
        fills = [layer for layer in layers if not isinstance(layer, keras.layers.RandomFlip)]
        self.fill_mode = fills[0].fill_mode if fills else "nearest"
        self.fill_value = fills[0].fill_value if fills else 0.0
        self.interpolation = fills[0].interpolation if fills else "nearest"
        turns = any(isinstance(layer, _TURNING) for layer in layers)
        self.resizes = bool(fills)
        self.crops = not fills or (
            not turns and self.fill_mode != "constant" and min(size) >= _CROP_FROM
        )
        parts = [_linear_form(layer, *size) for layer in layers]
        self._low, self._high, self._basis, self._kind = (
            np.stack(column).astype("float32") for column in zip(*parts, strict=True)
        )

    def draw(self, seed, count):
        """Random warps for `count` examples.

        Args:
            seed: int32 tensor of shape (2,).
            count: how many.

        Returns:
            float32 tensor: windows (count, 4) of y0, x0, y1, x1 if the warp is a crop, matrices
            (count, 3, 3) from output to input pixel indices (x, y, 1) otherwise.
        """
        draws = tf.random.stateless_uniform((count, len(self._low), 3), seed)
        values = self._low + draws[..., :2] * (self._high - self._low)
        kind, first = self._kind[:, None], values[..., :1]
        # A flip draws yes or no, a rotation an angle; a zoom of one factor uses it twice, and a
        # shear draws one sign for both directions.
        values = tf.where(kind == _FLIP, tf.cast(values > 0.5, tf.float32), values)
        values = tf.where(kind == _TURN, tf.concat([tf.cos(first), tf.sin(first)], -1), values)
        values = tf.where(kind == _SAME, tf.concat([first, first], -1), values)
        values = tf.where((kind == _SHEAR) & (draws[..., 2:] > 0.5), -values, values)
        values = tf.pad(values, ((0, 0), (0, 0), (1, 0)), constant_values=1.0)
        matrices = tf.unstack(tf.einsum("nkp,kpij->knij", values, self._basis))
        matrix = matrices[0]
        for other in matrices[1:]:
            matrix = tf.matmul(matrix, other)
        return self._windows(matrix) if self.crops else matrix

    def __call__(self, example, warp):
        """Warps the pictures, and `boxes` and maps if there, by one of the warps drawn."""
        result = self._crop(example, warp) if self.crops else self._project(example, warp)
        if "matrix" in example:
            matrix = window_matrix(warp, self.size) if self.crops else warp
            result["matrix"] = tf.matmul(example["matrix"], matrix)
        return result

    def _windows(self, matrix):
        scale = tf.stack([matrix[:, 1, 1], matrix[:, 0, 0]], axis=-1)
        offset = tf.stack([matrix[:, 1, 2], matrix[:, 0, 2]], axis=-1)
        # Pixel i covers i - 1/2 .. i + 1/2 of the indices that the matrix speaks of.
        start = tf.round(offset - 0.5 * scale + 0.5)
        stop = tf.round(offset + (np.array(self.size, "float32") - 0.5) * scale + 0.5)
        stop = tf.where(stop == start, start + tf.where(scale < 0, -1.0, 1.0), stop)
        return tf.concat([start, stop], axis=-1)

    def _crop(self, example, window):
        ends = tf.unstack(tf.cast(window, tf.int32))
        rows = self._indices(ends[0], ends[2], self.size[0])
        columns = self._indices(ends[1], ends[3], self.size[1])

        left, right = tf.minimum(ends[1], ends[3]), tf.maximum(ends[1], ends[3])

        def between(image):
            # A slice of each row, which is quicker than picking pixels.
            image = image[:, left:right]
            return tf.cond(ends[1] > ends[3], lambda: tf.reverse(image, (1,)), lambda: image)

        def warp(image, method):
            image = tf.gather(image, rows)
            image = tf.cond(
                (left >= 0) & (right <= self.size[1]),
                lambda: between(image),
                lambda: tf.gather(image, columns, axis=1),
            )
            if self.resizes:
                return tf.image.resize(image, self.size, method)
            return tf.ensure_shape(image, (*self.size, None))

        result = dict(example)
        for name in self._pictures:
            result[name] = warp(example[name], self.interpolation)
        for name in self._maps:
            if name in example:
                result[name] = warp(example[name], "nearest")
        if "boxes" in example:
            scale = np.array([*self.size, *self.size], "float32")
            start, stop = tf.tile(window[:2], (2,)), tf.tile(window[2:], (2,))
            result["boxes"] = ordered((example["boxes"] * scale - start) / (stop - start))
        return result

    def _indices(self, start, stop, size):
        """The input rows (or columns) between two edges, backwards if `stop` comes first."""
        # Backwards, the first pixel is the one before the edge.
        step = tf.sign(stop - start)
        back = (step - 1) // 2
        indices = tf.range(start + back, stop + back, step)
        if self.fill_mode == "reflect":
            indices = tf.math.floormod(indices, 2 * size)
            return tf.minimum(indices, 2 * size - 1 - indices)
        if self.fill_mode == "wrap":
            return tf.math.floormod(indices, size)
        return tf.clip_by_value(indices, 0, size - 1)

    def _project(self, example, matrix):
        transform = tf.reshape(matrix, (1, 9))[:, :8]

        def warp(image, interpolation, fill_value):
            return tf.raw_ops.ImageProjectiveTransformV3(
                images=image[None],
                transforms=transform,
                output_shape=self.size,
                fill_value=tf.cast(fill_value, tf.float32),
                interpolation=interpolation.upper(),
                fill_mode=self.fill_mode.upper(),
            )[0]

        result = dict(example)
        for name in self._pictures:
            pixels = tf.cast(example[name], tf.float32)
            result[name] = warp(pixels, self.interpolation, self.fill_value)
        for name, fill in self._maps.items():
            if name in example:
                result[name] = warp(example[name], "nearest", fill)
        if "boxes" in example:
            result["boxes"], shown = self._project_boxes(example["boxes"], matrix)
            if "shown" in example:
                result["shown"] = example["shown"] * shown
        return result

    def _project_boxes(self, boxes, matrix):
        """The upright boxes around what is visible of the moved boxes, and how much that is."""
        scale = tf.constant([self.size[1], self.size[0]], tf.float32)

        def move(points, by):
            # Pixel i covers i - 1/2 .. i + 1/2 of the indices that the matrix speaks of.
            indices = tf.pad(points * scale - 0.5, ((0, 0), (0, 0), (0, 1)), constant_values=1.0)
            return (tf.einsum("nci,ji->ncj", indices, by)[..., :2] + 0.5) / scale

        corners = move(tf.gather(boxes, _CORNERS, axis=-1), tf.linalg.inv(matrix))
        # What is left of each side inside the frame (Liang and Barsky, 1984) ...
        along = tf.roll(corners, -1, axis=1) - corners
        along = tf.where(tf.abs(along) < 1e-6, 1e-6, along)
        ends = tf.stack([-corners / along, (1.0 - corners) / along])
        enter = tf.maximum(tf.reduce_max(tf.reduce_min(ends, 0), -1, keepdims=True), 0.0)
        leave = tf.minimum(tf.reduce_min(tf.reduce_max(ends, 0), -1, keepdims=True), 1.0)
        points = tf.concat([corners + enter * along, corners + leave * along], axis=1)
        seen = tf.tile(enter <= leave, (1, 2, 1))
        # ... and the corners of the frame that the box covers.
        frame = tf.constant([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]])
        source = move(frame, matrix)
        covered = (source >= boxes[:, None, 1::-1]) & (source <= boxes[:, None, 3:1:-1])
        points = tf.concat([points, tf.broadcast_to(frame, tf.shape(corners))], axis=1)
        seen = tf.concat([seen, tf.reduce_all(covered, axis=-1, keepdims=True)], axis=1)
        low = tf.reduce_min(tf.where(seen, points, 2.0), 1)
        high = tf.reduce_max(tf.where(seen, points, -1.0), 1)
        whole = tf.reduce_prod(tf.reduce_max(corners, 1) - tf.reduce_min(corners, 1), axis=-1)
        shown = tf.math.divide_no_nan(tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1), whole)
        return tf.concat([low[:, ::-1], high[:, ::-1]], axis=-1), shown


def ordered(boxes):
    """Boxes with ymin <= ymax and xmin <= xmax, also after a mirror."""
    low, high = tf.minimum(boxes[:, :2], boxes[:, 2:]), tf.maximum(boxes[:, :2], boxes[:, 2:])
    return tf.concat([low, high], axis=-1)


def can_join(layers, layer):
    """Whether `layer` can be made one warp with `layers`: they fill and interpolate alike."""
    if not isinstance(layer, LAYERS):
        return False
    styles = {
        (other.fill_mode, other.fill_value, other.interpolation)
        for other in (*layers, layer)
        if not isinstance(other, keras.layers.RandomFlip)
    }
    return len(styles) <= 1


_PLAIN, _FLIP, _TURN, _SAME, _SHEAR = 0, 1, 2, 3, 4


def _linear_form(layer, height, width):
    """A layer as (low, high, basis, kind): its matrix is basis[0] + a basis[1] + b basis[2]."""
    basis = np.zeros((3, 3, 3))
    if isinstance(layer, keras.layers.RandomFlip):
        basis[0] = _IDENTITY
        if "horizontal" in layer.mode:
            basis[1] += [[-2, 0, width - 1], [0, 0, 0], [0, 0, 0]]
        if "vertical" in layer.mode:
            basis[1] += [[0, 0, 0], [0, -2, height - 1], [0, 0, 0]]
        return (0, 0), (1, 1), basis, _FLIP
    if isinstance(layer, keras.layers.RandomTranslation):
        basis[0] = _IDENTITY
        basis[1, 1, 2], basis[2, 0, 2] = -height, -width
        low, high = (layer.height_lower, layer.width_lower), (layer.height_upper, layer.width_upper)
        return low, high, basis, _PLAIN
    if isinstance(layer, keras.layers.RandomShear):
        basis[0] = _IDENTITY
        basis[1, 0, 1], basis[2, 1, 0] = 1, 1
        low, high = zip(layer.x_factor, layer.y_factor, strict=True)
        return low, high, basis, _SHEAR
    x, y = (width - 1) / 2, (height - 1) / 2
    basis[0] = [[0, 0, x], [0, 0, y], [0, 0, 1]]
    if isinstance(layer, keras.layers.RandomRotation):
        basis[1] = [[1, 0, -x], [0, 1, -y], [0, 0, 0]]
        basis[2] = [[0, -1, y], [1, 0, -x], [0, 0, 0]]
        low, high = (2 * np.pi * factor for factor in layer.factor)
        return (low, low), (high, high), basis, _TURN
    basis[1] = [[0, 0, 0], [0, 1, -y], [0, 0, 0]]
    basis[2] = [[1, 0, -x], [0, 0, 0], [0, 0, 0]]
    low, high = 1 + layer.height_lower, 1 + layer.height_upper
    if layer.width_factor is None:
        return (low, low), (high, high), basis, _SAME
    return (low, 1 + layer.width_lower), (high, 1 + layer.width_upper), basis, _PLAIN
