import keras

from kvision.ops import boxes as box_ops


@keras.saving.register_keras_serializable(package="kvision")
class BoxDecoder(keras.layers.Layer):
    """Turns what a network predicts for each anchor into boxes inside of the picture.

    Args:
        variances: what the offsets of y, x, height and width were divided by (see
            `kv.ops.boxes.encode`).
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        A list of offsets `(batch, anchors, 4)` and of anchors `(anchors, 4)`.

    Output shape:
        `(batch, anchors, 4)`, `rel_yxyx` in 0..1, float32 under every policy.

    Raises:
        ValueError: where `variances` are not four numbers greater than 0.

    Example:

    >>> offsets, anchors = np.array([[[5.0, 0.0, 0.0, 0.0]]]), np.array([[0.0, 0.0, 0.5, 1.0]])
    >>> keras.ops.convert_to_numpy(BoxDecoder()([offsets, anchors])).tolist()
    [[[0.25, 0.0, 0.75, 1.0]]]
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
        offsets, anchors = inputs
        return box_ops.clip(box_ops.decode(offsets, anchors, self.variances))

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs[0].shape, dtype="float32")

    def get_config(self):
        return {**super().get_config(), "variances": list(self.variances)}
