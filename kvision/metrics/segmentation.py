"""Metrics of segmentation inside `fit`, all from one confusion matrix over the whole data set."""

import keras
from keras import ops

from kvision.metrics.confusion import ConfusionMetric
from kvision.ops.masks import VOID


@keras.saving.register_keras_serializable(package="kvision")
class MeanIoU(ConfusionMetric):
    """Intersection over union of each class over the whole data set, averaged over the classes.

    The score of PASCAL VOC and Cityscapes. Classes that neither the truth nor a prediction holds
    are left out of the average; 0 where no pixel counts; NaN where a label is no class.

    Args:
        classes: how many there are, background included.
        ignore_class: the label of pixels that do not count; `None` if all do.
        name: of the metric.
        dtype: of the result.

    Raises:
        ValueError: where `classes` is below 2, or shapes do not fit.

    Reference:
        Everingham et al., The PASCAL visual object classes challenge: a retrospective, 2015,
        section 4.3.

    Example:

    >>> metric = MeanIoU(classes=3)
    >>> metric.update_state(np.array([[[0, 0, 1, 255]]]), np.array([[[0, 1, 1, 2]]]))
    >>> float(metric.result())  # both classes 1/2, the third does not occur
    0.5
    """

    def __init__(self, classes, ignore_class=VOID, name="mean_iou", dtype=None):
        super().__init__(classes, ignore_class, name, dtype)

    def result(self):
        hits, true, predicted = self.confusion()
        union = true + predicted - hits
        return _mean(ops.divide_no_nan(hits, union), union > 0)


@keras.saving.register_keras_serializable(package="kvision")
class PerClassIoU(ConfusionMetric):
    """Intersection over union of each class, as a dict of logs `iou_<class name>`.

    A class that neither the truth nor a prediction holds has none: NaN.

    Args:
        classes: how many there are, background included.
        class_names: names in label order; numbers by default.
        ignore_class: the label of pixels that do not count; `None` if all do.
        name: of the metric, and what the names of the logs begin with.
        dtype: of the result.

    Raises:
        ValueError: where there is not one name for each class, or as in `MeanIoU`.

    Example:

    >>> metric = PerClassIoU(classes=2, class_names=["ground", "cat"])
    >>> metric.update_state(np.array([[[0, 0, 1, 255]]]), np.array([[[0, 1, 1, 1]]]))
    >>> {name: float(value) for name, value in metric.result().items()}
    {'iou_ground': 0.5, 'iou_cat': 0.5}
    """

    def __init__(self, classes, class_names=None, ignore_class=VOID, name="iou", dtype=None):
        super().__init__(classes, ignore_class, name, dtype)
        names = [str(n) for n in (range(classes) if class_names is None else class_names)]
        if len(set(names)) != classes or len(names) != classes:
            raise ValueError(
                f"`class_names` must be one name for each of the {classes} classes, all "
                f"different. Received {len(names)}: {names}"
            )
        self.class_names = names

    def result(self):
        hits, true, predicted = self.confusion()
        union = true + predicted - hits
        scores = ops.where(union > 0, ops.divide_no_nan(hits, union), float("nan"))
        return {f"{self.name}_{name}": scores[i] for i, name in enumerate(self.class_names)}

    def get_config(self):
        return {**super().get_config(), "class_names": self.class_names}


@keras.saving.register_keras_serializable(package="kvision")
class PixelAccuracy(ConfusionMetric):
    """The share of pixels that are right, void left out.

    Args:
        classes, ignore_class, name, dtype: as in `MeanIoU`, like errors; 0 where no pixel counts.

    Example:

    >>> metric = PixelAccuracy(classes=2)
    >>> metric.update_state(np.array([[[0, 0, 0, 1, 255]]]), np.array([[[0, 0, 1, 1, 0]]]))
    >>> float(metric.result())
    0.75
    """

    def __init__(self, classes, ignore_class=VOID, name="pixel_accuracy", dtype=None):
        super().__init__(classes, ignore_class, name, dtype)

    def result(self):
        hits, true, _ = self.confusion()
        return ops.divide_no_nan(ops.sum(hits), ops.sum(true))


@keras.saving.register_keras_serializable(package="kvision")
class MeanAccuracy(ConfusionMetric):
    """The share of each true class's pixels that are right, averaged over the classes that occur.

    Args:
        classes, ignore_class, name, dtype: as in `MeanIoU`, like errors; 0 where no pixel counts.

    Example:

    >>> metric = MeanAccuracy(classes=2)
    >>> metric.update_state(np.array([[[0, 0, 0, 0, 1]]]), np.array([[[0, 0, 0, 0, 0]]]))
    >>> float(metric.result())
    0.5
    """

    def __init__(self, classes, ignore_class=VOID, name="mean_accuracy", dtype=None):
        super().__init__(classes, ignore_class, name, dtype)

    def result(self):
        hits, true, _ = self.confusion()
        return _mean(ops.divide_no_nan(hits, true), true > 0)


@keras.saving.register_keras_serializable(package="kvision")
class FrequencyWeightedIoU(ConfusionMetric):
    """Intersection over union of each class, weighted by the share of pixels that it truly has.

    Args:
        classes, ignore_class, name, dtype: as in `MeanIoU`, like errors; 0 where no pixel counts.

    Reference:
        Long, Shelhamer, Darrell: Fully convolutional networks for semantic segmentation, 2015,
        section 5.

    Example:

    >>> metric = FrequencyWeightedIoU(classes=2)
    >>> metric.update_state(np.array([[[0, 0, 0, 1]]]), np.array([[[0, 0, 0, 0]]]))
    >>> float(metric.result())  # 3/4 of the pixels times 3/4
    0.5625
    """

    def __init__(self, classes, ignore_class=VOID, name="frequency_weighted_iou", dtype=None):
        super().__init__(classes, ignore_class, name, dtype)

    def result(self):
        hits, true, predicted = self.confusion()
        scores = ops.divide_no_nan(hits, true + predicted - hits)
        return ops.divide_no_nan(ops.sum(scores * true), ops.sum(true))


def _mean(scores, defined):
    """The mean of the scores that are defined; 0 if none is."""
    total = ops.sum(ops.where(ops.isnan(scores) | defined, scores, 0.0))
    return total / ops.maximum(ops.sum(ops.cast(defined, scores.dtype)), 1.0)
