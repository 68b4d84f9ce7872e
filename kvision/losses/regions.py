"""Losses of anchors and regions of which some were sampled: the two stages of R-CNNs, and masks."""

from keras import ops

from kvision.losses.detection import smooth_l1


def objectness_loss(logits, state):
    """How wrong the region proposals' yes or no is: cross-entropy, averaged over the sample.

    Args:
        logits: tensor `(batch, anchors)`, where a sigmoid follows; or `(batch, anchors, 2)`, scores
            of background and object, where a softmax does.
        state: tensor `(batch, anchors)`: 1 an object, 0 background, -1 not in the sample.

    Returns:
        Tensor `(batch,)`, float32.

    Reference:
        Ren, He, Girshick, Sun: Faster R-CNN, 2015, equation 1.
    """
    scores = objectness(logits)
    # log(1 + exp(-s)) for objects, log(1 + exp(s)) for background.
    return sampled_mean(ops.softplus(ops.where(state == 1, -scores, scores)), state)


def objectness(logits):
    """The logit of "there is an object", in float32, from scores of one column or of two."""
    logits = ops.cast(logits, "float32")
    return logits if len(logits.shape) == 2 else logits[..., 1] - logits[..., 0]


def region_class_loss(labels, logits, state):
    """How wrong the classes of regions are: cross-entropy, averaged over the sample.

    Args:
        labels: whole numbers `(batch, regions)`, 0 for background.
        logits: tensor `(batch, regions, classes + 1)`.
        state: tensor `(batch, regions)`: -1 where a region is not in the sample.

    Returns:
        Tensor `(batch,)`, float32.

    Reference:
        Girshick: Fast R-CNN, 2015, equation 1.
    """
    losses = ops.sparse_categorical_crossentropy(
        labels, ops.cast(logits, "float32"), from_logits=True
    )
    return sampled_mean(losses, state)


def region_box_loss(targets, offsets, state, sigma=1.0):
    """How far off the boxes of objects are: smooth L1, divided by the size of the whole sample.

    Args:
        targets: code `(batch, regions, 4)`.
        offsets: prediction `(batch, regions, 4)`.
        state: tensor `(batch, regions)`: 1 where there is an object; -1 not in the sample.
        sigma: where the loss turns from square to straight (see `smooth_l1`).

    Returns:
        Tensor `(batch,)`, float32: 0 for pictures without objects.

    Reference:
        Girshick: Fast R-CNN, 2015, equation 2.
    """
    is_object = state == 1
    # Where there is no object there is nothing to lose, whatever the target.
    targets = ops.where(is_object[..., None], targets, ops.cast(offsets, "float32"))
    return sampled_mean(smooth_l1(ops.stop_gradient(targets), offsets, sigma), state)


def mask_loss(targets, logits, counts):
    """How wrong the masks of the true classes are: binary cross-entropy, averaged over pixels.

    Args:
        targets: 0 or 1, `(batch, regions, height, width)`.
        logits: of the true class alone, `(batch, regions, height, width)`.
        counts: bool `(batch, regions)`: which regions have a mask to learn from.

    Returns:
        Tensor `(batch,)`, float32: 0 for pictures without any.

    Reference:
        He, Gkioxari, Dollar, Girshick: Mask R-CNN, 2017, section 3.
    """
    targets, logits = ops.cast(targets, "float32"), ops.cast(logits, "float32")
    losses = ops.mean(ops.softplus(logits) - targets * logits, axis=(2, 3))
    counts = ops.cast(counts, "float32")
    return ops.sum(losses * counts, axis=1) / ops.maximum(ops.sum(counts, axis=1), 1.0)


def sampled_mean(losses, state):
    """The mean of losses `(batch, n)` over what is in the sample, `(batch,)`.

    Args:
        losses: tensor `(batch, n)`.
        state: tensor `(batch, n)`: -1 where something is not in the sample.
    """
    sampled = state >= 0
    total = ops.sum(ops.where(sampled, losses, 0.0), axis=1)
    return total / ops.maximum(ops.sum(ops.cast(sampled, "float32"), axis=1), 1.0)


def mask_targets(masks, index, regions, size):
    """What a mask head has to say: the masks of objects, cut to regions and brought to one size.

    Args:
        masks: 0 or 1, `(batch, objects, height, width)`, at least one object.
        index: whole numbers `(batch, regions)`: the object of each region.
        regions: boxes `(batch, regions, 4)`, `rel_yxyx`.
        size: rows and columns of the targets.

    Returns:
        Tensor `(batch, regions, size, size)` of 0.0 and 1.0: whether the mask, interpolated
        bilinearly at the middle of each cell, is at least a half.

    Reference:
        He, Gkioxari, Dollar, Girshick: Mask R-CNN, 2017, section 3.1.

    Example:

    >>> left = np.zeros((1, 1, 8, 8), "uint8")
    >>> left[..., :4] = 1
    >>> cut = mask_targets(left, np.zeros((1, 1), "int32"), np.array([[[0.0, 0.25, 1.0, 1.0]]]), 3)
    >>> keras.ops.convert_to_numpy(cut)[0, 0, 0].tolist()
    [1.0, 0.0, 0.0]
    """
    masks, regions = ops.convert_to_tensor(masks), ops.cast(regions, "float32")
    _, objects, height, width = ops.shape(masks)
    middles = (ops.arange(size, dtype="float32") + 0.5) / size
    top, left, bottom, right = (side[..., None] for side in ops.unstack(regions, 4, axis=-1))
    rows = _neighbours(top + (bottom - top) * middles, height)
    columns = _neighbours(left + (right - left) * middles, width)
    flat = ops.reshape(masks, (-1, objects * height * width))
    total = 0.0
    for row, row_share in rows:
        for column, column_share in columns:
            place = (index[..., None, None] * height + row[..., :, None]) * width
            place = place + column[..., None, :]
            values = ops.take_along_axis(flat, ops.reshape(place, (ops.shape(place)[0], -1)), 1)
            values = ops.cast(ops.reshape(values, ops.shape(place)), "float32")
            total = total + values * row_share[..., :, None] * column_share[..., None, :]
    return ops.cast(total >= 0.5, "float32")


def _neighbours(places, size):
    """The two pixels next to each place (0..1 of a side of `size` pixels), and their shares."""
    places = ops.clip(places * ops.cast(size, "float32") - 0.5, 0.0, ops.cast(size - 1, "float32"))
    before = ops.floor(places)
    share = places - before
    before = ops.cast(before, "int32")
    return [(before, 1.0 - share), (ops.minimum(before + 1, size - 1), share)]
