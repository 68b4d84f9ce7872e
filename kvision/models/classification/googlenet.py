"""GoogLeNet: Inception modules, without batch normalisation.

Szegedy et al.: Going deeper with convolutions, CVPR 2015.
"""

import keras
from keras import layers

from kvision.layers import LocalResponseNormalization
from kvision.models.classification.parts import check_auxiliary, classifier, stem_plan
from kvision.models.documented import documented
from kvision.models.parts import check_alpha, image_input, scaled, subtract_mean
from kvision.models.weights import load_weights
from kvision.registry import register

# Table 1: filters of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


@register(
    "classification",
    paper="Szegedy et al.: Going deeper with convolutions",
    url="https://arxiv.org/abs/1409.4842",
    year=2014,
    parameters=6_998_552,
    multiply_adds=1_582_671_872,
    levels=("conv1", "norm2", "inception_3b", "inception_4e", "inception_5b"),
    tiny={
        "alpha": 0.25,
        "input_shape": (32, 32, 3),
        "classes": 4,
        "stem_strides": 2,
        "dropout": 0.0,
    },
    skip={"tiny_is_shallow": "nine modules, each of eight layers, are 80 layers"},
)
@documented
def GoogLeNet(
    include_top=True,
    weights=None,
    input_shape=(224, 224, 3),
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    *,
    auxiliary_heads=False,
    alpha=1.0,
    dropout=0.4,
    stem_strides=8,
    include_preprocessing=True,
    name="googlenet",
):
    """GoogLeNet (Inception v1): nine modules of 1x1, 3x3, 5x5 convolutions and pooling.

    For training as in the paper build it with `auxiliary_heads=True`: the output is then a dict of
    `predictions`, `auxiliary_4a` and `auxiliary_4d`, whose losses the paper weighs 1, 0.3 and 0.3.
    `fit` then wants each label once for each output:
    `batches.map(lambda x, y: (x, dict.fromkeys(model.output, y)))`. A network without heads takes
    the weights of one that was trained with them.

    Args:
        input_shape: `(height, width, channels)`, any size.
        auxiliary_heads: whether modules 4a and 4d get a classifier of their own, for training.
            They need at least 5 positions at stride 16: 65 pixels with the paper's stem.
        dropout: fraction dropped before the classifier in training; the heads drop 0.7.
        stem_strides: 8 as in the paper; 4, 2 or 1 for small pictures: first conv1, then pool1,
            then pool2 lose their stride. The weights stay the same.
        include_preprocessing: whether pixels 0..255 go in and the model subtracts ImageNet's mean
            itself.

    Differs from the paper: it does not say how weights start and how LRN is set; both are as in
    Caffe's GoogLeNet (Glorot's kernels, biases of 0.2). Pixels lose the mean of each channel.

    Reference:
        Szegedy et al., 2014, https://arxiv.org/abs/1409.4842, Table 1

    Example:

    >>> model = GoogLeNet(alpha=0.25, auxiliary_heads=True, classes=5)
    >>> model.compile(
    ...     "sgd",
    ...     loss=dict.fromkeys(model.output, "sparse_categorical_crossentropy"),
    ...     loss_weights={"predictions": 1.0, "auxiliary_4a": 0.3, "auxiliary_4d": 0.3},
    ... )
    >>> pixels, label = keras.ops.zeros((2, 224, 224, 3)), keras.ops.array([1, 4])
    >>> loss = model.train_on_batch(pixels, dict.fromkeys(model.output, label))
    >>> deployed = GoogLeNet(alpha=0.25, classes=5)
    >>> deployed = kv.models.copy_weights(model, deployed)
    """
    check_alpha("GoogLeNet", alpha)
    check_auxiliary("auxiliary_heads", auxiliary_heads, include_top)
    conv1_stride, pool1_stride, pool2_stride = stem_plan("GoogLeNet", (2, 2, 2), stem_strides)

    def conv(x, filters, kernel_size, name, strides=1):
        return layers.Conv2D(
            scaled(filters, alpha),
            kernel_size,
            strides=strides,
            padding="same",
            activation="relu",
            bias_initializer=keras.initializers.Constant(0.2),
            name=name,
        )(x)

    def pool(x, strides, name):
        return layers.MaxPooling2D(3, strides, padding="same", name=name)(x)

    def normalized(x, name):
        return LocalResponseNormalization(bias=1.0, alpha=2e-5, name=name)(x)

    def module(x, filters, name):
        one, three_reduce, three, five_reduce, five, projection = filters
        branch3 = conv(x, three_reduce, 1, f"{name}_3x3_reduce")
        branch5 = conv(x, five_reduce, 1, f"{name}_5x5_reduce")
        branches = [
            conv(x, one, 1, f"{name}_1x1"),
            conv(branch3, three, 3, f"{name}_3x3"),
            conv(branch5, five, 5, f"{name}_5x5"),
            conv(pool(x, 1, f"{name}_pool"), projection, 1, f"{name}_pool_proj"),
        ]
        return layers.Concatenate(name=name)(branches)

    def head(x, name):
        if None in x.shape[1:3] or min(x.shape[1:3]) < 5:
            raise ValueError(
                "`input_shape` must be known and leave 5x5 positions at stride 16 with "
                f"`auxiliary_heads=True` in `GoogLeNet`. Received: {input_shape}"
            )
        x = layers.AveragePooling2D(5, 3, name=f"{name}_pool")(x)
        x = layers.Flatten(name=f"{name}_flatten")(conv(x, 128, 1, f"{name}_conv"))
        x = layers.Dense(scaled(1024, alpha), activation="relu", name=f"{name}_fc")(x)
        x = layers.Dropout(0.7, name=f"{name}_dropout")(x)
        return layers.Dense(classes, classifier_activation, dtype="float32", name=name)(x)

    inputs = image_input(input_shape, "GoogLeNet")
    x = subtract_mean(inputs) if include_preprocessing else inputs
    x = conv(x, 64, 7, "conv1", conv1_stride)
    x = normalized(pool(x, pool1_stride, "pool1"), "norm1")
    x = conv(conv(x, 64, 1, "conv2_reduce"), 192, 3, "conv2")
    x = pool(normalized(x, "norm2"), pool2_stride, "pool2")
    heads = {}
    for module_name, filters in MODULES.items():
        if module_name in ("4a", "5a"):
            x = pool(x, 2, f"pool{int(module_name[0]) - 1}")
        x = module(x, filters, f"inception_{module_name}")
        if auxiliary_heads and module_name in ("4a", "4d"):
            heads[f"auxiliary_{module_name}"] = head(x, f"auxiliary_{module_name}")
    x = classifier(x, include_top, pooling, classes, classifier_activation, dropout)
    outputs = {"predictions": x, **heads} if heads else x
    return load_weights(keras.Model(inputs, outputs, name=name), weights)
