import keras

from kvision.ops.suppression import check_suppression, suppress_classes


@keras.saving.register_keras_serializable(package="kvision")
class Detections(keras.layers.Layer):
    """The last layer of a detector: of many scored boxes, the best of each object.

    Args:
        iou_threshold: boxes that overlap a better one of their class by more are left out.
        score_threshold: boxes are left out unless their score is above this.
        most: number of boxes of a picture.
        candidates: only so many best scores, of all classes together, are looked at.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        A list of boxes `(batch, n, 4)`, or `(batch, n, classes, 4)` where each class has its own,
        `rel_yxyx`; and scores `(batch, n, classes)`, without a background.

    Output shape:
        A dict of `boxes` `(batch, most, 4)`, `classes` int32 and `scores` `(batch, most)`, by
        falling score; where there are fewer, zeros, class -1 and score 0. In float32 under every
        dtype policy. No gradient flows back.

    Raises:
        ValueError: for thresholds or numbers out of range.

    Differs from the paper: SSD and Faster R-CNN take the best scores of each class before they
    suppress; here they are taken of all classes together.

    Example:

    >>> boxes = np.array([[[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.4]]])
    >>> found = Detections(most=2)([boxes, np.array([[[0.25, 0.75], [0.0, 0.5]]])])
    >>> {key: keras.ops.convert_to_numpy(found[key])[0].tolist() for key in ("classes", "scores")}
    {'classes': [1, 0], 'scores': [0.75, 0.25]}
    """

    def __init__(self, iou_threshold=0.5, score_threshold=0.05, most=100, candidates=400, **kwargs):
        super().__init__(autocast=False, **{"dtype": "float32", **kwargs})
        check_suppression(iou_threshold, most, candidates)
        self.iou_threshold = iou_threshold
        self.score_threshold = score_threshold
        self.most = most
        self.candidates = candidates

    def call(self, inputs):
        boxes, scores = inputs
        boxes, classes, scores = suppress_classes(
            boxes, scores, self.iou_threshold, self.score_threshold, self.most, self.candidates
        )
        return {"boxes": boxes, "classes": classes, "scores": scores}

    def compute_output_spec(self, inputs):
        rows = (inputs[1].shape[0], self.most)
        return {
            "boxes": keras.KerasTensor((*rows, 4), dtype="float32"),
            "classes": keras.KerasTensor(rows, dtype="int32"),
            "scores": keras.KerasTensor(rows, dtype="float32"),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "iou_threshold": self.iou_threshold,
            "score_threshold": self.score_threshold,
            "most": self.most,
            "candidates": self.candidates,
        }
