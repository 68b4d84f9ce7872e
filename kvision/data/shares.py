"""Which part of a source is for what."""

from kvision import tasks
from kvision.data.elements import known_tasks


def three_splits(info):
    """Splits to train, validate and test on; what a source lacks is cut from its training images.

    Args:
        info: what `kv.data.load(source, with_info=True)` tells of the source.

    Returns:
        A dict of `train`, `validation` and `test` to strings that `load` takes as a split. A source
        with a validation split alone is tested on it.

    Raises:
        ValueError: where the source has no split `train`.

    Example:

    >>> import kvision as kv
    >>> three_splits(kv.data.load("digits", with_info=True)[1])
    {'train': 'train[:90%]', 'validation': 'train[90%:]', 'test': 'test'}
    """
    available = list(info.splits)
    if "train" not in available:
        raise ValueError(f"The source must have a split 'train'. Received one with: {available}")
    if "validation" in available:
        test = "test" if "test" in available else "validation"
        return {"train": "train", "validation": "validation", "test": test}
    if "test" in available:
        return {"train": "train[:90%]", "validation": "train[90%:]", "test": "test"}
    return {"train": "train[:80%]", "validation": "train[80%:90%]", "test": "train[90%:]"}


def balanced_class_weight(info):
    """Weights for `fit(class_weight=...)` under which each class counts alike, however rare.

    Args:
        info: what `kv.data.load(source, with_info=True)` tells of the source.

    Returns:
        A dict of label to weight: examples / (classes * examples of the class).

    Raises:
        ValueError: where the examples of each class were not counted, as in TFDS, or are masks.

    Example:

    >>> import kvision as kv
    >>> weights = balanced_class_weight(kv.data.load("digits", with_info=True)[1])
    >>> round(weights[8], 2)  # the rarest digit
    1.03
    """
    targets = {task.target for task in known_tasks()} & set(info.features)
    parts = [tasks.part("data.features", name) for name in sorted(targets)]
    if parts and not any(hasattr(part, "IS_CLASS") for part in parts):
        found = " and ".join(part.PLURAL for part in parts)
        raise ValueError(
            f"`info` must be of a source with labels. Received: {info.name}, which has {found}. "
            "Use `kv.data.median_frequency_weights` for masks."
        )
    counts = info.splits["train"].class_counts
    if not counts:
        raise ValueError(
            "Classes can be balanced where their examples were counted: in a folder, an .npz file "
            f"or 'digits'. Received: {info.name}. Pass weights of your own to `fit`."
        )
    counts = list(counts.values())
    return {i: sum(counts) / (len(counts) * max(n, 1)) for i, n in enumerate(counts)}
