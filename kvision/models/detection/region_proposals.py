"""The region proposal network: a small window slides over features and says "here is something".

Ren, He, Girshick, Sun: Faster R-CNN, NIPS 2015.
"""

import keras
from keras import layers

from kvision.layers import Anchors, Proposals
from kvision.models.detection.two_stage import PROPOSAL_VARIANCES

FLOAT = {"dtype": "float32"}  # of scores and boxes, under every policy


def region_proposals(image, maps, shapes, strides, filters, *, pairs, proposals):
    """Boxes that may hold objects, of any class.

    Args:
        image: the input tensor.
        maps: a list of feature maps. The same window slides over all of them.
        shapes: for each map the (height, width) of its anchors, in pixels; all maps have as many.
        strides: of the maps.
        filters: of the 3x3 convolution.
        pairs: whether each anchor has two scores, background and object, as in the paper; else one.
        proposals: options of `kv.layers.Proposals`.

    Returns:
        A dict for `raw`: `rpn_logits` `(batch, n)` or `(batch, n, 2)`, `rpn_offsets`
        `(batch, n, 4)`, `anchors` `(n, 4)` and `proposals` `(batch, most, 4)`.

    Reference:
        Ren et al., 2015, section 3.1, https://arxiv.org/abs/1506.01497
    """
    boxes, scores = len(shapes[0]), 2 if pairs else 1

    def conv(count, kernel_size, name, **options):
        start = keras.initializers.RandomNormal(stddev=0.01)
        options |= {"padding": "same", "kernel_initializer": start, "name": name}
        return layers.Conv2D(count, kernel_size, **options)

    window = conv(filters, 3, "rpn_conv", activation="relu")
    score, move = conv(boxes * scores, 1, "rpn_score"), conv(boxes * 4, 1, "rpn_box")
    logits, offsets = [], []
    for level, x in enumerate(map(window, maps)):
        target = (-1, 2) if pairs else (-1,)
        logits.append(layers.Reshape(target, name=f"rpn_logits{level}", **FLOAT)(score(x)))
        offsets.append(layers.Reshape((-1, 4), name=f"rpn_offsets{level}", **FLOAT)(move(x)))
    anchors = Anchors(shapes, strides=strides, name="anchors")([image, *maps])
    objectness = [x[:, :, 1] - x[:, :, 0] for x in logits] if pairs else logits
    layer = Proposals(variances=PROPOSAL_VARIANCES, **proposals, name="proposals")
    return {
        "rpn_logits": _joined(logits, "rpn_logits"),
        "rpn_offsets": _joined(offsets, "rpn_offsets"),
        "anchors": anchors,
        "proposals": layer([objectness, offsets, anchors, image]),
    }


def _joined(tensors, name):
    if len(tensors) == 1:
        return tensors[0]
    return layers.Concatenate(axis=1, name=name, **FLOAT)(tensors)
