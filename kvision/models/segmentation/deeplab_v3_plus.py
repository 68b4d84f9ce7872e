"""DeepLabv3+: atrous spatial pyramid pooling behind any backbone, and a small decoder.

Chen, Zhu, Papandreou, Schroff, Adam: Encoder-decoder with atrous separable convolution for semantic
image segmentation, ECCV 2018.
"""

import keras
from keras import layers

from kvision.layers import ResizeLike
from kvision.models.backbones import backbone_levels
from kvision.models.documented import documented
from kvision.models.parts import check_alpha
from kvision.models.segmentation.atrous import atrous_backbone
from kvision.models.segmentation.parts import check_classes, probabilities
from kvision.models.weights import load_weights
from kvision.registry import register

# Rates of the pyramid for each output stride: the same fields of view.
RATES = {16: (6, 12, 18), 8: (12, 24, 36)}
# MobileNetV2's features before the convolution to 1280 filters that only its classifier needs.
MOBILE_FEATURES = "block_16_project_BN"


@register(
    "segmentation",
    paper="Chen, Zhu, Papandreou, Schroff, Adam: Encoder-decoder with atrous separable "
    "convolution for semantic image segmentation",
    url="https://arxiv.org/abs/1802.02611",
    year=2018,
    multiply_adds=5_692_997_632,
    mobile=True,
    tiny={
        "backbone": "MobileNet",
        "alpha": 0.25,
        "input_shape": (64, 64, 3),
        "classes": 4,
        "filters": 16,
        "atrous_rates": (2,),
        "dropout": 0.0,
    },
    skip={"tiny_is_shallow": "the lightest backbone that can be dilated has 80 layers"},
)
@documented
def DeepLabV3Plus(
    backbone="MobileNetV2",
    weights=None,
    input_shape=(512, 512, 3),
    classes=21,
    classifier_activation="softmax",
    *,
    output_stride=16,
    filters=256,
    atrous_rates=None,
    decoder=True,
    separable=None,
    alpha=1.0,
    dropout=0.1,
    batch_norm_momentum=0.9,
    include_preprocessing=True,
    name="deeplab_v3_plus",
):
    """DeepLabv3+, the first choice for labelling the pixels of photographs on a phone.

    With `filters=64, atrous_rates=()` it becomes much lighter; with `decoder=False` too it is the
    head of the MobileNetV2 paper, DeepLabv3 with image pooling alone.

    Args:
        backbone: a name of `kv.list_models("classification")` that takes `output_stride`, or such a
            model with its weights, built with the same `output_stride`.
        input_shape: `(height, width, channels)`, any size. A model as backbone has its own.
        output_stride: 8 or 16: how many pixels the pyramid's positions are apart. 8 is finer and
            costs about three times as much.
        filters: of each branch of the pyramid and of the decoder's convolutions; the low-level
            features are reduced to 3/16 of it, the paper's 48 for 256.
        atrous_rates: dilation of the pyramid's 3x3 convolutions; by default the paper's, 6, 12, 18
            at output stride 16, twice that at 8; `()` for none.
        decoder: whether features of stride 4 refine the outlines.
        separable: whether 3x3 convolutions are depthwise separable; by default they are with
            MobileNets.
        alpha: width multiplier of a named backbone.
        dropout: fraction dropped after the pyramid in training.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, channels)` to probabilities
        `(batch, height, width, classes)`.

    Differs from the paper: backbones are the registered ones, where the paper has a modified
    Xception; bilinear interpolation has half-pixel centres. With batches of one picture the
    normalisation after image pooling has nothing to learn from: train with two or more.

    Reference:
        Chen et al., 2018, Fig. 2, https://arxiv.org/abs/1802.02611

    Example:

    >>> DeepLabV3Plus(alpha=0.35, input_shape=(96, 128, 3), classes=5).output_shape
    (None, 96, 128, 5)
    """
    check_alpha("DeepLabV3Plus", alpha)
    check_classes("DeepLabV3Plus", classes)
    _check(output_stride, filters, atrous_rates)
    rates = RATES[output_stride] if atrous_rates is None else atrous_rates
    options = {
        "alpha": alpha,
        "batch_norm_momentum": batch_norm_momentum,
        "include_preprocessing": include_preprocessing,
    }
    encoder = atrous_backbone(backbone, "DeepLabV3Plus", input_shape, output_stride, **options)
    wanted = (4, output_stride) if decoder else (output_stride,)
    inputs, features = backbone_levels(encoder, "DeepLabV3Plus", wanted=wanted)
    is_mobile = "mobilenet" in getattr(encoder, "name", "")
    block = Block(is_mobile if separable is None else separable, batch_norm_momentum)
    deepest = {layer.name: layer.output for layer in encoder.layers}.get(
        MOBILE_FEATURES, features[output_stride]
    )
    x = _pyramid(deepest, filters, rates, block)
    x = layers.Dropout(dropout, name="dropout")(x)
    if decoder:
        low = block(features[4], max(1, filters * 3 // 16), 1, "feature_projection0")
        x = ResizeLike(name="decoder_resize")([x, low])
        x = layers.Concatenate(name="decoder_concat")([x, low])
        x = block(x, filters, 3, "decoder_conv0")
        x = block(x, filters, 3, "decoder_conv1")
    x = layers.Conv2D(classes, 1, name="logits")(x)
    x = ResizeLike(name="resize")([x, inputs])
    outputs = probabilities(x, classifier_activation)
    return load_weights(keras.Model(inputs, outputs, name=name), weights, heads=("logits",))


def _check(output_stride, filters, atrous_rates):
    if output_stride not in RATES:
        raise ValueError(
            f"`output_stride` must be 8 or 16 in `DeepLabV3Plus`. Received: {output_stride}"
        )
    if not isinstance(filters, int) or filters < 1:
        raise ValueError(
            f"`filters` must be a whole number from 1 in `DeepLabV3Plus`. Received: {filters}"
        )
    if any(not isinstance(rate, int) or rate < 1 for rate in atrous_rates or ()):
        raise ValueError(
            "`atrous_rates` must be whole numbers from 1 in `DeepLabV3Plus`. "
            f"Received: {atrous_rates}"
        )


def _pyramid(x, filters, rates, block):
    """Atrous spatial pyramid pooling: 1x1, 3x3 at several rates, and the mean of the picture."""
    pooled = layers.GlobalAveragePooling2D(keepdims=True, name="image_pooling_mean")(x)
    pooled = block(pooled, filters, 1, "image_pooling")
    branches = [ResizeLike(name="image_pooling_resize")([pooled, x])]
    branches.append(block(x, filters, 1, "aspp0"))
    branches += [block(x, filters, 3, f"aspp{i}", rate) for i, rate in enumerate(rates, 1)]
    x = layers.Concatenate(name="aspp_concat")(branches)
    return block(x, filters, 1, "concat_projection")


class Block:
    """A convolution, separable or not, with batch normalisation and ReLU."""

    def __init__(self, separable, momentum):
        self.separable = separable
        self.momentum = momentum

    def __call__(self, x, filters, kernel_size, name, rate=1):
        options = {"padding": "same", "dilation_rate": rate, "use_bias": False}
        if self.separable and kernel_size > 1:
            x = layers.DepthwiseConv2D(kernel_size, **options, name=f"{name}_depthwise")(x)
            x = self._normalised(x, f"{name}_depthwise")
            name, kernel_size = f"{name}_pointwise", 1
            options["dilation_rate"] = 1
        x = layers.Conv2D(
            filters, kernel_size, **options, kernel_initializer="he_normal", name=name
        )(x)
        return self._normalised(x, name)

    def _normalised(self, x, name):
        x = layers.BatchNormalization(momentum=self.momentum, epsilon=1e-5, name=f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x)
