"""The tasks of kvision: what a network is given, what it must answer, and how that is measured.

Plain data, one list. A room that differs by task has one module named after it, such as
`kvision/export/tasks/segmentation.py`, and one for each feature, `kvision/data/features/label.py`;
`part` finds them.
"""

import dataclasses
import importlib
import importlib.util
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Metric:
    """The one figure that a task is judged by.

    Attributes:
        name: what people call it, such as `"mean IoU"`.
        unit: `"%"` for a share, which is 0..1 in code and shown in percent; else what it is
            measured in, such as `"px"` or `"degrees"`.
        lower_is_better: whether it is an error.
    """

    name: str
    unit: str = "%"
    lower_is_better: bool = False


@dataclasses.dataclass(frozen=True)
class Task:
    """What a network is for.

    Attributes:
        name: a word for code and file names, such as `"segmentation"`.
        title: the heading that people read.
        target: the feature of an example that is the truth.
        metric: a `Metric`.
        inputs: the features of an example that a network is given.
        published: the figures that publications give, `{key: heading}`, the metric first.
    """

    name: str
    title: str
    target: str
    metric: Metric
    inputs: tuple = ("image",)
    published: Mapping = dataclasses.field(default_factory=dict)


_tasks = [
    Task(
        "classification",
        "Classification",
        "label",
        Metric("top-1 accuracy"),
        published={"top1": "top-1 error %", "top5": "top-5 error %"},
    ),
    Task(
        "segmentation",
        "Segmentation",
        "segmentation_mask",
        Metric("mean IoU"),
        published={"mean_iou": "mean IoU %"},
    ),
    Task(
        "edges",
        "Edges",
        "edges",
        Metric("ODS F-score"),
        published={"ods": "ODS F %", "ois": "OIS F %"},
    ),
    Task(
        "detection",
        "Detection",
        "objects",
        Metric("COCO AP"),
        published={"mean_ap": "mean AP %"},
    ),
]
_homes = ["kvision"]


def names():
    """Returns the names of all tasks, in the order in which they are listed."""
    return tuple(task.name for task in _tasks)


def named(name):
    """Returns the `Task` of a name.

    Raises:
        ValueError: where there is no such task.

    Example:

    >>> named("detection").target
    'objects'
    """
    for task in _tasks:
        if task.name == name:
            return task
    raise ValueError(f"The task must be one of {names()}. Received: {name!r}")


def add(task, home):
    """Adds a task from outside kvision.

    Its modules are laid out as kvision's own: `home.export.tasks.<name>`, `home.runs.tasks.<name>`
    and `home.data.features.<feature>` for features that kvision does not know.

    Args:
        task: a `Task`.
        home: the name of the package that holds its modules.

    Raises:
        ValueError: where the name is taken by another task.
    """
    if any(known.name == task.name and known != task for known in _tasks):
        raise ValueError(f"A task has its own name. Received: {task.name!r}, which is another's")
    if task not in _tasks:
        _tasks.append(task)
    if home not in _homes:
        _homes.append(home)


def part(room, name):
    """Returns the module of a room for a task or a feature.

    Args:
        room: such as `"export.tasks"` or `"data.features"`.
        name: of the task or feature.

    Raises:
        ValueError: where no package has one.
    """
    for home in _homes:
        place = f"{home}.{room}.{name}"
        try:
            found = importlib.util.find_spec(place)
        except ModuleNotFoundError:  # the home lacks the room
            continue
        if found:
            return importlib.import_module(place)
    file = f"{room.replace('.', '/')}/{name}.py"
    raise ValueError(f"There must be a module {file} for {name!r} in one of {_homes}.")
