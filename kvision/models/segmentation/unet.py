"""U-Net: down to see what there is, up again to say where, across for the detail.

Ronneberger, Fischer, Brox: U-Net: Convolutional networks for biomedical image segmentation,
MICCAI 2015.
"""

import itertools

import keras
from keras import layers

from kvision.layers import CropLike, ResizeLike
from kvision.models.backbones import backbone_levels
from kvision.models.documented import documented
from kvision.models.parts import image_input, zero_centre
from kvision.models.segmentation.parts import check_classes, probabilities
from kvision.models.segmentation.upsampling import check_upsampling, transposed
from kvision.models.weights import load_weights
from kvision.registry import register

PADDINGS = ("valid", "same")
DECODER_FILTERS = (128, 64, 48, 32, 16)  # on a backbone: light enough for a phone


@register(
    "segmentation",
    paper="Ronneberger, Fischer, Brox: U-Net: Convolutional networks for biomedical image "
    "segmentation",
    url="https://arxiv.org/abs/1505.04597",
    year=2015,
    parameters=31_030_658,
    multiply_adds=150_428_424_448,
    protocol="ISBI cell tracking challenge 2015: IoU 92.0 on PhC-U373, 77.5 on DIC-HeLa",
    mobile=True,
    tiny={"input_shape": (60, 60, 3), "classes": 4, "filters": 8, "depth": 2, "dropout": 0.0},
    skip={"masks_are_as_large_as_the_pictures": "the paper's convolutions do not pad"},
)
@documented
def UNet(
    backbone=None,
    weights=None,
    input_shape=None,
    classes=2,
    classifier_activation="softmax",
    *,
    filters=None,
    depth=4,
    padding=None,
    batch_norm=None,
    dropout=0.5,
    upsampling="transposed",
    kernel_size=2,
    batch_norm_momentum=0.9,
    include_preprocessing=True,
    name="unet",
):
    """U-Net, the first choice where masks are few: for cells and tissue, and on a phone.

    Without `backbone` it is the paper's network, whose unpadded convolutions answer for the middle
    of a picture only: 388x388 pixels of 572x572. `kv.evaluation.tiled_prediction` covers pictures
    of any size with it. With `backbone`, the contracting path is a registered classifier and all
    of its levels cross over: `UNet("MobileNetV2", input_shape=(128, 128, 3))` is the network for
    phones (0.6 billion multiply-adds).

    Args:
        backbone: `None` for the paper's contracting path; a name that
            `kv.list_models("classification")` gives; or such a model, with its weights.
        input_shape: `(height, width, channels)`; by default (572, 572, 1), with a named backbone
            (224, 224, 3). Known sizes must fit the pooling; open ones are fitted on the way up,
            and are best multiples of what the network divides by. A model has its own.
        filters: of the first level, which each next one doubles: by default 64. With a backbone a
            number for each step up, by default (128, 64, 48, 32, 16).
        depth: number of poolings. A backbone has its own.
        padding: `"valid"`, the paper's, or `"same"`, which answers for the whole picture. With a
            backbone always `"same"`.
        batch_norm: whether batch normalisation follows each convolution, which then has no bias:
            by default only with a backbone.
        dropout: fraction dropped in training at the end of the contracting path: after the last
            level that crosses over, and after the deepest.
        upsampling: `"transposed"` convolutions, or `"resize"`: bilinear enlargement of what a 1x1
            convolution gives.
        kernel_size: of the transposed convolutions, whose stride is 2. Odd ones paint
            checkerboards.
        include_preprocessing: whether pixels 0..255 go in and the model maps them to -1..1 itself,
            or as its backbone has it.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, channels)` to
        `(batch, rows, columns, classes)`: as many rows and columns with `padding="same"`, fewer
        unpadded.

    Raises:
        ValueError: where an option is out of range, or a size does not fit the pooling; names the
            next sizes that do.

    Differs from the paper: the transposed convolutions have no ReLU, as in the authors' figure; the
    paper does not say where drop-out stands, here as in the authors' Caffe network. Weights start
    from a normal distribution as the paper has it, of variance 2 / (number of inputs).

    Reference:
        Ronneberger et al., 2015, https://arxiv.org/abs/1505.04597, Fig. 1

    Example:

    >>> UNet(filters=8).output_shape
    (None, 388, 388, 2)
    >>> UNet("MobileNetV2", input_shape=(96, 128, 3), classes=5).output_shape
    (None, 96, 128, 5)
    """
    check_classes("UNet", classes)
    check_upsampling("UNet", upsampling)
    padding = padding or ("valid" if backbone is None else "same")
    if padding not in PADDINGS or (backbone is not None and padding == "valid"):
        raise ValueError(
            f"`padding` must be one of {PADDINGS} in `UNet`, and 'same' with a `backbone`, whose "
            f"own convolutions are padded. Received: {padding!r}"
        )
    options = {
        "padding": padding,
        "batch_norm": backbone is not None if batch_norm is None else batch_norm,
        "momentum": batch_norm_momentum,
        "upsampling": upsampling,
        "kernel_size": kernel_size,
    }
    if backbone is None:
        parts = _contracting_path(
            input_shape or (572, 572, 1),
            filters or 64,
            depth,
            dropout,
            include_preprocessing,
            options,
        )
    else:
        parts = _encoder(backbone, input_shape, filters, dropout, include_preprocessing)
    image, x, skips, widths = parts
    for level, skip, width in zip(range(len(skips), 0, -1), reversed(skips), widths, strict=True):
        x = _step_up(x, skip, width, f"up{level}", options)
    x = layers.Conv2D(classes, 1, kernel_initializer="he_normal", name="score")(x)
    if padding == "same" and None in image.shape[1:3]:
        x = ResizeLike(name="fitted")([x, image])
    model = keras.Model(image, probabilities(x, classifier_activation), name=name)
    return load_weights(model, weights, heads=("score",))


