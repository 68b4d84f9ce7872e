"""The elements of a dataset: what a single example holds, and what `fit` takes of a batch."""

import tensorflow as tf

from kvision.data.features.object_rows import as_objects, as_truth

TARGETS = ("label", "objects", "segmentation_mask")
_MAPS = {"segmentation_mask": tf.uint8, "pixel_weight": tf.float32}


def check_elements(spec, target=None, masks=False):
    """What of the examples is wanted.

    Args:
        spec: the `element_spec` of a dataset of single examples.
        target: None for everything that is known here, or one of `TARGETS` for that alone.
        masks: whether the masks of the objects are wanted, which takes `target="objects"`.

    Returns:
        The specification of the wanted features, as a dict.

    Raises:
        ValueError: if these are no single examples, or lack the target or the masks.
    """
    if target is not None and target not in TARGETS:
        raise ValueError(f"`target` must be None or one of {TARGETS}. Received: {target!r}")
    features = _features(spec) if isinstance(spec, tuple) else spec
    if not isinstance(features, dict) or "image" not in features:
        raise ValueError(
            "`dataset` must yield single examples: dicts with 'image', as from kv.data.load, or "
            f"(image, label) or (image, mask) pairs. Received: {spec}"
        )
    image = features["image"]
    if image.dtype != tf.uint8 or image.shape.rank != 3 or image.shape[-1] not in (1, 3):
        raise ValueError(
            "The images in `dataset` must be unbatched uint8 tensors of shape (height, width, 1) "
            f"or (height, width, 3). Received: shape {image.shape}, dtype {image.dtype.name}"
        )
    if target is not None and target not in features:
        raise ValueError(
            f"The examples must have the target '{target}'. Received examples with: "
            f"{sorted(features)}. Choose another `target`, or None for all that is there."
        )
    wanted = [name for name in TARGETS if name in features and target in (None, name)]
    if "segmentation_mask" in wanted and "pixel_weight" in features:
        wanted.append("pixel_weight")
    for name in set(wanted) & set(_MAPS):
        _check_map(name, features[name])
    if "objects" in wanted:
        _check_objects(features, target, masks)
    elif masks:
        raise ValueError(f"`masks=True` must go with `target='objects'`. Received: {target!r}")
    if masks and "mask" not in features["objects"]:
        wanted.append("instance_mask")
    return {"image": image, **{name: features[name] for name in wanted}}


def as_example(element, names, target=None, masks=False):
    """One example of any source as a dict of the features `names`, in the dtypes used here.

    With objects as the target they come with all that is known of them, and the image with its
    `size`.
    """
    features = element[0] if len(element) == 1 else _features(element)
    result = {name: features[name] for name in names}
    if "label" in result:
        result["label"] = tf.cast(result["label"], tf.int64)
    if "objects" in result:
        result["objects"] = as_objects(result, target == "objects", masks)
        result.pop("instance_mask", None)
    if target == "objects":
        result["size"] = tf.shape(result["image"])[:2]
    return result


def as_fit_takes_it(batch, target=None):
    """A batch as images, (images, target), (images, masks, weights), or a dict of several."""
    truth = as_truth(batch) if target == "objects" else None
    batch = {**batch, "image": tf.cast(batch["image"], tf.float32)}
    present = [name for name in TARGETS if name in batch]
    if not present:
        return batch["image"]
    if target is None and (len(present) > 1 or "objects" in present):
        return batch
    if truth:
        return batch["image"], truth
    name = present[0]
    if "pixel_weight" in batch:
        return batch["image"], batch[name], batch["pixel_weight"]
    return batch["image"], batch[name]


def _features(element):
    """The features of a tuple, named; a map beside an image is a mask, anything else a label."""
    if len(element) != 2:
        return None
    image, other = element
    rank = getattr(getattr(other, "shape", None), "rank", None)
    return {"image": image, "segmentation_mask" if rank == 3 else "label": other}


def _check_objects(features, target, masks):
    objects = features["objects"]
    if not isinstance(objects, dict) or not {"bbox", "label"} <= set(objects):
        raise ValueError(
            "The 'objects' of an example must be a dict with 'bbox' (n, 4) and 'label' (n,), as "
            f"from kv.data.load. Received: {objects}"
        )
    if masks and target != "objects":
        raise ValueError(f"`masks=True` must go with `target='objects'`. Received: {target!r}")
    drawn = "mask" in objects or ("instance_mask" in features and "id" in objects)
    if masks and not drawn:
        raise ValueError(
            "The examples must have masks of their objects where `masks=True`: a 'mask' in their "
            f"'objects', or an 'instance_mask' and an 'id'. Received 'objects' with: "
            f"{sorted(objects)}. Load COCO files with annotations='instances'."
        )


def _check_map(name, spec):
    if spec.dtype != _MAPS[name] or spec.shape.rank != 3 or spec.shape[-1] not in (1, None):
        raise ValueError(
            f"The '{name}' of an example must be {_MAPS[name].name} of shape (height, width, 1), "
            "as from kv.data.load. "
            f"Received: shape {spec.shape}, dtype {spec.dtype.name}. Map the dataset to that first."
        )
