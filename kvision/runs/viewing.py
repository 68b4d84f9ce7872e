"""The viewer of a model: what `kvision predict` says of a photo and draws."""

import inspect

from kvision import export, tasks
from kvision.runs.tasks import part_of


def viewer(loaded, resize="stretch", top=3, task=None, **options):
    """Returns the viewer for a model, as `kvision.runs.tasks` describes it.

    Args:
        loaded: what `kv.export.load` returned; its input size must be known.
        resize: how photos get that size: `"stretch"`, `"crop"` or `"pad"`.
        top: how many classes to name; of a detector, how many objects.
        task: the name of a task, for a model that does not say which is its own.
        **options: of the task: `tiles=True` for a segmenter to look at photos in their own size,
            tile by tile; `score=` of a detector, what scores less is not shown. `None` and `False`
            are as if they were not given.

    Raises:
        ValueError: where an option is not of the model's task, or the task is not known.
    """
    task = export.task_of(loaded, task)
    given = {name: value for name, value in options.items() if value not in (None, False)}
    make = part_of(task).viewer
    for name in given:
        if name not in inspect.signature(make).parameters:
            raise ValueError(
                f"--{name} must go with a model for {' or '.join(_tasks_with(name)) or 'no task'}. "
                f"Received: {loaded.path}, for {task.name}"
            )
    return make(loaded, resize, top, **given)


def _tasks_with(option):
    """The names of the tasks whose viewers take an option."""
    for name in tasks.names():
        if option in inspect.signature(part_of(tasks.named(name)).viewer).parameters:
            yield name
