import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class MergeRegions(keras.layers.Layer):
    """The regions of all pictures in one batch, so that convolutions can see each of them.

    `SplitRegions` is the way back.

    Input shape:
        `(batch, regions, ...)`.

    Output shape:
        `(batch * regions, ...)`.

    Example:

    >>> tuple(MergeRegions()(keras.ops.zeros((2, 5, 7, 7, 3))).shape)
    (10, 7, 7, 3)
    """

    def call(self, features):
        return ops.reshape(features, (-1, *features.shape[2:]))

    def compute_output_shape(self, input_shape):
        batch, regions, *rest = input_shape
        return (None if None in (batch, regions) else batch * regions, *rest)
