"""Which task a model is for: somebody says it, or it is the only one that its outputs allow."""

import inspect

from kvision import tasks
from kvision.export.specs import input_specs, output_specs, text_of


def task_of(model, task=None):
    """Returns the task of a model.

    It is the one that is asked for, else the one that the model's run, its file or, of a network
    that kvision built, the registry declares, else the only one that its outputs could be of.

    Args:
        model: a `keras.Model`, or what `kv.export.load` returned.
        task: the name of a task, or `None`.

    Returns:
        A `kvision.tasks.Task`.

    Raises:
        ValueError: where there is no such task, the model cannot be of it, or nobody says which it
            is and there is not exactly one that it could be of.

    Example:

    >>> import kvision as kv
    >>> kv.export.task_of(kv.models.LeNet5()).name
    'classification'
    """
    if task is None and (found := declared(model)):
        return tasks.named(found)
    possible = fitting(model)
    shown = "inputs {}, outputs {}".format(*map(text_of, ports_of(model)))
    if task is not None:
        wanted = tasks.named(task)
        if _is_keras(model) and task not in possible:
            raise ValueError(
                f"A model for the task {task!r} must have such inputs and outputs. "
                f"Received: {shown}. Pass another `task`."
            )
        return wanted
    if len(possible) != 1:
        raise ValueError(
            "A model must say which task it is for where its outputs do not. "
            f"Received: {shown}, which could be of {' or '.join(map(repr, possible)) or 'none'}. "
            f"Pass `task=`, one of {possible or list(tasks.names())}."
        )
    return tasks.named(possible[0])


def find_task(model, task=None):
    """Returns the `Task` of a model, or `None` where it could be of none, such as a backbone.

    Raises:
        ValueError: where it could be of several, as `task_of` raises.
    """
    if task is None and not declared(model) and not fitting(model):
        return None
    return task_of(model, task)


def declared(model):
    """Returns the name of the task that somebody gave a model or its builder, or `None`."""
    if not _is_keras(model):
        return model.task
    from kvision import registry

    entry = registry.entry_of(model)
    # A network of one's own around a backbone of ours has another name.
    if entry and inspect.signature(entry.builder).parameters["name"].default == model.name:
        return entry.task if entry.task in fitting(model) else None
    return None


def fitting(model):
    """Returns the names of the tasks that a model could be of, by its inputs and outputs."""
    return all_fitting(*ports_of(model))


def only_fitting(inputs, outputs):
    """Returns the name of the only task that a model could be of, or `None`."""
    names = all_fitting(inputs, outputs)
    return names[0] if len(names) == 1 else None


def all_fitting(inputs, outputs):
    """Returns the names of all tasks that a model could be of.

    Args:
        inputs: a `Spec`, or a dict of them by name.
        outputs: the same.
    """
    found = []
    for name in tasks.names():
        try:
            part = tasks.part("export.tasks", name)
        except ValueError:  # a task whose models nobody exports
            continue
        if part.could_be(inputs, outputs):
            found.append(name)
    return found


def ports_of(model):
    """Returns a pair, the inputs and the outputs of a model: each a `Spec`, or a dict of them."""
    if _is_keras(model):
        return input_specs(model), output_specs(model)
    return model.inputs, model.outputs


def _is_keras(model):
    return hasattr(model, "layers")
