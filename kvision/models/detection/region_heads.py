"""The second stage of R-CNNs: what is at a region, where exactly, and which of its pixels."""

import math

import keras
from keras import layers

from kvision.layers import DenseWithKernel, Detections, MergeRegions, RegionBoxes, SplitRegions
from kvision.models.classification.residual import bottleneck_block
from kvision.models.detection.two_stage import REGION_VARIANCES, pooled

FLOAT = {"dtype": "float32"}  # of scores and boxes, under every policy


def detections(raw, pool, head, options, trunk=None):
    """Classifies and moves proposals, and leaves one box for each object.

    Args:
        raw: a dict of `image`, `features` and `proposals` `(batch, regions, 4)`, zero where padded.
        pool: layer from maps and boxes to the features of each region.
        head: model from these to `logits` and `offsets`.
        options: of `kv.layers.Detections`.
        trunk: model that refines the features before the head, or `None`.

    Returns:
        `(found, answers)`: dicts of `boxes`, `classes`, `scores`, and of what the head says.
    """
    proposals = raw["proposals"]
    features = pool(pooled(raw["features"], proposals, raw["image"]))
    if trunk is not None:
        features = trunk(features)
    answers = head(features)
    decode = RegionBoxes(REGION_VARIANCES, name="region_boxes")
    boxes, scores = decode([answers["logits"], answers["offsets"], proposals])
    return Detections(**options, name="detections")([boxes, scores]), answers


def dense_head(shape, classes, units, dropout=0.0, scores=layers.Dense):
    """VGG16's two dense layers, or two of another width, then scores and offsets.

    Args:
        shape: of the features of one region.
        classes: number of classes, without the background.
        units: of `fc6` and `fc7`.
        dropout: fraction dropped after each of them in training.
        scores: the class of the last two layers.

    Returns:
        A `keras.Model` named `box_head`.
    """
    regions = keras.Input((None, *shape), name="regions")
    x = layers.Reshape((-1, math.prod(shape)), name="flatten")(regions)
    for name in ("fc6", "fc7"):
        x = layers.Dense(units, activation="relu", name=name)(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return keras.Model(regions, _answers(x, classes, scores), name="box_head")


def pooled_head(shape, classes):
    """The mean of each region's features, then scores and offsets: for features of ResNet's conv5.

    Returns:
        A `keras.Model` named `box_head`.
    """
    regions = keras.Input((None, *shape), name="regions")
    x = MergeRegions(name="merged")(regions)
    x = layers.GlobalAveragePooling2D(name="global_average")(x)
    x = SplitRegions(name="split")([x, regions])
    return keras.Model(regions, _answers(x, classes, layers.Dense), name="box_head")


def _answers(x, classes, scores):
    """A score for each class and the background, and four offsets for each of them.

    Of layers that give them away, also the kernels.
    """
    answers = {}
    for key, name, columns, deviation in (
        ("logits", "class_scores", classes + 1, 0.01),
        ("offsets", "box_offsets", 4 * (classes + 1), 0.001),
    ):
        start = keras.initializers.RandomNormal(stddev=deviation)
        layer = scores(columns, kernel_initializer=start, name=name, **FLOAT)
        answer = layer(x)
        if isinstance(layer, DenseWithKernel):
            answer, answers[f"{key}_kernel"] = answer
        answers[key] = answer
    return answers


def residual_trunk(shape, blocks=3):
    """The last stage of a ResNet on each region, at stride 1: the C4 head's.

    Its batch normalisation is frozen, as the authors': regions of one picture are too much alike
    to be normalised by.

    Args:
        shape: of the features of one region.
        blocks: number of bottleneck blocks.

    Returns:
        A `keras.Model` named `region_trunk`; its layers have the names that they have in ResNet.
    """
    regions = keras.Input((None, *shape), name="regions")
    x = MergeRegions(name="merged")(regions)
    for index in range(1, blocks + 1):
        x = bottleneck_block(
            x,
            max(1, shape[-1] // 2),
            f"conv5_block{index}",
            strides=1,
            rates=(1, 1),
            shortcut="B",
            momentum=0.9,
            out="conv5_x" if index == blocks else None,
            stride_on="1x1",
        )
    trunk = keras.Model(regions, SplitRegions(name="split")([x, regions]), name="region_trunk")
    return freeze_batch_norm(trunk)


def mask_head(shape, classes, filters=256, convolutions=4):
    """Convolutions, twice the size, and a mask for each class.

    Args:
        shape: of the features of one region.
        classes: number of masks.
        filters: of every convolution.
        convolutions: number of 3x3 convolutions: 4 on a feature pyramid, none behind `conv5`.

    Returns:
        A `keras.Model` named `mask_head` to logits `(batch, regions, rows, columns, classes)`.
    """
    regions = keras.Input((None, *shape), name="regions")
    x = enlarged(MergeRegions(name="merged")(regions), filters, convolutions)
    x = layers.Conv2D(classes, 1, kernel_initializer="he_normal", name="masks", **FLOAT)(x)
    return keras.Model(regions, SplitRegions(name="split")([x, regions]), name="mask_head")


def enlarged(x, filters, convolutions):
    """The mask head's features, at twice the size of what goes in."""
    start = {"activation": "relu", "kernel_initializer": "he_normal"}
    for index in range(1, convolutions + 1):
        x = layers.Conv2D(filters, 3, padding="same", name=f"mask_conv{index}", **start)(x)
    return layers.Conv2DTranspose(filters, 2, strides=2, name="mask_transposed", **start)(x)


def freeze_batch_norm(model):
    """Keeps all statistics and scales of batch normalisation as they are; returns the model."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    return model
