"""Of boxes that lie on the same object, the best: non-maximum suppression.

Boxes are `rel_yxyx`. What was found comes by falling score, of equal scores the first first, and
no gradient flows back. The work is done block by block, in compiled loops that end early: memory
grows with the number of boxes, never with its square.
"""

from keras import ops

from kvision.ops.boxes import iou

BLOCK = 256  # boxes that are looked at together
SMALL_BLOCK, FEW = 160, 512  # likewise where so few are kept
SMALLEST = 1.2e-38  # area of a box, which then overlaps nothing
NONE = float("-inf")


def suppress(boxes, scores, iou_threshold, score_threshold=0.0, most=100, groups=None):
    """Greedy suppression: the best box, the best that does not overlap it, and so on.

    Args:
        boxes: tensor `(batch, n, 4)`.
        scores: tensor `(batch, n)`.
        iou_threshold: boxes that overlap a better one by more than this are left out.
        score_threshold: boxes are left out unless their score is above this; `float("-inf")` for
            logits.
        most: number of boxes to keep.
        groups: whole numbers `(batch, n)`, such as classes; boxes of different groups do not
            suppress each other. By default all are of one group.

    Returns:
        `(indices, valid)`: int32 and bool, `(batch, most)`. Where fewer boxes are left, the rest is
        0 and false.

    Raises:
        ValueError: for thresholds or a number out of range.

    Example:

    >>> boxes = [[[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.4], [0.5, 0.5, 1.0, 1.0]]]
    >>> indices, valid = suppress(boxes, [[0.8, 0.9, 0.7]], iou_threshold=0.5, most=3)
    >>> ops.convert_to_numpy(indices).tolist(), ops.convert_to_numpy(valid).tolist()
    ([[1, 2, 0]], [[True, True, False]])
    """
    check_suppression(iou_threshold, most)
    boxes, scores = _tensors(boxes, scores)
    block = SMALL_BLOCK if most <= FEW else BLOCK
    scores = ops.where(scores > score_threshold, scores, NONE)
    sides, scores = _with_a_block(_sides_of(boxes, groups), scores, block)
    batch, number = ops.shape(scores)
    sides = [ops.reshape(side, (-1,)) for side in sides]
    first = number * ops.arange(batch, dtype="int32")[:, None]  # of each image, in `sides`
    index, within = ops.arange(number, dtype="int32"), ops.arange(block, dtype="int32")
    before = ops.cast(within[:, None] < within, "float32")
    slots = block * -(-most // block)

    def taken(places):
        return [ops.take(side, places + first) for side in sides]

    def unfinished(left, kept, count, last):
        return ops.any((count < most) & (last > NONE))

    def look_at_block(left, kept, count, last):
        """The best boxes of those that are left, beside those that are kept and each other."""
        values, places = ops.top_k(left, block)
        looked_at = taken(places)

        def compare(start, hits):
            chunk = taken(ops.slice(kept, (0, start), (batch, block)))
            there = ops.cast(start + within < count[:, None], "float32")[:, None]
            overlapping = _overlapping(chunk, looked_at, iou_threshold)
            return start + block, hits + ops.matmul(there, overlapping)

        end = ops.max(count)
        hits = ops.zeros((batch, 1, block))
        _, hits = ops.while_loop(lambda start, hits: start < end, compare, (0, hits))
        candidates = ops.cast((values[:, None] > NONE) & (hits <= 0), "float32")
        overlapping = _overlapping(looked_at, looked_at, iou_threshold) * before
        alive = _greedy(candidates, overlapping)[:, 0] > 0
        # The places of the boxes that stay are written after those of the blocks before; what does
        # not stay, or is too many, into the slot behind the last.
        after = count[:, None] + ops.cumsum(ops.cast(alive, "int32"), axis=1)
        slot = ops.where(alive, ops.minimum(after - 1, slots), slots)
        slot = slot + (slots + 1) * ops.arange(batch, dtype="int32")[:, None]
        kept = ops.scatter_update(
            ops.reshape(kept, (-1,)), ops.reshape(slot, (-1, 1)), ops.reshape(places, (-1,))
        )
        last, place = values[:, -1:], places[:, -1:]
        later = (left < last) | ((left == last) & (index > place))
        left = ops.where(later, left, NONE)
        return left, ops.reshape(kept, (batch, slots + 1)), after[:, -1], last[:, 0]

    kept = ops.zeros((batch, slots + 1), "int32")
    count = ops.zeros((batch,), "int32")
    start = (scores, kept, count, ops.zeros((batch,)))
    _, kept, count, _ = ops.while_loop(unfinished, look_at_block, start)
    valid = ops.arange(most, dtype="int32") < count[:, None]
    return ops.where(valid, kept[:, :most], 0), valid


def suppress_classes(
    boxes, scores, iou_threshold=0.5, score_threshold=0.05, most=100, candidates=400
):
    """Greedy suppression in each class by itself, and the best of all classes.

    Args:
        boxes: tensor `(batch, n, 4)`, or `(batch, n, classes, 4)` where each class has its own.
        scores: tensor `(batch, n, classes)`, without a background.
        iou_threshold: boxes that overlap a better one of their class by more are left out.
        score_threshold: boxes are left out unless their score for the class is above this.
        most: number of boxes to keep, of all classes together.
        candidates: only so many best scores, of all classes together, are looked at.

    Returns:
        `(boxes, classes, scores)`: `(batch, most, 4)`, int32 `(batch, most)`, `(batch, most)`.
        Where fewer are left, zeros, class -1 and score 0.

    Raises:
        ValueError: for thresholds or numbers out of range.

    Example:

    >>> boxes = [[[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.4]]]
    >>> _, classes, scores = suppress_classes(boxes, [[[0.1, 0.75], [0.5, 0.25]]], most=3)
    >>> ops.convert_to_numpy(classes).tolist(), ops.convert_to_numpy(scores).tolist()
    ([[1, 0, -1]], [[0.75, 0.5, 0.0]])
    """
    check_suppression(iou_threshold, most, candidates)
    boxes, scores = _one_more(*_tensors(boxes, scores))
    classes = scores.shape[-1]
    scores = ops.reshape(scores, (ops.shape(scores)[0], ops.shape(scores)[1] * classes))
    scores, order = ops.top_k(scores, smaller(candidates, ops.shape(scores)[1]))
    if len(boxes.shape) == 4:
        boxes = ops.reshape(boxes, (ops.shape(boxes)[0], ops.shape(boxes)[1] * classes, 4))
        boxes = ops.take_along_axis(boxes, order[..., None], axis=1)
    else:
        boxes = ops.take_along_axis(boxes, (order // classes)[..., None], axis=1)
    labels = ops.cast(order % classes, "int32")
    indices, valid = suppress(boxes, scores, iou_threshold, score_threshold, most, labels)
    boxes = ops.take_along_axis(boxes, indices[..., None], axis=1)
    labels = ops.where(valid, ops.take_along_axis(labels, indices, axis=1), -1)
    scores = ops.where(valid, ops.take_along_axis(scores, indices, axis=1), 0.0)
    return ops.where(valid[..., None], boxes, 0.0), labels, scores


def soft_suppress(
    boxes, scores, method="gaussian", iou_threshold=0.3, sigma=0.5, score_threshold=0.001, most=100
):
    """Soft suppression: boxes that overlap a better one lose score instead of leaving.

    Args:
        boxes: tensor `(batch, n, 4)`.
        scores: tensor `(batch, n)` in 0..1.
        method: `"gaussian"` multiplies a score by exp(-iou^2 / sigma), `"linear"` by 1 - iou where
            the overlap is more than `iou_threshold`.
        iou_threshold: of `"linear"`.
        sigma: of `"gaussian"`; greater than 0.
        score_threshold: boxes are left out once their score is not above this.
        most: number of boxes to keep.

    Returns:
        `(indices, valid, scores)`: int32, bool and float32 `(batch, most)`; the scores are those
        that are left, 0 where fewer boxes are.

    Raises:
        ValueError: for an unknown method, or numbers out of range.

    Reference:
        Bodla et al.: Soft-NMS, 2017.

    Example:

    >>> boxes = [[[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.25], [0.5, 0.5, 1.0, 1.0]]]
    >>> indices, _, left = soft_suppress(boxes, [[1.0, 0.75, 0.5]], "linear", most=3)
    >>> ops.convert_to_numpy(indices).tolist(), ops.convert_to_numpy(left).tolist()
    ([[0, 2, 1]], [[1.0, 0.5, 0.375]])
    """
    check_suppression(iou_threshold, most)
    if method not in ("gaussian", "linear"):
        raise ValueError(f"`method` must be 'gaussian' or 'linear'. Received: {method!r}")
    if not sigma > 0:
        raise ValueError(f"`sigma` must be greater than 0. Received: {sigma}")
    boxes, scores = _one_more(*_tensors(boxes, scores))
    slots = ops.arange(most, dtype="int32")

    def unfinished(step, left, indices, found):
        return (step < most) & ops.any(left > score_threshold)

    def pick(step, left, indices, found):
        score, best = ops.top_k(left, 1)
        alive = score > score_threshold
        now = (slots == step) & alive
        indices, found = ops.where(now, best, indices), ops.where(now, score, found)
        overlap = iou(ops.take_along_axis(boxes, best[..., None], axis=1), boxes)[:, 0]
        if method == "gaussian":
            factor = ops.exp(-ops.square(overlap) / sigma)
        else:
            factor = ops.where(overlap > iou_threshold, 1.0 - overlap, 1.0)
        picked = ops.arange(ops.shape(left)[1], dtype="int32") == best
        return step + 1, ops.where(picked, NONE, left * factor), indices, found

    shape = (ops.shape(scores)[0], most)
    start = (0, scores, ops.zeros(shape, "int32"), ops.zeros(shape))
    _, _, indices, found = ops.while_loop(unfinished, pick, start)
    return indices, found > 0, found


def check_suppression(iou_threshold, most=1, candidates=1):
    """Raises a ValueError for a threshold or a number out of range."""
    if not 0 <= iou_threshold <= 1:
        raise ValueError(f"`iou_threshold` must be in 0..1. Received: {iou_threshold}")
    for name, value in (("most", most), ("candidates", candidates)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"`{name}` must be a whole number from 1. Received: {value}")


def _tensors(boxes, scores):
    boxes, scores = (ops.cast(ops.convert_to_tensor(x), "float32") for x in (boxes, scores))
    return ops.stop_gradient(boxes), ops.stop_gradient(scores)


def _one_more(boxes, scores):
    """With one box that is never found: then there always is one to look at."""
    margin = ((0, 0), (0, 1))
    boxes = ops.pad(boxes, margin + ((0, 0),) * (len(boxes.shape) - 2))
    empty = ((0, 0),) * (len(scores.shape) - 2)
    return boxes, ops.pad(scores, margin + empty, constant_values=NONE)


def smaller(first, second):
    """The smaller of two sizes, which are whole numbers or, of open shapes, tensors."""
    known = isinstance(first, int) and isinstance(second, int)
    return min(first, second) if known else ops.minimum(first, second)


def _with_a_block(sides, scores, block):
    """The same with more boxes without score, unless there is a block of them."""
    number = ops.shape(scores)[1]
    missing = max(0, block - number) if isinstance(number, int) else block
    if not missing:
        return sides, scores
    margin = ((0, 0), (0, missing))
    return [ops.pad(side, margin) for side in sides], ops.pad(scores, margin, constant_values=NONE)


def _sides_of(boxes, groups):
    """Top, left, bottom, right, area and, if there are any, groups of boxes, each `(batch, n)`."""
    top, left, bottom, right = ops.unstack(boxes, 4, axis=-1)
    area = ops.maximum(bottom - top, 0.0) * ops.maximum(right - left, 0.0)
    sides = [top, left, bottom, right, ops.maximum(area, SMALLEST)]
    return sides if groups is None else [*sides, ops.cast(groups, "int32")]


def _overlapping(first, second, threshold):
    """1.0 where a box of the first overlaps one of the second, else 0.0, `(batch, n, m)`."""
    top, left, bottom, right, area, *groups = (side[..., None] for side in first)
    others = [side[:, None] for side in second]
    height = ops.minimum(bottom, others[2]) - ops.maximum(top, others[0])
    width = ops.minimum(right, others[3]) - ops.maximum(left, others[1])
    both = ops.maximum(height, 0.0) * ops.maximum(width, 0.0)
    result = both / (area + others[4] - both) > threshold
    if groups:
        result = result & (groups[0] == others[5])
    return ops.cast(result, "float32")


def _greedy(candidates, overlapping):
    """Which boxes of a sorted block stay, `(batch, 1, n)`: those that overlap none before them.

    Each round settles at least one more box, and usually all are settled after a few.
    """

    def settled(alive):
        return ops.cast(ops.matmul(alive, overlapping) < candidates, "float32")

    def unfinished(alive, before):
        return ops.any(alive != before)

    def settle(alive, before):
        before = settled(alive)
        return settled(before), before

    once = settled(candidates)
    return ops.while_loop(unfinished, settle, (settled(once), once))[0]
