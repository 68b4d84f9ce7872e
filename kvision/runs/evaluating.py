"""Labelled pictures for a finished model, as `kvision evaluate` and `kvision export` take them."""

import sys

from kvision import data as data_room
from kvision import export
from kvision.data.three_sets import class_names, plural


def input_shape(loaded):
    """Returns the (height, width, channels) of what a model is shown; of several images the first.

    Raises:
        ValueError: where a size is open.
    """
    shapes = loaded.input_shape
    shapes = list(shapes.values()) if isinstance(shapes, dict) else [shapes]
    shape = next((shape for shape in shapes if len(shape) == 3), shapes[0])
    if None in shape:
        raise ValueError(
            f"The model must have one input size; {loaded.path} has {loaded.input_shape}. Export "
            "it with a size first."
        )
    return shape


def labelled_batches(loaded, data, split=None, resize="stretch", options=None, task=None):
    """Returns batches of one split with the model's labels.

    Args:
        loaded: what `kv.export.load` returned.
        data: what `kv.data.load` takes.
        split: by default test, else validation, else train, of which is said that it is.
        resize: as `kv.data.batches` takes it.
        options: a dict of how the data is read.
        task: the name of a task, for a model that does not say which is its own.

    Returns:
        The batches, the class names and the split's name.

    Raises:
        ValueError: where the data lacks what the task's truth is, or has classes that the model
            does not know.
    """
    shape, task = input_shape(loaded), export.task_of(loaded, task)
    target = task.target
    options = dict(options or {})
    if data == "scenes":
        options.setdefault("size", shape[:2])
    splits, info = data_room.load(data, with_info=True, **options)
    if split is None:
        split = next(
            (name for name in ("test", "validation") if name in splits), next(iter(splits))
        )
        if split == "train":
            print(
                f"{data} has no test split: all of its images are taken, which the model may have "
                "been trained on. The run's README.md says on which it was tested: pass that as "
                "--split.",
                file=sys.stderr,
            )
    dataset = splits[split] if split in splits else data_room.load(data, split, **options)
    if target not in dataset.element_spec:
        raise ValueError(
            f"{data} must have {plural(target)} to score {loaded.path} on. It has: "
            f"{', '.join(dataset.element_spec)}."
        )
    names = class_names(info, target)
    if loaded.labels and names != loaded.labels:
        dataset = data_room.relabel(dataset, names, loaded.labels, target)
        names = loaded.labels
    batches = data_room.batches(dataset, shape, 32, training=False, resize=resize, task=task)
    return batches, names, split
