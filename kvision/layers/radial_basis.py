import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class RadialBasis(keras.layers.Layer):
    """Minus the squared Euclidean distance of the input to a fixed code for each class.

    Use it as the output of LeNet-5. With a softmax after it, cross-entropy training minimises the
    paper's discriminative criterion (eq. 9) without its rubbish class.

    Args:
        codes: the code of each class, an array of shape `(classes, units)`; not trained.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        `(batch, units)`, or maps `(batch, rows, columns, units)`.

    Output shape:
        `(batch, classes)`, or maps of it; the nearest class has the largest value, at most 0.

    Raises:
        ValueError: where the codes are not as long as the input.

    Differs from the paper: the sign, so that as everywhere in Keras the largest score wins.

    Reference:
        LeCun et al., Gradient-based learning applied to document recognition, 1998, eq. 7.

    Example:

    >>> layer = RadialBasis([[1.0, -1.0], [-1.0, 1.0]])
    >>> ops.convert_to_numpy(layer(ops.array([[1.0, -1.0]]))).tolist()
    [[0.0, -8.0]]
    """

    def __init__(self, codes, **kwargs):
        super().__init__(**kwargs)
        self.codes = [[float(value) for value in code] for code in codes]

    def build(self, input_shape):
        if any(len(code) != input_shape[-1] for code in self.codes):
            raise ValueError(
                f"Each of `codes` must have one value for each of the {input_shape[-1]} inputs of "
                f"{self.name}. Received codes of lengths {sorted({len(c) for c in self.codes})}."
            )
        self.centres = self.add_weight(
            name="centres",
            shape=(len(self.codes), input_shape[-1]),
            initializer=lambda shape, dtype: ops.convert_to_tensor(self.codes, dtype=dtype),
            trainable=False,
        )

    def call(self, inputs):
        # |x - c|^2 = |x|^2 - 2 x.c + |c|^2: a matrix product, small in memory and on a phone.
        squares = ops.sum(ops.square(inputs), axis=-1, keepdims=True)
        lengths = ops.sum(ops.square(self.centres), axis=-1)
        return 2.0 * ops.matmul(inputs, ops.transpose(self.centres)) - squares - lengths

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], len(self.codes))

    def get_config(self):
        return {**super().get_config(), "codes": self.codes}
