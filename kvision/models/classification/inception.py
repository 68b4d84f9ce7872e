"""What Inception v2, v3 and v4 share: normalised convolutions and how branches are written."""

from keras import layers

from kvision.models.parts import scaled


class Convolutions:
    """Builds convolutions without bias, with batch normalisation and ReLU.

    The ReLU carries the plain name, so that it can be asked for as a feature.

    Args:
        alpha: width multiplier.
        momentum: of the batch normalisation.
        epsilon: of the batch normalisation.
    """

    def __init__(self, alpha, momentum, epsilon=1e-3):
        self.alpha = alpha
        self.normalization = {"momentum": momentum, "epsilon": epsilon}

    def __call__(self, x, filters, kernel_size, name, strides=1, padding="same"):
        x = layers.Conv2D(
            scaled(filters, self.alpha),
            kernel_size,
            strides=strides,
            padding=padding,
            use_bias=False,
            name=f"{name}_conv",
        )(x)
        x = layers.BatchNormalization(name=f"{name}_bn", **self.normalization)(x)
        return layers.ReLU(name=name)(x)

    def chain(self, x, name, *steps):
        """One convolution after the other.

        Args:
            steps: `(filters, kernel_size)` or `(filters, kernel_size, strides)` of each; a stride
                above 1 goes with no padding. The last one is named `name`, those before it
                `name_1`, `name_2`, ...
        """
        for index, (filters, kernel_size, *strides) in enumerate(steps, 1):
            step_name = name if index == len(steps) else f"{name}_{index}"
            padding = "valid" if strides else "same"
            x = self(x, filters, kernel_size, step_name, *strides, padding=padding)
        return x


def average_pool(x, name):
    return layers.AveragePooling2D(3, 1, padding="same", name=name)(x)


def least_size(strides, last):
    """The least side of an unpadded stem's input.

    Args:
        strides: of its unpadded 3x3 layers, first to last.
        last: least side that must come out.
    """
    for stride in reversed(strides):
        last = (last - 1) * stride + 3
    return last
