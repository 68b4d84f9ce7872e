"""CRF-RNN: a segmentation network and its conditional random field, trained as one.

Zheng, Jayasumana, Romera-Paredes, Vineet, Su, Du, Huang, Torr: Conditional random fields as
recurrent neural networks, ICCV 2015.
"""

import keras
from keras import layers

from kvision import registry
from kvision.layers import FullyConnectedCRF
from kvision.models.documented import documented
from kvision.models.segmentation.fcn import FCN8s
from kvision.models.segmentation.parts import check_classes, probabilities
from kvision.models.weights import load_weights
from kvision.registry import register


@register(
    "segmentation",
    paper="Zheng et al.: Conditional random fields as recurrent neural networks",
    url="https://arxiv.org/abs/1502.03240",
    year=2015,
    parameters=134_491_103,
    multiply_adds=181_529_034_048,
    tiny={
        "alpha": 0.0625,
        "input_shape": (32, 32, 3),
        "classes": 4,
        "dropout": 0.0,
        "score_initializer": "glorot_uniform",
        "iterations": 2,
        "training_iterations": 2,
        "window": 5,
    },
)
@documented
def CRFRNN(
    backbone=None,
    weights=None,
    input_shape=(500, 500, 3),
    classes=21,
    classifier_activation="softmax",
    *,
    theta_alpha=160.0,
    theta_beta=3.0,
    theta_gamma=3.0,
    bilateral_weight=5.0,
    spatial_weight=3.0,
    iterations=10,
    training_iterations=5,
    window=11,
    dilation_rate=1,
    alpha=1.0,
    dropout=0.5,
    score_initializer="zeros",
    include_preprocessing=True,
    name="crf_rnn",
):
    """CRF-RNN, FCN-8s whose outlines a fully connected CRF sharpens, both trained together.

    Use it where outlines count and memory is there: train the network first, then pass it as
    `backbone` and go on with a small learning rate. Without training, `kv.evaluation.crf_refine`
    refines what any network says.

    Args:
        backbone: `None` for `FCN8s` of VGG16; the name of a registered segmenter; or one that is
            built and trained, with a layer `predictions` that turns its logits to probabilities.
        input_shape: `(height, width, channels)`, any size. A model as backbone has its own.
        classes: number of classes. A model as backbone has its own.
        theta_alpha: standard deviation in pixels of the kernel that looks at colours.
        theta_beta: its standard deviation in grey levels.
        theta_gamma: standard deviation in pixels of the kernel that only smooths.
        bilateral_weight: what the first kernel's matrix starts with on its diagonal.
        spatial_weight: the same of the second.
        iterations: of mean field.
        training_iterations: the same in training.
        window: side of the window of neighbours, odd; `None` for all pixels, on small maps.
        dilation_rate: distance of neighbours in pixels.
        alpha: width multiplier of a backbone that is not given as a model.
        dropout: fraction dropped in training after fc6 and fc7 of the default backbone.
        score_initializer: of the default backbone's kernels that give scores: the paper's zeros, or
            any of Keras.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, channels)` to probabilities
        `(batch, height, width, classes)`.

    Raises:
        ValueError: where an option is out of range, or the backbone has no such layer.

    Differs from the paper: kernels end at the window; `window=None` connects all pixels. Each pixel
    is left out of its own neighbours. The published count is the authors' network's: FCN-8s with 21
    biases in its first transposed convolution, and three matrices of 21 x 21; its last, fixed
    transposed convolution is contained.

    Reference:
        Zheng et al., 2015, https://arxiv.org/abs/1502.03240

    Example:

    >>> CRFRNN(alpha=0.0625, input_shape=(64, 96, 3), window=5).output_shape
    (None, 64, 96, 21)
    """
    check_classes("CRFRNN", classes)
    options = {
        "input_shape": input_shape,
        "classes": classes,
        "alpha": alpha,
        "include_preprocessing": include_preprocessing,
    }
    if backbone is None:
        network = FCN8s(**options, dropout=dropout, score_initializer=score_initializer)
        network = _with_bias(_without_softmax(network), "upscore2")
    elif isinstance(backbone, str):
        network = _without_softmax(registry.build_model(backbone, **options))
    else:
        network = _without_softmax(backbone)
    image, scores = network.inputs[0], network.outputs[0]
    crf = FullyConnectedCRF(
        theta_alpha,
        theta_beta,
        theta_gamma,
        bilateral_weight,
        spatial_weight,
        iterations,
        training_iterations,
        window,
        dilation_rate,
        per_class=True,
        name="crf",
    )
    outputs = probabilities(crf([scores, image]), classifier_activation)
    model = keras.Model(image, outputs, name=name)
    heads = [layer.name for layer in model.layers if layer.name.startswith(("score", "upscore"))]
    return load_weights(model, weights, heads=(*heads, "crf"))


def _without_softmax(network):
    """A segmenter up to what goes into its last layer."""
    if "predictions" not in [layer.name for layer in getattr(network, "layers", ())]:
        raise ValueError(
            "`backbone` of `CRFRNN` must be a segmentation network of this package, whose layer "
            f"`predictions` takes logits. Received: {network!r}"
        )
    return keras.Model(network.inputs[0], network.get_layer("predictions").input)


def _with_bias(network, name):
    """The same fresh network, but for a bias in one transposed convolution."""
    plain = network.get_layer(name)
    biased = layers.Conv2DTranspose.from_config({**plain.get_config(), "use_bias": True})
    return keras.models.clone_model(
        network, clone_function=lambda layer: biased if layer is plain else layer
    )
