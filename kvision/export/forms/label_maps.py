"""Segmenters that answer with one class a pixel in place of scores: arg-max before up-sampling."""

import keras
from keras import layers

from kvision.export.files.checks import check_model
from kvision.export.files.live import retraced
from kvision.layers import ResizeLike

# What may follow the scores without changing which class is largest.
MONOTONE = (layers.Activation, layers.Softmax, layers.Identity)


def is_segmenter(model):
    """Whether a model gives scores for every pixel, by the shape of its output."""
    shape = getattr(model, "output_shape", None)
    return isinstance(shape, tuple) and len(shape) == 4


def check_scores(model):
    """Raises `ValueError` unless a model gives scores of two classes or more for every pixel."""
    check_model(model)
    if not is_segmenter(model) or model.output_shape[-1] < 2:
        raise ValueError(
            "`label_map=True` is for segmenters: the output must be (batch, height, width, "
            f"classes) with at least two classes. Received: outputs {model.output_shape}"
        )


def activation_to_come(model):
    """What an app must do to the scores of a segmenter: `"none"`, `"softmax"` or `"sigmoid"`."""
    last = getattr(model.layers[-1], "activation", None)
    if last not in (None, keras.activations.linear):
        return "none"
    return "softmax" if model.output_shape[-1] > 1 else "sigmoid"


def before_upsampling(model):
    """The model without the activation and the up-sampling at its end.

    Args:
        model: a `keras.Model` from an image to scores `(batch, height, width, classes)`.

    Returns:
        A `keras.Model` of the same layers, to scores on the coarsest map from which nothing but
        enlarging and an activation leads to the output.

    Raises:
        ValueError: where the output is no map of scores for at least two classes.
    """
    check_scores(model)
    graph, makers = retraced(model)
    tensor = graph.outputs[0]
    while id(tensor) in makers and _is_passed(makers[id(tensor)][0]):
        tensor = makers[id(tensor)][1][0]
    return keras.Model(graph.inputs[0], tensor, name=model.name)


def label_function(scores, size):
    """A TensorFlow function from pixels to class numbers, uint8 `(batch, height, width, 1)`.

    Args:
        scores: what `before_upsampling` returned.
        size: (height, width) of the numbers; `None` where it is the pictures'.
    """
    import tensorflow as tf

    height, width = size

    def serve(images):
        maps = scores(images, training=False)
        # Not keras.ops.argmax, which TFLite's built-in operators cannot express.
        labels = tf.argmax(maps, axis=-1, output_type=tf.int32)[..., None]
        for axis, wanted in ((1, height), (2, width)):
            size = wanted or tf.shape(images)[axis]
            if maps.shape[axis] != size:
                labels = tf.gather(labels, nearest(tf.shape(maps)[axis], size), axis=axis)
        return tf.cast(labels, tf.uint8)

    def nearest(coarse, fine):
        # TFLite enlarges no int32, and as int8 a class that calibration did not show would be lost.
        places = (tf.range(fine, dtype=tf.float32) + 0.5) * tf.cast(coarse / fine, tf.float32)
        return tf.cast(places, tf.int32)

    return serve


def _is_passed(layer):
    if isinstance(layer, (layers.UpSampling2D, layers.Resizing, ResizeLike)):
        return True
    plain = not isinstance(layer, layers.Activation) or layer.activation in (
        keras.activations.softmax,
        keras.activations.linear,
    )
    return isinstance(layer, MONOTONE) and plain
