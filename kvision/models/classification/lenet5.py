"""LeNet-5: the network that read cheques, as published in 1998 and as it is drawn today.

LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998.
"""

import keras
import numpy as np
from keras import layers

from kvision.layers import PartiallyConnectedConv2D, RadialBasis, TrainableSubsampling2D
from kvision.models.classification.parts import check_top, classifier
from kvision.models.documented import documented
from kvision.models.parts import image_input
from kvision.models.weights import load_weights
from kvision.ops import scaled_tanh
from kvision.registry import register

# Table I: the maps of S2 that each of the 16 maps of C3 sees.
C3_CONNECTIONS = (
    *([i % 6 for i in range(m, m + 3)] for m in range(6)),  # each contiguous three
    *([i % 6 for i in range(m, m + 4)] for m in range(6)),  # each contiguous four
    *([m, m + 1, (m + 3) % 6, (m + 4) % 6] for m in range(3)),  # some gapped four
    [0, 1, 2, 3, 4, 5],
)

# 7x12 bitmaps of the digits, the targets of F6 (after Fig. 3).
DIGITS = """
 #####     ##    #####   #####      ##  #######   ####  #######  #####   #####
##   ##   ###   ##   ## ##   ##    ###  ##       ##          ## ##   ## ##   ##
##   ##  ####   ##   ##      ##   ####  ##      ##           ## ##   ## ##   ##
##  ###    ##        ##      ##  ## ##  ##      ##          ##  ##   ## ##   ##
## ####    ##       ##      ##  ##  ##  ######  ######      ##   ## ##  ##   ##
#### ##    ##      ##    ####   ##  ##  ##   ## ##   ##    ##     ###   ##   ##
###  ##    ##     ##        ##  #######      ## ##   ##    ##    ## ##   ######
##   ##    ##    ##          ##     ##       ## ##   ##   ##    ##   ##      ##
##   ##    ##   ##           ##     ##       ## ##   ##   ##    ##   ##      ##
##   ##    ##   ##      ##   ##     ##  ##   ## ##   ##  ##     ##   ##     ##
##   ##    ##   ##      ##   ##     ##  ##   ## ##   ##  ##     ##   ##    ##
 #####   ###### #######  #####      ##   #####   #####   ##      #####   ###
"""


def digit_codes():
    """The ten codes: an array of shape (10, 84) of -1 (white) and +1 (black)."""
    rows = [row.ljust(79) for row in DIGITS.strip("\n").split("\n")]
    cells = [[row[8 * d : 8 * d + 7] for row in rows] for d in range(10)]
    return np.array([[1.0 if c == "#" else -1.0 for c in "".join(cell)] for cell in cells])


def class_codes(classes, units=84):
    """The digits' bitmaps for ten classes; else codes drawn as the paper suggests, +1 or -1."""
    if classes == 10:
        return digit_codes()
    return np.random.default_rng(1998).choice([-1.0, 1.0], size=(classes, units))


@register(
    "classification",
    paper="LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition",
    url="http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf",
    year=1998,
    parameters=60_000,
    multiply_adds=325_680,
    levels=("C1", "C3", "C5"),
    mobile=True,
)
@documented
def LeNet5(
    include_top=True,
    weights=None,
    input_shape=(32, 32, 1),
    pooling=None,
    classes=10,
    classifier_activation="softmax",
    *,
    variant="1998",
    include_preprocessing=True,
    name="lenet5",
):
    """LeNet-5, for small pictures of single characters.

    Args:
        include_top: whether to end in F6 and the class scores, or in C5's maps.
        input_shape: `(height, width, channels)`, at least 32 on each side. Beyond 32 the network
            slides over the picture and averages what it finds.
        classifier_activation: `"softmax"`, or `None` for the scores themselves.
        variant: `"1998"`, the published network (partial connections in C3, trainable
            subsampling, scaled tanh, fixed radial basis outputs; 60,000 trainable parameters), or
            `"modern"`, the usual textbook redrawing (dense C3, max pooling, ReLU, dense output;
            61,706).
        include_preprocessing: whether the model maps pixels 0..255 to the paper's
            -0.1..1.175 itself. Bright is ink, as in MNIST.

    Differs from the paper: the bitmaps of the digits are redrawn, as the paper prints them as a
    picture only; the softmax of minus the distances leaves out the rubbish class of eq. 9; other
    class counts than ten get random codes.

    Reference:
        LeCun et al., Gradient-based learning applied to document recognition, 1998.

    Example:

    >>> LeNet5().count_params() - 840  # without the fixed codes
    60000
    """
    if variant not in ("1998", "modern"):
        raise ValueError(f"`variant` must be '1998' or 'modern'. Received: {variant!r}")
    check_top(include_top, pooling, classes)
    inputs = image_input(input_shape, "LeNet5", minimum=32)
    x = inputs
    if include_preprocessing:
        x = layers.Rescaling(1.275 / 255, offset=-0.1, name="rescaling")(x)
    top = _published if variant == "1998" else _modern
    x = top(x, include_top, classes, classifier_activation)
    if not include_top:
        x = classifier(x, include_top, pooling, classes, classifier_activation)
    model = keras.Model(inputs, x, name=name)
    return load_weights(model, weights)


def _published(x, include_top, classes, classifier_activation):
    def uniform(fan_in):  # appendix A
        return keras.initializers.RandomUniform(-2.4 / fan_in, 2.4 / fan_in)

    def conv(x, filters, name):
        kernel = uniform(25 * x.shape[-1])
        return layers.Conv2D(
            filters, 5, activation=scaled_tanh, kernel_initializer=kernel, name=name
        )(x)

    x = conv(x, 6, "C1")
    x = TrainableSubsampling2D(scaled_tanh, uniform(4), name="S2")(x)
    kernel = uniform(25 * 60 / 16)  # 60 kernels for 16 maps
    x = PartiallyConnectedConv2D(C3_CONNECTIONS, 5, scaled_tanh, kernel, name="C3")(x)
    x = TrainableSubsampling2D(scaled_tanh, uniform(4), name="S4")(x)
    x = conv(x, 120, "C5")
    if not include_top:
        return x
    x = layers.GlobalAveragePooling2D(name="positions")(x)
    x = layers.Dense(84, activation=scaled_tanh, kernel_initializer=uniform(120), name="F6")(x)
    x = RadialBasis(class_codes(classes), dtype="float32", name="predictions")(x)
    if classifier_activation is None:
        return x
    return layers.Activation(classifier_activation, dtype="float32", name="probabilities")(x)


def _modern(x, include_top, classes, classifier_activation):
    x = layers.Conv2D(6, 5, activation="relu", name="C1")(x)
    x = layers.MaxPooling2D(name="S2")(x)
    x = layers.Conv2D(16, 5, activation="relu", name="C3")(x)
    x = layers.MaxPooling2D(name="S4")(x)
    x = layers.Conv2D(120, 5, activation="relu", name="C5")(x)
    if not include_top:
        return x
    x = layers.GlobalAveragePooling2D(name="positions")(x)
    x = layers.Dense(84, activation="relu", name="F6")(x)
    return layers.Dense(classes, classifier_activation, dtype="float32", name="predictions")(x)
