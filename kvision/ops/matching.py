"""Which truth each anchor or region answers for, and which of them a loss looks at."""

import keras
from keras import ops

from kvision.ops.suppression import smaller

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


def match(iou, positive, negative, force=True, valid=None):
    """The truth that each anchor overlaps most, and whether it counts as that.

    An anchor is positive from an overlap of `positive` on, negative below `negative`, and ignored
    between. Where there are no truths, all are negative. Anchors that overlap several truths alike
    take the first.

    Args:
        iou: overlaps `(anchors, truths)` or `(batch, anchors, truths)`, as from
            `boxes.iou(anchors, truths)`. There may be no truths.
        positive: least overlap of a positive.
        negative: overlap that a negative stays below; at most `positive`.
        force: what else is positive. `True`: the anchors that overlap some truth more than any
            other anchor does, of equal ones all; each still answers for the truth that it overlaps
            most itself (the rule of region proposal networks). `"bipartite"`: for each truth one
            anchor of its own, handed out by falling overlap, which then answers for that truth even
            if it overlaps another one more (SSD's rule). `False`: nothing.
        valid: booleans `(..., truths)`; what is false, such as padding, is never matched.

    Returns:
        `(index, state)`, both int32 `(..., anchors)`: of the truth, 0 where there is none (see
        `take_matched`); and 1 for positive, 0 for negative, -1 for ignored.

    Raises:
        ValueError: for thresholds in the wrong order, an unknown `force`, or other shapes.

    Reference:
        Ren et al.: Faster R-CNN, 2015, section 3.1.2; Liu et al.: SSD, 2016, section 2.2.

    Example:

    >>> overlaps = [[0.8, 0.1], [0.4, 0.1], [0.2, 0.3], [0.0, 0.1]]  # four anchors, two truths
    >>> index, state = match(overlaps, positive=0.7, negative=0.35)
    >>> ops.convert_to_numpy(index).tolist(), ops.convert_to_numpy(state).tolist()
    ([0, 0, 1, 1], [1, -1, 1, 0])
    """
    if force not in (True, False, "bipartite"):
        raise ValueError(f"`force` must be True, False or 'bipartite'. Received: {force!r}")
    if negative > positive:
        raise ValueError(
            "`negative` must be at most `positive`. "
            f"Received: positive={positive}, negative={negative}"
        )
    iou = ops.stop_gradient(ops.cast(ops.convert_to_tensor(iou), "float32"))
    if len(iou.shape) not in (2, 3):
        raise ValueError(
            "`iou` must be of shape (anchors, truths) or (batch, anchors, truths). "
            f"Received: {tuple(iou.shape)}"
        )
    if valid is not None:
        iou = ops.where(ops.cast(valid, "bool")[..., None, :], iou, -1.0)
    batched = len(iou.shape) == 3
    iou = iou if batched else iou[None]
    # One truth more, which nobody overlaps: then there always is one.
    iou = ops.pad(iou, ((0, 0), (0, 0), (0, 1)), constant_values=-1.0)
    best, index = ops.max(iou, axis=-1), ops.argmax(iou, axis=-1)
    index = ops.cast(index, "int32")
    state = ops.where(best >= positive, POSITIVE, ops.where(best < negative, NEGATIVE, IGNORED))
    if force == "bipartite":
        index, forced = _one_each(iou, index)
        state = ops.where(forced, POSITIVE, state)
    elif force:
        highest = ops.max(iou, axis=-2, keepdims=True)
        forced = ops.any((iou == highest) & (highest > 0), axis=-1)
        state = ops.where(forced, POSITIVE, state)
    state = ops.cast(state, "int32")
    return (index, state) if batched else (index[0], state[0])


