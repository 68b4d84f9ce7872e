"""TensorFlow Datasets as a source; imported only when a TFDS name is asked for."""

import functools

import tensorflow as tf

from kvision.data.info import DatasetInfo, MaskFeature
from kvision.data.sources.boxes.tfds_objects import has_objects, with_sane_objects
from kvision.data.sources.masks.known_classes import PET_NAMES, cityscapes_table
from kvision.data.sources.splits import canonical_split
from kvision.ops.masks import VOID


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

    Masks become class indices with 255 for void: those of the pets, 1 to 3 on disk, become pet,
    background and border; Cityscapes' ids become its 19 classes, its images `image`. Objects whose
    boxes have no area are dropped.

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
    features = info.features
    masked = info.name in _MASKED and {"segmentation_mask", "segmentation_label"} & set(features)
    if masked and not kwargs.get("as_supervised"):
        adapt, mask_feature = _MASKED[info.name]()
        datasets = tf.nest.map_structure(lambda dataset: dataset.map(adapt), datasets)
        features = {key: value for key, value in features.items() if key not in _CITY_KEYS}
        features |= {"segmentation_mask": mask_feature}
        if "image_left" in info.features:
            features["image"] = info.features["image_left"]
    first = tf.nest.flatten(datasets)[0]
    if has_objects(first.element_spec):
        datasets = tf.nest.map_structure(lambda dataset: dataset.map(with_sane_objects), datasets)
        objects = dict(info.features["objects"].feature.items())
        objects["label"] = objects.get("label", objects.get("type"))
        features = {**features, "objects": objects}
    if not with_info:
        return datasets
    return datasets, DatasetInfo(info.name, info.splits, features)


def _pets():
    def adapt(example):
        # 1..3 on disk; what is none of these has no class.
        mask = example["segmentation_mask"]
        known = (mask >= 1) & (mask <= len(PET_NAMES))
        return {**example, "segmentation_mask": tf.where(known, mask - 1, tf.cast(VOID, tf.uint8))}

    return adapt, MaskFeature(list(PET_NAMES))


def _cityscapes():
    table = cityscapes_table()
    numbers = tf.constant([table.values.get(value, VOID) for value in range(256)], tf.uint8)

    def adapt(example):
        rest = {key: value for key, value in example.items() if key not in _CITY_KEYS}
        mask = tf.gather(numbers, tf.cast(example["segmentation_label"], tf.int32))
        return {**rest, "image": example["image_left"], "segmentation_mask": mask}

    return adapt, MaskFeature(list(table.names), list(table.colors))


_CITY_KEYS = ("image_left", "segmentation_label")
# Data sets of TFDS whose masks do not hold class indices.
_MASKED = {"oxford_iiit_pet": _pets, "cityscapes": _cityscapes}
