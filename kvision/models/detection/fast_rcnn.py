"""Fast R-CNN: one pass over the picture, then each region that somebody proposed.

Girshick: Fast R-CNN, ICCV 2015.
"""

import keras

from kvision.layers import RoIPool
from kvision.models.backbones import backbone_levels
from kvision.models.detection.region_heads import dense_head, detections
from kvision.models.detection.two_stage import RegionDetector
from kvision.models.documented import documented
from kvision.models.parts import check_alpha, scaled
from kvision.models.weights import copy_weights, load_weights
from kvision.registry import register

HEADS = ("class_scores", "box_offsets")  # the layers whose weights depend on the classes


@register(
    "detection",
    paper="Girshick: Fast R-CNN",
    url="https://arxiv.org/abs/1504.08083",
    year=2015,
    parameters=134_690_729,
    published={"mean_ap": 66.9},
    protocol="VOC 2007 test, trained on VOC 2007 trainval",
    tiny={"alpha": 0.0625, "input_shape": (64, 64, 3), "classes": 4, "units": 32, "dropout": 0.0},
)
@documented
def FastRCNN(
    backbone="VGG16",
    weights=None,
    input_shape=None,
    classes=20,
    *,
    alpha=1.0,
    units=None,
    dropout=0.5,
    score_threshold=0.05,
    iou_threshold=0.3,
    most=100,
    include_preprocessing=True,
    name="fast_rcnn",
):
    """Fast R-CNN, for regions that come from elsewhere, such as `kv.classical.selective_search`.

    A picture is seen once, however many regions it has. `fit` and `predict` take
    `{"image": images, "proposals": boxes}`. In training a sample of 64 regions of each picture
    counts, a quarter of them objects.

    Args:
        backbone: a name that `kv.list_models("classification")` gives, or such a model, with its
            weights. Of `VGG16(include_top=True, ...)` fc6 and fc7 carry over as well. What is to
            stay as it is, such as the authors' conv1 and conv2, has `trainable=False`.
        input_shape: `(height, width, channels)`, any size; by default (None, None, 3). A model has
            its own.
        classes: number of classes, without the background.
        alpha: width multiplier of a named backbone, and of fc6 and fc7.
        units: of fc6 and fc7; by default 4096 times `alpha`.
        dropout: fraction dropped after fc6 and fc7 in training.
        score_threshold: objects are left out unless their score is above this.
        iou_threshold: objects that overlap a better one of their class by more are left out.
        most: number of objects of a picture.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, channels)` and proposals
        `(batch, regions, 4)`, `rel_yxyx`, zero where padded, to a dict of `boxes`
        `(batch, most, 4)`, `classes` and `scores` `(batch, most)`.

    Differs from the paper: pictures are of the size that comes in; the paper's have a short side of
    600 pixels. The background between IoU 0.1 and 0.5 is the paper's; in a picture without objects
    any region is background. fc6 and fc7 start as Glorot and Bengio's where the backbone has none.

    Reference:
        Girshick, 2015, section 2, https://arxiv.org/abs/1504.08083

    Example:

    >>> model = FastRCNN(alpha=0.0625, input_shape=(64, 96, 3), classes=3)
    >>> images, proposals = np.zeros((1, 64, 96, 3)), np.array([[[0.0, 0.0, 1.0, 0.5]]])
    >>> model.predict({"image": images, "proposals": proposals}, verbose=0)["boxes"].shape
    (1, 100, 4)
    """
    check_alpha("FastRCNN", alpha)
    check_classes("FastRCNN", classes)
    image, maps = single_map(backbone, "FastRCNN", input_shape, alpha, include_preprocessing)
    proposals = keras.Input((None, 4), name="proposals")
    pool = RoIPool(7, name="region_pool")
    head = dense_head((7, 7, maps.shape[-1]), classes, units or scaled(4096, alpha), dropout)
    start_from(backbone, head)
    options = {
        "iou_threshold": iou_threshold,
        "score_threshold": score_threshold,
        "most": most,
    }
    raw = {"image": image, "features": maps, "proposals": proposals}
    found, _ = detections(raw, pool, head, options)
    inputs = {"image": image, "proposals": proposals}
    network = keras.Model(inputs, {**found, "raw": raw}, name=name)
    model = RegionDetector(network, regions=64, foreground=0.25, region_iou=(0.5, 0.1))
    return load_weights(model, weights, heads=HEADS)


def single_map(backbone, builder, input_shape, alpha, include_preprocessing):
    """The input and the features of stride 16, the last of VGG16 before its fifth pooling."""
    image, features = backbone_levels(
        backbone,
        builder,
        input_shape,
        wanted=(16,),
        default_shape=(None, None, 3),
        **backbone_options(backbone, alpha, include_preprocessing),
    )
    return image, features[16]


def backbone_options(backbone, alpha, include_preprocessing):
    """What a backbone is built with, where it is given by name."""
    if not isinstance(backbone, str):
        return {}
    width = {} if alpha == 1 else {"alpha": alpha}  # some have no other
    return {**width, "include_preprocessing": include_preprocessing}


def start_from(backbone, head):
    """Copies the weights of layers of a backbone that a head has too, such as fc6, if they fit."""
    theirs = {layer.name: layer for layer in getattr(backbone, "layers", ())}
    shared = [layer for layer in head.layers if layer.weights and layer.name in theirs]
    fits = [_shapes(layer) == _shapes(theirs[layer.name]) for layer in shared]
    if shared and all(fits):
        skip = {layer.name for layer in head.layers} - {layer.name for layer in shared}
        copy_weights(backbone, head, skip=skip)


def _shapes(layer):
    return [tuple(weight.shape) for weight in layer.weights]


def check_classes(builder, classes):
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 1:
        raise ValueError(
            f"`classes` must be a whole number from 1 in `{builder}`, without the background. "
            f"Received: {classes}"
        )
