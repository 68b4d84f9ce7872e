import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class GroupedConv2D(keras.layers.Conv2D):
    """Convolution in groups as one convolution a group: the two towers of AlexNet.

    Use it where a network with few groups is trained on CPUs, where TensorFlow takes
    `keras.layers.Conv2D` with `groups` to XLA, which is several times slower. Weights and numbers
    are the same.

    Args:
        *args: of `keras.layers.Conv2D`.
        **kwargs: of `keras.layers.Conv2D`.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        As of `keras.layers.Conv2D`.

    Reference:
        Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural
        networks, 2012, section 3.2.

    Example:

    >>> layer = GroupedConv2D(8, 3, groups=2)
    >>> tuple(layer(keras.ops.ones((1, 5, 5, 4))).shape)
    (1, 3, 3, 8)
    """

    def convolution_op(self, inputs, kernel):
        groups = zip(
            ops.split(inputs, self.groups, axis=-1),
            ops.split(kernel, self.groups, axis=-1),
            strict=True,
        )
        convolve = super().convolution_op
        return ops.concatenate([convolve(maps, part) for maps, part in groups], axis=-1)
