import keras
from keras import ops

from kvision.ops import boxes as box_ops


@keras.saving.register_keras_serializable(package="kvision")
class RegionBoxes(keras.layers.Layer):
    """What the second stage of a detector says of regions, as boxes and probabilities.

    Each region has a box for every class. Regions of zero area are padding: they have no
    probability of anything.

    Args:
        variances: what the offsets of y, x, height and width were divided by (see
            `kv.ops.boxes.encode`).
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        A list of logits `(batch, regions, classes + 1)`, whose column 0 is the background, of
        offsets `(batch, regions, 4 * (classes + 1))`, four for each column, and of the regions
        `(batch, regions, 4)`.

    Output shape:
        A list of boxes `(batch, regions, classes, 4)`, `rel_yxyx` in 0..1, and of probabilities
        `(batch, regions, classes)`; float32 under every policy.

    Raises:
        ValueError: where `variances` are not four numbers greater than 0.

    Reference:
        Girshick: Fast R-CNN, 2015, section 2.1.

    Example:

    >>> logits, offsets = np.zeros((1, 1, 2)), np.zeros((1, 1, 8))
    >>> boxes, scores = RegionBoxes()([logits, offsets, np.array([[[0.0, 0.0, 0.5, 1.0]]])])
    >>> keras.ops.convert_to_numpy(boxes).tolist(), keras.ops.convert_to_numpy(scores).tolist()
    ([[[[0.0, 0.0, 0.5, 1.0]]]], [[[0.5]]])
    """

    def __init__(self, variances=box_ops.VARIANCES, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        if len(variances) != 4 or not all(variance > 0 for variance in variances):
            raise ValueError(
                "`variances` must be four numbers greater than 0, of y, x, height and width. "
                f"Received: {variances}"
            )
        self.variances = tuple(variances)

    def call(self, inputs):
        logits, offsets, regions = inputs
        columns = logits.shape[-1]
        offsets = ops.reshape(offsets, (*ops.shape(logits)[:2], columns, 4))[:, :, 1:]
        boxes = box_ops.clip(box_ops.decode(offsets, regions[:, :, None], self.variances))
        is_region = ops.cast(box_ops.area(regions) > 0, "float32")
        return boxes, ops.softmax(logits, axis=-1)[:, :, 1:] * is_region[..., None]

    def compute_output_spec(self, inputs):
        batch, regions, columns = inputs[0].shape
        shapes = (batch, regions, columns - 1, 4), (batch, regions, columns - 1)
        return tuple(keras.KerasTensor(shape, dtype="float32") for shape in shapes)

    def get_config(self):
        return {**super().get_config(), "variances": list(self.variances)}
