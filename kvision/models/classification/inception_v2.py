"""Inception v2: the network that batch normalisation was introduced with.

Ioffe, Szegedy: Batch normalization: accelerating deep network training by reducing internal
covariate shift, ICML 2015.
"""

import keras
from keras import layers

from kvision.models.classification.inception import Convolutions, average_pool
from kvision.models.classification.parts import classifier, stem_plan
from kvision.models.documented import documented
from kvision.models.parts import check_alpha, image_input, subtract_mean
from kvision.models.weights import load_weights
from kvision.registry import register

# Fig. 5: filters of 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, pool projection. Modules
# without a 1x1 have stride 2 and pass their pooling on; 5b pools by maximum.
MODULES = {
    "3a": (64, 64, 64, 64, 96, 32),
    "3b": (64, 64, 96, 64, 96, 64),
    "3c": (0, 128, 160, 64, 96, 0),
    "4a": (224, 64, 96, 96, 128, 128),
    "4b": (192, 96, 128, 96, 128, 128),
    "4c": (160, 128, 160, 128, 160, 128),
    "4d": (96, 128, 192, 160, 192, 128),
    "4e": (0, 128, 192, 192, 256, 0),
    "5a": (352, 192, 320, 160, 224, 128),
    "5b": (352, 192, 320, 192, 224, 128),
}


@register(
    "classification",
    paper="Ioffe, Szegedy: Batch normalization: accelerating deep network training by reducing "
    "internal covariate shift",
    url="https://arxiv.org/abs/1502.03167",
    year=2015,
    parameters=11_285_224,
    multiply_adds=2_032_600_064,
    published={"top1": 21.99, "top5": 5.82},
    protocol="144 crops",
    levels=("conv1", "conv2", "inception_3b", "inception_4d", "inception_5b"),
    tiny={"alpha": 0.125, "input_shape": (32, 32, 3), "classes": 4, "stem_strides": 2},
    skip={"tiny_is_shallow": "ten modules, each of 17 layers or more, are 230 layers"},
)
@documented
def InceptionV2(
    include_top=True,
    weights=None,
    input_shape=(224, 224, 3),
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    *,
    alpha=1.0,
    dropout=0.0,
    stem_strides=8,
    batch_norm_momentum=0.9,
    include_preprocessing=True,
    name="inceptionv2",
):
    """BN-Inception: GoogLeNet with batch normalisation and two 3x3 for each 5x5.

    Args:
        input_shape: `(height, width, channels)`, any size.
        dropout: fraction dropped before the classifier in training. The paper removes GoogLeNet's.
        stem_strides: 8 as in the paper; 4, 2 or 1 for small pictures: first conv1, then pool1,
            then pool2 lose their stride. The weights stay the same.
        include_preprocessing: whether pixels 0..255 go in and the model subtracts ImageNet's mean
            itself.

    Differs from the paper: conv1 is a plain convolution as in the public Caffe network, where the
    paper has a separable one; modules 4c and 4d project their pooling to 128 maps, as that network
    does, where the paper's table prints 96.

    Reference:
        Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167, Fig. 5

    Example:

    >>> InceptionV2(alpha=0.25, classes=5).get_layer("inception_3c").output.shape
    (None, 14, 14, 144)
    """
    check_alpha("InceptionV2", alpha)
    conv1_stride, pool1_stride, pool2_stride = stem_plan("InceptionV2", (2, 2, 2), stem_strides)
    conv = Convolutions(alpha, batch_norm_momentum)

    def pool(x, strides, name):
        return layers.MaxPooling2D(3, strides, padding="same", name=name)(x)

    def module(x, name, one, three_reduce, three, double_reduce, double, projection):
        stride = 1 if one else 2
        branches = [conv(x, one, 1, f"{name}_1x1")] if one else []
        branch3 = conv(x, three_reduce, 1, f"{name}_3x3_reduce")
        branch = conv(x, double_reduce, 1, f"{name}_double3x3_reduce")
        branch = conv(branch, double, 3, f"{name}_double3x3_1")
        branches += [
            conv(branch3, three, 3, f"{name}_3x3", stride),
            conv(branch, double, 3, f"{name}_double3x3_2", stride),
        ]
        last = name == "inception_5b"
        if not one or last:
            pooled = pool(x, stride, f"{name}_pool")
        else:
            pooled = average_pool(x, f"{name}_pool")
        branches.append(conv(pooled, projection, 1, f"{name}_pool_proj") if projection else pooled)
        return layers.Concatenate(name=name)(branches)

    inputs = image_input(input_shape, "InceptionV2")
    x = subtract_mean(inputs) if include_preprocessing else inputs
    x = pool(conv(x, 64, 7, "conv1", conv1_stride), pool1_stride, "pool1")
    x = conv(conv(x, 64, 1, "conv2_reduce"), 192, 3, "conv2")
    x = pool(x, pool2_stride, "pool2")
    for module_name, filters in MODULES.items():
        x = module(x, f"inception_{module_name}", *filters)
    x = classifier(x, include_top, pooling, classes, classifier_activation, dropout)
    return load_weights(keras.Model(inputs, x, name=name), weights)
