"""SegNet: a decoder that unpools with the encoder's switches.

Badrinarayanan, Kendall, Cipolla: SegNet: a deep convolutional encoder-decoder architecture for
image segmentation, TPAMI 2017.
"""

import keras
from keras import layers

from kvision.layers import LocalResponseNormalization, MaxPooling2DWithSwitches, MaxUnpooling2D
from kvision.models.documented import documented
from kvision.models.parts import check_alpha, image_input, scaled, subtract_mean
from kvision.models.segmentation.parts import STAGES, check_classes, probabilities
from kvision.models.weights import load_weights
from kvision.registry import register

FACTS = {
    "task": "segmentation",
    "paper": "Badrinarayanan, Kendall, Cipolla: SegNet: a deep convolutional encoder-decoder "
    "architecture for image segmentation",
    "url": "https://arxiv.org/abs/1511.00561",
    "year": 2015,
    "tiny": {"alpha": 0.125, "input_shape": (40, 48, 3), "classes": 4},
}


@register(
    **FACTS,
    parameters=29_449_355,
    multiply_adds=106_712_432_640,
    skip={"tiny_is_shallow": "13 convolutions there and back, each normalised, are 90 layers"},
)
@documented
def SegNet(
    weights=None,
    input_shape=(360, 480, 3),
    classes=11,
    classifier_activation="softmax",
    *,
    alpha=1.0,
    batch_norm_momentum=0.9,
    include_preprocessing=True,
    name="segnet",
):
    """SegNet, VGG16's thirteen convolutions and their mirror image.

    Use it where outlines matter and memory for the encoder's features is short: only the places of
    the maxima are handed to the decoder. Weights of a trained VGG16 fit its encoder, see the
    example.

    Args:
        input_shape: `(height, width, channels)`, any size; where a pooling halves an odd one,
            unpooling restores it.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, channels)` to probabilities
        `(batch, height, width, classes)`.

    Differs from the paper: pixels lose ImageNet's mean, as VGG16's weights want it, where the
    paper normalises the local contrast.

    Reference:
        Badrinarayanan et al., 2017, https://arxiv.org/abs/1511.00561

    Example:

    >>> import kvision as kv
    >>> model = SegNet(alpha=0.125, input_shape=(90, 120, 3), classes=11)
    >>> model.output_shape
    (None, 90, 120, 11)
    >>> vgg = kv.models.VGG16(alpha=0.125)  # with weights="imagenet": the trained ones
    >>> decoder = [la.name for la in model.layers if la.name not in {v.name for v in vgg.layers}]
    >>> model = kv.models.copy_weights(vgg, model, skip=decoder)
    """
    check_alpha("SegNet", alpha)
    check_classes("SegNet", classes)

    def unit(x, filters, name):
        """Convolution, batch normalisation, ReLU."""
        x = layers.Conv2D(filters, 3, padding="same", kernel_initializer="he_normal", name=name)(x)
        x = layers.BatchNormalization(
            momentum=batch_norm_momentum, epsilon=1e-5, name=f"{name}_bn"
        )(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    inputs = image_input(input_shape, "SegNet")
    x = subtract_mean(inputs, bgr=True) if include_preprocessing else inputs
    switches = {}
    for stage, (filters, depth) in enumerate(STAGES, 1):
        for index in range(1, depth + 1):
            x = unit(x, scaled(filters, alpha), f"conv{stage}_{index}")
        x, switches[stage] = MaxPooling2DWithSwitches(name=f"pool{stage}")(x)
    for stage in range(5, 0, -1):
        filters, depth = STAGES[stage - 1]
        x = MaxUnpooling2D(name=f"upsample{stage}")([x, switches[stage]])
        for index in range(depth, 1, -1):
            x = unit(x, scaled(filters, alpha), f"conv{stage}_{index}_D")
        if stage > 1:
            x = unit(x, scaled(STAGES[stage - 2][0], alpha), f"conv{stage}_1_D")
    x = layers.Conv2D(classes, 3, padding="same", name="conv1_1_D")(x)
    outputs = probabilities(x, classifier_activation)
    return load_weights(keras.Model(inputs, outputs, name=name), weights, heads=("conv1_1_D",))


@register(**FACTS, parameters=1_416_587, multiply_adds=59_188_838_400)
@documented
def SegNetBasic(
    weights=None,
    input_shape=(360, 480, 3),
    classes=11,
    classifier_activation="softmax",
    *,
    alpha=1.0,
    batch_norm_momentum=0.9,
    include_preprocessing=True,
    name="segnet_basic",
):
    """SegNet-Basic, the small one for experiments: four encoders and four decoders of 7x7.

    Use it where the large network would take too long to train. Each output still sees 106 pixels.

    Args:
        input_shape: `(height, width, channels)`, any size; where a pooling halves an odd one,
            unpooling restores it.
        include_preprocessing: whether pixels 0..255 go in and the model subtracts ImageNet's mean
            and normalises the local response itself.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, channels)` to probabilities
        `(batch, height, width, classes)`.

    Differs from the paper: nothing known. As in the authors' code, contrast is normalised across
    the colours, and decoders have no ReLU. Their code does not subtract a mean.

    Reference:
        Badrinarayanan et al., 2017, section 3.1, https://arxiv.org/abs/1511.00561

    Example:

    >>> SegNetBasic(alpha=0.125, input_shape=(90, 120, 3), classes=11).output_shape
    (None, 90, 120, 11)
    """
    check_alpha("SegNetBasic", alpha)
    check_classes("SegNetBasic", classes)

    def unit(x, name):
        x = layers.Conv2D(
            scaled(64, alpha), 7, padding="same", kernel_initializer="he_normal", name=name
        )(x)
        return layers.BatchNormalization(
            momentum=batch_norm_momentum, epsilon=1e-5, name=f"{name}_bn"
        )(x)

    inputs = x = image_input(input_shape, "SegNetBasic")
    if include_preprocessing:
        x = subtract_mean(inputs, bgr=True)
        # Caffe's alpha of 1e-4 is that of the mean of five squares.
        x = LocalResponseNormalization(size=5, bias=1.0, alpha=2e-5, name="norm")(x)
    switches = {}
    for stage in range(1, 5):
        x = layers.ReLU(name=f"relu{stage}")(unit(x, f"conv{stage}"))
        x, switches[stage] = MaxPooling2DWithSwitches(name=f"pool{stage}")(x)
    for stage in range(4, 0, -1):
        x = MaxUnpooling2D(name=f"upsample{stage}")([x, switches[stage]])
        x = unit(x, f"conv_decode{stage}")
    x = layers.Conv2D(classes, 1, name="conv_classifier")(x)
    outputs = probabilities(x, classifier_activation)
    model = keras.Model(inputs, outputs, name=name)
    return load_weights(model, weights, heads=("conv_classifier",))
