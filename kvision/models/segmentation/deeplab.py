"""DeepLab, its first two versions: atrous convolution and atrous spatial pyramid pooling.

Chen, Papandreou, Kokkinos, Murphy, Yuille: Semantic image segmentation with deep convolutional
nets and fully connected CRFs, ICLR 2015; DeepLab, TPAMI 2018.
"""

import keras
from keras import layers

from kvision.models.backbones import backbone_levels
from kvision.models.documented import documented
from kvision.models.parts import check_alpha, image_input, subtract_mean
from kvision.models.segmentation.atrous import (
    atrous_backbone,
    atrous_vgg16,
    enlarged_scores,
    hidden,
)
from kvision.models.segmentation.parts import check_classes, probabilities
from kvision.models.weights import load_weights
from kvision.registry import register

RATES = (6, 12, 18, 24)


@register(
    "segmentation",
    paper="Chen, Papandreou, Kokkinos, Murphy, Yuille: Semantic image segmentation with deep "
    "convolutional nets and fully connected CRFs",
    url="https://arxiv.org/abs/1412.7062",
    year=2014,
    parameters=20_505_429,
    multiply_adds=51_094_882_921,
    published={"mean_iou": 62.25},
    protocol="VOC 2012 val; 67.64 with a fully connected CRF",
    tiny={"alpha": 0.0625, "input_shape": (33, 41, 3), "classes": 4, "dropout": 0.0},
)
@documented
def DeepLabLargeFOV(
    weights=None,
    input_shape=(321, 321, 3),
    classes=21,
    classifier_activation="softmax",
    *,
    alpha=1.0,
    rate=12,
    dropout=0.5,
    include_preprocessing=True,
    name="deeplab_large_fov",
):
    """DeepLab-LargeFOV, VGG16 with holes: scores at every eighth pixel instead of every 32nd.

    Use it as the paper's strong and simple network, with `kv.layers.FullyConnectedCRF` or
    `kv.evaluation.crf_refine` for sharp outlines. VGG16's convolutions have the names of
    `kv.models.VGG16`.

    Args:
        input_shape: `(height, width, channels)`, any size; with 8n + 1 the last scores lie on the
            last pixels, as in the paper.
        rate: dilation of fc6: 12 gives a field of view of 224 pixels with a 3x3 kernel.
        dropout: fraction dropped after fc6 and fc7 in training.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, channels)` to probabilities
        `(batch, height, width, classes)`.

    Differs from the paper: scores are enlarged inside the network, by bilinear interpolation;
    training at the scores' own resolution, as the authors did, is left out. Sizes other than
    8n + 1 round as in TensorFlow, not up as in Caffe.

    Reference:
        Chen et al., 2015, section 3 and Table 2, https://arxiv.org/abs/1412.7062

    Example:

    >>> DeepLabLargeFOV(alpha=0.125, input_shape=(65, 97, 3)).output_shape
    (None, 65, 97, 21)
    """
    check_alpha("DeepLabLargeFOV", alpha)
    check_classes("DeepLabLargeFOV", classes)
    inputs = image_input(input_shape, "DeepLabLargeFOV")
    x = subtract_mean(inputs, bgr=True) if include_preprocessing else inputs
    x = atrous_vgg16(x, alpha)
    x = layers.AveragePooling2D(3, strides=1, padding="same", name="pool5a")(x)
    x = hidden(x, alpha, rate, dropout)
    x = layers.Conv2D(classes, 1, name="fc8", kernel_initializer=_score_initializer())(x)
    x = enlarged_scores(x, inputs, "DeepLabLargeFOV")
    outputs = probabilities(x, classifier_activation)
    return load_weights(keras.Model(inputs, outputs, name=name), weights, heads=("fc8", "upscore"))


