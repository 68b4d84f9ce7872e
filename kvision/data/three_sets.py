"""Data to train, validate and test on, in one call."""

from typing import NamedTuple

import tensorflow as tf

from kvision import tasks
from kvision.data.info import DatasetInfo
from kvision.data.loading import load
from kvision.data.shares import three_splits


class ThreeSets(NamedTuple):
    """What `three_sets` returns.

    Attributes:
        train: single examples, as `kv.data.load` gives them.
        validation: likewise.
        test: likewise.
        info: what is known of the source.
        splits: a dict of `train`, `validation` and `test` to what was taken.
        class_names: of the feature, in the order of their numbers; empty where it has no classes.
        summary: a line for people: the source, what was taken, and how many examples that is.
    """

    train: tf.data.Dataset
    validation: tf.data.Dataset
    test: tf.data.Dataset
    info: DatasetInfo
    splits: dict
    class_names: list
    summary: str


def three_sets(source, feature, splits=None, **options):
    """Opens a source to train, validate and test a network on.

    Args:
        source: what `kv.data.load` takes.
        feature: what must be known of the images, such as `"label"` or `"segmentation_mask"`.
        splits: a dict of what to take, such as `{"test": "train[90%:]"}`; what is missing is as
            `three_splits` says.
        **options: of the source.

    Returns:
        A `ThreeSets`.

    Raises:
        ValueError: where the source cannot be read with these options, or lacks the feature.

    Example:

    >>> sets = three_sets("digits", "label", {"train": "train[:10%]"})
    >>> sets.summary
    'digits: train on train[:10%] (144), validation on train[90%:] (144), test on test (360)'
    """
    try:
        info = load(source, with_info=True, **options)[1]
        chosen = three_splits(info)
        for use in splits or {}:
            if use not in chosen:
                raise ValueError(f"`splits` must be of {list(chosen)}. Received: {use!r}")
        chosen |= splits or {}
        if feature not in dict(info.features.items()):
            raise ValueError(
                f"it must have {plural(feature)}. Received one with: {sorted(info.features)}"
            )
        sets = load(source, split=list(chosen.values()), **options)
    except (ValueError, TypeError, OSError) as error:
        raise ValueError(f"{source} cannot be read so: {error}") from error
    sizes = zip(chosen.items(), sets, strict=True)
    told = ", ".join(f"{use} on {split} ({len(examples)})" for (use, split), examples in sizes)
    return ThreeSets(*sets, info, chosen, class_names(info, feature), f"{info.name}: {told}")


def plural(feature):
    """Returns what many of a feature are called, for people."""
    return getattr(tasks.part("data.features", feature), "PLURAL", feature)


def class_names(info, feature):
    """Returns the names of a feature's classes in their order; none where it has no classes."""
    part = tasks.part("data.features", feature)
    if not hasattr(part, "class_names"):
        return []
    return list(part.class_names(info.features[feature]) or ())
