import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class SplitRegions(keras.layers.Layer):
    """What was computed of the regions of all pictures in one batch, picture by picture again.

    Input shape:
        A list of `(batch * regions, ...)` and of what `MergeRegions` merged,
        `(batch, regions, any...)`.

    Output shape:
        `(batch, regions, ...)`.

    Example:

    >>> regions, merged = keras.ops.zeros((2, 5, 7, 7, 3)), keras.ops.zeros((10, 14, 14, 8))
    >>> tuple(SplitRegions()([merged, regions]).shape)
    (2, 5, 14, 14, 8)
    """

    def call(self, inputs):
        merged, regions = inputs
        return ops.reshape(merged, (*ops.shape(regions)[:2], *merged.shape[1:]))

    def compute_output_shape(self, input_shape):
        merged, regions = input_shape
        return (*regions[:2], *merged[1:])
