import keras
from keras import ops

from kvision.ops import boxes as box_ops
from kvision.ops.suppression import NONE, check_suppression, smaller, suppress


@keras.saving.register_keras_serializable(package="kvision")
class Proposals(keras.layers.Layer):
    """The regions that a region proposal network finds worth a second look.

    The best anchors are moved to where the network wants them, cut off at the edges of the picture,
    and, small ones left out, suppressed by better ones.

    Args:
        before: how many of the best anchors are looked at: in training, and else. One number is for
            both. Of a pyramid so many of each level.
        after: how many regions come out, likewise.
        iou_threshold: regions that overlap a better one by more are left out. Levels of a pyramid
            do not suppress each other.
        minimum_size: least height and width in pixels.
        variances: of the code of the offsets (see `kv.ops.boxes.encode`).
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        A list `[objectness, offsets, anchors, image]`: scores or logits `(batch, anchors)`, code
        `(batch, anchors, 4)`, boxes `(anchors, 4)`, and the picture, for its size. Of a pyramid,
        `objectness` and `offsets` are lists by level; the anchors stay one tensor.

    Output shape:
        `(batch, after, 4)`, `rel_yxyx`, by falling score and padded with zeros; float32 under every
        dtype policy. No gradient flows back.

    Raises:
        ValueError: for numbers out of range, or lists of different lengths.

    Differs from the paper: nothing known.

    Reference:
        Ren et al.: Faster R-CNN, 2015, section 3.3.

    Example:

    >>> layer = Proposals(after=3, minimum_size=3)
    >>> anchors = np.array([[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.375], [0.5, 0.5, 1.5, 1.0]])
    >>> logits, image = np.array([[1.0, 2.0, 3.0]]), np.zeros((1, 9, 9, 3))
    >>> found = layer([logits, np.zeros((1, 3, 4)), anchors, image])
    >>> keras.ops.convert_to_numpy(found)[0].tolist()
    [[0.5, 0.5, 1.0, 1.0], [0.0, 0.0, 0.5, 0.375], [0.0, 0.0, 0.0, 0.0]]
    """

    def __init__(
        self,
        before=(12000, 6000),
        after=(2000, 300),
        iou_threshold=0.7,
        minimum_size=16,
        variances=box_ops.VARIANCES,
        **kwargs,
    ):
        super().__init__(autocast=False, **{"dtype": "float32", **kwargs})
        self.before = _pair("before", before)
        self.after = _pair("after", after)
        check_suppression(iou_threshold)
        if not minimum_size >= 0:
            raise ValueError(f"`minimum_size` must be a number from 0. Received: {minimum_size}")
        self.iou_threshold = iou_threshold
        self.minimum_size = minimum_size
        self.variances = tuple(variances)

    def call(self, inputs, training=None):
        objectness, offsets, anchors, image = inputs
        before, after = (pair[0 if training else 1] for pair in (self.before, self.after))
        if not isinstance(objectness, (list, tuple)):
            objectness, offsets = [objectness], [offsets]
        if len(objectness) != len(offsets):
            raise ValueError(
                f"{self.name} must be called with as many levels of `objectness` as of `offsets`. "
                f"Received: {len(objectness)} and {len(offsets)}."
            )
        best, first = [], 0
        for scores, code in zip(objectness, offsets, strict=True):
            number = ops.shape(scores)[1]
            best.append(self._best(scores, code, anchors[first : first + number], before))
            first = first + number
        scores, boxes = (ops.concatenate(parts, axis=1) for parts in zip(*best, strict=True))
        sides = ops.cast(ops.convert_to_tensor(ops.shape(image)[1:3]), "float32")
        small = ops.any((boxes[..., 2:] - boxes[..., :2]) * sides < self.minimum_size, axis=-1)
        levels = None
        if len(best) > 1:
            parts = [ops.full_like(s, level, dtype="int32") for level, (s, _) in enumerate(best)]
            levels = ops.concatenate(parts, axis=1)
        scores = ops.where(small, NONE, scores)
        indices, valid = suppress(boxes, scores, self.iou_threshold, NONE, after, levels)
        return ops.where(valid[..., None], ops.take_along_axis(boxes, indices[..., None], 1), 0.0)

    def _best(self, scores, offsets, anchors, number):
        """Scores and boxes of the best anchors of a level."""
        scores = ops.stop_gradient(ops.cast(scores, "float32"))
        scores, order = ops.top_k(scores, smaller(number, ops.shape(scores)[1]))
        offsets = ops.take_along_axis(ops.stop_gradient(offsets), order[..., None], axis=1)
        anchors = ops.take(anchors, order, axis=0)
        return scores, box_ops.clip(box_ops.decode(offsets, anchors, self.variances))

    def compute_output_spec(self, inputs, training=None):
        objectness = inputs[0][0] if isinstance(inputs[0], (list, tuple)) else inputs[0]
        same = self.after[0] == self.after[1]
        after = self.after[0] if same else None
        return keras.KerasTensor((objectness.shape[0], after, 4), dtype="float32")

    def get_config(self):
        return {
            **super().get_config(),
            "before": list(self.before),
            "after": list(self.after),
            "iou_threshold": self.iou_threshold,
            "minimum_size": self.minimum_size,
            "variances": list(self.variances),
        }


def _pair(name, value):
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(n, int) and n >= 1 for n in pair):
        raise ValueError(
            f"`{name}` must be a whole number from 1, or two: in training and else. "
            f"Received: {value}"
        )
    return pair
