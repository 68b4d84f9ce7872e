"""DeconvNet: a deep deconvolution network behind a classifier's dense layers.

Noh, Hong, Han: Learning deconvolution network for semantic segmentation, ICCV 2015.
"""

import keras
from keras import layers

from kvision.layers import MaxPooling2DWithSwitches, MaxUnpooling2D
from kvision.models.documented import documented
from kvision.models.parts import check_alpha, image_input, scaled, subtract_mean
from kvision.models.segmentation.parts import STAGES, check_classes, probabilities
from kvision.models.weights import load_weights
from kvision.registry import register


@register(
    "segmentation",
    paper="Noh, Hong, Han: Learning deconvolution network for semantic segmentation",
    url="https://arxiv.org/abs/1505.04366",
    year=2015,
    parameters=251_805_653,
    multiply_adds=32_745_979_904,
    published={"mean_iou": 69.6},
    protocol="VOC 2012 test, 50 object proposals an image; 70.5 with a fully connected CRF",
    tiny={"alpha": 0.0625, "input_shape": (64, 64, 3), "classes": 4, "window": 2},
    twin="SegNet",
    skip={"tiny_is_shallow": "13 convolutions there and back, each normalised, are 100 layers"},
)
@documented
def DeconvNet(
    weights=None,
    input_shape=(224, 224, 3),
    classes=21,
    classifier_activation="softmax",
    *,
    alpha=1.0,
    window=7,
    batch_norm_momentum=0.9,
    include_preprocessing=True,
    name="deconvnet",
):
    """DeconvNet, VGG16 with its dense layers and their mirror image.

    Use it to reproduce the paper; `SegNet` is the same idea with a ninth of the parameters.

    Args:
        input_shape: `(height, width, channels)`, at least 32 times `window` on each side.
        window: side of the map that fc6 sees at once: 7, the whole of a 224x224 picture's. On
            larger pictures it slides.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, channels)` to probabilities
        `(batch, height, width, classes)`.

    Differs from the paper: nothing known. Its training in two stages, its object proposals and its
    ensemble with FCN are left to the caller.

    Reference:
        Noh et al., 2015, Table 2, https://arxiv.org/abs/1505.04366

    Example:

    >>> DeconvNet(alpha=0.03125, classes=21).output_shape
    (None, 224, 224, 21)
    """
    check_alpha("DeconvNet", alpha)
    check_classes("DeconvNet", classes)
    if not isinstance(window, int) or window < 1:
        raise ValueError(f"`window` must be a whole number from 1. Received: {window}")
    batch_norm = {"momentum": batch_norm_momentum, "epsilon": 1e-5}

    def unit(x, kind, filters, name, norm, kernel_size=3, padding="same"):
        """Convolution or its transpose, batch normalisation, ReLU."""
        x = kind(filters, kernel_size, padding=padding, kernel_initializer="he_normal", name=name)(
            x
        )
        x = layers.BatchNormalization(**batch_norm, name=norm)(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    inputs = image_input(input_shape, "DeconvNet", minimum=32 * window)
    x = subtract_mean(inputs, bgr=True) if include_preprocessing else inputs
    switches = {}
    for stage, (filters, depth) in enumerate(STAGES, 1):
        for index in range(1, depth + 1):
            suffix = f"{stage}_{index}"
            x = unit(x, layers.Conv2D, scaled(filters, alpha), f"conv{suffix}", f"bn{suffix}")
        x, switches[stage] = MaxPooling2DWithSwitches(name=f"pool{stage}")(x)
    x = unit(x, layers.Conv2D, scaled(4096, alpha), "fc6", "bnfc6", window, "valid")
    x = unit(x, layers.Conv2D, scaled(4096, alpha), "fc7", "bnfc7", 1)
    transposed, filters = layers.Conv2DTranspose, scaled(512, alpha)
    x = unit(x, transposed, filters, "fc6-deconv", "fc6-deconv-bn", window, "valid")
    for stage in range(5, 0, -1):
        x = MaxUnpooling2D(name=f"unpool{stage}")([x, switches[stage]])
        filters, depth = STAGES[stage - 1]
        for index in range(1, depth + 1):
            if index == depth:
                filters = STAGES[max(stage - 2, 0)][0]
            suffix = f"{stage}_{index}"
            x = unit(x, transposed, scaled(filters, alpha), f"deconv{suffix}", f"debn{suffix}")
    x = layers.Conv2D(classes, 1, name="seg-score")(x)
    outputs = probabilities(x, classifier_activation)
    return load_weights(keras.Model(inputs, outputs, name=name), weights, heads=("seg-score",))
