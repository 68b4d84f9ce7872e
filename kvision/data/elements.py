"""The elements of a dataset: what a single example holds, and what `fit` takes of a batch."""

import tensorflow as tf

TARGETS = ("label", "objects", "segmentation_mask")
_MAPS = {"segmentation_mask": tf.uint8, "pixel_weight": tf.float32}


def check_elements(spec, target=None):
    """What of the examples is wanted.

    Args:
        spec: the `element_spec` of a dataset of single examples.
        target: None for everything that is known here, or one of `TARGETS` for that alone.

    Returns:
        The specification of the wanted features, as a dict.

    Raises:
        ValueError: if these are no single examples, or lack the target.
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
    return {"image": image, **{name: features[name] for name in wanted}}


def as_example(element, names):
    """One example of any source as a dict of the features `names`, in the dtypes used here."""
    features = element[0] if len(element) == 1 else _features(element)
    result = {name: features[name] for name in names}
    if "label" in result:
        result["label"] = tf.cast(result["label"], tf.int64)
    if "objects" in result:
        result["objects"] = {
            "bbox": tf.cast(features["objects"]["bbox"], tf.float32),
            "label": tf.cast(features["objects"]["label"], tf.int64),
        }
    return result


def as_fit_takes_it(batch, target=None):
    """A batch as images, (images, target), (images, masks, weights), or a dict of several."""
    batch = {**batch, "image": tf.cast(batch["image"], tf.float32)}
    present = [name for name in TARGETS if name in batch]
    if not present:
        return batch["image"]
    if target is None and (len(present) > 1 or "objects" in present):
        return batch
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


def _check_map(name, spec):
    if spec.dtype != _MAPS[name] or spec.shape.rank != 3 or spec.shape[-1] not in (1, None):
        raise ValueError(
            f"The '{name}' of an example must be {_MAPS[name].name} of shape (height, width, 1), "
            "as from kv.data.load. "
            f"Received: shape {spec.shape}, dtype {spec.dtype.name}. Map the dataset to that first."
        )