def _contracting_path(input_shape, filters, depth, dropout, include_preprocessing, options):
    """The paper's left side: `(image, deepest maps, maps that cross over, filters going up)`."""
    if not isinstance(depth, int) or depth < 1 or not isinstance(filters, int) or filters < 1:
        raise ValueError(
            "`depth` and `filters` must be whole numbers from 1 in `UNet` without a backbone. "
            f"Received: depth={depth}, filters={filters}"
        )
    image = image_input(input_shape, "UNet")
    _check_sizes(image, depth, options["padding"])
    x = zero_centre(image) if include_preprocessing else image
    maps = []
    for level in range(depth + 1):
        if level:
            x = layers.MaxPooling2D(2, name=f"pool{level}")(x)
        x = _two_convolutions(x, filters * 2**level, f"down{level + 1}", options)
        if dropout and level >= depth - 1:
            x = layers.Dropout(dropout, name=f"dropout{level + 1}")(x)
        maps.append(x)
    return image, x, maps[:-1], [filters * 2**level for level in reversed(range(depth))]


def _encoder(backbone, input_shape, filters, dropout, include_preprocessing):
    """A backbone as the left side; levels that it lacks are `None`."""
    named = {}
    if isinstance(backbone, str):
        named["include_preprocessing"] = include_preprocessing
    named["default_shape"] = (224, 224, 3)
    image, features = backbone_levels(backbone, "UNet", input_shape, **named)
    steps = max(features).bit_length() - 1
    _check_sizes(image, steps, "same")
    widths = DECODER_FILTERS[-steps:] if filters is None else filters
    if not isinstance(widths, (tuple, list)) or len(widths) != steps:
        raise ValueError(
            f"`filters` must be {steps} numbers in `UNet` with this backbone, one for each step "
            f"up, the deepest first. Received: {filters}"
        )
    _check_padded(backbone, image, features)
    x = features[max(features)]
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    return image, x, [features.get(2**step) for step in range(steps)], widths


def _check_padded(backbone, image, features):
    for stride, maps in features.items():
        for side, size in zip(image.shape[1:3], maps.shape[1:3], strict=True):
            if None not in (side, size) and size != side // stride:
                name = backbone if isinstance(backbone, str) else backbone.name
                raise ValueError(
                    "`backbone` of `UNet` must pad, so that its maps fit those going up. Received: "
                    f"{name!r}, whose maps of stride {stride} have {size} positions for {side} "
                    "pixels. Take a ResNet, a VGG or a MobileNet."
                )


def _step_up(x, skip, filters, name, options):
    """Twice the size, what crosses over, two convolutions."""
    start = {"kernel_initializer": "he_normal"}
    if options["upsampling"] == "resize":
        x = layers.Conv2D(filters, 1, name=f"{name}_narrow", **start)(x)
        x = layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_resize")(x)
    else:
        start["padding"] = "same"
        x = transposed(x, filters, options["kernel_size"], 2, f"{name}_transposed", "UNet", **start)
    if skip is not None:
        if options["padding"] == "valid":
            skip = CropLike(name=f"{name}_crop")([skip, x])
        elif None in skip.shape[1:3]:
            x = ResizeLike(name=f"{name}_fitted")([x, skip])
        x = layers.Concatenate(name=f"{name}_concatenate")([skip, x])
    return _two_convolutions(x, filters, name, options)


def _two_convolutions(x, filters, name, options):
    for index in (1, 2):
        x = layers.Conv2D(
            filters,
            3,
            padding=options["padding"],
            use_bias=not options["batch_norm"],
            kernel_initializer="he_normal",
            name=f"{name}_conv{index}",
        )(x)
        if options["batch_norm"]:
            normalization = layers.BatchNormalization(
                momentum=options["momentum"], name=f"{name}_norm{index}"
            )
            x = normalization(x)
        x = layers.ReLU(name=f"{name}_relu{index}")(x)
    return x


def output_size(size, depth, padding):
    """Pixels along one axis that come out for `size` that go in; `None` where it does not fit."""
    lost = 4 if padding == "valid" else 0  # by two convolutions
    for _ in range(depth):
        size -= lost
        if size < 2 or size % 2:
            return None
        size //= 2
    size -= lost
    for _ in range(depth):
        if size < 1:
            return None
        size = 2 * size - lost
    return size if size >= 1 else None


def _check_sizes(image, depth, padding):
    given = tuple(image.shape[1:])
    if all(size is None or output_size(size, depth, padding) for size in given[:2]):
        return
    fitting = [_next_sizes(size, depth, padding) for size in given[:2]]
    rule = f"multiples of {2**depth}" if padding == "same" else "sizes whose pooled maps are even"
    larger = tuple(sizes[-1] for sizes in fitting) + given[2:]
    smaller = ""
    if all(len(sizes) == 2 for sizes in fitting):
        smaller = f"{tuple(sizes[0] for sizes in fitting) + given[2:]} or "
    raise ValueError(
        f"`input_shape` height and width must be {rule} in `UNet`. Received: {given}. Resize or "
        f"pad the pictures to {smaller}{larger}."
    )


def _next_sizes(size, depth, padding):
    """The next sizes that fit, from below (where there is one) and from above."""
    if size is None:
        return [None, None]
    up = next(s for s in itertools.count(size) if output_size(s, depth, padding))
    down = [s for s in range(size, 0, -1) if output_size(s, depth, padding)]
    return [*down[:1], up]
