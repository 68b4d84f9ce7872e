"""What the DeepLab family shares: backbones without their last strides, upsampling by eight."""

import inspect

from keras import layers

from kvision import registry
from kvision.layers import CropLike
from kvision.models.parts import scaled
from kvision.models.segmentation.upsampling import bilinear

# VGG16's stages as DeepLab has them: filters, convolutions, their dilation, stride of the pooling.
STAGES = ((64, 2, 1, 2), (128, 2, 1, 2), (256, 3, 1, 2), (512, 3, 1, 1), (512, 3, 2, 1))
STRIDE = 8  # of the scores


def atrous_vgg16(x, alpha):
    """VGG16 up to pool5 with an output stride of 8: DeepLab's, whose poolings are 3x3.

    Positions of the result lie on every eighth pixel, from the first.
    """
    for stage, (filters, depth, rate, stride) in enumerate(STAGES, 1):
        for index in range(1, depth + 1):
            x = layers.Conv2D(
                scaled(filters, alpha),
                3,
                padding="same",
                dilation_rate=rate,
                activation="relu",
                name=f"conv{stage}_{index}",
            )(x)
        # Features are not negative, so zeros around them change no maximum.
        x = layers.ZeroPadding2D(1, name=f"pool{stage}_pad")(x)
        x = layers.MaxPooling2D(3, strides=stride, name=f"pool{stage}")(x)
    return x


def atrous_backbone(backbone, builder, input_shape, output_stride, **options):
    """A named backbone whose strides beyond `output_stride` are dilation; a model as it is.

    Args:
        backbone: a name of `kv.list_models("classification")`, or a model.
        builder: name for the error message.
        input_shape: of a named backbone.
        output_stride: of a named backbone.
        **options: of a named backbone.
    """
    if not isinstance(backbone, str):
        return backbone
    network = registry.model_info(backbone).builder
    known = inspect.signature(network).parameters
    if "output_stride" not in known:
        raise ValueError(
            f"`backbone` of `{builder}` must take an `output_stride`, as the ResNets and "
            f"MobileNets do. Received: {backbone!r}"
        )
    options = {key: value for key, value in options.items() if key in known}
    return network(
        include_top=False, input_shape=input_shape, output_stride=output_stride, **options
    )


def hidden(x, alpha, rate, dropout, suffix=""):
    """fc6, a 3x3 convolution with dilation, and fc7, as convolutions of 1024 filters."""
    units = scaled(1024, alpha)
    x = layers.Conv2D(
        units, 3, padding="same", dilation_rate=rate, activation="relu", name=f"fc6{suffix}"
    )(x)
    x = layers.Dropout(dropout, name=f"fc6{suffix}_dropout")(x)
    x = layers.Conv2D(units, 1, activation="relu", name=f"fc7{suffix}")(x)
    return layers.Dropout(dropout, name=f"fc7{suffix}_dropout")(x)


def enlarged_scores(x, image, builder):
    """Scores at every eighth pixel, interpolated to the size of the picture.

    Beyond the last position they fade to equal scores, which changes no winner.
    """
    x = bilinear(x, STRIDE, "upscore", builder, odd=True, trainable=False)
    return CropLike(STRIDE - 1, name="crop")([x, image])
