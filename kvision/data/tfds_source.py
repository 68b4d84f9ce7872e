"""TensorFlow Datasets as a source; imported only when a TFDS name is asked for."""

import functools

from kvision.data.info import DatasetInfo
from kvision.data.splits import canonical_split


@functools.cache
def tfds_names():
    """The names of the data sets that the installed TFDS knows."""
    import tensorflow_datasets as tfds

    return frozenset(tfds.list_builders(with_community_datasets=False))


def is_tfds_name(text):
    """Whether TFDS knows `text`, which may end in a configuration or version."""
    return text.split("/")[0].split(":")[0] in tfds_names()


def load_tfds(name, split, with_info, **kwargs):
    """`tfds.load` with our split aliases, and an info that also knows `class_names`.

    Args:
        name: TFDS name, with configuration and version if wanted (`"coco/2017"`).
        split: as in `kv.data.load`.
        with_info: as in `kv.data.load`.
        **kwargs: passed to `tfds.load`.

    Returns:
        As `kv.data.load`.
    """
    import tensorflow_datasets as tfds

    if split is not None:
        data_dir = {key: kwargs[key] for key in ("data_dir",) if key in kwargs}
        names = tfds.builder(name, **data_dir).info.splits
        if isinstance(split, (list, tuple)):
            split = [canonical_split(part, names) for part in split]
        else:
            split = canonical_split(split, names)
    datasets, info = tfds.load(name, split=split, with_info=True, **kwargs)
    if not with_info:
        return datasets
    return datasets, DatasetInfo(info.name, info.splits, info.features)
