"""HED: edges from every depth of VGG16, each supervised, all fused.

Xie, Tu: Holistically-nested edge detection, ICCV 2015.
"""

import keras
from keras import layers

from kvision.initializers import BilinearKernel
from kvision.layers import CropLike
from kvision.models.caffe import centres, padded
from kvision.models.classification.vgg import VGG16
from kvision.models.documented import documented
from kvision.models.parts import image_input
from kvision.models.weights import copy_weights, load_weights
from kvision.registry import register

PADDING = 35
SIDES = {1: "conv1_2", 2: "conv2_2", 3: "conv3_3", 4: "conv4_3", 5: "conv5_3"}


@register(
    "edges",
    paper="Xie, Tu: Holistically-nested edge detection",
    url="https://arxiv.org/abs/1504.06375",
    year=2015,
    parameters=14_716_171,
    published={"ods": 78.2, "ois": 80.4},
    protocol="BSDS500 test, AP 83.3, merged with late averages",
    tiny={
        "alpha": 0.125,
        "input_shape": (32, 40, 3),
        "score_initializer": "glorot_uniform",
    },
)
@documented
def HED(
    backbone=None,
    weights=None,
    input_shape=(None, None, 3),
    classifier_activation="sigmoid",
    *,
    side_outputs=False,
    alpha=1.0,
    score_initializer="zeros",
    include_preprocessing=True,
    name="hed",
):
    """HED, for outlines of objects: how sure it is of an edge at every pixel.

    Train it with `side_outputs=True` and `kv.losses.BalancedBinaryCrossentropy` on all six outputs,
    which the same masks are compared with; the trained file fills the model without side outputs
    (`weights=`). `kv.evaluation.evaluate_edges` gives ODS, OIS and AP.

    Args:
        backbone: `None`, or a `VGG16` of the same `alpha`, whose convolutions' weights are copied.
        input_shape: `(height, width, channels)`, any size.
        classifier_activation: `"sigmoid"`, or `None` for logits.
        side_outputs: whether to give a dict with `"side1"` to `"side5"` and `"fuse"`, as training
            needs it, or the fused edges alone.
        score_initializer: of the kernels that give the sides' scores: `"zeros"` as the authors',
            where the first step moves nothing but the scores, or any of Keras.
        include_preprocessing: whether pixels 0..255 go in and the model turns them to blue, green,
            red less ImageNet's mean itself.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, channels)` to `(batch, height, width,
        1)`, 0..1; or to a dict of six of these.

    Raises:
        ValueError: where an option is out of range, or the backbone's weights do not fit.

    Differs from the paper: all layers learn at one rate, where the authors have conv5 learn at 100
    times the rate of the other convolutions, the sides at a hundredth and the fusion at a
    thousandth of it, for a summed loss and plain gradient descent. An optimizer that scales each
    weight's step, such as Adam, does without. The fixed enlargements hold 1,364 numbers besides.

    Reference:
        Xie and Tu, 2015, https://arxiv.org/abs/1504.06375, Fig. 3; https://github.com/s9xie/hed

    Example:

    >>> HED(alpha=0.125, side_outputs=True).output["side5"].shape
    (None, None, None, 1)
    """
    if classifier_activation not in ("sigmoid", None):
        raise ValueError(
            "`classifier_activation` must be 'sigmoid' or None in `HED`. Received: "
            f"{classifier_activation!r}"
        )
    image = image_input(input_shape, "HED")
    vgg = VGG16(
        include_top=False,
        input_shape=(None, None, image.shape[-1]),
        alpha=alpha,
        include_preprocessing=include_preprocessing,
    )
    features = padded(
        keras.Model(vgg.inputs[0], vgg.get_layer(SIDES[5]).output), image, PADDING, "HED"
    )
    if backbone is not None:
        _check_backbone(backbone)
        copy_weights(backbone, features)
    positions = centres(features)
    sides = {
        f"side{index}": _side(
            features.get_layer(layer).output, *positions[layer], image, index, score_initializer
        )
        for index, layer in SIDES.items()
    }
    fuse = layers.Concatenate(name="concatenated")(list(sides.values()))
    equal = keras.initializers.Constant(1 / len(sides))
    fuse = layers.Conv2D(1, 1, kernel_initializer=equal, name="score_fuse")(fuse)

    def edges(x, name):
        return layers.Activation(classifier_activation or "linear", dtype="float32", name=name)(x)

    if side_outputs:
        outputs = {key: edges(x, key) for key, x in {**sides, "fuse": fuse}.items()}
    else:
        outputs = edges(fuse, "predictions")
    return load_weights(keras.Model(image, outputs, name=name), weights)


def _side(x, centre, stride, image, index, initializer):
    """One score for each position, enlarged and cut to the picture."""
    x = layers.Conv2D(1, 1, kernel_initializer=initializer, name=f"score_side{index}")(x)
    if stride > 1:
        x = layers.Conv2DTranspose(
            1,
            2 * stride,
            strides=stride,
            kernel_initializer=BilinearKernel(),
            trainable=False,
            name=f"upsample_side{index}",
        )(x)
        centre -= (2 * stride - 1) / 2
    return CropLike(int(-centre), name=f"crop_side{index}")([x, image])


def _check_backbone(backbone):
    names = {layer.name for layer in getattr(backbone, "layers", ())}
    missing = sorted(set(SIDES.values()) - names)
    if missing or "conv5_4" in names:
        raise ValueError(
            "`backbone` of `HED` must be a `VGG16`, with or without its classifier. Received: "
            f"{getattr(backbone, 'name', backbone)!r}"
        )
