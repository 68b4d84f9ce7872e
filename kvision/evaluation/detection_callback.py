"""COCO's average precision while a detector learns."""

import math

import keras
import numpy as np

from kvision.evaluation.coco_ap import coco_scores
from kvision.evaluation.detection import have_masks, names_of_classes
from kvision.evaluation.detection_pictures import compared_pictures

_BOXES, _MASKS = ("AP", "AP50"), ("mask_AP", "mask_AP50")


class DetectionScores(keras.callbacks.Callback):
    """Adds COCO's AP and AP50 to what `fit` reports of an epoch.

    Pass it before all that shall see them: a `CSVLogger`, or `kv.training.callbacks`, which can
    then keep the epoch of the best AP (it must be told that more is better):
    `kv.training.callbacks(run_dir, monitor="val_AP", mode="max")`.

    The names are `val_AP` and `val_AP50`, with masks also `val_mask_AP` and `val_mask_AP50`. They
    are NaN in epochs that are not scored, in one whose loss or weights are not finite, and where
    the data set has no objects; the other callbacks pass over those.

    Args:
        dataset: batches of `(images, truth)` that can be gone through again and again, as from
            `kv.data.batches(..., target="objects", training=False)`.
        class_names: names in label order, by which classes are checked.
        frequency: score every so many epochs, and the last.
        prefix: what the names begin with.

    Raises:
        ValueError: where `frequency` is no whole number above 0.

    Example:

    ```python
    scores = kv.evaluation.DetectionScores([], frequency=5)
    ```
    """

    def __init__(self, dataset, class_names=None, frequency=1, prefix="val_"):
        super().__init__()
        if not isinstance(frequency, int) or frequency < 1:
            raise ValueError(f"`frequency` must be a whole number above 0. Received: {frequency!r}")
        self.dataset = dataset
        self.class_names = class_names
        self.frequency = frequency
        self.prefix = prefix
        self._names = _BOXES

    def on_train_begin(self, logs=None):
        if "masks" in (getattr(self.model, "output", None) or ()):
            self._names = _BOXES + _MASKS

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        scores = {}
        last = (self.params or {}).get("epochs")
        due = (epoch + 1) % self.frequency == 0 or epoch + 1 == last
        if due and self._is_finite(logs):
            scores = self._scores()
        for name in self._names:
            value = scores.get(name)
            logs[self.prefix + name] = math.nan if value is None else value

    def _scores(self):
        pictures = list(compared_pictures(self.model, self.dataset))
        class_names = names_of_classes(pictures, self.class_names)
        scores, *_ = coco_scores(pictures, class_names)
        if have_masks(pictures):
            masks, *_ = coco_scores(pictures, class_names, masks=True)
            scores.update({f"mask_{name}": value for name, value in masks.items()})
            self._names = _BOXES + _MASKS
        return scores

    def _is_finite(self, logs):
        return math.isfinite(logs.get("loss", 0.0)) and all(
            np.isfinite(keras.ops.convert_to_numpy(weight)).all() for weight in self.model.weights
        )
