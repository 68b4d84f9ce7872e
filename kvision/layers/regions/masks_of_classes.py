import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class MasksOfClasses(keras.layers.Layer):
    """Of a mask for every class, the one of the class that was found, as probabilities.

    Input shape:
        A list of logits `(batch, objects, height, width, classes)` and of classes
        `(batch, objects)`, whole numbers, -1 where padded.

    Output shape:
        `(batch, objects, height, width)`, float32 under every policy; 0 where padded.

    Example:

    >>> logits = np.array([-9.0, 0.0]) * np.ones((1, 2, 1, 1, 1))
    >>> masks = MasksOfClasses()([logits, np.array([[1, -1]])])
    >>> keras.ops.convert_to_numpy(masks).ravel().tolist()
    [0.5, 0.0]
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, inputs):
        logits, classes = inputs
        masks = ops.sigmoid(logits_of(logits, classes))
        return ops.where((classes >= 0)[..., None, None], masks, 0.0)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs[0].shape[:-1], dtype="float32")


def logits_of(logits, classes):
    """Of logits `(batch, objects, height, width, classes)` those of one class for each object."""
    index = ops.maximum(ops.cast(classes, "int32"), 0)[..., None, None, None]
    return ops.take_along_axis(logits, index, axis=-1)[..., 0]
