"""Which task a model is for."""

import numpy as np

from kvision import registry, tasks


def task_of(model, task=None):
    """Returns the `Task` of a model: the one asked for, or the one that its outputs fit.

    Args:
        model: a `keras.Model`, or what `kv.export.load` returned.
        task: the name of a task, or `None`.

    Raises:
        ValueError: where there is no such task.
    """
    if task is not None:
        return tasks.named(task)
    if hasattr(model, "layers"):
        entry = registry.entry_of(model)
        if entry:
            return tasks.named(entry.task)
        outputs = model.output
    else:
        outputs = model.predict(np.zeros((1, *model.input_shape), "uint8"))
    if isinstance(outputs, dict):
        return tasks.named("detection" if "boxes" in outputs else "classification")
    return tasks.named("segmentation" if len(outputs.shape) == 4 else "classification")
