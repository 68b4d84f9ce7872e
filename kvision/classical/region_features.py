"""What two layers of a classifier say of each region."""

import hashlib
import math

import keras
import numpy as np

from kvision.classical.pictures import as_boxes, as_pixels
from kvision.classical.warping import IMAGENET_MEAN, warp_regions


class RegionFeatures:
    """Warps regions to a classifier's input and reads two of its layers.

    Args:
        classifier: a `keras.Model` from pixels 0..255 to classes.
        features: name of the layer for telling classes apart; `None` for what its last weighted
            layer takes in: fc7 of AlexNet and VGG.
        box_features: name of the layer for moving boxes, which must still know where things are;
            `None` for the last layer that is a map: pool5 of AlexNet and VGG.
        context: pixels around a warped region; `None` for 16 of 227, in proportion.
        fill: colour of what lies outside the picture: the mean that the classifier subtracts.
        batch_size: regions at a time.

    Attributes:
        size: `(height, width)` of the warped regions.
        lengths: numbers of the two features of a region.

    Raises:
        ValueError: where the classifier has no such layers, or takes no pictures.

    Reference:
        Girshick et al., 2014, sections 2.2 and 3.2, appendices A and C.

    Example:

    >>> import kvision as kv
    >>> network = kv.models.AlexNet(classes=5, alpha=0.0625)
    >>> regions = RegionFeatures(network)
    >>> features, maps = regions(np.zeros((50, 60, 3)), [[0.0, 0.0, 0.5, 1.0]])
    >>> features.shape, maps.shape, regions.names
    ((1, 256), (1, 576), ('fc7_dropout', 'pool5'))
    """

    def __init__(
        self,
        classifier,
        features=None,
        box_features=None,
        context=None,
        fill=IMAGENET_MEAN,
        batch_size=64,
    ):
        shape = getattr(classifier, "input_shape", None)
        if not isinstance(shape, tuple) or len(shape) != 4 or shape[-1] not in (1, 3):
            raise ValueError(
                "`classifier` must be a keras.Model of pictures (height, width, 1 or 3). "
                f"Received: {classifier!r} of input {shape}"
            )
        self.size = tuple(side or 227 for side in shape[1:3])
        self.channels = shape[-1]
        self.context = 16 / 227 * min(self.size) if context is None else context
        self.fill = tuple(float(level) for level in np.broadcast_to(fill, (3,)))
        self.batch_size = batch_size
        found = (
            _layer(classifier, features, _last_taken_in),
            _layer(classifier, box_features, _last_map),
        )
        self.names = tuple(name for name, _ in found)
        outputs = [tensor for _, tensor in found]
        self._model = keras.Model(classifier.inputs, outputs, name="region_features")
        shapes = self._model.compute_output_shape((1, *self.size, self.channels))
        self.lengths = tuple(math.prod(shape[1:]) for shape in shapes)

    def warp(self, image, boxes):
        """The regions as the classifier gets them, `(n, height, width, channels)`."""
        pixels = as_pixels(image, self.channels)
        return warp_regions(pixels, boxes, self.size, self.context, self.fill)

    def __call__(self, image, boxes):
        """Features of the regions of a picture.

        Args:
            image: array `(height, width, channels)`, pixels 0..255.
            boxes: array `(n, 4)`, rel_yxyx.

        Returns:
            Two float32 arrays, `(n, lengths[0])` and `(n, lengths[1])`.
        """
        boxes = as_boxes(boxes)
        parts = [np.zeros((len(boxes), length), "float32") for length in self.lengths]
        for start in range(0, len(boxes), self.batch_size):
            crops = self.warp(image, boxes[start : start + self.batch_size])
            number = len(crops)
            # Always as many, so that the graph is compiled once.
            crops = np.pad(crops, [(0, self.batch_size - number), (0, 0), (0, 0), (0, 0)])
            for part, output in zip(parts, self._model.predict_on_batch(crops), strict=True):
                part[start : start + number] = np.reshape(output[:number], (number, -1))
        return tuple(parts)

    def fingerprint(self):
        """A word that changes with anything that changes the features."""
        digest = hashlib.sha256(
            repr((self.names, self.size, float(self.context), self.fill)).encode()
        )
        for weight in self._model.weights:
            digest.update(repr((weight.path, weight.shape)).encode())
            digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).tobytes())
        return digest.hexdigest()


def _layer(classifier, name, default):
    """The name and the output of a layer."""
    if name is None:
        return default(classifier)
    if name not in {layer.name for layer in classifier.layers}:
        raise ValueError(
            f"`{classifier.name}` has no layer named {name!r}. "
            f"Received one of {[layer.name for layer in classifier.layers]}."
        )
    return name, classifier.get_layer(name).output


def _last_taken_in(classifier):
    """What goes into the last layer with a kernel: the classifier proper."""
    for layer in reversed(classifier.layers):
        if hasattr(layer, "kernel"):
            before = layer.input
            return next(
                (other.name, before) for other in classifier.layers if other.output is before
            )
    raise ValueError(f"`{classifier.name}` has no layer with weights. Name one in `features`.")


def _last_map(classifier):
    """The last layer whose output has rows and columns."""
    for layer in reversed(classifier.layers):
        shape = getattr(layer.output, "shape", ())
        if len(shape) == 4 and shape[1] != 1:
            return layer.name, layer.output
    raise ValueError(f"`{classifier.name}` has no layer with rows and columns. Name one.")