@register(
    "segmentation",
    paper="Chen, Papandreou, Kokkinos, Murphy, Yuille: DeepLab: semantic image segmentation with "
    "deep convolutional nets, atrous convolution, and fully connected CRFs",
    url="https://arxiv.org/abs/1606.00915",
    year=2016,
    parameters=44_048_532,
    multiply_adds=75_302_605_929,
    published={"mean_iou": 79.7},
    protocol="VOC 2012 test, pre-trained on COCO, three scales, fully connected CRF",
    tiny={"backbone": "VGG16", "alpha": 0.0625, "input_shape": (33, 41, 3), "classes": 4},
    twin="DeepLabLargeFOV",
)
@documented
def DeepLabV2(
    backbone="ResNet101",
    weights=None,
    input_shape=(321, 321, 3),
    classes=21,
    classifier_activation="softmax",
    *,
    rates=RATES,
    alpha=1.0,
    dropout=0.5,
    include_preprocessing=True,
    name="deeplab_v2",
):
    """DeepLab with atrous spatial pyramid pooling: several fields of view, whose scores are added.

    Use it as the strongest network of its time; for phones there is `DeepLabV3Plus`.

    Args:
        backbone: `"VGG16"` for the paper's smaller network, in which each branch has its own fc6,
            fc7 and fc8; or a name of `kv.list_models("classification")` that takes
            `output_stride`, or such a model of output stride 8 with its weights: each branch is
            then one 3x3 convolution to scores.
        input_shape: `(height, width, channels)`, any size; with 8n + 1 the last scores lie on the
            last pixels, as in the paper. A model as backbone has its own.
        rates: dilation of each branch.
        alpha: width multiplier of a named backbone, and of fc6 and fc7.
        dropout: fraction dropped after fc6 and fc7 in training; only with `"VGG16"`.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, channels)` to probabilities
        `(batch, height, width, classes)`.

    Differs from the paper: nothing known of the network. Fusing three scales by their maximum and
    the CRF are left to the caller.

    Reference:
        Chen et al., 2018, section 3.2 and Fig. 7, https://arxiv.org/abs/1606.00915

    Example:

    >>> DeepLabV2("ResNet50", alpha=0.125, input_shape=(65, 97, 3)).output_shape
    (None, 65, 97, 21)
    """
    check_alpha("DeepLabV2", alpha)
    check_classes("DeepLabV2", classes)
    if not rates or any(not isinstance(rate, int) or rate < 1 for rate in rates):
        raise ValueError(f"`rates` must be whole numbers from 1 in `DeepLabV2`. Received: {rates}")
    if backbone == "VGG16":
        inputs = image_input(input_shape, "DeepLabV2")
        x = subtract_mean(inputs, bgr=True) if include_preprocessing else inputs
        x = atrous_vgg16(x, alpha)
        branches = [hidden(x, alpha, rate, dropout, f"_{i}") for i, rate in enumerate(rates, 1)]
        kernel, dilations = 1, [1] * len(rates)
    else:
        options = {"alpha": alpha, "include_preprocessing": include_preprocessing}
        encoder = atrous_backbone(backbone, "DeepLabV2", input_shape, 8, **options)
        inputs, features = backbone_levels(encoder, "DeepLabV2", wanted=(8,))
        branches, kernel, dilations = [features[8]] * len(rates), 3, rates
    scores = [
        layers.Conv2D(
            classes,
            kernel,
            padding="same",
            dilation_rate=rate,
            kernel_initializer=_score_initializer(),
            name=f"fc8_{i}",
        )(branch)
        for i, (branch, rate) in enumerate(zip(branches, dilations, strict=True), 1)
    ]
    x = layers.Add(name="fc8")(scores) if len(scores) > 1 else scores[0]
    x = enlarged_scores(x, inputs, "DeepLabV2")
    outputs = probabilities(x, classifier_activation)
    heads = (*(f"fc8_{i}" for i in range(1, len(rates) + 1)), "upscore")
    return load_weights(keras.Model(inputs, outputs, name=name), weights, heads=heads)


def _score_initializer():
    return keras.initializers.RandomNormal(stddev=0.01)  # the authors' Caffe filler