def take_matched(values, index):
    """What belongs to the truth of each anchor, also where there are no truths: zeros then.

    Args:
        values: tensor `(batch, truths, ...)` of one or two axes more, such as boxes or classes.
        index: int32 `(batch, anchors)`, as `match` returns it.

    Returns:
        Tensor `(batch, anchors, ...)`.

    Example:

    >>> boxes = ops.zeros((2, 0, 4))
    >>> tuple(take_matched(boxes, ops.zeros((2, 9), "int32")).shape)
    (2, 9, 4)
    """
    values = ops.convert_to_tensor(values)
    values = ops.pad(values, ((0, 0), (0, 1)) + ((0, 0),) * (len(values.shape) - 2))
    if len(values.shape) == 3:
        index = ops.expand_dims(index, -1)
    return ops.take_along_axis(values, index, axis=1)


def balanced_sample(state, number, positive_fraction, seed=None):
    """Keeps some positives and negatives, drawn at random, and ignores the others.

    Args:
        state: 1, 0 or -1, `(batch, anchors)`, as `match` returns it.
        number: of anchors that a picture keeps, if it has so many.
        positive_fraction: share of them that may be positive. Where there are fewer positives,
            negatives take their place.
        seed: a whole number for the same draw each time, a `keras.random.SeedGenerator`, or `None`.

    Returns:
        Tensor of the same shape, int32, with the surplus set to -1.

    Raises:
        ValueError: for a number or a fraction out of range.

    Example:

    >>> kept = balanced_sample([[1, 1, 1, 0, 0, 0, 0, -1]], 4, 0.25, seed=0)
    >>> sorted(ops.convert_to_numpy(kept)[0].tolist())
    [-1, -1, -1, -1, 0, 0, 0, 1]
    """
    if not isinstance(number, int) or number < 1:
        raise ValueError(f"`number` must be a whole number from 1. Received: {number}")
    if not 0 <= positive_fraction <= 1:
        raise ValueError(f"`positive_fraction` must be in 0..1. Received: {positive_fraction}")
    state = ops.cast(ops.convert_to_tensor(state), "int32")
    chance = keras.random.uniform(ops.shape(state), seed=seed)
    # Positives first, then negatives, both in random order: their ranks.
    order = ops.argsort(chance - ops.cast(state, "float32") * 2.0, axis=-1)
    rank = ops.cast(ops.argsort(order, axis=-1), "int32")
    positives = ops.sum(ops.cast(state == POSITIVE, "int32"), axis=-1, keepdims=True)
    room = number - ops.minimum(positives, int(number * positive_fraction))
    few = (state == POSITIVE) & (rank < int(number * positive_fraction))
    rest = (state == NEGATIVE) & (rank - positives < room)
    return ops.where(few | rest, state, IGNORED)


def _one_each(iou, index):
    """An anchor for each truth, as long as there are some that overlap it.

    Returns:
        The index with these anchors' truths, and whether an anchor is one of them.
    """
    anchors, truths = ops.shape(iou)[1:]
    # Others can take no more anchors from a truth than there are truths.
    overlaps, places = ops.top_k(ops.swapaxes(iou, 1, 2), smaller(anchors, truths))

    def unfinished(overlaps, given):
        return ops.any(overlaps > 0)

    def give(overlaps, given):
        best = ops.max(overlaps, axis=-1)  # of each truth
        truth = ops.argmax(best, axis=-1)[:, None]
        column = ops.argmax(ops.take_along_axis(overlaps, truth[..., None], axis=1), axis=-1)
        row = ops.take_along_axis(places, truth[..., None], axis=1)
        anchor = ops.take_along_axis(row, column[..., None], axis=2)
        is_truth = ops.arange(truths) == ops.cast(truth, "int32")
        some = ops.max(best, axis=-1, keepdims=True) > 0
        given = ops.where(is_truth & some, anchor[..., 0], given)
        return ops.where(is_truth[..., None] | (places == anchor), -1.0, overlaps), given

    given = ops.full_like(places[..., 0], -1)
    _, given = ops.while_loop(unfinished, give, (overlaps, given))
    taken = ops.arange(anchors, dtype=given.dtype)[None, :, None] == given[:, None, :]
    forced = ops.any(taken, axis=-1)
    theirs = ops.argmax(ops.cast(taken, "int32"), axis=-1)
    return ops.where(forced, ops.cast(theirs, "int32"), index), forced
